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
    data["tied_scores"] = [0.9, None, 0.1]
    row = statistics.summary(data.assign(started=[True, False, True]), "top1").iloc[0]
    assert (row["mean"], row.seeds, row.failed, row.collapsed, row.each) == (55.0, 2, 1, 1, [50.0, 60.0])
    assert (row.started, row.tied, row.spread) == (2, 1, pytest.approx(7.0711, abs=1e-4))


def test_values_over_seeds_are_named_alike():
    found = statistics.over_seeds("top1", pd.Series([1.0, 2.0, 3.0, None]))
    assert found == {"top1": 2.0, "top1_interval": pytest.approx(2.484138), "top1_seeds": 3}
    none = statistics.over_seeds("top1", pd.Series([None]))
    assert math.isnan(none["top1"]) and none["top1_seeds"] == 0


def trials(values, **columns):
    """A row a seed of each pruner, of VGG16 on CIFAR-10; a top-1 of 10.00 is of a failed start."""
    cell = {
        "dataset": "cifar10",
        "model": "vgg16",
        "compression": 1.0,
        "status": "ok",
        "collapsed": False,
        "tied_scores": None,
        "top5": 90.0,
    }
    rows = [
        cell | {"pruner": pruner, "seed": seed, "top1": top1} | columns
        for pruner, seeds in values.items()
        for seed, top1 in enumerate(seeds)
    ]
    return pd.DataFrame(rows).assign(started=lambda rows: rows.top1 != 10.0)


def test_a_failed_start_is_counted_and_no_part_of_its_cells_mean():
    """Of 10, 70, 72 two started, with the mean 71; of 10, 10 none, with the mean of both."""
    frame = pd.concat(
        [trials({"snip": [10.0, 70.0, 72.0], "random": [10.0, 10.0]}), trials({"snip": [1.0]}, dataset="x")]
    )
    long = statistics.accuracies(frame)
    assert long.dataset.tolist() == ["cifar10"] * 10 + ["x"] * 2, "a dataset's rows lie together"
    found = statistics.summary(long, "value", [*statistics.CELL, "accuracy"])
    top1 = found.query("accuracy == 'top-1' and dataset == 'cifar10'").set_index("pruner")
    assert top1[["mean", "seeds", "started", "runs"]].values.tolist() == [[71.0, 2, 2, 3], [10.0, 2, 0, 2]]
    assert found.query("accuracy == 'top-5' and pruner == 'snip'").seeds.tolist() == [2, 1]


def test_pairs_are_of_seeds_of_which_both_started():
    """SynFlow 80 and 84, SNIP 78 and 83: 2 and 1, so 1.5 with t(0.975, 1) = 12.7062 times 0.7071 / sqrt(2)."""
    rows = statistics.pairs(trials({"synflow": [80.0, 84.0, 10.0], "snip": [78.0, 83.0, 70.0], "random": [10.0] * 3}))
    assert rows[["first", "second", "seeds"]].values.tolist() == [
        ["synflow", "snip", 2],
        ["synflow", "random", 0],
        ["snip", "random", 0],
    ]
    assert (rows["mean"][0], rows.interval[0]) == (1.5, pytest.approx(6.3531, abs=1e-4))
    assert statistics.pairs(trials({"snip": [1.0]})).empty


def test_what_is_published_goes_with_its_cell():
    found = statistics.summary(trials({"snip": [70.0], "grasp": [60.0]}).assign(published=[76.98, None]), "top1")
    assert found.published[0] == 76.98 and math.isnan(found.published[1])
    assert statistics.summary(trials({"snip": [70.0]}), "top1").published.isna().all()


def test_of_no_trial_there_is_no_cell():
    none = trials({"snip": [70.0]})[:0]
    for found in (statistics.summary(none, "top1"), statistics.summary(statistics.accuracies(none), "value")):
        assert found.empty and {*statistics.CELL, "mean", "interval", "runs", "published"} <= set(found)


def test_leaders_are_those_of_the_highest_mean_of_networks_that_started():
    """SynFlow leads by 10 each time; by -1, 3, -1 it leads by a third, with the half-width 5.7; alone, by nothing."""
    cells = {
        0.5: {"synflow": [80.0, 81.0, 82.0], "magnitude": [70.0, 71.0, 72.0], "random": [60.0, 10.0, 60.0]},
        1.0: {"synflow": [40.0, 44.0, 40.0], "magnitude": [41.0, 41.0, 41.0]},
        2.0: {"snip": [50.0, 10.0, 10.0], "random": [10.0, 10.0, 10.0]},
        3.0: {"snip": [10.0, 10.0, 10.0]},
    }
    frame = pd.DataFrame(
        [
            {"dataset": "digits", "model": "fc", "compression": c, "pruner": pruner, "seed": seed, "top1": value}
            for c, cell in cells.items()
            for pruner, values in cell.items()
            for seed, value in enumerate(values)
        ]
    )
    found = statistics.leaders(frame.assign(started=frame.top1 > 10)).set_index("compression")
    assert found["first"].tolist() == ["synflow", "synflow", "snip"] and found.second.tolist()[:2] == ["magnitude"] * 2
    assert found.lead.tolist()[:2] == [10.0, pytest.approx(1 / 3)] and found.lead.isna().tolist() == [
        False,
        False,
        True,
    ]
    assert found.lead_interval.tolist()[:2] == [0.0, pytest.approx(5.7, abs=0.05)]
    assert found.seeds.tolist() == [3, 3, 0]
    assert statistics.leaders(frame.assign(started=False)).empty


@pytest.mark.parametrize(("status", "top1"), [("failed", None), ("ok", None)])
def test_what_was_not_trained_is_not_said_to_have_failed_to_start(status, top1):
    cell = {"dataset": "digits", "model": "fc", "compression": 1.0, "pruner": "snip"}
    rows = [(status, top1, False), ("ok", 10.0, False), ("ok", 90.0, True)]
    frame = pd.DataFrame([cell | {"status": s, "top1": v, "top5": v, "started": t} for s, v, t in rows])
    found = statistics.accuracies(frame).query("accuracy == 'top-1'")
    assert found.failed.tolist() == [False, True, False] and found.counts.tolist() == [False, False, True]


def test_two_studies_order_pruners_alike_or_not():
    """Both see SNIP above random at each seed; GraSP, at chance here, is the best in full, by less than its spread."""
    here = trials({"snip": [40.0, 41.0, 42.0], "grasp": [10.0] * 3, "random": [30.0, 31.5, 31.0], "erk": [50.0] * 3})
    full = trials({"random": [70.0, 71.0, 70.0], "snip": [80.0, 81.5, 81.0], "grasp": [60.0, 99.0, 99.0]})
    full = pd.concat([full, trials({"snip": [1.0]}, compression=2.0)])
    (row,) = statistics.orders(here, full).to_dict("records")
    assert (row["dataset"], row["compression"]) == ("cifar10", 1.0)
    assert (row["here"], row["in_full"]) == (["snip", "random", "grasp"], ["grasp", "snip", "random"])
    assert (row["pairs"], row["alike"], row["told"], row["told_alike"]) == (3, 1, 1, 1)
    turned = statistics.orders(here.assign(top1=100 - here.top1), full).iloc[0]
    assert (turned.told, turned.told_alike) == (1, 0)
    assert statistics.orders(here, full[:0]).empty
    two = pd.concat([here.assign(model="vgg11"), here.assign(model="fc")])
    assert statistics.orders(two, full).model.tolist() == ["vgg11", "fc"]
