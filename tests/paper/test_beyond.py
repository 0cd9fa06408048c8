"""What goes beyond the study, on cases worked by hand: what is kept, slopes, peaks, controls, steps, zeros."""

import math
from datetime import UTC, datetime

import pandas as pd
import pytest

from prunekit.paper import beyond, sentences
from prunekit.study import results
from prunekit.study.params import load_params
from prunekit.study.trial import Record, Trial

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BASE = {"dataset": "digit-pairs", "model": "fc", "width": 1.0, "train_subset": None, "pre_epochs": 0, "post_epochs": 4}
BASE |= {"prune_steps": 1, "status": "ok", "collapsed": False, "control": "none", "labels": "fine"}


def by_labels(kept, dense=80.0):
    """A frame where SNIP keeps, in percent above chance, `kept` {labels: a value a seed} of the unpruned network's."""
    rows = []
    for name, values in kept.items():
        chance = {"fine": 1.0, "coarse": 10.0}.get(name) or 100 / int(name)
        for seed, share in enumerate(values):
            row = BASE | {"labels": name, "seed": seed}
            rows.append(row | {"pruner": "random", "compression": 0.0, "top1": dense})
            rows.append(row | {"pruner": "snip", "compression": 1.0, "top1": chance + share / 100 * (dense - chance)})
    return pd.DataFrame(rows)


def test_what_is_kept_is_counted_from_chance():
    """Of two labels 50 % is a guess: 65 where the unpruned network has 80 is half of what it learnt."""
    rows = beyond.kept(by_labels({"2": [50.0], "coarse": [25.0], "fine": [100.0]}))
    assert rows["count"].tolist() == [2, 10, 100]
    assert rows.top1.tolist() == pytest.approx([65.0, 27.5, 80.0])
    assert rows.kept.tolist() == pytest.approx([50.0, 25.0, 100.0])


def test_nothing_is_kept_of_a_network_that_learnt_nothing():
    assert beyond.kept(by_labels({"2": [50.0]}, dense=50.0)).kept.isna().all()


def answers(frame):
    """What is kept, what changes as labels double, and what is said of it."""
    kept = beyond.kept(frame)
    doubling = beyond.doubling(kept)
    return doubling, sentences.labels(doubling, kept)


def test_slopes_are_points_a_doubling_and_leave_coarse_labels_out():
    frame = by_labels({"2": [90.0, 91.0], "4": [80.0, 81.0], "coarse": [5.0, 5.0], "16": [60.0, 61.0]})
    rows, said = answers(frame)
    assert (rows.doubling[0], rows.doubling_interval[0]) == (pytest.approx(-10.0), pytest.approx(0.0, abs=1e-9))
    assert (rows.best[0], rows.peak[0], rows.doubling_seeds[0]) == (2, False, 2)
    assert "pruned networks keep less of the unpruned one's accuracy in 1 of these and more in 0" in said


@pytest.mark.parametrize(
    ("middle", "answer"),
    [([90.0, 91.0], "**Labels.** Yes: with 2 to 50"), ([61.0, 59.0], "**Labels.** No: with 2 to 50")],
)
def test_a_best_number_lies_between_the_ends_beyond_the_interval(middle, answer):
    _, said = answers(by_labels({"2": [60.0, 60.5], "10": middle, "50": [50.0, 50.5]}))
    assert said.startswith(answer)
    assert ("SNIP at compression 1: 10" in said) == ("Yes" in answer)


def test_what_always_collapses_or_has_one_number_of_labels_answers_nothing():
    frame = by_labels({"2": [0.0, 0.0], "10": [0.0, 0.0], "50": [0.0, 0.0]})
    for none in (frame.assign(collapsed=frame.compression > 0), by_labels({"fine": [50.0]})):
        rows, said = answers(none)
        assert rows.empty and said == ""


def test_networks_that_collapsed_are_no_cost_of_labels():
    """Of 2, 4, 16 and 64 labels the last collapsed: the others lose ten points a doubling; two would tell nothing."""
    frame = by_labels({"2": [90.0, 91.0], "4": [80.0, 81.0], "16": [60.0, 61.0], "64": [0.0, 0.0]})
    frame["collapsed"] = (frame.compression > 0) & (frame.labels == "64")
    assert answers(frame)[0].doubling.tolist() == [pytest.approx(-10.0)]
    frame["collapsed"] |= (frame.compression > 0) & (frame.labels == "16")
    assert answers(frame)[0].empty


