"""A section's trials -> its figure, with its alt text and its numbers."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from ..files import replace
from ..study.results import chance
from ..study.statistics import CELL
from ..study.trial import HISTOGRAM_CENTRES
from . import formatting
from .table import MIME, unless_empty

matplotlib.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 10,
        "legend.frameon": False,
        "pdf.fonttype": 42,
        "svg.hashsalt": "prunekit",  # the same drawing gives the same file
    }
)
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7")  # Okabe-Ito: of the study's pruners
_OWN_COLOURS = ("#000000", "#56b4e9", "#8c6d31", "#7f7f7f")  # of a user's own, as they appear
_MARKERS, _OWN_MARKERS, _FAILED = "osD^v", "P*phd", "failed"  # of more of them than these are, some look alike
_LONG = [*CELL, "seed", "shown", "value", "started", "published"]
_Style = dict[str, Any]  # matplotlib's words: color and marker
_EDGES = np.append(HISTOGRAM_CENTRES - 0.01, HISTOGRAM_CENTRES[-1] + 0.01)
_STARTED = (
    "Points are seeds, crosses those that never started to learn, lines the means of the others, if there are any."
)
_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class Figure:
    """A numbered figure: its drawing, what it shows as a table (`data`), a caption, and a text for the blind."""

    name: str
    number: str
    caption: str
    alt: str
    data: pd.DataFrame
    drawing: Drawing

    def save(self, folder: Path) -> None:
        """Write NAME.png, NAME.svg, NAME.pdf and NAME.csv into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / f"{self.name}.csv", self.data.to_csv(index=False, lineterminator="\n").encode())
        replace(folder / f"{self.name}.png", self._png)
        for kind in ("svg", "pdf"):
            replace(folder / f"{self.name}.{kind}", self._drawn(kind))

    @cached_property
    def _png(self) -> bytes:
        return self._drawn("png")

    def _drawn(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        if self.drawing.get_layout_engine():  # laid out once; every file and screen gets the same
            self.drawing.draw_without_rendering()
            self.drawing.set_layout_engine("none")
        self.drawing.savefig(buffer, format=kind, dpi=110, metadata=_NO_DATE[kind])
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            MIME: {"figure": self.name, "number": self.number, "caption": self.caption, "alt": self.alt},
            "image/png": self._png,
            "text/plain": f"{self.number}. {self.caption}",
        }


