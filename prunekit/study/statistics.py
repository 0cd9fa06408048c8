"""Values over seeds: means and intervals, pruners in pairs."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd
from scipy.special import stdtrit

CELL = ["dataset", "model", "compression", "pruner"]  # of runs that differ in their seed alone


def half_width(values: pd.Series) -> float:
    """Return the half-width of the 95 % t interval of the mean of `values`, NaN for fewer than two."""
    values = values.dropna()
    if len(values) < 2:
        return math.nan
    return float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))


def over_seeds(name: str, values: pd.Series) -> dict[str, float]:
    """Return the mean of `values`, the half-width of its 95 % t interval, and how many they are, named after `name`."""
    known = values.dropna().astype(float)
    mean = float(known.mean()) if len(known) else math.nan
    return {name: mean, f"{name}_interval": half_width(known), f"{name}_seeds": len(known)}


def accuracies(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a trial and accuracy, top-1 and top-5: the trial's columns, accuracy, value (%), failed and counts.

    failed: it was trained and never started to learn; counts: whether it belongs to its cell's mean, as those that
    started do, and where none did, all. A dataset's rows lie together.
    """
    counts = frame.started | ~frame.groupby(CELL).started.transform("any")
    failed = ~frame.started & frame.top1.notna()
    parts = [
        frame.assign(accuracy=label, value=frame[column].astype(float), failed=failed, counts=counts)
        for label, column in {"top-1": "top1", "top-5": "top5"}.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    order = pd.DataFrame({key: pd.factorize(rows[key])[0] for key in ("dataset", "model")})
    return rows.loc[order.sort_values(["dataset", "model"], kind="stable").index].reset_index(drop=True)


def summary(frame: pd.DataFrame, value: str, by: list[str] | None = None) -> pd.DataFrame:
    """Return a row a cell: `by` (CELL if None), mean, interval, spread, seeds, started, failed, collapsed, tied, each.

    Cells keep the frame's order. interval: half-width, 95 %, t; spread: standard deviation; both NaN for one trial.
    `seeds` counts the trials that the mean rests on, whose values `each` lists: those of which `counts`, a column of
    `accuracies`, is true, where the frame has it, and then `runs` counts all that came to an end; started: how many of
    a cell started; tied: of how many most scores were equal. published: the frame's, NaN where it has none.
    """
    rows: list[dict[str, Any]] = []
    for key, group in frame.groupby(by or CELL, sort=False):
        every = group[value].dropna().astype(float)
        known = every[group.counts[every.index]] if "counts" in group else every
        row: dict[str, Any] = dict(zip(by or CELL, key, strict=True))
        row |= {"mean": known.mean(), "interval": half_width(known)}
        row |= {"spread": float(known.std(ddof=1)) if len(known) > 1 else math.nan, "seeds": len(known)}
        row |= {"started": int(group.started.sum()), "failed": int((group.status != "ok").sum())}
        row |= {"collapsed": int(group.collapsed.eq(True).sum())}
        row |= {"tied": int((group.tied_scores.astype(float) > 0.5).sum())}
        row |= {"each": known.tolist()}
        row |= {"runs": len(every)} if "counts" in group else {}
        rows.append(row | {"published": group.published.iloc[0] if "published" in group else math.nan})
    columns = ["mean", "interval", "spread", "seeds", "started", "failed", "collapsed", "tied", "each", "runs"]
    columns.append("published")
    return pd.DataFrame(rows, columns=None if rows else [*(by or CELL), *columns])


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a dataset, model, compression and pair of pruners: how much the first's top-1 exceeds the second's.

    first, second; mean and interval in points, paired on the seeds of which both networks started: the initial weights
    and batches of one seed are the same. seeds: how many.
    """
    rows = []
    for (dataset, model, compression), cell in frame.groupby(["dataset", "model", "compression"], sort=False):
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            gaps = difference(cell[cell.started], first, second)
            rows.append((dataset, model, compression, first, second, gaps.mean(), half_width(gaps), len(gaps)))
    columns = ["dataset", "model", "compression", "first", "second", "mean", "interval", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def leaders(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a dataset, model and compression: the pruner of the highest mean top-1, its lead over the second.

    first, top1 (%), second, lead and lead_interval (points, paired on seeds), seeds (of both); of the networks that
    started to learn. Where none did, or there is one pruner, there is no row; where one pruner's alone did no second.
    """
    rows: list[dict[str, Any]] = []
    by = ["dataset", "model", "compression"]
    several = frame.groupby(by).pruner.transform("nunique") > 1
    order = {name: place for place, name in enumerate(dict.fromkeys(frame.dataset))}
    for key, cell in sorted(
        frame[frame.started & several].groupby(by), key=lambda one: (order[one[0][0]], *one[0][1:])
    ):
        means = cell.groupby("pruner", sort=False).top1.mean().astype(float).sort_values(ascending=False, kind="stable")
        row: dict[str, Any] = dict(zip(by, key, strict=True)) | {"first": means.index[0], "top1": means.iloc[0]}
        gaps = difference(cell, means.index[0], means.index[1]) if len(means) > 1 else means[:0]
        row |= {"second": means.index[1] if len(means) > 1 else "–", "lead": gaps.mean()}
        rows.append(row | {"lead_interval": half_width(gaps), "seeds": len(gaps)})
    return pd.DataFrame(
        rows, columns=None if rows else [*by, "first", "top1", "second", "lead", "lead_interval", "seeds"]
    )


def orders(frame: pd.DataFrame, full: pd.DataFrame) -> pd.DataFrame:
    """Return how two studies order pruners, a row a dataset, model and compression: here, in_full, pairs, alike.

    `full` has one model a dataset, which need not be that of `frame`. here, in_full: lists of pruners of both by mean
    top-1 (of a cell's networks that started, or all where none did), the best first; pairs of them, and how many the
    means order alike; told: pairs that both tell apart, by seeds in common, beyond the 95 % t interval, and told_alike
    of them.
    """
    rows: list[dict[str, Any]] = []
    by = ["dataset", "model", "compression"]
    trained, theirs = (accuracies(one.dropna(subset="top1")).query("accuracy == 'top-1'") for one in (frame, full))
    for key, cell in trained.groupby(by, sort=False):
        both = [cell, theirs[(theirs.dataset == key[0]) & (theirs.compression == key[2])]]
        if both[1].empty:
            continue
        means = [cell[cell.counts].groupby("pruner", sort=False).value.mean() for cell in both]
        shared = [pruner for pruner in means[0].index if pruner in means[1].index]
        lists = [list(mean[shared].sort_values(ascending=False, kind="stable").index) for mean in means]
        row: dict[str, Any] = dict(zip(by, key, strict=True)) | {"here": lists[0], "in_full": lists[1]}
        row |= {"pairs": 0, "alike": 0, "told": 0, "told_alike": 0}
        for first, second in combinations(shared, 2):
            gaps = [difference(cell, first, second) for cell in both]
            told = all(abs(gap.mean()) > half_width(gap) for gap in gaps)
            ahead = [mean[first] > mean[second] for mean in means]
            row["pairs"] += 1
            row["told"] += told
            row["alike"] += ahead[0] == ahead[1]
            row["told_alike"] += told and gaps[0].mean() * gaps[1].mean() > 0
        rows.append(row)
    return pd.DataFrame(
        rows, columns=None if rows else [*by, "here", "in_full", "pairs", "alike", "told", "told_alike"]
    )


def difference(cell: pd.DataFrame, first: str, second: str, by: str = "pruner") -> pd.Series:
    """Return by how much the top-1 of pruner `first` exceeds that of `second`, in points, seed by seed.

    Or those of the trials whose column `by` has these values.
    """
    values = cell.pivot(index="seed", columns=by, values="top1").astype(float).reindex(columns=[first, second])
    return (values[first] - values[second]).dropna()


def estimate(mean: float, interval: float, digits: int = 1, share: bool = False) -> str:
    """81.4 ± 0.3; without the interval where one seed gives none; a dash where nothing is known; <0.1 for 0.02.

    Of a share, in percent, an interval that reaches beyond what a share can be is given by its ends: 99.4 (98.6–100).
    """
    if math.isnan(mean):
        return "–"
    least = 10**-digits
    if 0 < mean < least / 2 and not interval >= least / 2:
        return f"<{least:g}"
    text = f"{round(mean, digits) + 0.0:.{digits}f}"
    if math.isnan(interval):
        return text
    low, high = mean - interval, mean + interval
    if share and (low < 0 or high > 100) and round(interval, digits):
        return f"{text} ({max(low, 0):.{digits}f}–{min(high, 100):.{digits}f})".replace(f"100.{'0' * digits})", "100)")
    return f"{text} ± {interval:.{digits}f}"
