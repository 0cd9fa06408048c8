"""Cells: runs that differ in their seed alone, as means and intervals, and how these are written."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from scipy.special import stdtrit

CELL = ["dataset", "model", "compression", "pruner"]  # of runs that differ in their seed alone


def half_width(values: pd.Series) -> float:
    """Return the half-width of the 95 % t interval of the mean of `values`, NaN for fewer than two."""
    values = values.dropna()
    if len(values) < 2:
        return math.nan
    return float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))


def over_seeds(name: str, values: pd.Series) -> dict[str, float]:
    """Return the mean of `values`, the half-width of its 95 % t interval, and how many they are, named after `name`."""
    known = values.dropna().astype(float)
    mean = float(known.mean()) if len(known) else math.nan
    return {name: mean, f"{name}_interval": half_width(known), f"{name}_seeds": len(known)}


def accuracies(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial and accuracy, top-1 and top-5: its columns, accuracy, value (%), at_chance and counts.

    at_chance: it was trained and stayed there; counts: whether the run enters its cell's mean. Runs that did not learn
    are left out, unless no run of the cell learned. Rows of a dataset are adjacent.
    """
    counts = frame.learned | ~frame.groupby(CELL).learned.transform("any")
    at_chance = ~frame.learned & frame.top1.notna()
    parts = [
        frame.assign(accuracy=label, value=frame[column].astype(float), at_chance=at_chance, counts=counts)
        for label, column in {"top-1": "top1", "top-5": "top5"}.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    order = pd.DataFrame({key: pd.factorize(rows[key])[0] for key in ("dataset", "model")})
    return rows.loc[order.sort_values(["dataset", "model"], kind="stable").index].reset_index(drop=True)


def summary(frame: pd.DataFrame, value: str, by: list[str] | None = None) -> pd.DataFrame:
    """Return one row per cell: `by` (or CELL), mean, interval, sd, seeds, learned, failed, collapsed, tied, each.

    Cells keep the frame's order. interval: half-width of the 95 % t interval; sd: standard deviation; both are NaN for
    one trial. seeds: how many trials the mean rests on; each: their values. If the frame has the column `counts` (see
    `accuracies`), only trials for which it is true enter the mean, and the column runs counts all trials that came to
    an end. learned: how many trials of the cell learned; tied: in how many most scores were equal; published: the
    frame's value, NaN where it has none.
    """
    rows: list[dict[str, Any]] = []
    for key, group in frame.groupby(by or CELL, sort=False):
        every = group[value].dropna().astype(float)
        known = every[group.counts[every.index]] if "counts" in group else every
        row: dict[str, Any] = dict(zip(by or CELL, key, strict=True))
        row |= {"mean": known.mean(), "interval": half_width(known)}
        row |= {"sd": float(known.std(ddof=1)) if len(known) > 1 else math.nan, "seeds": len(known)}
        row |= {"learned": int(group.learned.sum()), "failed": int((group.status != "ok").sum())}
        row |= {"collapsed": int(group.collapsed.eq(True).sum())}
        row |= {"tied": int((group.tied_scores.astype(float) > 0.5).sum())}
        row |= {"each": known.tolist()}
        row |= {"runs": len(every)} if "counts" in group else {}
        rows.append(row | {"published": group.published.iloc[0] if "published" in group else math.nan})
    columns = ["mean", "interval", "sd", "seeds", "learned", "failed", "collapsed", "tied", "each", "runs"]
    columns.append("published")
    return pd.DataFrame(rows, columns=None if rows else [*(by or CELL), *columns])


def estimate(mean: float, interval: float, digits: int = 1, share: bool = False) -> str:
    """81.4 ± 0.3; without the interval where one seed gives none; a dash where nothing is known; <0.1 for 0.02.

    Of a share, in percent, an interval that reaches beyond what a share can be is given by its ends: 99.4 (98.6–100).
    """
    if math.isnan(mean):
        return "–"
    least = 10**-digits
    if 0 < mean < least / 2 and not interval >= least / 2:
        return f"<{least:g}"
    text = f"{round(mean, digits) + 0.0:.{digits}f}"
    if math.isnan(interval):
        return text
    low, high = mean - interval, mean + interval
    if share and (low < 0 or high > 100) and round(interval, digits):
        return f"{text} ({max(low, 0):.{digits}f}–{min(high, 100):.{digits}f})".replace(f"100.{'0' * digits})", "100)")
    return f"{text} ± {interval:.{digits}f}"
