"""Fewer labels for the same images: what pruning keeps of the unpruned network's accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..names import UNPRUNED
from .cells import half_width, over_seeds
from .starts import best_constant, classes


def accuracy_retained(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the pruned trials of the section `labels` with three more columns: count, top1_dense and kept.

    count: how many labels there are; top1_dense: top-1 of the unpruned network with the same labels and seed; kept:
    (top-1 - chance) / (top1_dense - chance) in percent, where chance is the accuracy of the best constant output. kept
    is NaN where the unpruned network does no better than chance.
    """
    told = list(zip(frame.dataset, frame.labels, frame.seed, strict=True))
    frame = frame.assign(
        count=[classes(dataset, labels) for dataset, labels, _ in told],
        chance=[best_constant(dataset, labels, seed=seed) for dataset, labels, seed in told],
    )
    frame = frame.assign(top1=frame.top1.astype(float))
    dense = frame[frame.pruner == UNPRUNED].rename(columns={"top1": "top1_dense"})[["labels", "seed", "top1_dense"]]
    rows = frame[frame.pruner != UNPRUNED].merge(dense, on=["labels", "seed"], how="left")
    above = (rows.top1_dense - rows.chance).where(lambda gap: gap > 0)
    return rows.assign(kept=100 * (rows.top1 - rows.chance) / above)


def slope_per_doubling(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by how many points `kept` changes when the number of labels doubles, one row per pruner and compression.

    One line is fitted per seed, through three or more numbers of labels; coarse labels are left out, and so are
    networks that collapsed, since labels do not cause that. best: the number of labels at which most is kept; peak:
    whether it lies between the smallest and the largest number and exceeds both, paired on seeds, by more than the
    interval.
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
