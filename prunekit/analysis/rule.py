"""The rule: when one number, which is one run, agrees with several runs.

A network learns or stays at chance. Of those that learned, one more run lies within mean ± t s sqrt(1 + 1/n) with a
probability of 95 %: n runs of the cell, s pooled over cells whose runs vary alike, and t of s's degrees of freedom,
fewer for what runs of one seed have in common. Whether one learns is a rate with its Jeffreys interval.
"""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

LEVEL = 0.95


def jeffreys(events: int, of: int) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of a rate of which `events` of `of` were seen; (0, 1) of none."""
    if not of:
        return 0.0, 1.0
    low, high = stats.beta.interval(LEVEL, events + 0.5, of - events + 0.5)
    return float(low) if events else 0.0, float(high) if events < of else 1.0


def predictive(events: int, of: int) -> float:
    """Return the probability that the next is an event, by Jeffreys' prior: (events + 1/2) / (of + 1)."""
    return (events + 0.5) / (of + 1)


def pooled(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how far runs of a cell vary, pooled: a row a pool, with s, freedom, effective, cells, alike.

    `runs` has the columns pool, cell, cluster (a name of its seed; "" of runs that share nothing) and value. freedom:
    degrees of freedom of s; effective: these divided by 1 + (m - 1) r^2, as Satterthwaite (1946) approximates the
    variance of s^2 of correlated runs, with m the runs of a seed in the pool and r their `intraclass` correlation over
    all pools; alike: p of Bartlett's test that all cells of the pool vary alike. Pools without two runs of some
    cell have no row.
    """
    runs = runs.reset_index(drop=True)
    cells = runs.groupby("cell").value
    runs = runs.assign(n=cells.transform("size"), gap=runs.value - cells.transform("mean"))
    runs = runs[runs.n > 1]
    rows = []
    for pool, group in runs.groupby("pool", sort=False):
        freedom = len(group) - group.cell.nunique()
        s = math.sqrt((group.gap**2).sum() / freedom)
        rows.append((pool, s if s > 1e-9 else 0.0, freedom, group.cell.nunique(), _bartlett(group)))
    found = pd.DataFrame(rows, columns=["pool", "s", "freedom", "cells", "alike"]).set_index("pool")
    if found.empty:
        return found.assign(effective=0.0)
    spread = runs.pool.map(found.s)
    runs = runs.assign(value=(runs.gap / spread * (runs.n / (runs.n - 1)) ** 0.5).where(spread > 0))
    shared = runs[(runs.cluster != "") & (spread > 0)]
    r = intraclass(shared.value, shared.pool.astype(str) + "/" + shared.cluster)
    sizes = shared.groupby(["pool", "cluster"]).size().groupby("pool").agg(lambda n: (n**2).sum() / n.sum())
    return found.assign(effective=found.freedom / (1 + (sizes.reindex(found.index).fillna(1) - 1) * r**2))


def intraclass(values: pd.Series, clusters: pd.Series) -> float:
    """Return the correlation of values of one cluster, by a one-way analysis of variance; not below 0.

    0 where no cluster has two values, or where there is but one.
    """
    groups = values.groupby(clusters)
    sizes = groups.size()
    between, within = len(sizes) - 1, len(values) - len(sizes)
    if between < 1 or within < 1:
        return 0.0
    size = (len(values) - (sizes**2).sum() / len(values)) / between
    msb = (sizes * (groups.mean() - values.mean()) ** 2).sum() / between
    msw = ((values - groups.transform("mean")) ** 2).sum() / within
    total = msb + (size - 1) * msw
    return max(0.0, float((msb - msw) / total)) if total else 0.0


def t(effective: float) -> float:
    """Return how many standard errors the 95 % interval is wide to each side."""
    return float(stats.t.ppf((1 + LEVEL) / 2, effective))


def normal(level: float) -> float:
    """Return how many standard deviations to each side hold a share `level` of normal numbers: 1.96 for 95 %."""
    return float(stats.norm.ppf((1 + level) / 2))


def half_width(s: float, effective: float, n: int, rounding: float = 0.0) -> float:
    """Return how far one more run may lie from the mean of `n`: the half-width of the 95 % prediction interval.

    `rounding`, half a unit of a printed number's last digit, widens it. NaN where s is not known.
    """
    if not n or not effective > 0:
        return math.nan
    return t(effective) * s * math.sqrt(1 + 1 / n) + rounding


def p_value(distance: float, s: float, effective: float, n: int, rounding: float = 0.0) -> float:
    """Return the probability that one more run lies as far as `distance` from the mean of `n`, or farther."""
    beyond = max(0.0, abs(distance) - rounding)
    if beyond == 0:
        return 1.0
    return 2 * float(stats.t.sf(beyond / (s * math.sqrt(1 + 1 / n)), effective)) if s else 0.0


def _bartlett(rows: pd.DataFrame) -> float:
    """p of Bartlett's test that cells vary alike; NaN for one cell, or one whose runs are all the same."""
    samples = [cell.value.to_numpy() for _, cell in rows.groupby("cell", sort=False)]
    if len(samples) < 2 or any(sample.std() < 1e-9 for sample in samples):
        return math.nan
    return float(stats.bartlett(*samples).pvalue)
