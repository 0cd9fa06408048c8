"""Controls and pruning in steps, on cases worked by hand."""

import math
from datetime import UTC, datetime

import pandas as pd
import pytest

from prunekit.analysis import controls
from prunekit.study import study
from prunekit.study.params import load_params
from prunekit.study.trial import Record, Trial

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BASE = {"dataset": "digit-pairs", "model": "fc", "width": 1.0, "train_subset": None, "pre_epochs": 0, "post_epochs": 4}
BASE |= {"prune_steps": 1, "status": "ok", "collapsed": False, "control": "none", "labels": "fine"}


def controlled(own, shuffled, anew, erk):
    rows = [
        BASE
        | {"dataset": "digits", "compression": 1.0, "seed": seed, "pruner": pruner, "control": control, "top1": top1}
        for pruner, control, values in (
            ("snip", "none", own),
            ("snip", "shuffled", shuffled),
            ("snip", "reinitialised", anew),
            (controls.ERK, "none", erk),
        )
        for seed, top1 in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(learned=lambda rows: rows.top1 != 10.0)


@pytest.mark.parametrize(
    ("own", "shuffled", "chooses"),
    [
        ([80.0, 82.0], [70.0, 72.1], controls.WEIGHTS),
        ([80.0, 82.0], [80.0, 81.9], controls.UNTOLD),
        ([80.0, 82.0], [81.0, 80.0], controls.UNTOLD),
        ([60.0, 62.0], [70.0, 72.1], controls.WORSE),
        ([10.0, 10.0], [10.0, 10.0], controls.UNTRAINED),
        ([80.0], [70.0], "–"),
    ],
)
def test_a_pruner_chooses_weights_where_it_exceeds_its_shuffled_mask(own, shuffled, chooses):
    frame = controlled(own, shuffled, own, own)
    (row,) = controls.controls(frame).to_dict("records")
    assert row["chooses"] == chooses
    assert row["reinitialised_gap"] == row["erk_gap"] == 0.0 and row["erk"] == row["top1"]


@pytest.mark.parametrize(("erk", "chooses"), [([75.0, 77.0], controls.SIZES), ([79.0, 81.0], controls.UNTOLD)])
def test_layer_sizes_matter_where_shuffling_costs_less_than_half_of_the_lead(erk, chooses):
    """Shuffling costs 0.05 ± 0.64 points: less than half of a lead of 5 over ERK-random, not than half of one of 1."""
    rows = controls.controls(controlled([80.0, 82.0], [80.0, 81.9], [80.0, 82.0], erk))
    assert rows.chooses.tolist() == [chooses]


def test_a_random_mask_shuffled_is_no_control():
    frame = controlled([80.0, 82.0], [70.0, 72.0], [80.0, 82.0], [75.0, 77.0])
    frame["pruner"] = frame.pruner.replace("snip", "random")
    assert controls.controls(frame).empty


@pytest.mark.parametrize("left", [[math.nan], [math.nan, math.nan]])
def test_controls_of_which_nothing_is_known_tell_nothing(left):
    frame = controlled(left, left, left, [75.0, 77.0]).assign(learned=lambda rows: rows.top1.notna())
    assert controls.controls(frame).empty


@pytest.mark.parametrize("field", ["model", "dataset"])
def test_networks_and_datasets_are_no_seeds(field):
    """Controls of one at 80 and 70, of the other at 40 and 35, and steps that keep 10 and 20 % of the FLOPs."""
    one, other = (
        controlled([80.0] * 2, [70.0] * 2, [80.0] * 2, [75.0] * 2),
        controlled([40.0] * 2, [35.0] * 2, [40.0] * 2, [36.0] * 2),
    )
    rows = controls.controls(pd.concat([one, other.assign(**{field: "another"})], ignore_index=True))
    assert rows[["top1", "shuffled_gap", "erk_gap", "seeds"]].values.tolist() == [[80, 10, 5, 2], [40, 5, 4, 2]]
    other = {"model": "conv", "dataset": "digit-pairs"}[field]
    steps = controls.steps(recorded((trial(), {}), (trial(**{field: other}), {"flops_kept": 200})))
    assert steps[[field, "seeds", "flops"]].values.tolist() == [[getattr(trial(), field), 1, 10.0], [other, 1, 20.0]]


def test_differences_to_controls_are_paired_on_seeds():
    """Own are 80 and 90, shuffled 70 and 80.2: each seed is 10 and 9.8 ahead, whatever the seeds differ by."""
    frame = controlled([80.0, 90.0], [70.0, 80.2], [80.0, 90.0], [75.0, 85.0])
    rows = controls.controls(frame)
    assert (rows.shuffled_gap[0], rows.shuffled_gap_interval[0]) == (pytest.approx(9.9), pytest.approx(1.27, abs=0.01))
    assert (rows.erk_gap[0], rows.erk_gap_interval[0]) == (5.0, 0.0)


def record(trial, **fields):
    values = {"density": 0.01, "effective_density": 0.005, "flops": 1000, "flops_kept": 100, "seconds": {"score": 0.5}}
    return Record(id=trial.id, trial=trial, status="ok", finished=NOW, **values | fields)


def recorded(*trials_and_fields):
    """Return a frame of trials with records of these fields."""
    found = [record(trial, **fields) for trial, fields in trials_and_fields]
    return pd.DataFrame([one.trial.model_dump() | study.outcome(one) for one in found])


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
    rows = controls.steps(frame)
    assert rows[["collapsed", "seeds", "live", "flops"]].values.tolist() == [[1, 2, 25.0, 10.0], [0, 1, 50.0, 10.0]]


def test_where_nothing_was_run_there_are_no_rows():
    frame = study.Study(load_params("paper")).frame("labels")[:0]
    for empty in (controls.controls(frame), controls.steps(frame)):
        assert empty.empty and {"dataset", "model", "pruner", "compression", "seeds"} <= set(empty)  # a CSV's header
