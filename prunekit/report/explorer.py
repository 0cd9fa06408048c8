"""Two pruners on one network at initialisation: what each keeps of every layer and how it scores, behind menus.

Nothing is recorded: all is made anew from the seed, in a second or two.
"""

from __future__ import annotations

import copy
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import ValidationError

from .. import masks, metrics, names, plugins
from ..errors import UserError, describe, safe_repr
from ..study import runner
from ..study.artifacts import Artifacts
from ..study.trial import Trial
from .formatting import style
from .shown import Figure, Table

_WIDTHS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_SCORED = 100  # images, by which the slowest answers soon
_MOST_DRAWN = 200_000  # scores, evenly taken
_TRAINED = {"learning_rate": 3e-3, "batch_size": 32}  # by which small networks learn digits in an epoch or two


@dataclass(frozen=True)
class Pruned:
    """A trial's network as it is pruned: masks, their health, its FLOPs, and scores with the lowest that is kept."""

    trial: Trial
    name: str
    kept: masks.Masks
    health: masks.Health
    flops: pd.DataFrame
    scores: np.ndarray
    threshold: float

    @property
    def rows(self) -> pd.DataFrame:
        """A row a layer, and one of them all: weights and what is kept of them, channels, densities in %."""
        costs = self.flops.set_index("name").flops_kept
        rows = pd.DataFrame(map(vars, self.health.layers.values()))
        rows.insert(0, "layer", [name.removesuffix(".weight") for name in self.health.layers])
        rows["flops_kept"] = [int(costs[name]) for name in self.health.layers]
        rows.loc[len(rows)] = ["all", *rows.iloc[:, 1:-1].sum(), int(self.flops.flops_kept.sum())]
        rows = rows.rename(columns={"total": "weights", "dead_channels": "dead"})
        shares = {"density": 100 * rows.kept / rows.weights, "effective": 100 * rows.effective / rows.weights}
        return rows.assign(**shares, pruner=self.trial.pruner)


