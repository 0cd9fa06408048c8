"""Values over seeds: means and intervals, pruners in pairs."""

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


def summary(frame: pd.DataFrame, value: str, by: list[str] | None = None) -> pd.DataFrame:
    """Return one row a cell: `by` (CELL if None), mean, interval, spread, seeds, started, failed, collapsed, each.

    Cells keep the frame's order. interval: half-width, 95 %, t; spread: standard deviation; both NaN for one trial.
    `seeds` counts the trials that the mean rests on, whose values `each` lists; started: how many of a cell started.
    """
    rows: list[tuple[Any, ...]] = []
    for cell, group in frame.groupby(by or CELL, sort=False):
        known = group[value].dropna().astype(float)
        collapsed, failed = int(group.collapsed.eq(True).sum()), int((group.status != "ok").sum())
        started = int(group.started.sum())
        spread = float(known.std(ddof=1)) if len(known) > 1 else math.nan
        numbers = (known.mean(), half_width(known), spread, len(known))
        rows.append((*cell, *numbers, started, failed, collapsed, known.tolist()))
    columns = ["mean", "interval", "spread", "seeds", "started", "failed", "collapsed", "each"]
    return pd.DataFrame(rows, columns=[*(by or CELL), *columns])


def difference(cell: pd.DataFrame, first: str, second: str, by: str = "pruner") -> pd.Series:
    """Return by how much the top-1 of pruner `first` exceeds that of `second`, in points, seed by seed.

    Or those of the trials whose column `by` has these values.
    """
    values = cell.pivot(index="seed", columns=by, values="top1").astype(float).reindex(columns=[first, second])
    return (values[first] - values[second]).dropna()
