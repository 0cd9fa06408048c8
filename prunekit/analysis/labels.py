"""Fewer labels for the same images: what pruning keeps of the unpruned network's accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..names import UNPRUNED
from .cells import half_width, over_seeds
from .starts import best_constant, classes


def accuracy_retained(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the pruned trials of "labels" with their count of labels, top1_dense of the unpruned network, and kept.

    Kept is (top-1 - chance) / (the unpruned network's - chance), in percent, chance being the best constant output's
    accuracy. NaN where the unpruned network of that seed does not do better.
    """
    told = list(zip(frame.dataset, frame.labels, strict=True))
    frame = frame.assign(count=[classes(*one) for one in told], chance=[best_constant(*one) for one in told])
    frame = frame.assign(top1=frame.top1.astype(float))
    dense = frame[frame.pruner == UNPRUNED].rename(columns={"top1": "top1_dense"})[["labels", "seed", "top1_dense"]]
    rows = frame[frame.pruner != UNPRUNED].merge(dense, on=["labels", "seed"], how="left")
    above = (rows.top1_dense - rows.chance).where(lambda gap: gap > 0)
    return rows.assign(kept=100 * (rows.top1 - rows.chance) / above)


def slope_per_doubling(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by how many points what is `kept` changes as labels double, one row per pruner and compression.

    The slope of a line through all numbers of labels but the coarse, three or more, a seed a line, of networks that did
    not collapse, whose loss is no cost of labels. best: the number at which most is kept; peak: whether it lies between
    the ends and exceeds both, paired on seeds, by more than the interval.
    """
    found = []
    whole = rows[(rows.labels != "coarse") & ~rows.collapsed.eq(True)].dropna(subset="kept")
    for (pruner, compression), cell in whole.groupby(["pruner", "compression"], sort=False):
        wide = cell.pivot(index="count", columns="seed", values="kept").sort_index()
        lines = [line.dropna() for _, line in wide.items()]
        slopes = [np.polyfit(np.log2(line.index.astype(float)), line, 1)[0] for line in lines if len(line) > 2]
        if not slopes:
            continue
        best: Any = wide.mean(axis=1).idxmax()
        ends = (wide.index[0], wide.index[-1])
        gaps = [(wide.loc[best] - wide.loc[end]).dropna() for end in ends]
        peak = best not in ends and all(gap.mean() > half_width(gap) for gap in gaps)
        row: dict[str, Any] = {"pruner": pruner, "compression": compression, "best": best, "peak": peak}
        found.append(row | over_seeds("slope", pd.Series(slopes)))
    columns = ["pruner", "compression", "best", "peak", "slope", "slope_interval", "slope_seeds"]
    return pd.DataFrame(found, columns=columns)