@unless_empty
def weights(frame: pd.DataFrame, dataset: str, name: str, number: str) -> Figure:
    """Figures 2 and 3: how the kept weights of each layer are distributed, a panel a pruner."""
    rows = frame[frame.dataset == dataset]
    data = rows.groupby(["pruner", "layer", "weight"], sort=False)["count"].sum().reset_index()
    pruners = formatting.in_order(frame.pruner)
    drawing = Drawing(figsize=(7.2, 4.6), layout="constrained")
    panels = drawing.subplots(2, max(3, (len(pruners) + 2) // 2), sharex=True, sharey=True).flat
    layers = list(dict.fromkeys(data.layer))
    palette = dict(zip(layers, seaborn.color_palette("viridis", len(layers)), strict=True))
    for axes, pruner in zip(panels, pruners, strict=False):
        seaborn.histplot(
            data[(data.pruner == pruner) & (data["count"] > 0)],
            x="weight",
            weights="count",
            hue="layer",
            hue_order=layers,
            palette=palette,
            bins=list(_EDGES),
            element="step",
            fill=False,
            lw=1,
            legend=False,
            ax=axes,
        )
        axes.set(title=formatting.PRUNERS[pruner], yscale="log", xlabel="", ylabel="")
    for axes in drawing.axes[len(pruners) :]:
        axes.set_axis_off()
    if layers:
        used = data.loc[data["count"] > 0, "weight"].abs().max()
        drawing.axes[0].set_xlim(-used * 1.05, used * 1.05)
        handles = [Line2D([], [], color=colour) for colour in palette.values()]
        drawing.axes[-1].legend(handles, layers, ncols=2, loc="center", fontsize="x-small", title="layer")
    drawing.supxlabel("value of a kept weight", fontsize="medium")
    drawing.supylabel("weights in a bin of 0.02", fontsize="medium")
    title = formatting.DATASETS[dataset]
    caption = (
        f"Distribution of the kept weights after training on {title} at compression {frame.compression.iloc[0]:g}, by "
        f"layer, counted over {formatting.seeds(frame)}: dark for the first layers, light for the last."
    )
    alt = f"Histograms of weight values on {title}: one panel for each of {_listed(pruners)}, one line a layer."
    return Figure(name, number, caption, alt, data, drawing)


@unless_empty
def summary(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Figure:
    """Top-1 accuracy by compression: the sweep at a glance, beside the unpruned networks."""
    return _curves(frame, {"top1": ""}, "summary", "Figure S", "Top-1 accuracy", "%", unpruned)


@unless_empty
def accuracy_by_compression(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Figure:
    """Table II as curves: top-1, and top-5 of a hundred classes, beside the unpruned networks."""
    values, name = {"top1": "", "top5": "top-5"}, "accuracy_by_compression"
    return _curves(frame, values, name, "Figure A", "Accuracy", "%", unpruned)


@unless_empty
def time_by_compression(frame: pd.DataFrame) -> Figure:
    """Table III as curves: seconds of a whole trial."""
    values = {"seconds": ""}
    return _curves(frame, values, "time_by_compression", "Figure B", "Time of a trial", "s")


@unless_empty
def flops_by_compression(frame: pd.DataFrame) -> Figure:
    """Table IV as curves: millions of FLOPs of the pruned network for one image."""
    frame = frame.assign(millions=frame.flops_kept.astype(float) / 1e6)
    what = "FLOPs for one image"
    return _curves(frame, {"millions": ""}, "flops_by_compression", "Figure C", what, "millions")


def _curves(
    frame: pd.DataFrame,
    values: Mapping[str, str],
    name: str,
    number: str,
    what: str,
    unit: str,
    unpruned: pd.DataFrame | None = None,
) -> Figure:
    """A table by compression, a panel a dataset: seeds as points, their means as lines, the published as hollow marks.

    `values` are the frame's columns to show, each with what the panel's title adds; `what` and `unit` name the axis.
    A top-5 of ten classes has no panel. Published values are the frame's column `published`, if it has one. A grey line
    is the mean of those trials of `unpruned`, networks with all weights, that started.
    """
    data = _long(frame, values)
    data["failed"] = False if unit != "%" else ~data.started
    dense = _long(unpruned, values) if unpruned is not None else data[:0]
    dense = dense[dense.started].merge(data[["dataset", "model"]].drop_duplicates())
    data = data[~((data.shown == "top-5") & (data.dataset.map(chance) > 1))]
    panels = [rows for _, rows in data.groupby(["dataset", "shown"], sort=False)]
    panels.sort(key=lambda rows: list(dict.fromkeys(frame.dataset)).index(rows.dataset.iloc[0]))
    styles = styles_of(data.pruner)
    drawing = Drawing(figsize=(7.2, 3.4), layout="constrained")
    for axes, rows in zip(drawing.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _panel(axes, rows, styles)
        shown = rows.shown.iloc[0]
        for _, alike in dense[(dense.dataset == rows.dataset.iloc[0]) & (dense.shown == shown)].groupby("dataset"):
            axes.axhline(alike.value.mean(), color="0.5", lw=1.3, zorder=1)
        axes.set(
            title=formatting.DATASETS[rows.dataset.iloc[0]] + (f", {shown}" if shown else ""), xlabel="", ylabel=""
        )
        ticks = sorted(set(rows.compression))
        axes.set_xscale("log" if min(ticks) > 0 else "linear")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    drawing.supxlabel("compression (-log10 of density)", fontsize="medium")
    first = drawing.axes[0]
    first.set_ylabel(f"{what} ({unit})")
    first.set(**({"ylim": (-3, 103)} if unit == "%" else {"yscale": "log"}))
    note = _legend(drawing, data, styles, dense)
    on = " and ".join(formatting.DATASETS[dataset] for dataset in dict.fromkeys(data.dataset))
    points = _STARTED if data.failed.any() else "Points are seeds, lines their means."
    caption = f"{what} by compression on {on}. {points}{note}"
    alt = f"{what} in {unit} against compression for {_listed(list(dict.fromkeys(data.pruner)))} on {on}."
    return Figure(name, number, caption, alt, data.drop(columns=["started", "failed"]), drawing)


def _long(frame: pd.DataFrame, values: Mapping[str, str]) -> pd.DataFrame:
    """Return a row a trial and column in `values`: CELL, seed, shown (its title), value, started, published."""
    parts = [frame.assign(value=frame[key].astype(float), shown=title) for key, title in values.items()]
    return pd.concat(parts, ignore_index=True).reindex(columns=_LONG)


def _legend(drawing: Drawing, data: pd.DataFrame, styles: Mapping[str, _Style], dense: pd.DataFrame) -> str:
    """Draw the legend of curves; return what the caption says of the marks and lines that are not pruners'."""
    named = {
        formatting.PRUNERS[pruner]: Line2D([], [], ls="-", ms=4, **styles[pruner])
        for pruner in dict.fromkeys(data.pruner)
    }
    note = ""
    if data.published.notna().any():
        named["published"] = Line2D([], [], color="0.2", ls="none", marker="o", mfc="none", ms=6)
        note += " Hollow marks are published."
    if len(dense):
        named["not pruned"] = Line2D([], [], color="0.5")
        runs = dense.drop_duplicates(["dataset", "seed"]).dataset.value_counts(sort=False)
        told = ", ".join(f"{formatting.DATASETS[str(dataset)]} {count}" for dataset, count in runs.items())
        note += f" Grey line: the unpruned network, the mean of the runs that started to learn ({told})."
    drawing.legend(named.values(), named.keys(), loc="outside right center", fontsize="small")
    return note


def _panel(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, _Style]) -> None:
    palette = {pruner: style["color"] for pruner, style in styles.items()}
    markers = {pruner: style["marker"] for pruner, style in styles.items()} | {_FAILED: "X"}
    style: dict[str, Any] = {"x": "compression", "hue": "pruner", "palette": palette, "legend": False, "ax": axes}
    alone = rows.failed & ~rows.groupby(CELL).failed.transform("all")  # others of its cell started
    seaborn.lineplot(rows[~alone], y="value", errorbar=None, lw=1.3, **style)
    marked = rows.assign(mark=rows.pruner.where(~rows.failed, _FAILED))
    seaborn.scatterplot(marked, y="value", style="mark", markers=markers, s=16, alpha=0.75, linewidth=0, **style)
    for pruner, line in rows.drop_duplicates(CELL).groupby("pruner", sort=False):
        style = {"marker": markers[str(pruner)], "color": palette[str(pruner)]}
        axes.plot(line.compression, line.published, ls="none", mfc="none", ms=6, **style)


def styles_of(pruners: Iterable[str]) -> dict[str, _Style]:
    """Return the colour and the mark of each pruner: the study's have theirs, a user's own take what is left."""
    own = [pruner for pruner in formatting.in_order(pruners) if pruner not in formatting.PRUNERS]
    given = {
        pruner: {"color": c, "marker": m} for pruner, c, m in zip(formatting.PRUNERS, _COLOURS, _MARKERS, strict=True)
    }
    brought = zip(own, cycle(_OWN_COLOURS), cycle(_OWN_MARKERS))
    return given | {pruner: {"color": colour, "marker": marker} for pruner, colour, marker in brought}


def _listed(pruners: list[str]) -> str:
    return ", ".join(formatting.PRUNERS[pruner] for pruner in pruners)
