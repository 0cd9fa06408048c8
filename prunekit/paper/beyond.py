"""Beyond the paper: its open question on labels, the controls it lacked, pruning in steps, and what zeros are worth.

From the frames of these sections to the numbers that tables and sentences are made of, a row a cell. X_interval is half
of the 95 % t interval of X over seeds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ..names import DATASETS
from ..study.results import chance
from ..study.statistics import difference, half_width, over_seeds

ERK = "prunekit.baselines:erk_random"
WEIGHTS, SIZES, WORSE = "weights", "layer sizes", "worse weights than at random"
UNTOLD, UNTRAINED = "not told", "does not train"
ALIKE = 0.5  # of a pruner's lead over ERK-random: a difference whose whole interval is smaller is none that matters
CONTROLS = ("shuffled", "reinitialised")


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the pruned trials of "labels" with their count of labels, top1_dense of the unpruned network, and kept.

    Kept is (top-1 - chance) / (the unpruned network's - chance), in percent, chance being 100 / labels: what guessing
    reaches does not count as kept. NaN where the unpruned network of that seed does not do better than chance.
    """
    counts = [_count(dataset, labels) for dataset, labels in zip(frame.dataset, frame.labels, strict=True)]
    frame = frame.assign(count=counts, top1=frame.top1.astype(float))
    dense = frame[(frame.compression == 0) & (frame.pruner == "random")].rename(columns={"top1": "top1_dense"})
    rows = frame[frame.compression > 0].merge(
        dense[["labels", "seed", "top1_dense"]], on=["labels", "seed"], how="left"
    )
    above = (rows.top1_dense - 100 / rows["count"]).where(lambda gap: gap > 0)
    return rows.assign(kept=100 * (rows.top1 - 100 / rows["count"]) / above)


def _count(dataset: str, labels: str) -> int:
    if labels == "fine":
        return round(100 / chance(dataset))
    return len(DATASETS[dataset].coarse_classes) if labels == "coarse" else int(labels)


def doubling(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by how many points what is `kept` changes as labels double, a row a pruner and compression.

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
        found.append(row | over_seeds("doubling", pd.Series(slopes)))
    columns = ["pruner", "compression", "best", "peak", "doubling", "doubling_interval", "doubling_seeds"]
    return pd.DataFrame(found, columns=columns)


def controls(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pruner and compression of "controls": top1, its controls', the gaps to them, and what it chooses.

    After Frankle et al. 2021, arXiv:2009.08576: shuffled within layers, reinitialised; erk: random, its densities by
    Erdős-Rényi-Kernel. chooses: weights, where its top-1 exceeds that of its shuffled mask beyond the interval; layer
    sizes, where that whole interval is less than half of its lead over ERK-random.
    """
    rows: list[dict[str, Any]] = []
    chosen = frame[~frame.pruner.isin([ERK, "random"])]
    for (pruner, compression), cell in chosen.groupby(["pruner", "compression"], sort=False):
        own = cell[cell.control == "none"]
        known = cell[cell.control.isin(["none", "shuffled"]) & cell.top1.notna()]
        if len(own) == len(cell) or known.empty:  # no control of it was run, or all of them failed
            continue
        row: dict[str, Any] = {"pruner": pruner, "compression": compression} | over_seeds("top1", own.top1)
        for control in CONTROLS:
            row |= over_seeds(control, cell[cell.control == control].top1)
            row |= over_seeds(f"{control}_gap", difference(cell, "none", control, "control"))
        others = frame[(frame.pruner == ERK) & (frame.compression == compression)]
        leads = difference(pd.concat([own, others]), str(pruner), ERK) if len(others) else own.top1[:0]
        row |= over_seeds("erk", others.top1) | over_seeds("erk_gap", leads)
        trained = known.started.any()
        rows.append(row | {"chooses": _chooses(row) if trained else UNTRAINED, "seeds": int(own.top1.notna().sum())})
    return pd.DataFrame(rows)


def _chooses(row: dict[str, Any]) -> str:
    gap, half = row["shuffled_gap"], row["shuffled_gap_interval"]
    if math.isnan(half):
        return "–"
    if abs(gap) > half:
        return WEIGHTS if gap > 0 else WORSE
    lead = row["erk_gap"] if row["erk_gap"] > row["erk_gap_interval"] else 0.0
    return SIZES if abs(gap) + half < ALIKE * lead else UNTOLD


def steps(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pruner, compression, number of steps and schedule of "steps": collapsed of seeds, live, flops.

    live: weights on a path from input to output, of those kept; flops: kept of all; in percent; seconds of scoring.
    """
    rows: list[dict[str, Any]] = []
    done = frame[frame.status == "ok"].sort_values("compression", kind="stable")
    keys = ["pruner", "compression", "prune_steps", "schedule"]
    for (pruner, compression, count, schedule), trials in done.groupby(keys, sort=False):
        row: dict[str, Any] = {"pruner": pruner, "compression": compression, "steps": count, "schedule": schedule}
        row |= {"seeds": len(trials), "collapsed": int(trials.collapsed.eq(True).sum())}
        row |= over_seeds("live", 100 * trials.effective_density / trials.density)
        row |= over_seeds("flops", 100 * trials.flops_kept / trials.flops)
        rows.append(row | {"seconds": trials.score_seconds.mean()})
    return pd.DataFrame(rows)


def enough(cells: pd.DataFrame, schedule: str) -> int | None:
    """Return from how many steps of a schedule on no network collapses, None if some always do; from rows of `steps`.

    One step is of any schedule.
    """
    tried = cells[(cells.schedule == schedule) | (cells.steps == 1)]
    least = tried.steps[tried.steps > tried.steps[tried.collapsed > 0].max()] if tried.collapsed.any() else tried.steps
    return int(least.min()) if len(least) else None


def zeros(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a trial of "passes": what is left of FLOPs and of a pass's time, in percent, if zeros are skipped.

    paper: FLOPs that are not of zeros; compacted_flops, compacted_time: without channels that no live path uses;
    csr_time: with each zero skipped; masked, compacted, csr: seconds an image.
    """
    known = frame[frame.masked_pass.notna() & frame.flops_kept.notna() & (frame.flops > 0)]
    rows = known[["dataset", "model", "compression", "pruner", "seed", "collapsed"]].assign(
        paper=100 * known.flops_kept / known.flops,
        compacted_flops=100 * known.flops_compacted.astype(float) / known.flops,
        **{form: known[f"{form}_pass"].astype(float) for form in ("masked", "compacted", "csr")},
    )
    times = {f"{form}_time": 100 * rows[form] / rows.masked for form in ("compacted", "csr")}
    return rows.assign(**times).reset_index(drop=True)