def prune(trial: Trial, artifacts: Artifacts) -> Pruned:
    """Return what `trial`, of one prune step, does to its network before it is trained; raises what pruners raise."""
    (scores, _), _ = artifacts.scores(trial)
    (dense, _), _ = artifacts.network(trial)
    (kept, _), _ = runner.prune(trial, artifacts)
    shape = artifacts.data(trial)[0].image_shape
    threshold = min(float(scores[name][mask].min()) for name, mask in kept.items() if mask.any())
    every = -(-sum(score.numel() for score in scores.values()) // _MOST_DRAWN)
    drawn = np.concatenate([score.flatten()[::every].cpu().numpy() for score in scores.values()])
    found = masks.health(dense, kept, shape), metrics.flops(dense, kept, shape)
    return Pruned(trial, names.title("pruner", trial.pruner), kept, *found, drawn, threshold)


class Explorer:
    """Two pruners beside each other on one network: shown last in a cell, it is menus, a slider and what they choose.

    Scores are computed from a hundred images, or one a class. `table`, `figure` and `train` are of what the menus say;
    `offer` adds a pruner, network or dataset of your own to a menu. Raises UserError for an unknown name or a wrong
    value.
    """

    def __init__(
        self,
        dataset: str = "digits",
        model: str = "vgg11",
        width: float = 0.25,
        pruner: str = "synflow",
        beside: str = "snip",
        compression: float = 1.0,
        seed: int = 0,
    ):
        self._artifacts = Artifacts(), Artifacts()  # one a side: each holds the scores of its own pruner
        self._pruned: list[Pruned] = []
        self._output: Any = None  # a widget, once shown
        fields = {"dataset": dataset, "model": model, "width": width, "compression": compression, "seed": seed}
        for side in (pruner, beside):
            _trial(**fields, pruner=side)  # before a slider makes it fit
        chosen = {"dataset": dataset, "model": model, "pruner": pruner, "beside": beside}
        self.menus: dict[str, Any] = {key: widgets.Dropdown(description=key) for key in chosen}
        for key, name in chosen.items():
            self._set(key, [*names.BY_KIND["pruner" if key == "beside" else key], name], name)
        widths = [(f"{one:g}", one) for one in sorted({*_WIDTHS, width})]
        self.menus["width"] = widgets.Dropdown(options=widths, value=width, description="width")
        self.menus["seed"] = widgets.BoundedIntText(seed, min=0, max=max(10**6, seed), description="seed")
        self.menus["compression"] = widgets.FloatSlider(
            compression, min=0, max=max(3.0, compression), step=0.05, description="compression", continuous_update=False
        )

    def table(self) -> Table:
        """Return what each pruner keeps of each layer and of the whole: density, dead channels, FLOPs."""
        both = self._prune()
        tidy, first = pd.concat([one.rows for one in both], ignore_index=True), both[0]
        wide = first.rows[["layer", "weights"]].rename(columns=str.capitalize)
        wide["Weights"] = wide.Weights.map("{:,}".format)
        for one in both:
            rows = one.rows
            wide[f"{one.name}: density, %"] = rows.density.map("{:.2f}".format)
            wide[f"{one.name}: on a path, %"] = rows.effective.map("{:.2f}".format)
            wide[f"{one.name}: dead channels"] = (
                rows.dead.map("{:,}".format) + " of " + rows.channels.map("{:,}".format)
            )
            wide[f"{one.name}: MFLOPs"] = (rows.flops_kept / 1e6).map("{:.3f}".format)
        trial, total = first.trial, int(first.flops.flops.sum()) / 1e6
        severed = [one.name for one in both if one.health.collapsed]
        network = f"{names.title('model', trial.model)} for {names.title('dataset', trial.dataset)}"
        caption = (
            f"{network}, pruned at initialisation to density {trial.density:.2%} (compression {trial.compression:g}), "
            f"seed {trial.seed}. Not pruned, it takes {total:.3f} million FLOPs an image, biases and normalisation "
            "included."
        )
        caption += f" Collapsed, no path of kept weights being left: {names.listed(severed)}." if severed else ""
        return Table("explorer", "Layers", caption, tidy, wide)

    def figure(self) -> Figure:
        """Return each layer's density by pruner, and the distribution of each one's scores with its threshold."""
        both = self._prune()
        drawing = Drawing(figsize=(9, 3.2), layout="constrained")
        layers, *panels = drawing.subplots(1, 1 + len(both))
        colours, marks = style(one.name for one in both)
        for axes, one in zip(panels, both, strict=True):
            rows, own = one.rows[:-1], {"color": colours[one.name], "marker": marks[one.name]}
            layers.plot(rows.layer, rows.density.where(rows.density > 0), label=one.name, ms=4, lw=1.3, **own)
            _draw_scores(axes, one, colours[one.name])
        layers.axhline(100, color="0.5", lw=1.3, zorder=0, label="not pruned")
        layers.set(yscale="log", ylabel="density of a layer, %", ylim=(None, 130))
        layers.yaxis.set_major_formatter("{x:g}")
        layers.tick_params(axis="x", rotation=90, labelsize="small")
        layers.legend(fontsize="small")
        both_names = " and ".join(one.name for one in both)
        caption = (
            f"Left: what {both_names} keep of each layer (no mark: nothing). Right: how their scores other than 0 are "
            "distributed; the line is the lowest score that is kept."
        )
        alt = f"Density by layer, and histograms of scores with their thresholds, for {both_names}."
        data = pd.concat([_counts(one).assign(pruner=one.trial.pruner) for one in both], ignore_index=True)
        return Figure("explorer", "Scores", caption, alt, data, drawing)

    def train(self, epochs: int = 2) -> Figure:
        """Train both networks and the unpruned one, and return their top-1 accuracies after each epoch as curves."""
        both = self._prune(epochs)
        rows: list[tuple[str, int, float]] = []
        dense = both[0].trial.model_copy(update={"pruner": "random", "compression": 0.0})
        runs = [(dense, "not pruned", {}), *((one.trial, one.name, one.kept) for one in both)]
        for (trial, label, kept), own in zip(runs, self._artifacts[:1] + self._artifacts, strict=False):
            (net, _), _ = own.network(trial)
            for (row,) in own.epochs(trial, copy.deepcopy(net), kept, epochs):
                rows.append((label, int(row["epoch"]), row["top1"]))
        data = pd.DataFrame(rows, columns=["pruner", "epoch", "top1"])
        drawing = Drawing(figsize=(5.5, 3.2), layout="constrained")
        axes = drawing.subplots()
        colours, marks = style(one.name for one in both)
        for name, line in data.groupby("pruner", sort=False):
            colour, mark = colours.get(str(name), "0.5"), marks.get(str(name))
            axes.plot(line.epoch, line.top1, label=str(name), color=colour, marker=mark, ms=4, lw=1.3)
        axes.set(xlabel="epoch", ylabel="top-1 test accuracy, %", xticks=sorted(set(data.epoch)))
        axes.legend(fontsize="small")
        named = names.listed(list(dict.fromkeys(data.pruner)))
        caption = f"Top-1 test accuracy in % after each epoch, compression {both[0].trial.compression:g}: {named}."
        return Figure("learning", "Learning", caption, caption, data, drawing)

    def offer(self, name: str, kind: str = "pruner") -> None:
        """Add one of your own, registered or named as package.module:function, to its menu, and choose it.

        A pruner is chosen beside the other. Raises UserError if it is not known.
        """
        if kind not in names.BY_KIND:
            raise UserError(f"{safe_repr(kind)} is no kind; choose from {', '.join(names.BY_KIND)}")
        plugins.check(kind, name)
        for key in ("pruner", "beside") if kind == "pruner" else (kind,):
            menu = self.menus[key]
            known = [value for _, value in menu.options]
            self._set(key, [*known, name], menu.value if key == "pruner" else name)
        if self._output:
            self._output.outputs = self._shown()

    def _set(self, key: str, offered: list[str], chosen: str) -> None:
        kind, menu = "pruner" if key == "beside" else key, self.menus[key]
        output, self._output = self._output, None  # the menu stands on its first line for a moment
        menu.options = [(names.title(kind, name), name) for name in dict.fromkeys(offered)]
        menu.value = chosen
        self._output = output

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = self._shown()
        for menu in self.menus.values():
            menu.observe(self._moved, "value")
        self._output = widgets.Output()
        self._output.outputs = shown
        chosen = [self.menus[key] for key in ("dataset", "model", "width", "pruner", "beside", "seed", "compression")]
        box = widgets.VBox([widgets.HBox(chosen[:3]), widgets.HBox(chosen[3:6]), chosen[6], self._output])
        bundle: dict[str, Any] = box._repr_mimebundle_()
        return bundle | {"text/plain": "Menus and sliders: run this notebook to have them."}

    def _shown(self) -> tuple[dict[str, Any], ...]:
        """Return what the menus say as a cell's outputs: the figure, its caption, the table."""
        figure, table = self.figure(), self.table()
        pictured = {"image/png": b64encode(figure.png).decode(), "text/plain": figure.caption}
        captioned = {"text/html": f"<p>{figure.caption}</p>", "text/plain": figure.caption}
        tabled = {key: value for key, value in table._repr_mimebundle_().items() if key.startswith("text/")}
        return tuple(_output(bundle) for bundle in (pictured, captioned, tabled))

    def _moved(self, change: Any) -> None:
        """Show what is chosen now; of what cannot be, a line, and the menu goes back."""
        if not self._output:
            return
        try:
            self._output.outputs = self._shown()
        except UserError as problem:
            change.owner.value = change.old  # which is shown again
            self._output.outputs = (_output({"text/plain": f"prunekit: {problem}"}), *self._output.outputs)

    def _prune(self, epochs: int = 0) -> list[Pruned]:
        """Return what both pruners do with what is chosen; raises UserError for what cannot be."""
        chosen = {key: menu.value for key, menu in self.menus.items()}
        sides = dict.fromkeys((chosen.pop("pruner"), chosen.pop("beside")))
        chosen |= _TRAINED | {"post_epochs": epochs}
        data, _ = self._artifacts[0].data(_trial(**chosen, pruner="random"))
        chosen["scoring_images_per_class"] = max(1, _SCORED // data.num_classes)
        trials = [_trial(**chosen, pruner=side) for side in sides]
        if [one.trial for one in self._pruned] != trials:
            try:
                self._pruned = [prune(trial, own) for trial, own in zip(trials, self._artifacts, strict=False)]
            except ValueError as error:
                raise UserError(str(error)) from None
        return self._pruned


def _trial(**fields: Any) -> Trial:
    try:
        return Trial(**fields)
    except ValidationError as error:
        raise UserError(describe(error, list(Trial.model_fields))) from None


def _output(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _counts(one: Pruned) -> pd.DataFrame:
    """Return counts of scores but 0 in bins even in their logarithm, on both sides of 0 where some lie below it."""
    sizes = np.abs(one.scores[one.scores != 0]).astype(float)
    edges = np.array([0.5, 1.0])
    if sizes.size:
        low, high = np.quantile(sizes, 0.001), sizes.max()
        edges = np.geomspace(min(low, high / 10), high * (1 + 1e-6), 41)
    if (one.scores < 0).any():
        edges = np.concatenate([-edges[::-1], edges])
    counts, _ = np.histogram(one.scores[one.scores != 0], edges)
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "scores": counts})


def _draw_scores(axes: Axes, one: Pruned, colour: str) -> None:
    bins, zeros = _counts(one), float((one.scores == 0).mean())
    edges = [*bins["from"], bins["to"].iloc[-1]]
    axes.stairs(bins.scores, edges, fill=True, color=colour, alpha=0.6)
    if edges[0] < 0:
        large = 10 ** np.floor(np.log10(edges[-1]))
        axes.set_xscale("symlog", linthresh=edges[len(edges) // 2])
        axes.set_xticks([-large, -large / 1000, 0, large / 1000, large])
        axes.minorticks_off()
    else:
        axes.set_xscale("log")
    axes.axvline(one.threshold, color="0.2", lw=1.2)
    note = f" ({zeros:.1%} are 0)" if zeros else ""
    axes.set(title=one.name, yticks=[], xlabel=f"score{note}", ylabel="scores in a bin")
