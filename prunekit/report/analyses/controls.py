"""Does it matter which weights a pruner keeps? Its mask shuffled within layers, its weights drawn anew, ERK-random.

After Frankle et al. 2021, arXiv:2009.08576.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ...study.statistics import difference, half_width
from .. import formatting
from ..table import Table, unless_empty

ERK = "prunekit.baselines:erk_random"
WEIGHTS, SIZES, WORSE = "weights", "layer sizes", "worse weights than at random"
UNTOLD, UNTRAINED = "not told", "does not train"
ALIKE = 0.5  # of a pruner's lead over ERK-random: a difference whose whole interval is smaller is none that matters
_CONTROLS = {"shuffled": "Shuffled", "reinitialised": "Drawn anew"}


@unless_empty
def table(frame: pd.DataFrame) -> Table | None:
    """Each pruner beside its controls, and by how much it exceeds them, paired on seeds; None where none has any."""
    tidy, shown = _rows(frame), []
    if tidy.empty:
        return None
    for row in tidy.to_dict("records"):
        line = {"Pruner": formatting.PRUNERS[row["pruner"]], "c": f"{row['compression']:g}"}
        line["Top-1, %"] = formatting.estimate(row["top1"], row["top1_interval"], share=True)
        for control, title in _CONTROLS.items():
            line[title] = formatting.estimate(row[control], row[f"{control}_interval"], share=True)
            line[f"Own − {title.lower()}"] = _gap(row, control)
        line["Own − ERK-random"] = _gap(row, "erk")
        shown.append(line | {"What it chooses": row["chooses"]})
    erk = frame[frame.pruner == ERK]
    for compression, cell in erk.groupby("compression", sort=False):
        each = cell.top1.dropna().astype(float)
        top1 = formatting.estimate(float(each.mean()), half_width(each), share=True)
        shown.append({"Pruner": "ERK-random", "c": f"{compression:g}", "Top-1, %": top1})
    caption = (
        f"Pruners and their controls: {formatting.budget(frame)}. Shuffled: as many weights in each layer, elsewhere. "
        "Drawn anew: the same mask, all weights drawn again. ERK-random: densities by Erdős-Rényi-Kernel, weights "
        "at random. Top-1 in %, differences in points, paired on seeds: mean ± the half-width of its 95 % t "
        f"interval over {formatting.seeds(frame)}. A pruner chooses weights where it exceeds its shuffled mask by "
        "more, and "
        "layer sizes where that whole interval is less than half of its lead over ERK-random. A random mask stays one "
        "when it is shuffled, so random pruning has no row."
    )
    return Table("controls", "Table C", caption, tidy, pd.DataFrame(shown).fillna("–"))


@unless_empty
def said(frame: pd.DataFrame) -> str:
    """Which pruners choose weights, and which only how many each layer keeps."""
    rows = _rows(frame)
    if rows.empty:
        return "**Controls.** No trial here has a control."
    told = []
    for compression, cells in rows.groupby("compression", sort=False):
        parts = [
            f"{what} ({_named(cells[cells.chooses == kind])})"
            for kind, what in {
                WEIGHTS: "costs accuracy, so it matters which weights are kept",
                SIZES: "costs less than half of the lead over ERK-random, so layer sizes matter most",
                WORSE: "gains accuracy, so the choice of weights is worse than a random one",
                UNTOLD: "makes a difference that the seeds do not tell",
                UNTRAINED: "changes nothing, for no network trains",
            }.items()
            if (cells.chooses == kind).any()
        ]
        told.append(f"shuffling masks within layers at c = {compression:g} {'; '.join(parts)}")
    anew = rows[rows.reinitialised_gap.abs() > rows.reinitialised_gap_interval]
    drawn = ", ".join(
        f"{formatting.PRUNERS[str(r.pruner)]} (c = {r.compression:g}: {r.reinitialised_gap:+.1f})"
        for r in anew.itertuples()
    )
    return (
        f"**Controls.** On {formatting.DATASETS[frame.dataset.iloc[0]]}, {'; '.join(told)}. Weights drawn anew "
        "beneath the "
        + (
            f"same mask change accuracy beyond the interval over seeds for {drawn}."
            if drawn
            else "same mask change no accuracy beyond the interval over seeds."
        )
    )


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pruner and compression: means, differences to each control and ERK-random, and what it chooses."""
    rows: list[dict[str, Any]] = []
    chosen = frame[~frame.pruner.isin([ERK, "random"])]
    for (pruner, compression), cell in chosen.groupby(["pruner", "compression"], sort=False):
        own = cell[cell.control == "none"]
        if len(own) == len(cell):  # no control of it was run
            continue
        row: dict[str, Any] = {"pruner": pruner, "compression": compression} | _mean("top1", own.top1)
        for control in _CONTROLS:
            row |= _mean(control, cell[cell.control == control].top1)
            row |= _mean(f"{control}_gap", difference(cell, "none", control, "control"))
        others = frame[(frame.pruner == ERK) & (frame.compression == compression)]
        row |= _mean("erk_gap", difference(pd.concat([own, others]), str(pruner), ERK) if len(others) else own.top1[:0])
        gap, half = row["shuffled_gap"], row["shuffled_gap_interval"]
        both = cell[cell.control.isin(["none", "shuffled"])]
        if not both.started.any():
            row["chooses"] = UNTRAINED
        elif math.isnan(half):
            row["chooses"] = "–"
        elif abs(gap) > half:
            row["chooses"] = WEIGHTS if gap > 0 else WORSE
        else:
            lead = row["erk_gap"] if row["erk_gap"] > row["erk_gap_interval"] else 0.0
            row["chooses"] = SIZES if abs(gap) + half < ALIKE * lead else UNTOLD
        rows.append(row | {"seeds": own.seed.nunique()})
    return pd.DataFrame(rows)


def _mean(name: str, values: pd.Series) -> dict[str, float]:
    known = values.dropna().astype(float)
    return {name: float(known.mean()) if len(known) else math.nan, f"{name}_interval": half_width(known)}


def _gap(row: dict[Any, Any], what: str) -> str:
    return formatting.estimate(row[f"{what}_gap"], row[f"{what}_gap_interval"])


def _named(cells: pd.DataFrame) -> str:
    return formatting.listed([formatting.PRUNERS[pruner] for pruner in cells.pruner])
