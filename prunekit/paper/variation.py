"""How much one run tells: where spread comes from, how many seeds tell two pruners apart, what pruning is worth."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd
from scipy.special import ndtri

from ..study.results import Results, chance
from ..study.statistics import CELL
from . import rule
from .numbers import elsewhere
from .protocol import as_printed
from .readings import PARTS, runs, spread


def accuracies(results: Results) -> pd.DataFrame:
    """Return the sweep's runs of the paper's protocol and the unpruned ones, with `value`: see `as_printed`."""
    frame = runs(results, PARTS[1])
    frame = frame[(frame.unlike == "") & (frame.pre_epochs == 0) & (frame.model == "vgg16")]
    return frame.assign(value=as_printed(frame))


def sources_of_spread(results: Results) -> pd.DataFrame:
    """Return standard deviations of one run in points, a row a dataset and reason for which runs differ; no GraSP.

    the same seed elsewhere: others' runs of one seed, which differ by rounding; the same seed here: ours in another
    precision, of one run, so the pairs' over the root of two; other seeds: pooled. runs: how many each rests on, or
    pairs.
    """
    rows: list[tuple[Any, ...]] = []
    theirs = _another_group().query("pruner != 'grasp'")
    theirs = theirs.assign(cell=theirs.pruner + theirs.compression.astype(str))
    for dataset, group in theirs.groupby("dataset", sort=False):
        found = rule.pooled(group.assign(pool="", cluster=""))
        rows += [(dataset, "the same seed elsewhere", found.s[""], len(group))] if len(found) else []
    both = pairs(results).query("failed == 0 and pruner != 'grasp'")
    for key, group in both.groupby(["dataset", "precision"], sort=False):
        if len(group) > 1:
            deviation = group.difference.std(ddof=1) / math.sqrt(2)
            rows.append((key[0], f"the same seed here, in {key[1]}", deviation, len(group)))
    frame = accuracies(results).query("started and pruner != 'grasp'")
    for dataset, group in frame.groupby("dataset", sort=False):
        found = rule.pooled(group.assign(pool="", cluster=""))
        rows += [(dataset, "other seeds", found.s[""], len(group))] if len(found) else []
    return pd.DataFrame(rows, columns=["dataset", "reason", "deviation", "runs"])


def pairs(results: Results) -> pd.DataFrame:
    """Return a row for each run of the sweep and the same in another precision: by how much they differ.

    CELL, seed, precision (of the other), difference (the other less the sweep's, as the paper prints accuracies),
    failed (how many of the two did not start).
    """
    sweep, beside = results.frame("sweep"), results.frame("arithmetic")
    both = sweep.merge(beside, on=[*CELL, "seed"], suffixes=("", "_beside"))
    both = both[(both.status == "ok") & (both.status_beside == "ok")]
    other = both[[*CELL, "top1_beside", "top5_beside"]].rename(columns={"top1_beside": "top1", "top5_beside": "top5"})
    return both[[*CELL, "seed"]].assign(
        precision=both.precision_beside,
        difference=as_printed(other) - as_printed(both),
        failed=2 - both.started.astype(int) - both.started_beside.astype(int),
    )


def rankings(results: Results, up_to: float = 1.0) -> dict[str, int]:
    """Return how often two seeds agree on pruners other than GraSP, over all settings up to a compression.

    Of networks that started with both seeds: same_winner of settings (a dataset, compression and two seeds with two
    such pruners or more); same_order of orders (of two pruners there).
    """
    frame = accuracies(results).query("0 < compression <= @up_to and pruner != 'grasp' and started")
    found = {"same_winner": 0, "settings": 0, "same_order": 0, "orders": 0}
    for _, cell in frame.groupby(["dataset", "compression"], sort=False):
        wide = cell.pivot(index="seed", columns="pruner", values="value")
        for one, other in combinations(wide.index, 2):
            both = wide.loc[[one, other]].dropna(axis=1)
            if both.shape[1] > 1:
                found["settings"] += 1
                found["same_winner"] += int(both.loc[one].idxmax() == both.loc[other].idxmax())
                gaps = [both[a] - both[b] for a, b in combinations(both.columns, 2)]
                found["orders"] += len(gaps)
                found["same_order"] += sum(int(gap[one] * gap[other] > 0) for gap in gaps)
    return found


def needed(results: Results, gap: float = 1.0, power: float = 0.8) -> pd.DataFrame:
    """Return how many seeds of each of two pruners would tell `gap` points apart, by dataset: apart, paired.

    At 5 %, two-sided, with a probability of `power`. apart: of runs with seeds of their own, 2 (z + z')^2 (s / gap)^2,
    s of other seeds; paired: of pruners that share their seeds, as here, (z + z')^2 (d / gap)^2, d the standard
    deviation of their differences.
    """
    factor = (ndtri(0.975) + ndtri(power)) ** 2 / gap**2
    spreads = sources_of_spread(results).query("reason == 'other seeds'").set_index("dataset").deviation
    frame = accuracies(results).query("started and pruner != 'grasp'")
    rows = {}
    for dataset, s in spreads.items():
        d = _spread_of_differences(frame[frame.dataset == dataset])
        paired = math.nan if math.isnan(d) else math.ceil(factor * d**2)
        rows[dataset] = {"apart": math.ceil(2 * factor * s**2), "paired": paired}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["apart", "paired"])


def _spread_of_differences(frame: pd.DataFrame) -> float:
    """The pooled standard deviation of two pruners' differences with one seed; NaN where no two have two seeds."""
    wide = frame.pivot(index=["compression", "seed"], columns="pruner", values="value")
    parts = [
        (wide[a] - wide[b]).dropna().rename("value").reset_index().assign(pruners=f"{a} {b}")
        for a, b in combinations(wide.columns, 2)
    ]
    if not parts:
        return math.nan
    rows = pd.concat(parts, ignore_index=True)
    found = rule.pooled(rows.assign(pool="", cluster="", cell=rows.pruners + rows.compression.astype(str)))
    return float(found.s[""]) if len(found) else math.nan


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
        line = group[(group.compression >= low) & (group.compression <= high)]
        if top.empty or dense.empty or top.pool.iloc[0] not in found.index or line.compression.nunique() < 2:
            continue
        half = found.s[top.pool.iloc[0]] * rule.t(found.effective[top.pool.iloc[0]])  # of one run
        around = line.compression - line.compression.mean()
        row: dict[str, Any] = {
            "dataset": dataset,
            "pruner": pruner,
            "pruned": top.value.mean(),
            "pruned_runs": len(top),
        }
        row |= {"unpruned": dense.value.mean(), "unpruned_runs": len(dense)}
        row |= {"gain": row["pruned"] - row["unpruned"]}
        row |= {"gain_interval": half * math.sqrt(1 / len(top) + 1 / len(dense))}
        row |= {"slope": (around * line.value).sum() / (around**2).sum()}
        rows.append(row | {"slope_interval": half / math.sqrt((around**2).sum())})
    return pd.DataFrame(rows)


def beside_others(results: Results) -> pd.DataFrame:
    """Return our means beside another group's, of runs that started, a row a cell of the paper's protocol.

    ours, ours_runs, theirs, theirs_runs, least, most (of theirs), difference (theirs less ours).
    """
    ours = accuracies(results).query("started").groupby(CELL, sort=False).top1.agg(ours="mean", ours_runs="size")
    found = _another_group().groupby(CELL).value.agg(theirs="mean", theirs_runs="size", least="min", most="max")
    both = ours.join(found, how="inner").reset_index()
    return both.assign(difference=both.theirs - both.ours)


def _another_group() -> pd.DataFrame:
    """The runs of the group that published most, with one seed, that started."""
    rows = elsewhere("top1").query("source == 'F4' and pre_epochs == 0 and model == 'vgg16'")
    return rows[rows.value != rows.dataset.map(chance)]
