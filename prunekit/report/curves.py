"""Curves over compressions or labels: one panel per dataset, one line per pruner."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import seaborn
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from ..analysis.cells import CELL
from ..names import share, title
from .formatting import named, settings, style

SIZE = (7.2, 2.7)  # inches, without the legend
_LINE = 105  # characters of a legend's line
_AT_CHANCE = "at chance"


def curves(
    trials: pd.DataFrame,
    y: str,
    x: str = "compression",
    col: str = "dataset",
    unpruned: pd.DataFrame | None = None,
    others: pd.DataFrame | None = None,
    palette: dict[str, str] | None = None,
) -> Any:
    """Return a grid, a panel per `col`: trials as points, one line per pruner through their means, x logarithmic.

    A panel of a dataset is of one network.

    Where trials have these columns: at_chance, which are crosses; counts, of which the means are; published, a hollow
    mark a cell. The mean of `unpruned` trials is a grey line, `others` are small grey marks, by the same columns.
    `palette`: colours of pruners in place of the usual.
    """
    frames: list[Any] = [trials, unpruned, others]
    if col == "dataset":
        frames = [one if one is None else one.assign(dataset=settings(one, among=trials)) for one in frames]
    frames = [one if one is None else named(one).reset_index(drop=True) for one in frames]
    rows, dense_rows, other_rows = frames
    rows["at_chance"], rows["counts"] = rows.get("at_chance", False), rows.get("counts", True)
    rows["mark"] = rows.pruner.where(~rows.at_chance, _AT_CHANCE)
    colours, marks = style(rows.pruner)
    colours |= {title("pruner", one): colour for one, colour in (palette or {}).items()}
    used = {one: colours[one] for one in dict.fromkeys(rows.pruner)}
    look: dict[str, Any] = {"x": x, "y": y, "hue": "pruner", "hue_order": list(used), "palette": used, "legend": False}
    points = {"style": "mark", "markers": marks | {_AT_CHANCE: "X"}, "s": 16, "alpha": 0.75, "linewidth": 0}
    dense: Any = dense_rows.groupby(col)[y].mean() if dense_rows is not None else {}
    grid = seaborn.FacetGrid(rows, col=col)
    for panel, ax in grid.axes_dict.items():
        here = rows[rows[col] == panel]
        seaborn.lineplot(here[here.counts], errorbar=None, lw=1.3, ax=ax, **look)
        seaborn.scatterplot(here, ax=ax, **points, **look)
        for pruner, line in here.drop_duplicates(CELL).groupby("pruner", sort=False) if "published" in rows else ():
            ax.plot(line[x], line.published, ls="none", mfc="none", ms=6, marker=marks[pruner], color=used[pruner])
        if other_rows is not None:
            for pruner, line in other_rows[other_rows[col] == panel].groupby("pruner", sort=False):
                ax.plot(line[x], line[y], ls="none", ms=3, marker=marks[pruner], color="0.6", zorder=1)
        if panel in dense:
            ax.axhline(dense[panel], color="0.5", lw=1.3, zorder=1)
    _finish(grid, rows, x)
    lines = {one: Line2D([], [], color=colour, marker=marks[one], ms=4) for one, colour in used.items()}
    if rows.at_chance.any():
        lines[_AT_CHANCE] = Line2D([], [], color="0.5", ls="none", marker="X", ms=5)
    if "published" in rows and rows.published.notna().any():
        lines["published"] = Line2D([], [], color="0.5", ls="none", marker="o", mfc="none", ms=6)
    if others is not None and len(others):
        lines["another group"] = Line2D([], [], color="0.6", ls="none", marker="o", ms=3)
    if len(dense):
        lines["unpruned"] = Line2D([], [], color="0.5")
    _label(grid, lines)
    return grid


def logarithmic(grid: Any) -> Any:
    """Make the y of a seaborn grid logarithmic, with plain numbers at 1, 2 and 5 of each decade, of many at 1 alone."""
    for ax in grid.set(yscale="log").axes.flat:
        least, most = ax.get_ylim()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 1000 * least else (1,)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
    return grid


def marks(trials: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> str:
    """Return what a caption adds to the legend of such curves, in one or two sentences."""
    stayed = "at_chance" in trials and trials.at_chance.any()
    text = f"Points are seeds, lines {'the means of those that learned' if stayed else 'their means'}."
    if unpruned is None or unpruned.empty:
        return text
    counts = unpruned.groupby(settings(unpruned), sort=False).seed.nunique()
    runs = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{text} Grey line: unpruned networks that learned ({runs})."


def _finish(grid: Any, rows: pd.DataFrame, x: str) -> None:
    compressions = x == "compression"
    ticks = readable_ticks(sorted(set(rows[x])), room=2 + 12 // len(grid.axes.flat))
    labels = [f"{tick:g}\n{share(tick)} %" if compressions else f"{tick:g}" for tick in ticks]
    grid.set_titles("{col_name}").set(xscale="log" if min(rows[x]) > 0 else "linear", xlabel="")
    for ax in grid.axes.flat[1:]:
        ax.set_ylabel("")
    for ax in grid.axes.flat:
        ax.set_xticks(ticks, labels, fontsize="small")
        ax.minorticks_off()
    grid.figure.supxlabel("compression, and the share of the weights kept" if compressions else x, fontsize="medium")


def readable_ticks(values: list[float], room: int) -> list[float]:
    """Return those of sorted values that can be read side by side on an axis with room for so many; first and last."""
    places = [math.log10(value) if values[0] > 0 else value for value in values]
    gap = (places[-1] - places[0]) / room
    kept = [0]
    for i in range(1, len(values)):
        if places[i] - places[kept[-1]] >= gap and (places[-1] - places[i] >= gap or i == len(values) - 1):
            kept.append(i)
    return [values[i] for i in dict.fromkeys([*kept, len(values) - 1])]


def _label(grid: Any, lines: dict[str, Line2D]) -> None:
    """Put the legend above, in as many columns as its longest name leaves room for, and make room for it."""
    columns = max(1, min(len(lines), _LINE // (max(map(len, lines)) + 5)))
    grid.figure.set_layout_engine("constrained")
    grid.figure.set_size_inches(SIZE[0], SIZE[1] + 0.2 * math.ceil(len(lines) / columns))
    grid.figure.legend(
        lines.values(), lines.keys(), loc="outside upper center", ncols=columns, fontsize="small", columnspacing=1.2
    )
