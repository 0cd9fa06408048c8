"""What arithmetic does: the same trials in two precisions, and beside another group's runs of the same protocol."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ..study.results import chance
from . import formatting
from .audit import untestable
from .paper_values import KEYS
from .table import Table, unless_empty

_SIDES = {"float32": "all in float32", "bfloat16": "loss in bfloat16"}  # of the trials that the sweep's stand beside
_OTHERWISE = {"float32": "all in float32", "bfloat16": "the loss, too, in bfloat16"}
_COLUMNS = ["dataset", "precision", "grasp", "pairs", "mean", "error", "deviation", "one_failed", "both_failed"]


@cache
def others() -> pd.DataFrame:
    """Return another group's runs: dataset, model, compression, pruner, top1 in percent and started, a row a run.

    They are of a public fork of the course code that the paper used (commit 4838677, March 2023): ten epochs in
    float32, every cell of CIFAR-10 six to fifteen times, all with one seed.
    """
    rows = pd.read_csv(Path(__file__).parent / "published" / "others.csv")
    return rows.assign(started=rows.top1 != rows.dataset.map(chance))


def pairs(sweep: pd.DataFrame, beside: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial of `sweep` and the same in another precision among `beside`: by what they differ.

    Columns: KEYS, seed, precision (of the other), difference (the other less the sweep's, in points of top-1, or of
    top-5 among a hundred classes) and failed (how many of the two failed to start).
    """
    both = sweep.merge(beside, on=[*KEYS, "seed"], suffixes=("", "_beside"))
    both = both[(both.status == "ok") & (both.status_beside == "ok")]
    hundred = both.dataset.map(chance) <= 1
    gaps = {key: (both[f"{key}_beside"] - both[key]).astype(float) for key in ("top1", "top5")}
    on = [both.started, both.started_beside]
    return both[[*KEYS, "seed"]].assign(
        precision=both.precision_beside,
        difference=gaps["top1"].where(~hundred, gaps["top5"]),
        failed=2 - sum(one.astype(int) for one in on),
    )


@unless_empty
def table(beside: pd.DataFrame, sweep: pd.DataFrame) -> Table:
    """By how much the same trial differs from itself in another precision, where both networks started."""
    tidy = _rows(pairs(sweep, beside))
    wide = pd.DataFrame(
        {
            "Dataset": [formatting.DATASETS[d] + (", top-5" if chance(d) <= 1 else ", top-1") for d in tidy.dataset],
            "Pruners": ["GraSP" if grasp else "all but GraSP" for grasp in tidy.grasp],
            "Beside": [_SIDES[precision] for precision in tidy.precision],
            "Pairs": tidy.pairs,
            "Mean difference": [formatting.signed(value, 2) for value in tidy["mean"]],
            "Standard error": [formatting.estimate(value, math.nan, 2) for value in tidy.error],
            "Standard deviation": [formatting.estimate(value, math.nan, 1) for value in tidy.deviation],
            "One of two failed to start": tidy.one_failed,
            "Both": tidy.both_failed,
        }
    )
    caption = (
        "What arithmetic does: the same trial, same weights and same batches, with products in bfloat16 and the loss "
        "in float32, as in Table II, and in another precision. Differences in points of accuracy, of pairs in which "
        "both networks started; one failed to start where its top-1 at the end is exactly chance."
    )
    return Table("arithmetic", "Table II-A", caption, tidy, wide)


@unless_empty
def said(beside: pd.DataFrame, sweep: pd.DataFrame) -> str:
    """How far rounding alone moves one run and a mean of many, and what of GraSP is open."""
    rows = _rows(pairs(sweep, beside))
    rows = rows[~rows.grasp & (rows.pairs > 1)]
    text = ""
    if len(rows):
        told = "; ".join(_told(row) for row in rows.to_dict("records"))
        far = rows["mean"].abs() > 2 * rows.error
        text = (
            f"**Arithmetic.** The same seed twice is not the same number. Where both networks started, {told}. "
            + (
                "So rounding moves a mean by more than twice its standard error at some place, and "
                if far.any()
                else "So rounding moves no mean by more than its pairs can tell, but "
            )
            + "no single run tells two pruners apart that are nearer than this."
        )
    gaps = _beside_others(sweep)
    if len(gaps) > 1:
        text += (
            " Another group ran the same protocol in float32, with the code that the paper used: its means differ from "
            f"ours by {formatting.signed(float(gaps.mean()), 1)} points on average over {len(gaps)} cells, in "
            f"a single one by {math.sqrt((gaps**2).mean()):.1f} (root mean square)."
        )
    logits = sweep[sweep.pruner == "grasp"].signal.dropna()
    logits = logits[logits > 0]
    if len(logits) and not ((beside.pruner == "grasp") & (beside.precision == "float32")).any():
        text += (
            f" GraSP is apart: the logits of its networks vary by 10^{math.log10(min(logits)):.0f}^ to "
            f"10^{math.log10(max(logits)):.0f}^ before any training, and bfloat16 keeps one part in 256 of that, so "
            "whether rounding changes what they reach is open until they have run in float32."
        )
    return text.strip()


def _told(row: dict[Hashable, Any]) -> str:
    return (
        f"{row['pairs']} pairs on "
        f"{formatting.DATASETS[row['dataset']]}{' (top-5)' if chance(row['dataset']) <= 1 else ''} differ "
        f"by {formatting.signed(row['mean'], 2)} points on average with {_OTHERWISE[row['precision']]} (standard error "
        f"{row['error']:.2f}), a single one by {row['deviation']:.1f} (standard deviation)"
    )


def _rows(found: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (dataset, precision, grasp), group in found.groupby(["dataset", "precision", found.pruner == "grasp"]):
        gaps = group.difference[group.failed == 0]
        error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
        numbers = (len(gaps), gaps.mean(), error, gaps.std(ddof=1))
        rows.append((dataset, precision, bool(grasp), *numbers, *(int((group.failed == n).sum()) for n in (1, 2))))
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values(["precision", "grasp", "dataset"], ignore_index=True)


def _beside_others(sweep: pd.DataFrame) -> pd.Series:
    """Return the other group's mean less ours of each cell without GraSP in which runs of both started.

    Where ours are of another protocol there are none to compare.
    """
    means = []
    sweep = sweep[sweep.dataset.isin(others().dataset)]
    if untestable(sweep, trained=True):
        return pd.Series(dtype=float)
    for frame in (sweep[sweep.status == "ok"], others()):
        known = frame[(frame.pruner != "grasp") & frame.started]
        means.append(known.groupby(KEYS).top1.apply(lambda values: float(values.astype(float).mean())))
    ours, theirs = means
    return (theirs - ours).dropna()
