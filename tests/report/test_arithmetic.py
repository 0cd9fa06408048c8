"""Pairs of one trial in two precisions, worked by hand."""

import math

import pandas as pd
import pytest

from prunekit.report import arithmetic
from prunekit.study.results import chance
from prunekit.study.trial import Trial

# Top-1 of the sweep and beside it: four pairs in which both started differ by 1, -1, 3 and 1; in one pair one did not.
SWEEP = {0: 80.0, 1: 81.0, 2: 79.0, 3: 70.0, 4: 10.0, 5: 10.0}
BESIDE = {0: 81.0, 1: 80.0, 2: 82.0, 3: 71.0, 4: 60.0, 5: 10.0}


def frame(precision, values, pruner="snip", dataset="cifar10"):
    fields = {"dataset": dataset, "model": "vgg16", "pruner": pruner, "compression": 1.0, "precision": precision}
    rows = [
        Trial(**fields, seed=seed).model_dump() | {"id": f"{precision}{pruner}{seed}", "top1": top1, "top5": top1 + 15}
        for seed, top1 in values.items()
    ]
    made = pd.DataFrame(rows).assign(status="ok", signal=None)
    return made.assign(started=made.top1 != made.dataset.map(chance))


def test_differences_of_pairs_that_started():
    table = arithmetic.table(frame("bfloat16", BESIDE), frame("bf16-mixed", SWEEP))
    (row,) = table.tidy.to_dict("records")
    assert (row["pairs"], row["one_failed"], row["both_failed"]) == (4, 1, 1)
    assert row["mean"] == pytest.approx(1.0)
    assert row["deviation"] == pytest.approx(math.sqrt(8 / 3)) and row["error"] == pytest.approx(math.sqrt(8 / 3) / 2)
    shown = table.wide.iloc[0]
    assert (shown["Dataset"], shown["Mean difference"]) == ("CIFAR-10, top-1", "+1.00")
    assert (shown["Standard error"], shown["Standard deviation"]) == ("0.82", "1.6")


def test_a_hundred_classes_are_compared_in_top5_and_grasp_apart():
    sweep = pd.concat([frame("bf16-mixed", {0: 1.0, 1: 30.0}, dataset="cifar100"), frame("bf16-mixed", SWEEP, "grasp")])
    beside = frame("float32", {0: 31.0, 1: 33.0}, dataset="cifar100").assign(top5=[66.0, 50.0])
    found = arithmetic.table(pd.concat([beside, frame("float32", BESIDE, "grasp")]), sweep).tidy
    hundred = found[found.dataset == "cifar100"].iloc[0]
    assert (hundred.pairs, hundred["mean"], hundred.one_failed) == (1, 5.0, 1) and not hundred.grasp
    assert math.isnan(hundred.deviation)
    assert found[found.dataset == "cifar10"].grasp.all()


def test_sentences_are_said_of_what_was_run():
    sweep = frame("bf16-mixed", SWEEP)
    said = arithmetic.said(frame("bfloat16", BESIDE), sweep)
    assert "4 pairs on CIFAR-10 differ by +1.00 points on average with the loss, too, in bfloat16 (standard" in said
    assert "error 0.82), a single one by 1.6 (standard deviation). So rounding moves no mean by more than" in said
    apart = arithmetic.said(frame("float32", {0: 82.0, 1: 83.1, 2: 80.9}), sweep)
    assert "with all in float32" in apart and "So rounding moves a mean by more than twice" in apart
    assert "GraSP" not in said and "Another group" not in said, "of one cell there is no average"
    assert arithmetic.said(sweep[:0], sweep) is None is arithmetic.table(sweep[:0], sweep)


def test_what_is_open_of_grasp_is_said_until_it_has_run_in_float32():
    sweep = frame("bf16-mixed", {0: 20.0, 1: 30.0}, "grasp")
    sweep["signal"] = [1e8, 1e11]
    said = arithmetic.said(frame("bfloat16", {0: 21.0}, "grasp"), sweep)
    assert "vary by 10^8^ to 10^11^ before any training" in said and "is open until" in said
    assert "is open" not in arithmetic.said(frame("float32", {0: 21.0}, "grasp"), sweep)


def test_another_groups_means_beside_ours():
    """Every one of ours lies one point below theirs: all differences are 1."""
    theirs = arithmetic.others()
    assert len(theirs) == 244 and set(theirs.dataset) == {"cifar10"}
    cells = theirs[theirs.top1 != 10.0].groupby(["dataset", "model", "compression", "pruner"]).top1.mean()
    known = (cells[cells.index.get_level_values("pruner") != "grasp"] - 1).reset_index().to_dict("records")
    rows = []
    for row in known:
        found = {"top1": row.pop("top1"), "top5": 99.0, "id": "", "status": "ok", "started": True, "signal": 1.0}
        rows += [Trial(**row, seed=seed, precision="bf16-mixed").model_dump() | found for seed in (0, 1)]
    ours = pd.DataFrame(rows)
    beside = ours.assign(precision="bfloat16")
    said = arithmetic.said(beside, ours)
    assert "by +1.0 points on average over 20 cells, in a single one by 1.0 (root mean square)" in said
    assert "Another group" not in arithmetic.said(beside, ours.assign(post_epochs=1)), "of another protocol"
