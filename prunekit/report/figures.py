"""Records -> the paper's three figures and the curves of its tables, each with its alt text and its numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from ..datasets.sources import Arrays
from ..study.store import replace
from ..study.trial import HISTOGRAM_CENTRES, Record
from . import words
from .tables import MIME

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
_COLOURS = dict(zip(words.PRUNERS, ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"), strict=True))  # Okabe-Ito
_MARKERS = dict(zip(words.PRUNERS, "osD^v", strict=True))
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
        self.drawing.savefig(buffer, format=kind, dpi=110, bbox_inches="tight", metadata=_NO_DATE[kind])
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            MIME: {"figure": self.name, "number": self.number, "caption": self.caption, "alt": self.alt},
            "image/png": self._png,
            "text/plain": f"{self.number}. {self.caption}",
        }


def classes(arrays: Arrays, dataset: str, per_class: int = 10) -> Figure:
    """Figure 1: ten random training images of each class (of each coarse class, where there are too many)."""
    coarse = arrays.train.coarse_labels is not None
    labels = arrays.train.coarse_labels if arrays.train.coarse_labels is not None else arrays.train.labels
    names = arrays.coarse_classes if coarse else arrays.classes
    random = np.random.Generator(np.random.PCG64(0))
    chosen = np.array(
        [random.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in range(len(names))]
    )
    mosaic = _mosaic(arrays.train.images, chosen)
    drawing = Drawing(figsize=(6.4, 6.4 * mosaic.shape[0] / mosaic.shape[1]), layout="constrained")
    axes = drawing.subplots()
    axes.imshow(mosaic.squeeze(), cmap="gray" if mosaic.shape[2] == 1 else None, interpolation="none")
    step = mosaic.shape[0] / len(names)
    axes.set_yticks([step * (row + 0.5) for row in range(len(names))], names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    data = pd.DataFrame(
        [
            (
                names[row],
                column + 1,
                chosen[row, column],
                arrays.classes[arrays.train.labels[chosen[row, column]]],
            )
            for row, column in np.ndindex(chosen.shape)
        ],
        columns=["row", "position", "training image", "class"],
    )
    title = words.DATASETS[dataset]
    caption = f"{per_class} random training images of each of the {len(names)} classes of {title}."
    alt = f"A grid of {title} images, a row a class: {', '.join(names)}."
    return Figure("fig1_cifar10_classes", "Figure 1", caption, alt, data, drawing)


def weights(frame: pd.DataFrame, records: Mapping[str, Record], dataset: str, name: str, number: str) -> Figure:
    """Figures 2 and 3: how the kept weights of each layer are distributed, a panel a pruner."""
    rows = frame[(frame.dataset == dataset) & (frame.status == "ok")]
    data = _histograms(rows, records)
    pruners = [pruner for pruner in words.PRUNERS if pruner in set(frame.pruner)]
    drawing = Drawing(figsize=(7.2, 4.6), layout="constrained")
    panels = drawing.subplots(2, 3, sharex=True, sharey=True).flat
    layers = list(dict.fromkeys(data.layer))
    palette = dict(zip(layers, colormaps["viridis"](np.linspace(0, 0.92, len(layers))), strict=True))
    for axes, pruner in zip(panels, pruners, strict=False):
        shown = data[(data.pruner == pruner) & (data["count"] > 0)]
        for layer, line in shown.groupby("layer", sort=False):
            axes.step(line.weight, line["count"], where="mid", color=palette[str(layer)], lw=1, label=str(layer))
        axes.set(title=words.PRUNERS[pruner], yscale="log")
    for axes in drawing.axes[len(pruners) :]:
        axes.set_axis_off()
    if layers:
        used = data.loc[data["count"] > 0, "weight"].abs().max()
        drawing.axes[0].set_xlim(-used * 1.05, used * 1.05)
        handles, labels = drawing.axes[0].get_legend_handles_labels()
        drawing.axes[-1].legend(handles, labels, ncols=2, loc="center", fontsize="x-small", title="layer")
    drawing.supxlabel("value of a kept weight", fontsize="medium")
    drawing.supylabel("weights in a bin of 0.02", fontsize="medium")
    title = words.DATASETS[dataset]
    compression = frame.compression.iloc[0]
    caption = (
        f"Distribution of the kept weights after training on {title} at compression {compression:g}, by layer, counted "
        f"over {words.seeds(frame)}. {words.budget(rows) if len(rows) else 'No records'}."
    )
    alt = f"Histograms of weight values on {title}: one panel for each of {_listed(pruners)}, one line a layer."
    return Figure(name, number, caption, alt, data, drawing)


def curves(tidy: pd.DataFrame, name: str, number: str, what: str, unit: str, note: str) -> Figure:
    """A table's means by compression, a panel a dataset, with the published values as hollow marks.

    `tidy` is a Table's; `what` and `unit` name the vertical axis, `note` ends the caption.
    """
    datasets = list(dict.fromkeys(tidy.dataset))
    drawing = Drawing(figsize=(7.2, 3.2), layout="constrained")
    panels = np.atleast_1d(drawing.subplots(1, len(datasets), sharey=True))
    for axes, dataset in zip(panels, datasets, strict=True):
        _curve_panel(axes, tidy[tidy.dataset == dataset])
        axes.set(title=_panel_title(tidy, dataset), xlabel="compression (-log10 of density)")
        ticks = list(dict.fromkeys(tidy.compression))
        axes.set_xscale("log" if min(ticks) > 0 else "linear")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    panels[0].set_ylabel(f"{what} ({unit})")
    if unit == "%":
        panels[0].set_ylim(-3, 103)  # an interval may reach beyond what an accuracy can be
    else:
        panels[0].set_yscale("log")
    handles, labels = panels[0].get_legend_handles_labels()
    hollow = Line2D([], [], ls="none", marker="o", mfc="none", color="0.4", ms=4)
    drawing.legend([*handles, hollow], [*labels, "published"], loc="outside right center", fontsize="small")
    shown = " and ".join(words.DATASETS[dataset] for dataset in datasets)
    caption = (
        f"{what} by compression on {shown}. Lines are ours, bars the 95 % interval over seeds; hollow marks are "
        f"published. {note}"
    )
    alt = f"{what} in {unit} against compression for {_listed(list(dict.fromkeys(tidy.pruner)))} on {shown}."
    return Figure(name, number, caption, alt, tidy, drawing)


def _panel_title(tidy: pd.DataFrame, dataset: str) -> str:
    """Digits (published: CIFAR-10)"""
    stood_for = str(tidy.loc[tidy.dataset == dataset, "published_for"].iloc[0]).split("/")[0]
    title = words.DATASETS[dataset]
    return title if stood_for == dataset else f"{title} (published: {words.DATASETS[stood_for]})"


def _mosaic(images: np.ndarray, chosen: np.ndarray, gap: int = 2) -> np.ndarray:
    """Return one picture [H, W, C] of the images at `chosen` [rows, columns], on white."""
    rows, columns = chosen.shape
    _, channels, height, width = images.shape
    tiles = np.full((rows, columns, channels, height + gap, width + gap), 255, dtype=np.uint8)
    tiles[..., :height, :width] = images[chosen]
    return tiles.transpose(0, 3, 1, 4, 2).reshape(rows * (height + gap), columns * (width + gap), channels)


def _curve_panel(axes: Axes, tidy: pd.DataFrame) -> None:
    for pruner, line in tidy.groupby("pruner", sort=False):
        style: dict[str, Any] = {"color": _COLOURS[str(pruner)], "marker": _MARKERS[str(pruner)], "ms": 4}
        axes.errorbar(
            line.compression,
            line["mean"],
            yerr=line.interval.fillna(0),
            label=words.PRUNERS[str(pruner)],
            lw=1.3,
            capsize=2,
            **style,
        )
        axes.plot(line.compression, line.published, ls="none", mfc="none", alpha=0.7, **style)


def _histograms(rows: pd.DataFrame, records: Mapping[str, Record]) -> pd.DataFrame:
    counted: dict[tuple[str, str], np.ndarray] = {}
    for row in rows.itertuples():
        for layer in records[str(row.id)].layers:
            key = str(row.pruner), layer.name.removesuffix(".weight")
            counted[key] = counted.get(key, 0) + np.array(layer.histogram)
    parts = [
        pd.DataFrame({"pruner": pruner, "layer": layer, "weight": HISTOGRAM_CENTRES, "count": counts})
        for (pruner, layer), counts in counted.items()
    ]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["pruner", "layer", "weight", "count"])


def _listed(pruners: list[str]) -> str:
    return ", ".join(words.PRUNERS[pruner] for pruner in pruners)
