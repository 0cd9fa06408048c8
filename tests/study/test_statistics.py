"""Statistics over seeds, by hand."""

import math

import pandas as pd
import pytest

from prunekit.study import statistics


def test_interval_is_students_t_over_seeds():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 4.302653 / sqrt(3)
    assert statistics.half_width(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(2.484138, abs=1e-6)
    assert math.isnan(statistics.half_width(pd.Series([1.0])))


def test_summary_counts_seeds_failures_and_collapses():
    cell = {"dataset": "cifar10", "model": "vgg16", "compression": 1.0, "pruner": "snip"}
    rows = [("ok", False, 50.0), ("failed", None, None), ("ok", True, 60.0)]
    data = pd.DataFrame([cell | {"status": s, "collapsed": c, "top1": value} for s, c, value in rows])
    row = statistics.summary(data.assign(started=[True, False, True]), "top1").iloc[0]
    assert (row["mean"], row.seeds, row.failed, row.collapsed, row.each) == (55.0, 2, 1, 1, [50.0, 60.0])
    assert (row.started, row.spread) == (2, pytest.approx(7.0711, abs=1e-4))


def test_values_over_seeds_are_named_alike():
    found = statistics.over_seeds("top1", pd.Series([1.0, 2.0, 3.0, None]))
    assert found == {"top1": 2.0, "top1_interval": pytest.approx(2.484138), "top1_seeds": 3}
    none = statistics.over_seeds("top1", pd.Series([None]))
    assert math.isnan(none["top1"]) and none["top1_seeds"] == 0
