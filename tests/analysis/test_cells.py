"""Statistics over seeds, by hand."""

import math

import pandas as pd
import pytest
from synthetic import trials

from prunekit.analysis import cells


def test_interval_is_students_t_over_seeds():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 4.302653 / sqrt(3)
    assert cells.half_width(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(2.484138, abs=1e-6)
    assert math.isnan(cells.half_width(pd.Series([1.0])))


def test_summary_counts_seeds_failures_and_collapses():
    cell = {"dataset": "cifar10", "model": "vgg16", "compression": 1.0, "pruner": "snip"}
    rows = [("ok", False, 50.0), ("failed", None, None), ("ok", True, 60.0)]
    data = pd.DataFrame([cell | {"status": s, "collapsed": c, "top1": value} for s, c, value in rows])
    data["tied_scores"] = [0.9, None, 0.1]
    row = cells.summary(data.assign(learned=[True, False, True]), "top1").iloc[0]
    assert (row["mean"], row.seeds, row.failed, row.collapsed, row.each) == (55.0, 2, 1, 1, [50.0, 60.0])
    assert (row.learned, row.tied, row.sd) == (2, 1, pytest.approx(7.0711, abs=1e-4))


def test_values_over_seeds_are_named_alike():
    found = cells.over_seeds("top1", pd.Series([1.0, 2.0, 3.0, None]))
    assert found == {"top1": 2.0, "top1_interval": pytest.approx(2.484138), "top1_seeds": 3}
    none = cells.over_seeds("top1", pd.Series([None]))
    assert math.isnan(none["top1"]) and none["top1_seeds"] == 0


def test_a_network_at_chance_is_counted_and_no_part_of_its_cells_mean():
    """Of 10, 70, 72 two learned, with the mean 71; of 10, 10 none, with the mean of both."""
    frame = pd.concat(
        [trials({"snip": [10.0, 70.0, 72.0], "random": [10.0, 10.0]}), trials({"snip": [1.0]}, dataset="x")]
    )
    long = cells.accuracies(frame)
    assert long.dataset.tolist() == ["cifar10"] * 10 + ["x"] * 2, "a dataset's rows lie together"
    found = cells.summary(long, "value", [*cells.CELL, "accuracy"])
    top1 = found.query("accuracy == 'top-1' and dataset == 'cifar10'").set_index("pruner")
    assert top1[["mean", "seeds", "learned", "runs"]].values.tolist() == [[71.0, 2, 2, 3], [10.0, 2, 0, 2]]
    assert found.query("accuracy == 'top-5' and pruner == 'snip'").seeds.tolist() == [2, 1]


def test_what_is_published_goes_with_its_cell():
    found = cells.summary(trials({"snip": [70.0], "grasp": [60.0]}).assign(published=[76.98, None]), "top1")
    assert found.published[0] == 76.98 and math.isnan(found.published[1])
    assert cells.summary(trials({"snip": [70.0]}), "top1").published.isna().all()


def test_of_no_trial_there_is_no_cell():
    none = trials({"snip": [70.0]})[:0]
    for found in (cells.summary(none, "top1"), cells.summary(cells.accuracies(none), "value")):
        assert found.empty and {*cells.CELL, "mean", "interval", "runs", "published"} <= set(found)


@pytest.mark.parametrize(("status", "top1"), [("failed", None), ("ok", None)])
def test_what_was_not_trained_is_not_said_to_have_stayed_at_chance(status, top1):
    cell = {"dataset": "digits", "model": "fc", "compression": 1.0, "pruner": "snip"}
    rows = [(status, top1, False), ("ok", 10.0, False), ("ok", 90.0, True)]
    frame = pd.DataFrame([cell | {"status": s, "top1": v, "top5": v, "learned": t} for s, v, t in rows])
    found = cells.accuracies(frame).query("accuracy == 'top-1'")
    assert found.at_chance.tolist() == [False, True, False] and found.counts.tolist() == [False, False, True]
