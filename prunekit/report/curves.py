"""Curves over compressions or labels: a panel a dataset, a line a pruner."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn
from matplotlib.lines import Line2D

from ..names import title
from ..study.statistics import CELL
from .formatting import named, style

SIZE = (7.2, 3.3)  # inches
_FAILED = "failed to start"


def curves(
    trials: pd.DataFrame,
    y: str,
    x: str = "compression",
    col: str = "dataset",
    unpruned: pd.DataFrame | None = None,
    palette: dict[str, str] | None = None,
) -> Any:
    """Return a seaborn grid, a panel a `col`: `trials` as points, a line a pruner through their means, x logarithmic.

    Where trials have these columns: failed, which are crosses; counts, of which the means are; published, a hollow mark
    a cell. The mean of `unpruned` trials is a grey line. `palette`: colours of pruners in place of the usual.
    """
    rows = named(trials).reset_index(drop=True)
    rows["failed"], rows["counts"] = rows.get("failed", False), rows.get("counts", True)
    rows["mark"] = rows.pruner.where(~rows.failed, _FAILED)
    colours, marks = style(rows.pruner)
    colours |= {title("pruner", one): colour for one, colour in (palette or {}).items()}
    used = {one: colours[one] for one in dict.fromkeys(rows.pruner)}
    look: dict[str, Any] = {"x": x, "y": y, "hue": "pruner", "hue_order": list(used), "palette": used, "legend": False}
    points = {"style": "mark", "markers": marks | {_FAILED: "X"}, "s": 16, "alpha": 0.75, "linewidth": 0}
    dense: Any = named(unpruned).groupby(col)[y].mean() if unpruned is not None else {}
    grid = seaborn.FacetGrid(rows, col=col)
    for panel, ax in grid.axes_dict.items():
        here = rows[rows[col] == panel]
        seaborn.lineplot(here[here.counts], errorbar=None, lw=1.3, ax=ax, **look)
        seaborn.scatterplot(here, ax=ax, **points, **look)
        for pruner, line in here.drop_duplicates(CELL).groupby("pruner", sort=False) if "published" in rows else ():
            ax.plot(line[x], line.published, ls="none", mfc="none", ms=6, marker=marks[pruner], color=used[pruner])
        if panel in dense:
            ax.axhline(dense[panel], color="0.5", lw=1.3, zorder=1)
    _finish(grid, rows, x)
    lines = {one: Line2D([], [], color=colour, marker=marks[one], ms=4) for one, colour in used.items()}
    if rows.failed.any():
        lines[_FAILED] = Line2D([], [], color="0.5", ls="none", marker="X", ms=5)
    if "published" in rows and rows.published.notna().any():
        lines["published"] = Line2D([], [], color="0.5", ls="none", marker="o", mfc="none", ms=6)
    if len(dense):
        lines["not pruned"] = Line2D([], [], color="0.5")
    grid.figure.legend(lines.values(), lines.keys(), loc="outside right center", fontsize="small")
    return grid


def marks(trials: pd.DataFrame) -> str:
    """Return what a caption says of the marks of such curves."""
    failed = "failed" in trials and trials.failed.any()
    crosses, others = (", crosses those that never started to learn", " of the others") if failed else ("", "")
    hollow = "; hollow marks are published" if "published" in trials and trials.published.notna().any() else ""
    return f"Points are seeds{crosses}, lines the means{others}{hollow}"


def _finish(grid: Any, rows: pd.DataFrame, x: str) -> None:
    ticks = sorted(set(rows[x]))
    grid.set_titles("{col_name}").set(xscale="log" if ticks[0] > 0 else "linear", xlabel="")
    for ax in grid.axes.flat[1:]:
        ax.set_ylabel("")
    for ax in grid.axes.flat:
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize="small")
        ax.minorticks_off()
    grid.figure.set_layout_engine("constrained")
    grid.figure.set_size_inches(*SIZE)
    grid.figure.supxlabel("compression (-log10 of density)" if x == "compression" else x, fontsize="medium")
