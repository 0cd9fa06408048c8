"""Is there a best number of labels for pruning? The same images, their classes put into groups, and what is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from ...names import DATASETS
from ...study.results import chance
from ...study.statistics import half_width
from .. import formatting
from ..figures import Figure, styles_of
from ..table import Table, unless_empty

_COARSE = "coarse"


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pruned trial: its seed, count of labels, top-1, that of the unpruned network, and what is kept.

    Kept is (top-1 - chance) / (the unpruned network's - chance), in percent, chance being 100 / labels: what guessing
    reaches does not count as kept. NaN where the unpruned network of that seed does not do better than chance.
    """
    frame = frame.assign(count=[_count(d, labels) for d, labels in zip(frame.dataset, frame.labels, strict=True)])
    frame["top1"] = frame.top1.astype(float)
    dense = frame[(frame.compression == 0) & (frame.pruner == "random")]
    rows = frame[frame.compression > 0].merge(
        dense[["labels", "seed", "top1"]], on=["labels", "seed"], how="left", suffixes=("", "_dense")
    )
    above = (rows.top1_dense - 100 / rows["count"]).where(lambda gap: gap > 0)
    rows["kept"] = 100 * (rows.top1 - 100 / rows["count"]) / above
    columns = ["dataset", "model", "pruner", "compression", "labels", "count", "seed"]
    return rows[[*columns, "top1", "top1_dense", "kept", "collapsed", "status"]]


@unless_empty
def table(frame: pd.DataFrame) -> Table | None:
    """What pruners keep of the unpruned network's accuracy, by number of labels and compression; None for one only."""
    rows = kept(frame)
    if rows.labels.nunique() < 2:
        return None
    labels = list(dict.fromkeys(zip(rows.labels, rows["count"], strict=True)))
    tidy, shown = [], []
    unpruned: dict[str, str] = {"Pruner": "Not pruned: top-1, %", "c": "0"}
    for name, count in labels:
        each = rows[rows.labels == name].drop_duplicates("seed").top1_dense.dropna()
        unpruned[_title(name, count)] = formatting.estimate(float(each.mean()), half_width(each), share=True)
    for (pruner, compression), cells in rows.groupby(["pruner", "compression"], sort=False):
        line = {"Pruner": formatting.PRUNERS[str(pruner)], "c": f"{compression:g}"}
        for name, count in labels:
            cell = cells[cells.labels == name]
            each, collapsed = cell.kept.dropna(), int(cell.collapsed.eq(True).sum())
            mean, interval = float(each.mean()), half_width(each)
            tidy.append((pruner, compression, name, count, cell.top1.mean(), mean, interval, len(each), collapsed))
            mark = f" †{'' if collapsed == len(cell) else f'{collapsed}/{len(cell)}'}" if collapsed else ""
            line[_title(name, count)] = formatting.estimate(mean, interval) + mark
        slope = _slope(cells)
        line["A doubling"] = formatting.estimate(float(slope.mean()), half_width(slope)) if len(slope) else "–"
        shown.append(line)
    columns = ["pruner", "compression", "labels", "count", "top1", "mean", "interval", "seeds", "collapsed"]
    caption = (
        "Accuracy kept, in % of what the unpruned network with the same labels reaches above chance, by number of "
        f"labels: {formatting.budget(frame)}. Mean ± the half-width of its 95 % t interval over "
        f"{formatting.seeds(frame)}. A "
        "doubling: by how many points twice as many labels change it, the slope of a line through all but the coarse "
        "labels, a seed a line, of networks that did not collapse."
    )
    caption += " † collapsed." if rows.collapsed.eq(True).any() else ""
    wide = pd.DataFrame([unpruned, *shown]).fillna("") if shown else pd.DataFrame()
    return Table("labels", "Table L", caption, pd.DataFrame(tidy, columns=columns), wide)


