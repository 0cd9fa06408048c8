"""What is kept by number of labels, on cases worked by hand."""

import math

import pandas as pd
import pytest

from prunekit.analysis import labels

LOG = math.log2(25)  # doublings from 2 to 50 labels
BASE = {"dataset": "digit-pairs", "model": "fc", "width": 1.0, "train_subset": None, "pre_epochs": 0, "post_epochs": 4}
BASE |= {"prune_steps": 1, "status": "ok", "collapsed": False, "control": "none", "labels": "fine"}


def by_labels(kept, dense=80.0):
    """A frame where SNIP keeps, in percent above chance, `kept` {labels: a value a seed} of the unpruned network's."""
    rows = []
    for name, values in kept.items():
        chance = {"fine": 1.0, "coarse": 10.0}.get(name) or 100 / int(name)
        for seed, share in enumerate(values):
            row = BASE | {"labels": name, "seed": seed}
            rows.append(row | {"pruner": "none", "compression": 0.0, "top1": dense})
            rows.append(row | {"pruner": "snip", "compression": 1.0, "top1": chance + share / 100 * (dense - chance)})
    return pd.DataFrame(rows)


def test_what_is_kept_is_counted_from_chance():
    """Of two labels 50 % is a guess: 65 where the unpruned network has 80 is half of what it learnt."""
    rows = labels.accuracy_retained(by_labels({"2": [50.0], "coarse": [25.0], "fine": [100.0]}))
    assert rows["count"].tolist() == [2, 10, 100]
    assert rows.top1.tolist() == pytest.approx([65.0, 27.5, 80.0])
    assert rows.kept.tolist() == pytest.approx([50.0, 25.0, 100.0])


def test_nothing_is_kept_of_a_network_that_learnt_nothing():
    assert labels.accuracy_retained(by_labels({"2": [50.0]}, dense=50.0)).kept.isna().all()


def slope_per_doubling(frame):
    return labels.slope_per_doubling(labels.accuracy_retained(frame))


def test_slopes_are_points_a_doubling_and_leave_coarse_labels_out():
    frame = by_labels({"2": [90.0, 91.0], "4": [80.0, 81.0], "coarse": [5.0] * 2, "50": [90 - 10 * LOG, 91 - 10 * LOG]})
    rows = slope_per_doubling(frame)
    assert (rows.slope[0], rows.slope_interval[0]) == (
        pytest.approx(-10.0),
        pytest.approx(0.0, abs=1e-9),
    )
    assert (rows.best[0], rows.peak[0], rows.slope_seeds[0]) == (2, False, 2)


@pytest.mark.parametrize(("middle", "peak"), [([90.0, 91.0], True), ([61.0, 59.0], False)])
def test_a_best_number_lies_between_the_ends_beyond_the_interval(middle, peak):
    rows = slope_per_doubling(by_labels({"2": [60.0, 60.5], "10": middle, "50": [50.0, 50.5]}))
    assert rows.peak.tolist() == [peak] and (rows.best[0] == 10 or not peak)


def test_what_always_collapses_or_has_one_number_of_labels_answers_nothing():
    frame = by_labels({"2": [0.0, 0.0], "10": [0.0, 0.0], "50": [0.0, 0.0]})
    for none in (frame.assign(collapsed=frame.compression > 0), by_labels({"fine": [50.0]}), frame[:0]):
        assert slope_per_doubling(none).empty


def test_networks_that_collapsed_are_no_cost_of_labels():
    """Of 2, 4, 20 and 50 labels the last collapsed: the others lose ten points a doubling; two would tell nothing."""
    lost = 10 * math.log2(10)
    frame = by_labels({"2": [90.0, 91.0], "4": [80.0, 81.0], "20": [90 - lost, 91 - lost], "50": [0.0, 0.0]})
    frame["collapsed"] = (frame.compression > 0) & (frame.labels == "50")
    assert slope_per_doubling(frame).slope.tolist() == [pytest.approx(-10.0)]
    frame["collapsed"] |= (frame.compression > 0) & (frame.labels == "20")
    assert slope_per_doubling(frame).empty
