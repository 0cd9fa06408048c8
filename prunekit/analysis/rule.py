"""The rule: when does one number, which is one run, agree with several runs?

A network learns or stays at chance. If it learns, one more run lies within mean ± t s sqrt(1 + 1/n) with a probability
of 95 %. There n is the number of the cell's runs, s is pooled over cells whose runs vary alike, and t is for the
degrees of freedom of s, reduced for what runs of one seed share. How often a network learns is a rate with a Jeffreys
interval.
"""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

LEVEL = 0.95


def jeffreys(events: int, of: int) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of a rate: `events` were seen in `of` runs; (0, 1) if there are no runs."""
    if not of:
        return 0.0, 1.0
    low, high = stats.beta.interval(LEVEL, events + 0.5, of - events + 0.5)
    return float(low) if events else 0.0, float(high) if events < of else 1.0


def predictive(events: int, of: int) -> float:
    """Return the probability that the next run is an event, by Jeffreys' prior: (events + 1/2) / (of + 1)."""
    return (events + 0.5) / (of + 1)


def pooled(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how much runs of a cell vary, one row per pool: s, freedom, effective, cells, alike.

    `runs` has the columns pool, cell, cluster (runs of one seed share a name; "" for runs that share nothing) and
    value. s: pooled standard deviation; freedom: its degrees of freedom; effective: freedom / (1 + (m - 1) r^2),
    Satterthwaite's approximation (1946) for correlated runs, where m is the number of runs per seed in the pool and r
    their `intraclass` correlation over all pools; alike: p of Bartlett's test that all cells of the pool vary alike. A
    pool in which no cell has two runs has no row.
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
    """Return the correlation between values of one cluster, by a one-way analysis of variance; at least 0.

    0 where no cluster has two values, or where there is only one cluster.
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
    """Return half the width of a 95 % interval, in standard errors."""
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
    """Return p of Bartlett's test that cells vary alike; NaN for one cell, or if all runs of a cell are the same."""
    samples = [cell.value.to_numpy() for _, cell in rows.groupby("cell", sort=False)]
    if len(samples) < 2 or any(sample.std() < 1e-9 for sample in samples):
        return math.nan
    return float(stats.bartlett(*samples).pvalue)
