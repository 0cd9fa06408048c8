"""Pruners in pairs: runs of one seed share initial weights and batches, so that their difference cancels these.

How far differences vary is pooled over the compressions of the same two pruners, see `rule.pooled`: two or three seeds
of one cell alone would tell next to nothing.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd

from . import rule
from .cells import accuracies

_SETTING = ["dataset", "model", "compression"]
_PAIR = [*_SETTING, "first", "second", "mean", "interval", "seeds"]
_LEADERS = [*_SETTING, "first", "top1", "second", "lead", "lead_interval", "seeds", "distinguishable"]
_ORDERS = [*_SETTING, "here", "in_full", "pairs", "alike", "distinguishable", "distinguishable_alike"]


def difference(cell: pd.DataFrame, first: str, second: str, by: str = "pruner") -> pd.Series:
    """Return by how much the top-1 of pruner `first` exceeds that of `second`, in points, seed by seed.

    Or those of the trials whose column `by` has these values.
    """
    values = cell.pivot(index="seed", columns=by, values="top1").astype(float).reindex(columns=[first, second])
    return (values[first] - values[second]).dropna()


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per dataset, model, compression and pair of pruners: by how much their top-1 differ.

    mean: top-1 of `first` less that of `second`, in points, paired on the seeds with which both networks learned;
    interval: half-width of its 95 % interval, by the standard deviation of differences pooled over compressions; seeds:
    how many there are. The interval is NaN where no cell has two differences.
    """
    gaps = differences(frame)
    spreads = rule.pooled(gaps)
    known = dict(list(gaps.groupby(["pool", "compression"]))) if len(gaps) else {}
    rows = []
    for (dataset, model, compression), cell in frame.groupby(_SETTING, sort=False):
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            pool = _pool(dataset, model, first, second)
            found = known.get((pool, compression), gaps[:0])
            half = math.nan
            if len(found) and pool in spreads.index:
                half = rule.t(spreads.effective[pool]) * spreads.s[pool] / math.sqrt(len(found))
            sign = 1 if len(found) == 0 or found["first"].iloc[0] == first else -1
            rows.append((dataset, model, compression, first, second, sign * found.value.mean(), half, len(found)))
    return pd.DataFrame(rows, columns=_PAIR)


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair of pruners, compression and seed with which both learned: first, second, value (points).

    And what `rule.pooled` needs: pool, the pair; cell, the pair at its compression; cluster, the seed.
    """
    rows = []
    for (dataset, model, compression), cell in frame[frame.learned].groupby(_SETTING, sort=False):
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            pool = _pool(dataset, model, first, second)
            for seed, value in difference(cell, first, second).items():
                rows.append((pool, f"{pool} {compression:g}", str(seed), compression, first, second, value))
    return pd.DataFrame(rows, columns=["pool", "cell", "cluster", "compression", "first", "second", "value"])


def _pool(dataset: Any, model: Any, first: str, second: str) -> str:
    return " ".join([str(dataset), str(model), *sorted((first, second))])


def leaders(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per dataset, model and compression: the best pruner by top-1, and its lead over the second.

    Columns: first, top1 (%), second, lead and lead_interval (points, see `pairs`), seeds (that both have), and
    distinguishable: whether the lead's interval lies above zero. First and second have the highest means over networks
    that learned. There is no row where none learned or only one pruner ran; `second` is empty where only one pruner
    learned.
    """
    rows = []
    several = frame.groupby(_SETTING).pruner.transform("nunique") > 1
    gaps = {tuple(row[:5]): row[5:] for row in pairs(frame).itertuples(index=False, name=None)}
    order = {name: place for place, name in enumerate(dict.fromkeys(frame.dataset))}
    cells = frame[frame.learned & several].groupby(_SETTING)
    for key, cell in sorted(cells, key=lambda one: (order[one[0][0]], *one[0][1:])):
        means = cell.groupby("pruner", sort=False).top1.mean().astype(float).sort_values(ascending=False, kind="stable")
        first, second = [*means.index[:2], "–"][:2]
        lead, half, seeds = math.nan, math.nan, 0
        if second != "–":
            turned = (*key, first, second) not in gaps
            lead, half, seeds = gaps[(*key, second, first) if turned else (*key, first, second)]
            lead = -lead if turned else lead
            if lead < 0:
                first, second, lead = second, first, -lead
        rows.append((*key, first, means[first], second, lead, half, seeds, bool(lead > half)))
    return pd.DataFrame(rows, columns=_LEADERS).astype({"distinguishable": bool})


def orders(frame: pd.DataFrame, full: pd.DataFrame) -> pd.DataFrame:
    """Return whether two studies order pruners alike, one row per dataset, model and compression.

    `full` has one model per dataset, which may differ from that of `frame`. here, in_full: the pruners that both have,
    best first, by mean top-1 over networks that learned (over all where none did); pairs: how many pairs they make;
    alike: how many of these both means order in the same way; distinguishable: pairs that both studies tell apart by
    their interval, see `pairs`; distinguishable_alike: how many of those are in the same order.
    """
    rows = []
    trained, theirs = (accuracies(one.dropna(subset="top1")).query("accuracy == 'top-1'") for one in (frame, full))
    gaps = [_signs(pairs(one)) for one in (trained, theirs)]
    for key, cell in trained.groupby(_SETTING, sort=False):
        both = [cell, theirs[(theirs.dataset == key[0]) & (theirs.compression == key[2])]]
        if both[1].empty:
            continue
        means = [one[one.counts].groupby("pruner", sort=False).value.mean() for one in both]
        shared = [pruner for pruner in means[0].index if pruner in means[1].index]
        lists = [list(mean[shared].sort_values(ascending=False, kind="stable").index) for mean in means]
        two = list(combinations(shared, 2))
        alike = sum((means[0][a] > means[0][b]) == (means[1][a] > means[1][b]) for a, b in two)
        signs = [
            [known.get((key[0], one.model.iloc[0], key[2], *pair), 0) for known, one in zip(gaps, both, strict=True)]
            for pair in two
        ]
        told = [one for one in signs if all(one)]
        rows.append((*key, *lists, len(two), alike, len(told), sum(one == other for one, other in told)))
    return pd.DataFrame(rows, columns=_ORDERS)


def _signs(gaps: pd.DataFrame) -> dict[tuple[Any, ...], int]:
    """1 or -1 for a pair, in either order, whose difference its interval tells from zero."""
    found = {}
    for *setting, first, second, mean, half, _ in gaps.itertuples(index=False, name=None):
        if abs(mean) > half:
            found[*setting, first, second] = 1 if mean > 0 else -1
            found[*setting, second, first] = -1 if mean > 0 else 1
    return found