def figure(frame: pd.DataFrame) -> Figure | None:
    """The same as curves, a panel a compression: seeds as points, their means as lines, coarse labels as crosses.

    None where there is but one number of labels.
    """
    rows = kept(frame)
    if rows.labels.nunique() < 2:
        return None
    drawn, coarse = rows[rows.labels != _COARSE], rows[rows.labels == _COARSE]
    styles = styles_of(rows.pruner)
    palette = {pruner: style["color"] for pruner, style in styles.items()}
    markers = {pruner: style["marker"] for pruner, style in styles.items()}
    compressions = list(dict.fromkeys(rows.compression))
    drawing = Drawing(figsize=(7.2, 3.4), layout="constrained")
    for axes, c in zip(
        drawing.subplots(1, len(compressions), sharey=True, squeeze=False)[0], compressions, strict=True
    ):
        style = {"x": "count", "y": "kept", "hue": "pruner", "palette": palette, "legend": False, "ax": axes}
        if len(here := drawn[drawn.compression == c]):
            seaborn.lineplot(here, errorbar=None, lw=1.3, **style)
            seaborn.scatterplot(here, style="pruner", markers=markers, s=16, alpha=0.75, linewidth=0, **style)
        if len(here := coarse[coarse.compression == c]):
            seaborn.scatterplot(here, marker="x", s=22, **style)
        axes.axhline(100, color="0.8", lw=0.8, zorder=0)
        axes.set(title=f"c = {c:g}", xlabel="", ylabel="", xscale="log")
        axes.set_xticks(ticks := sorted(set(rows["count"])), [str(tick) for tick in ticks])
        axes.minorticks_off()
    drawing.axes[0].set_ylabel("accuracy kept (%)")
    drawing.supxlabel("labels", fontsize="medium")
    named = {formatting.PRUNERS[one]: Line2D([], [], ms=4, **styles[one]) for one in dict.fromkeys(rows.pruner)}
    if len(coarse):
        named["coarse labels"] = Line2D([], [], ls="none", marker="x", color="0.2")
    drawing.legend(named.values(), named.keys(), loc="outside right center", fontsize="small")
    on = formatting.DATASETS[rows.dataset.iloc[0]]
    caption = (
        f"Accuracy kept by number of labels on {on}, in % of what the unpruned network reaches above chance. Points "
        "are seeds, lines their means; crosses are the dataset's own coarse labels, whose groups are of like classes."
    )
    alt = f"Accuracy kept in percent against the number of labels on {on}, a line a pruner."
    return Figure("accuracy_by_labels", "Figure D", caption, alt, rows, drawing)


@unless_empty
def said(frame: pd.DataFrame) -> str:
    """The answer: whether what is kept falls or rises with the number of labels, and whether it peaks in between."""
    answers = list(_answers(kept(frame)))
    if not answers:
        return "**Labels.** No trial here has other labels than its dataset's."
    falls = [one for one in answers if one.slope.mean() + half_width(one.slope) < 0]
    rises = [one for one in answers if one.slope.mean() - half_width(one.slope) > 0]
    peaks = [one for one in answers if one.peak]
    counts = sorted(set(kept(frame)["count"]))
    least, most = (_slope_said(pick(answers, key=lambda one: one.slope.mean())) for pick in (min, max))
    best = "; ".join(f"{one.name}: {one.best}" for one in peaks)
    return (
        f"**Labels.** {'Yes' if peaks else 'No'}: with {counts[0]} to {counts[-1]} labels for the same images of "
        f"{formatting.DATASETS[frame.dataset.iloc[0]]}, a number between the ends at which more is kept than at "
        "either, by "
        f"more than the interval over seeds, shows in {len(peaks)} of {len(answers)} pairs of pruner and compression"
        f"{f' ({best})' if peaks else ''}. As labels double, pruned networks keep less of the unpruned one's accuracy "
        f"in {len(falls)} of these and more in {len(rises)}: from {least} to {most}; in the others the seeds do not "
        "tell. Networks that collapsed are left out: what they lost is no cost of labels."
    )


@dataclass(frozen=True)
class _Answer:
    """Of a pruner and a compression: points a doubling, seed by seed; the best count of labels, and if it is a peak."""

    name: str
    slope: pd.Series
    best: int
    peak: bool


def _answers(rows: pd.DataFrame) -> Iterator[_Answer]:
    for (pruner, compression), cells in rows.groupby(["pruner", "compression"], sort=False):
        whole = cells[(cells.labels != _COARSE) & ~cells.collapsed.eq(True)]
        by_count = whole.pivot(index="count", columns="seed", values="kept").sort_index()
        if len(slope := _slope(cells)) < 2:
            continue
        best = int(by_count.mean(axis=1).sort_values(ascending=False).index[0])
        ends = [by_count.index[0], by_count.index[-1]]
        gaps = [(by_count.loc[best] - by_count.loc[end]).dropna() for end in ends]
        peak = best not in ends and all(gap.mean() > half_width(gap) for gap in gaps)
        yield _Answer(f"{formatting.PRUNERS[str(pruner)]} at c = {compression:g}", slope, best, peak)


def _slope(cells: pd.DataFrame) -> pd.Series:
    """Return, a seed, by how many points what is kept changes as labels double: the slope of the least squares.

    Of networks that did not collapse, whose loss is no cost of labels; of three numbers of labels or more.
    """
    known = cells[(cells.labels != _COARSE) & ~cells.collapsed.eq(True)].dropna(subset="kept")
    slopes = {
        seed: float(np.polyfit(np.log2(rows["count"].astype(float)), rows.kept, 1)[0])
        for seed, rows in known.groupby("seed")
        if rows["count"].nunique() > 2
    }
    return pd.Series(slopes, dtype=float)


def _slope_said(one: _Answer) -> str:
    return f"{formatting.estimate(float(one.slope.mean()), half_width(one.slope))} points ({one.name})"


def _count(dataset: str, labels: str) -> int:
    if labels == "fine":
        return round(100 / chance(dataset))
    return (len(DATASETS[dataset].coarse_classes) if dataset in DATASETS else 0) if labels == _COARSE else int(labels)


def _title(name: str, count: float) -> str:
    return "–" if math.isnan(count) else f"{count:g}{' (coarse)' if name == _COARSE else ''}"
