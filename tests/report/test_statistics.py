"""Statistics over seeds, by hand."""

import math

import pandas as pd
import pytest

from prunekit import datasets
from prunekit.report import statistics


def test_interval_is_students_t_over_seeds():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 4.302653 / sqrt(3)
    assert statistics.half_width(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(2.484138, abs=1e-6)
    assert math.isnan(statistics.half_width(pd.Series([1.0])))


def test_summary_counts_seeds_failures_and_collapses():
    cell = {"dataset": "cifar10", "model": "vgg16", "compression": 1.0, "pruner": "snip"}
    rows = [("ok", False, 50.0), ("failed", None, None), ("ok", True, 60.0)]
    data = pd.DataFrame([cell | {"status": s, "collapsed": c, "top1": value} for s, c, value in rows])
    row = statistics.summary(data, "top1").iloc[0]
    assert (row["mean"], row.seeds, row.failed, row.collapsed, row.each) == (55.0, 2, 1, 1, [50.0, 60.0])


def test_trained_is_above_twice_chance():
    assert statistics.trained("mnist", pd.Series([10.0, 20.0, 20.1])).tolist() == [False, False, True]
    assert statistics.trained("cifar100", pd.Series([2.0, 2.1])).tolist() == [False, True]


@pytest.mark.parametrize("name", ["digits", "digit-pairs"])
def test_chance_is_one_of_the_classes(name):
    assert statistics.chance(name) == 100 / len(datasets.read(name).classes)


def test_kendall_by_hand():
    """Of three pairs two agree: (2 - 1) / 3."""
    first = pd.Series({"snip": 1.0, "grasp": 2.0, "random": 3.0})
    assert statistics.kendall(first, pd.Series({"random": 9.0, "snip": 5.0, "grasp": 4.0})) == pytest.approx(1 / 3)
    assert statistics.kendall(first, -first) == -1


def test_prediction_interval_by_hand():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 4.302653 sqrt(1 + 1/3)
    assert statistics.prediction(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(4.968276, abs=1e-6)
    assert math.isnan(statistics.prediction(pd.Series([1.0])))
