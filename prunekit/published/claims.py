"""What becomes of a claim: the margin by which it holds at each point, and the verdict on these margins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ..analysis import rule
from ..analysis.cells import CELL
from ..names import DATASETS, PRUNERS
from .verdict import CONTRADICTED, NOT_RUN, REPRODUCED, UNDECIDED

_TITLES: dict[Any, str] = PRUNERS | {name: about.title for name, about in DATASETS.items()}


def cells(runs: pd.DataFrame, value: str, spreads: pd.DataFrame) -> pd.DataFrame:
    """Return a row per cell of the paper's protocol, by dataset, compression and pruner: mean, margin, seeds, learned.

    `runs` as `readings.runs` gives them. mean: of `value` over runs that learned, or over all where none did; margin:
    half-width of its 95 % interval by the standard deviation of its pool, see `rule.pooled`; 0 where none learned,
    since networks at chance do not vary.
    """
    like = runs[runs.deviation == ""].dropna(subset=value)
    rows: list[Any] = []
    key: list[Any]
    pool: Any
    for (*key, pool), group in like.groupby([*CELL, "pool"], sort=False):
        learned = group[group.learned]
        half = 0.0
        if len(learned):
            known = pool in set(spreads.index)
            half = rule.t(spreads.effective[pool]) * spreads.s[pool] / math.sqrt(len(learned)) if known else math.nan
        shown = learned if len(learned) else group
        rows.append((*key, shown[value].astype(float).mean(), half, len(group), len(learned)))
    found = pd.DataFrame(rows, columns=[*CELL, "mean", "margin", "seeds", "learned"])
    return found.set_index(["dataset", "compression", "pruner"]).drop(columns="model")


def minus(first: Any, second: Any) -> Any:
    """Return the differences between two tables of cells, or a table and a number: mean and margin.

    Margins of independent means add in quadrature; for runs that share seeds this is too wide.
    """
    if not isinstance(second, pd.DataFrame):
        return first[["mean", "margin"]].assign(mean=first["mean"] - second)
    first, second = first.align(second, join="inner", axis=0)
    return pd.DataFrame({"mean": first["mean"] - second["mean"], "margin": np.hypot(first.margin, second.margin)})


def lead(found: Any, first: str) -> Any:
    """Return by how much a pruner exceeds each other one, for each value of the other levels of the cells' index."""
    others = [name for name in found.index.unique("pruner") if name != first]
    own = found.xs(first, level="pruner")
    return pd.concat({name: minus(own, found.xs(name, level="pruner")) for name in others}, names=["pruner"])


def verdict(margins: pd.DataFrame) -> str:
    """Return reproduced, contradicted, undecided or not run, by the points at which a claim has to hold.

    `margins` has the columns mean, by how much the claim holds, and margin, the half-width of its 95 % interval.
    Reproduced: every interval lies above zero (all have to, so no correction is needed). Contradicted: some interval
    lies below zero, after each was widened for the number of points (Bonferroni, as for normal means). For exact
    numbers, margin 0, a mean of zero holds.
    """
    if margins.empty or margins["mean"].isna().any():
        return NOT_RUN
    wider = rule.normal(1 - (1 - rule.LEVEL) / len(margins)) / rule.normal(rule.LEVEL)
    exact = margins.margin == 0
    if ((margins["mean"] > margins.margin) | (exact & (margins["mean"] >= 0))).all():
        return REPRODUCED
    if (margins["mean"] < -wider * margins.margin).any():
        return CONTRADICTED
    return UNDECIDED


def weakest(margins: pd.DataFrame) -> str:
    """Return the difference that decides, with its margin and its place: +2.8 ± 1.7 (CIFAR-10, SNIP).

    For a contradicted claim it is the one whose interval ends lowest, otherwise the one whose interval begins lowest.
    """
    sign = 1 if verdict(margins) == CONTRADICTED else -1
    ends = margins.assign(end=margins["mean"] + sign * margins.margin.fillna(0))
    ranked: Any = ends.sort_values("end", kind="stable").iloc[0]
    place = ranked.name if isinstance(ranked.name, tuple) else (ranked.name,)
    told = ", ".join(_TITLES.get(one, f"{one:g}" if isinstance(one, float) else str(one)) for one in place)
    where = f" ({told})" if len(margins) > 1 else ""
    return f"{ranked['mean']:+.3g}" + (f" ± {ranked.margin:.2g}" if ranked.margin > 0 else "") + where
