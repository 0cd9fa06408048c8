"""A network pruned at initialisation by two pruners, side by side: what each keeps of every layer, and how it scores.

What the explorer shows. Nothing is recorded: a look is made anew from the seed, in a second or two.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from .. import masks, metrics
from ..study import runner
from ..study.artifacts import Artifacts
from ..study.trial import Trial
from . import formatting
from .figures import Figure, styles_of
from .table import Table

_MOST_DRAWN = 200_000  # scores, evenly taken


@dataclass(frozen=True)
class Look:
    """A trial's network as it is pruned: masks, their health, its FLOPs, and scores with the lowest that is kept."""

    trial: Trial
    kept: masks.Masks
    health: masks.Health
    flops: pd.DataFrame
    scores: np.ndarray
    threshold: float

    @property
    def name(self) -> str:
        return formatting.PRUNERS[self.trial.pruner]


def look(trial: Trial, artifacts: Artifacts) -> Look:
    """Return what `trial`, of one prune step, does to its network before it is trained; raises what the rooms raise."""
    (scores, _), _ = artifacts.scores(trial)
    (dense, _), _ = artifacts.network(trial)
    shape = artifacts.data(trial)[0].image_shape
    (kept, _), _ = runner.prune(trial, artifacts)
    threshold = min(float(scores[name][mask].min()) for name, mask in kept.items() if mask.any())
    every = -(-sum(score.numel() for score in scores.values()) // _MOST_DRAWN)
    drawn = np.concatenate([score.flatten()[::every].cpu().numpy() for score in scores.values()])
    return Look(trial, kept, masks.health(dense, kept, shape), metrics.flops(dense, kept, shape), drawn, threshold)


def table(looks: list[Look]) -> Table:
    """Return what each pruner keeps of each layer and of the whole: density, dead channels, FLOPs."""
    parts = [_rows(one) for one in looks]
    tidy = pd.concat(parts, ignore_index=True)
    wide = parts[0][["layer", "weights"]].rename(columns=str.capitalize)
    wide["Weights"] = wide.Weights.map(formatting.number)
    for one, rows in zip(looks, parts, strict=True):
        wide[f"{one.name}: density, %"] = rows.density.map("{:.2f}".format)
        wide[f"{one.name}: on a path, %"] = rows.effective.map("{:.2f}".format)
        wide[f"{one.name}: dead channels"] = rows.dead.map("{:,}".format) + " of " + rows.channels.map("{:,}".format)
        wide[f"{one.name}: MFLOPs"] = (rows.flops_kept / 1e6).map("{:.3f}".format)
    first = looks[0].trial
    total = int(looks[0].flops.flops.sum()) / 1e6
    fates = [
        f"{one.name} {'severs input from output' if one.health.collapsed else 'does not collapse'}" for one in looks
    ]
    caption = (
        f"{formatting.model(first.model)} for {formatting.DATASETS[first.dataset]}, pruned at initialisation to "
        "density "
        f"{first.density:.2%} (compression {first.compression:g}), seed {first.seed}. Not pruned, it takes {total:.3f} "
        f"million FLOPs an image, biases and normalisation included. {'; '.join(fates)}."
    )
    return Table("look", "Layers", caption, tidy, wide)


def figure(looks: list[Look]) -> Figure:
    """Return each layer's density by pruner, and the distribution of each one's scores with its threshold."""
    drawing = Drawing(figsize=(9, 3.2), layout="constrained")
    layers, *panels = drawing.subplots(1, 1 + len(looks))
    parts = []
    style = styles_of(one.trial.pruner for one in looks)
    for axes, one in zip(panels, looks, strict=True):
        rows = _rows(one)[:-1]
        own = style[one.trial.pruner]
        layers.plot(rows.layer, rows.density.where(rows.density > 0), label=one.name, ms=4, lw=1.3, **own)
        counts, edges = _histogram(one.scores)
        _scores(axes, one, counts, edges, own["color"])
        parts.append(pd.DataFrame({"pruner": one.trial.pruner, "from": edges[:-1], "to": edges[1:], "scores": counts}))
    layers.set(yscale="log", ylabel="density of a layer, %", ylim=(None, 130))
    layers.yaxis.set_major_formatter("{x:g}")
    layers.tick_params(axis="x", rotation=90, labelsize="small")
    layers.legend(fontsize="small")
    names = " and ".join(one.name for one in looks)
    caption = (
        f"Left: what {names} keep of each layer (no mark: nothing). Right: how their scores other than 0 are "
        "distributed; the line is the lowest score that is kept."
    )
    alt = f"Density by layer, and histograms of scores with their thresholds, for {names}."
    return Figure("look", "Scores", caption, alt, pd.concat(parts, ignore_index=True), drawing)


def learning(looks: list[Look], artifacts: Artifacts) -> Iterator[Table]:
    """Train each look's network as its trial says; yield the table of top-1 accuracies after every epoch of either."""
    rows: dict[tuple[int, str], float] = {}
    for one in looks:
        (dense, _), _ = artifacts.network(one.trial)
        for (row,) in artifacts.epochs(one.trial, copy.deepcopy(dense), one.kept, one.trial.post_epochs):
            rows[int(row["epoch"]), one.name] = row["top1"]
            yield _learnt(looks, rows)


def _learnt(looks: list[Look], rows: dict[tuple[int, str], float]) -> Table:
    tidy = pd.DataFrame(
        [(epoch, name, top1) for (epoch, name), top1 in rows.items()], columns=["epoch", "pruner", "top1"]
    )
    wide = tidy.pivot(index="epoch", columns="pruner", values="top1").reindex(columns=list(dict.fromkeys(tidy.pruner)))
    wide = wide.map(formatting.estimate, interval=float("nan")).rename_axis(columns=None).reset_index()
    first = looks[0].trial
    images = "all" if first.train_subset is None else f"{first.train_subset:,}"
    caption = f"Top-1 test accuracy in % after each epoch on {images} training images."
    return Table("learning", "Learning", caption, tidy, wide.rename(columns={"epoch": "Epoch"}))


def _rows(one: Look) -> pd.DataFrame:
    """Return a row a layer, and one of them all."""
    costs = one.flops.set_index("name").flops_kept
    frame = pd.DataFrame(map(vars, one.health.layers.values()))
    frame.insert(0, "layer", [name.removesuffix(".weight") for name in one.health.layers])
    frame["flops_kept"] = [int(costs[name]) for name in one.health.layers]
    frame.loc[len(frame)] = ["all", *frame.iloc[:, 1:-1].sum(), int(one.flops.flops_kept.sum())]
    frame = frame.rename(columns={"total": "weights", "dead_channels": "dead"})
    frame["density"] = 100 * frame.kept / frame.weights
    frame["effective"] = 100 * frame.effective / frame.weights
    return frame.assign(pruner=one.trial.pruner)


def _histogram(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of scores but 0 in bins even in their logarithm, on both sides of 0 where some lie below it."""
    sizes = np.abs(scores[scores != 0]).astype(float)
    if not sizes.size:
        return np.zeros(1, int), np.array([0.5, 1.0])
    low, high = np.quantile(sizes, 0.001), sizes.max()
    edges = np.geomspace(min(low, high / 10), high * (1 + 1e-6), 41)
    if (scores < 0).any():
        edges = np.concatenate([-edges[::-1], edges])
    return np.histogram(scores[scores != 0], edges)[0], edges


def _scores(axes: Axes, one: Look, counts: np.ndarray, edges: np.ndarray, colour: str) -> None:
    zeros = float((one.scores == 0).mean())
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.6)
    if edges[0] < 0:
        axes.set_xscale("symlog", linthresh=float(edges[len(edges) // 2]))
        large = 10 ** math.floor(math.log10(edges[-1]))
        axes.set_xticks([-large, -large / 1000, 0, large / 1000, large])
        axes.minorticks_off()
    else:
        axes.set_xscale("log")
    axes.axvline(one.threshold, color="0.2", lw=1.2)
    note = f" ({zeros:.1%} are 0)" if zeros else ""
    axes.set(title=one.name, yticks=[], xlabel=f"score{note}", ylabel="scores in a bin")
