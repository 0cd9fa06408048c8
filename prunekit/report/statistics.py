"""Values over seeds: means and intervals, which networks trained or could not, pruners in pairs, rankings."""

from __future__ import annotations

import math

import pandas as pd
from scipy.special import stdtrit

from ..study.results import chance
from ..study.trial import Record
from .paper_values import KEYS

SEVERED, VANISHED, EXPLODED, PASSES = "severed", "vanished", "exploded", "passes"
# Of the unpruned network's signal. Set where full-width VGG16 leaves room: random at c = 0.5 has 2e-4 of it, at 1 1e-7.
LEAST_SIGNAL, MOST_SIGNAL = 1e-4, 1e2


def trained_threshold(dataset: str) -> float:
    """Return the top-1 accuracy, in percent, above which a network learnt anything: twice chance; 75 of two classes."""
    return min(2 * chance(dataset), 50 + chance(dataset) / 2)


def trained(dataset: str, top1: pd.Series) -> pd.Series:
    """Return which networks learnt anything: top-1, in percent, above `trained_threshold`."""
    return top1 > trained_threshold(dataset)


def half_width(values: pd.Series) -> float:
    """Return the half-width of the 95 % t interval of the mean of `values`, NaN for fewer than two."""
    if len(values) < 2:
        return math.nan
    return float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))


def prediction(values: pd.Series) -> float:
    """Return how far one more seed may lie from the mean of `values`: the half-width of the 95 % prediction interval.

    t(0.975, n - 1) s sqrt(1 + 1/n) for n values of standard deviation s, NaN for fewer than two.
    """
    return half_width(values) * math.sqrt(len(values) + 1)


def signal_status(record: Record) -> str:
    """Return how the signal of a pruned network fares before it is trained, "" where that was not recorded."""
    if record.collapsed:
        return SEVERED
    if not record.dense_signal:
        return ""
    if record.signal is None:
        return EXPLODED
    share = record.signal / record.dense_signal
    return VANISHED if share < LEAST_SIGNAL else EXPLODED if share > MOST_SIGNAL else PASSES


def summary(frame: pd.DataFrame, value: str, by: list[str] | None = None) -> pd.DataFrame:
    """Return one row a cell: `by` (KEYS if None), mean, interval (half-width, 95 %, t), seeds, failed, collapsed, each.

    Cells keep the frame's order. `seeds` counts the trials that the mean rests on, whose values `each` lists; one gives
    no interval (NaN).
    """
    rows = []
    for cell, group in frame.groupby(by or KEYS, sort=False):
        known = group[value].dropna().astype(float) if value in group else pd.Series(dtype=float)
        collapsed = int(group["collapsed"].eq(True).sum()) if "collapsed" in group else 0
        failed = int((group.status != "ok").sum())
        rows.append((*cell, known.mean(), half_width(known), len(known), failed, collapsed, known.tolist()))
    return pd.DataFrame(rows, columns=[*(by or KEYS), "mean", "interval", "seeds", "failed", "collapsed", "each"])


def difference(cell: pd.DataFrame, first: str, second: str, by: str = "pruner") -> pd.Series:
    """Return by how much the top-1 of pruner `first` exceeds that of `second`, in points, seed by seed.

    Or those of the trials whose column `by` has these values.
    """
    values = cell.pivot(index="seed", columns=by, values="top1").astype(float).reindex(columns=[first, second])
    return (values[first] - values[second]).dropna()


def kendall(first: pd.Series, second: pd.Series) -> float:
    """Return Kendall's tau-b between two rankings of the same pruners, from their values; NaN where one is constant."""
    return float(first.corr(second, method="kendall"))
