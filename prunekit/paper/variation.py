"""How much one run tells: where spread comes from, how many seeds tell two pruners apart, what pruning is worth."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from ..study.results import Results, chance
from ..study.statistics import CELL
from . import rule
from .audit import PARTS, runs, spread
from .numbers import elsewhere


def accuracies(results: Results) -> pd.DataFrame:
    """Return the sweep's runs of the paper's protocol and the unpruned ones, with `value`.

    value: top-1, top-5 of a hundred classes, as the paper prints them, in percent.
    """
    frame = runs(results, PARTS[1])
    frame = frame[(frame.unlike == "") & (frame.pre_epochs == 0) & (frame.model == "vgg16")]
    return frame.assign(value=_as_printed(frame))


def sources_of_spread(results: Results) -> pd.DataFrame:
    """Return standard deviations of one run in points, a row a dataset and reason for which runs differ; no GraSP.

    same seed elsewhere: others' runs of one seed, which differ by rounding; same seed here: ours in two precisions, of
    one run, so the pairs' over the root of two; other seeds: pooled. runs: how many each rests on.
    """
    frame = accuracies(results).query("started and pruner != 'grasp'")
    rows = []
    theirs = elsewhere("top1").query("source == 'F4' and pruner != 'grasp' and model == 'vgg16'")
    theirs = theirs[theirs.value != theirs.dataset.map(chance)].assign(
        cell=lambda t: t.pruner + t.compression.astype(str)
    )
    for dataset, group in theirs.groupby("dataset"):
        found = rule.pooled(group.assign(pool="", cluster=""))
        rows += [(dataset, "the same seed elsewhere", found.s[""], len(group))] if len(found) else []
    for dataset, group in pairs(results).query("failed == 0 and pruner != 'grasp'").groupby("dataset", sort=False):
        if len(group) > 1:
            rows.append((dataset, "the same seed here", group.difference.std(ddof=1) / math.sqrt(2), len(group)))
    for dataset, group in frame.groupby("dataset", sort=False):
        found = rule.pooled(group.assign(pool="", cluster=""))
        rows += [(dataset, "other seeds", found.s[""], len(group))] if len(found) else []
    return pd.DataFrame(rows, columns=["dataset", "reason", "deviation", "runs"])


def pairs(results: Results) -> pd.DataFrame:
    """Return a row for each run of the sweep and the same in another precision: by how much they differ.

    CELL, seed, precision (of the other), difference (the other less the sweep's, as `accuracies`), failed (how many of
    the two did not start).
    """
    sweep, beside = results.frame("sweep"), results.frame("arithmetic")
    both = sweep.merge(beside, on=[*CELL, "seed"], suffixes=("", "_beside"))
    both = both[(both.status == "ok") & (both.status_beside == "ok")]
    other = both[[*CELL, "top1_beside", "top5_beside"]].rename(columns={"top1_beside": "top1", "top5_beside": "top5"})
    return both[[*CELL, "seed"]].assign(
        precision=both.precision_beside,
        difference=_as_printed(other) - _as_printed(both),
        failed=2 - both.started.astype(int) - both.started_beside.astype(int),
    )


def rankings(results: Results, up_to: float = 1.0) -> dict[str, int]:
    """Return how often two seeds agree on pruners other than GraSP, over all settings up to a compression.

    same_winner of settings (a dataset, compression and two seeds that both have all pruners); same_order of orders (of
    two pruners there).
    """
    frame = accuracies(results).query("0 < compression <= @up_to and pruner != 'grasp'")
    found = {"same_winner": 0, "settings": 0, "same_order": 0, "orders": 0}
    for _, cell in frame.groupby(["dataset", "compression"], sort=False):
        wide = cell.pivot(index="seed", columns="pruner", values="value").dropna()
        for one, other in combinations(wide.index, 2):
            first, second = wide.loc[one], wide.loc[other]
            found["settings"] += 1
            found["same_winner"] += int(first.idxmax() == second.idxmax())
            for a, b in combinations(wide.columns, 2):
                found["orders"] += 1
                found["same_order"] += int((first[a] - first[b]) * (second[a] - second[b]) > 0)
    return found


def needed(results: Results, gap: float = 1.0, power: float = 0.8) -> pd.Series:
    """Return how many seeds of each of two pruners would tell `gap` points apart, by dataset: 2 (z + z')^2 (s / gap)^2.

    At 5 %, two-sided, with a probability of `power`; s as `sources_of_spread` has it, of other seeds.
    """
    spreads = sources_of_spread(results).query("reason == 'other seeds'").set_index("dataset").deviation
    return np.ceil(2 * (ndtri(0.975) + ndtri(power)) ** 2 * (spreads / gap) ** 2).astype(int)


def pruned_beside_unpruned(results: Results, low: float = 0.05, high: float = 1.0) -> pd.DataFrame:
    """Return what pruners gain: accuracy at c = `high` beside the unpruned network's, and the slope from `low` on.

    A row a dataset and pruner whose networks start at `high`: pruned, unpruned: means of the runs that started, with
    their numbers; gain, and slope in points a unit of c, each with half of its 95 % interval by the pooled spread.
    """
    frame = accuracies(results).query("started")
    all_runs = runs(results, PARTS[1])
    pools = spread(all_runs, "top1", PARTS[1]), spread(all_runs, "top5", PARTS[1])
    rows = []
    for (dataset, pruner), group in frame[frame.compression > 0].groupby(["dataset", "pruner"], sort=False):
        top, dense = group[group.compression == high], frame[(frame.dataset == dataset) & (frame.compression == 0)]
        found = pools[chance(str(dataset)) <= 1]
        if not len(top) or not len(dense) or top.pool.iloc[0] not in found.index:
            continue
        s, t = found.s[top.pool.iloc[0]], rule.t(found.effective[top.pool.iloc[0]])
        line = group[(group.compression >= low) & (group.compression <= high)]
        around = line.compression - line.compression.mean()
        rows.append(
            {"dataset": dataset, "pruner": pruner, "pruned": top.value.mean(), "pruned_runs": len(top)}
            | {"unpruned": dense.value.mean(), "unpruned_runs": len(dense)}
            | {
                "gain": top.value.mean() - dense.value.mean(),
                "gain_interval": t * s * math.sqrt(1 / len(top) + 1 / len(dense)),
            }
            | {
                "slope": (around * line.value).sum() / (around**2).sum(),
                "slope_interval": t * s / math.sqrt((around**2).sum()),
            }
        )
    return pd.DataFrame(rows)


def beside_others(results: Results) -> pd.DataFrame:
    """Return our means beside another group's, of runs that started, a row a cell of the paper's protocol; no GraSP.

    ours, ours_runs, theirs, theirs_runs, least, most (of theirs), difference (theirs less ours).
    """
    theirs = elsewhere("top1").query("source == 'F4' and pre_epochs == 0 and model == 'vgg16'")
    theirs = theirs[theirs.value != theirs.dataset.map(chance)]
    ours = accuracies(results).query("started").groupby(CELL, sort=False).top1.agg(ours="mean", ours_runs="size")
    found = theirs.groupby(CELL).value.agg(theirs="mean", theirs_runs="size", least="min", most="max")
    both = ours.join(found, how="inner").reset_index()
    return both.assign(difference=both.theirs - both.ours)


def _as_printed(frame: pd.DataFrame) -> pd.Series:
    hundred = frame.dataset.map(chance) <= 1
    return frame.top5.where(hundred, frame.top1).astype(float)
