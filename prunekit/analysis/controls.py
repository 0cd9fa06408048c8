"""Controls of what a pruner chose, and pruning in steps.

X_interval is the half-width of the 95 % t interval of X over seeds.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from .cells import over_seeds
from .pairs import difference

ERK = "prunekit.baselines:erk_random"
WEIGHTS, SIZES, WORSE = "weights", "layer sizes", "worse weights than at random"
UNTOLD, UNTRAINED = "not told", "does not train"
ALIKE = 0.5  # of a pruner's lead over ERK-random: a difference whose whole interval is smaller is none that matters
_CELL = ["dataset", "model", "pruner", "compression"]
CONTROLS = ("shuffled", "reinitialised")


def controls(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per dataset, model, pruner and compression: top-1, its controls, the gaps, and what it chooses.

    The controls are those of Frankle et al. 2021 (arXiv:2009.08576): masks shuffled within layers, and weights
    reinitialised. erk: random pruning with Erdős-Rényi-Kernel densities. chooses: "weights" if its top-1 exceeds that
    of the shuffled mask by more than the interval; "layer sizes" if the whole interval of that gap lies below half of
    its lead over ERK-random.
    """
    rows: list[dict[str, Any]] = []
    chosen = frame[~frame.pruner.isin([ERK, "random"])]
    for key, cell in chosen.groupby(_CELL, sort=False):
        own = cell[cell.control == "none"]
        known = cell[cell.control.isin(["none", "shuffled"]) & cell.top1.notna()]
        if len(own) == len(cell) or known.empty:  # no control of it was run, or all of them failed
            continue
        row: dict[str, Any] = dict(zip(_CELL, key, strict=True)) | over_seeds("top1", own.top1)
        for control in CONTROLS:
            row |= over_seeds(control, cell[cell.control == control].top1)
            row |= over_seeds(f"{control}_gap", difference(cell, "none", control, "control"))
        setting = {name: value for name, value in row.items() if name in ("dataset", "model", "compression")}
        others = frame[frame.pruner.eq(ERK) & (frame[list(setting)] == list(setting.values())).all(axis=1)]
        leads = difference(pd.concat([own, others]), row["pruner"], ERK) if len(others) else own.top1[:0]
        row |= over_seeds("erk", others.top1) | over_seeds("erk_gap", leads)
        trained = known.learned.any()
        rows.append(row | {"chooses": _chooses(row) if trained else UNTRAINED, "seeds": int(own.top1.notna().sum())})
    return pd.DataFrame(rows, columns=None if rows else [*_CELL, "top1", *CONTROLS, "erk", "chooses", "seeds"])


def _chooses(row: dict[str, Any]) -> str:
    gap, half = row["shuffled_gap"], row["shuffled_gap_interval"]
    if math.isnan(half):
        return "–"
    if abs(gap) > half:
        return WEIGHTS if gap > 0 else WORSE
    lead = row["erk_gap"] if row["erk_gap"] > row["erk_gap_interval"] else 0.0
    return SIZES if abs(gap) + half < ALIKE * lead else UNTOLD


def steps(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell, number of steps and schedule: collapsed, seeds, live, flops, seconds.

    collapsed: how many of the seeds collapsed; live: share of the kept weights that lie on a path from input to output,
    in percent; flops: share of the FLOPs that is kept, in percent; seconds: of scoring.
    """
    rows: list[dict[str, Any]] = []
    done = frame[frame.status == "ok"].sort_values("compression", kind="stable")
    for key, trials in done.groupby([*_CELL, "prune_steps", "schedule"], sort=False):
        row: dict[str, Any] = dict(zip([*_CELL, "steps", "schedule"], key, strict=True))
        row |= {"seeds": len(trials), "collapsed": int(trials.collapsed.eq(True).sum())}
        row |= over_seeds("live", 100 * trials.effective_density / trials.density)
        row |= over_seeds("flops", 100 * trials.flops_kept / trials.flops)
        rows.append(row | {"seconds": trials.score_seconds.mean()})
    names = ["seeds", "collapsed", "live", "flops", "seconds"]
    return pd.DataFrame(rows, columns=None if rows else [*_CELL, "steps", "schedule", *names])