def controlled(own, shuffled, anew, erk):
    rows = [
        BASE
        | {"dataset": "digits", "compression": 1.0, "seed": seed, "pruner": pruner, "control": control, "top1": top1}
        for pruner, control, values in (
            ("snip", "none", own),
            ("snip", "shuffled", shuffled),
            ("snip", "reinitialised", anew),
            (beyond.ERK, "none", erk),
        )
        for seed, top1 in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(started=lambda rows: rows.top1 != 10.0)


@pytest.mark.parametrize(
    ("own", "shuffled", "chooses"),
    [
        ([80.0, 82.0], [70.0, 72.1], beyond.WEIGHTS),
        ([80.0, 82.0], [80.0, 81.9], beyond.UNTOLD),
        ([80.0, 82.0], [81.0, 80.0], beyond.UNTOLD),
        ([60.0, 62.0], [70.0, 72.1], beyond.WORSE),
        ([10.0, 10.0], [10.0, 10.0], beyond.UNTRAINED),
        ([80.0], [70.0], "–"),
    ],
)
def test_a_pruner_chooses_weights_where_it_exceeds_its_shuffled_mask(own, shuffled, chooses):
    frame = controlled(own, shuffled, own, own)
    (row,) = beyond.controls(frame).to_dict("records")
    assert row["chooses"] == chooses
    assert row["reinitialised_gap"] == row["erk_gap"] == 0.0 and row["erk"] == row["top1"]


@pytest.mark.parametrize(("erk", "chooses"), [([75.0, 77.0], beyond.SIZES), ([79.0, 81.0], beyond.UNTOLD)])
def test_layer_sizes_matter_where_shuffling_costs_less_than_half_of_the_lead(erk, chooses):
    """Shuffling costs 0.05 ± 0.64 points: less than half of a lead of 5 over ERK-random, not than half of one of 1."""
    rows = beyond.controls(controlled([80.0, 82.0], [80.0, 81.9], [80.0, 82.0], erk))
    assert rows.chooses.tolist() == [chooses]


def test_a_random_mask_shuffled_is_no_control():
    frame = controlled([80.0, 82.0], [70.0, 72.0], [80.0, 82.0], [75.0, 77.0])
    frame["pruner"] = frame.pruner.replace("snip", "random")
    rows = beyond.controls(frame)
    assert rows.empty and sentences.controls(rows, "digits") == ""


@pytest.mark.parametrize("left", [[math.nan], [math.nan, math.nan]])
def test_controls_of_which_nothing_is_known_tell_nothing(left):
    frame = controlled(left, left, left, [75.0, 77.0]).assign(started=lambda rows: rows.top1.notna())
    assert beyond.controls(frame).empty


def test_differences_to_controls_are_paired_on_seeds():
    """Own are 80 and 90, shuffled 70 and 80.2: each seed is 10 and 9.8 ahead, whatever the seeds differ by."""
    frame = controlled([80.0, 90.0], [70.0, 80.2], [80.0, 90.0], [75.0, 85.0])
    rows = beyond.controls(frame)
    assert (rows.shuffled_gap[0], rows.shuffled_gap_interval[0]) == (pytest.approx(9.9), pytest.approx(1.27, abs=0.01))
    assert (rows.erk_gap[0], rows.erk_gap_interval[0]) == (5.0, 0.0)
    assert "costs accuracy, so it matters which weights are kept (SNIP)" in sentences.controls(rows, "digits")


def record(trial, **fields):
    values = {"density": 0.01, "effective_density": 0.005, "flops": 1000, "flops_kept": 100, "seconds": {"score": 0.5}}
    return Record(id=trial.id, trial=trial, status="ok", finished=NOW, **values | fields)


def recorded(*trials_and_fields):
    """Return a frame of trials with records of these fields."""
    found = [record(trial, **fields) for trial, fields in trials_and_fields]
    return pd.DataFrame([one.trial.model_dump() | results._outcome(one) for one in found])


def trial(**fields):
    return Trial(
        **{"dataset": "digits", "model": "fc", "pruner": "synflow", "compression": 2.0, "post_epochs": 0} | fields
    )


def test_steps_tell_collapse_and_cost():
    frame = recorded(
        (trial(), {"collapsed": True, "effective_density": 0.0}),
        (trial(seed=1), {"collapsed": False}),
        (trial(prune_steps=5, schedule="linear"), {"collapsed": False, "seconds": {"score": 2.5}}),
    )
    rows = beyond.steps(frame)
    assert rows[["collapsed", "seeds", "live", "flops"]].values.tolist() == [[1, 2, 25.0, 10.0], [0, 1, 50.0, 10.0]]
    said = sentences.steps(rows)
    assert (
        "From so many on none collapses (exponential / linear;" in said and "SynFlow at compression 2: – / 5." in said
    )
    assert "5 steps of scoring take 5 times as long as one." in said


@pytest.mark.parametrize(
    ("collapsing", "said"),
    [
        ({1, 5}, "SNIP at compression 2: 100 / 100."),  # by number of steps, whatever the schedule
        ({5}, "SNIP at compression 2: 100 / 100."),  # one step is enough by chance, not because there are enough
        ({100}, "SNIP at compression 2: – / –."),
        (set(), "None collapses with SNIP at compression 2."),
    ],
)
def test_steps_are_enough_where_no_more_of_them_collapses(collapsing, said):
    cases = [(1, "exponential"), *((steps, name) for steps in (5, 100) for name in ("exponential", "linear"))]
    trials = [trial(pruner="snip", prune_steps=steps, schedule=schedule) for steps, schedule in cases]
    frame = recorded(*((one, {"collapsed": one.prune_steps in collapsing}) for one in trials))
    assert said in sentences.steps(beyond.steps(frame))


def test_zeros_tell_shares_and_times():
    cell = {"passes": {"masked": 0.010, "compacted": 0.004, "csr": 0.020}, "flops_compacted": 400, "collapsed": False}
    other = cell | {"passes": {"masked": 0.010}, "flops_compacted": None}
    frame = recorded((trial(passes=True), cell), (trial(passes=True, pruner="snip"), other))
    rows = beyond.zeros(frame)
    assert rows.paper.tolist() == [10.0, 10.0] and rows.compacted_flops[0] == rows.compacted_time[0] == 40.0
    assert rows.csr_time[0] == 200 and rows[["compacted_flops", "compacted_time", "csr_time"]].loc[1].isna().all()
    said = sentences.zeros(rows)
    assert "SynFlow 10.0 on paper, 40.0 compacted, 40 of the time" in said
    assert "SNIP 10.0 on paper, – compacted, – of the time" in said
    assert "is faster than multiplying all in 0 of 1 networks" in said


def test_where_nothing_was_run_nothing_is_said():
    frame = results.Results(load_params("paper")).frame("labels")[:0]
    assert sentences.controls(beyond.controls(frame), "digits") == sentences.steps(beyond.steps(frame)) == ""
    assert answers(frame)[1] == sentences.zeros(beyond.zeros(frame)) == ""
