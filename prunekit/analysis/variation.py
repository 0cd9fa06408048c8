"""How much one run tells: how seeds vary, how often two seeds agree, how many seeds tell two pruners apart.

Frames have the columns CELL, seed, learned and value, an accuracy in percent.
"""

from __future__ import annotations

import math
from itertools import combinations, count
from typing import Any

import pandas as pd
from scipy import stats

from . import rule
from .cells import CELL
from .pairs import differences


def seed_spread(frame: pd.DataFrame) -> float:
    """Return the standard deviation between seeds of one cell, in points, pooled over cells; NaN if no cell has two."""
    runs = frame[frame.learned].assign(pool="", cluster="")
    runs["cell"] = runs[CELL].astype(str).agg(" ".join, axis=1) if len(runs) else ""
    return _spread(runs)


def paired_spread(frame: pd.DataFrame) -> float:
    """Return the standard deviation of the difference between two pruners on one seed, pooled; NaN if none has two."""
    return _spread(differences(frame.assign(top1=frame.value)).assign(pool="", cluster=""))


def _spread(runs: pd.DataFrame) -> float:
    found = rule.pooled(runs[["pool", "cell", "cluster", "value"]])
    return float(found.s[""]) if len(found) else math.nan


def needed(frame: pd.DataFrame, gap: float = 1.0, power: float = 0.8) -> tuple[int, int] | None:
    """Return how many seeds per pruner detect a difference of `gap` points: seeds of their own, and shared ones.

    By two-sided t tests at the 5 % level with this power; the standard deviations are `seed_spread` and
    `paired_spread`. None where these are not known.
    """
    s, d = seed_spread(frame), paired_spread(frame)
    return None if math.isnan(s) or math.isnan(d) else (_fewest(gap / s, 2, power), _fewest(gap / d, 1, power))


def _fewest(effect: float, samples: int, power: float) -> int:
    """The least n, two or more, with which a t test of one or two samples has the power to see an effect, in sd."""
    for n in count(2):
        freedom = samples * (n - 1)
        beyond = stats.t.ppf(0.975, freedom)
        if stats.nct.sf(beyond, freedom, effect * math.sqrt(n / samples)) >= power:
            return n
    raise AssertionError


def rankings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how often two seeds agree on the order of pruners, one row per dataset, network and compression.

    settings: pairs of seeds; same_winner: in how many both name the same best pruner; orders: pairs of seeds times
    pairs of pruners; same_order: in how many both order the two pruners alike; expected: same_winner if each seed named
    a pruner at random. Only networks that learned with both seeds count, and only where two pruners or more are left.
    """
    rows = []
    setting = ["dataset", "model", "compression"]
    counted = ["settings", "same_winner", "expected", "orders", "same_order"]
    for key, cell in frame[frame.learned].groupby(setting, sort=False):
        row: dict[str, Any] = dict(zip(setting, key, strict=True)) | dict.fromkeys(counted, 0)
        wide = cell.pivot(index="seed", columns="pruner", values="value")
        for one, other in combinations(wide.index, 2):
            both = wide.loc[[one, other]].dropna(axis=1)
            if both.shape[1] > 1:
                row["settings"] += 1
                row["same_winner"] += int(both.loc[one].idxmax() == both.loc[other].idxmax())
                row["expected"] += 1 / both.shape[1]
                gaps = [both[a] - both[b] for a, b in combinations(both.columns, 2)]
                row["orders"] += len(gaps)
                row["same_order"] += sum(int(gap[one] * gap[other] > 0) for gap in gaps)
        rows.append(row)
    return pd.DataFrame(rows, columns=[*setting, *counted])
