"""Findings about what pruning leaves: nothing here needs training."""

from __future__ import annotations

import math

import pandas as pd

from ...study.results import Results
from ...study.trial import Record
from .. import formatting
from ..audit import untestable
from ..statistics import half_width
from .finding import Finding, Row, at, cells, done, in_print, known, made, published_share, said, shown


def one_shot(results: Results) -> Finding:
    """Table IV's SynFlow column, and SynFlow's collapse, are of pruning in one shot."""
    steps = max((trial.prune_steps for trial in results.sections["described_flops"]), default=1)
    once, many = (results.frame(section) for section in ("flops", "described_flops"))
    trained = pd.concat([results.frame(section) for section in ("sweep", "described")]).drop_duplicates("id")
    trained_once, trained_many = trained[trained.prune_steps < steps], trained[trained.prune_steps == steps]
    rows: list[Row] = []
    for cell, group in cells(many):
        one = at(once, cell)
        rows.append(
            cell
            | {"published": published_share(cell)}
            | {"one_shot": _share(one), "in_steps": _share(group)}
            | {"one_shot_live": 100 * one.effective_density, "in_steps_live": 100 * group.effective_density}
            | {
                "one_shot_collapsed": f"{one.collapsed.eq(True).sum()} of {len(done(one, results))}",
                "in_steps_collapsed": f"{group.collapsed.eq(True).sum()} of {len(done(group, results))}",
            }
            | {"one_shot_top1": at(trained_once, cell).top1, "in_steps_top1": at(trained_many, cell).top1}
        )
    titles = {
        "published": "FLOPs kept, %: published",
        "one_shot": "FLOPs, one shot",
        "in_steps": f"FLOPs, {steps} steps",
        "one_shot_live": "Live, %: one shot",
        "in_steps_live": f"Live, {steps} steps",
        "one_shot_collapsed": "Collapsed: one shot",
        "in_steps_collapsed": f"Collapsed, {steps} steps",
        "one_shot_top1": "Top-1, %: one shot",
        "in_steps_top1": f"Top-1, {steps} steps",
    }
    caption = (
        f"SynFlow in one shot and in {steps} steps: FLOPs kept, in % of the unpruned network's; live weights, which "
        "lie on a path of kept weights from input to output, in % of all; networks without any such path (collapsed); "
        "and accuracy once trained."
    )
    apart = [row for row in rows if known(row["published"]) and _separate(row["one_shot"], row["in_steps"])]
    nearer = sum(
        abs(row["published"] - row["one_shot"].mean()) < abs(row["published"] - row["in_steps"].mean()) for row in apart
    )
    highest = [frame[frame.compression == frame.compression.max()] for frame in (at(once, {"pruner": "synflow"}), many)]
    collapsed, collapsed_in_steps = (int(frame.collapsed.eq(True).sum()) for frame in highest)
    # How many steps there were is what is under test; all else must be as in the paper.
    why = untestable(many.assign(prune_steps=1), trained=False) or untestable(at(once, {"pruner": "synflow"}), False)
    text = said(
        why or ("" if apart else "one shot and steps do not differ by more than their intervals"),
        nearer == len(apart) and collapsed > 0 == collapsed_in_steps,
        (
            f"Of the {len(apart)} published cells where one shot and {steps} steps differ by more than their "
            f"intervals, {nearer} lie nearer to one shot. "
            if apart
            else ""
        )
        + (
            f"At the highest compression, {collapsed} of {len(highest[0])} networks pruned in one shot collapsed, and "
            f"{collapsed_in_steps} of {len(highest[1])} in {steps} steps."
            if all(map(len, highest))
            else ""
        ),
    )
    return Finding(made(1, "one_shot", caption, rows, titles), text)


def tied_zeros(results: Results) -> Finding:
    """SNIP failed at the lowest compression because more scores are zero than weights are to go."""
    lowest = min((trial.compression for trial in results.sections["flops"]), default=math.nan)
    frame = results.frame("flops")
    rows: list[Row] = []
    for cell, group in cells(frame[(frame.compression == lowest) & (frame.pruner == "snip")]):
        counts = pd.DataFrame(
            [
                (sum(layer.zero_scores or 0 for layer in record.layers), *_weights(record), *_costs(record))
                for record in done(group, results)
                if all(layer.zero_scores is not None for layer in record.layers)
            ],
            columns=["zero", "kept", "total", "ours", "by_position"],
            dtype=float,
        )
        removed = counts.total - counts.kept
        rows.append(
            cell
            | {"zero": 100 * counts.zero / counts.total, "removed": 100 * removed / counts.total}
            | {"tied": int((counts.zero > removed).sum()), "seeds": len(counts)}
            | {"published": in_print("table4_flops", cell), "ours": counts.ours}
            | {"by_position": counts.by_position}
        )
    titles = {
        "zero": "Scores of zero, %",
        "removed": "To remove and removed, %",
        "tied": "Seeds with more zeros",
        "seeds": "Seeds",
        "published": "Million FLOPs: published",
        "ours": "Ours, ties at random",
        "by_position": "Ours, by position",
    }
    caption = (
        f"Weights whose SNIP score is exactly zero, in % of all, beside those that compression {lowest:g} removes. "
        "Where zeros are more, a threshold that takes every tie removes too many; ours breaks ties at random and "
        "removes the exact count. FLOPs: so, and if the ties of the earliest layers went first."
    )
    own = {row["dataset"]: row["tied"] == row["seeds"] for row in rows if row["seeds"]}
    snip = frame[(frame.pruner == "snip") & (frame.compression == lowest)]
    text = said(
        untestable(snip, trained=False) or ("" if {"cifar10", "cifar100"} <= own.keys() else "zeros were not counted"),
        own.get("cifar100", False) and not own.get("cifar10", True),
        "Seeds in which SNIP has more zeros than weights to remove: "
        + ", ".join(f"{formatting.DATASETS[row['dataset']]} {row['tied']} of {row['seeds']}" for row in rows)
        + f". The paper's run stopped on CIFAR-100 and not on CIFAR-10.{_ties(rows)}",
    )
    return Finding(made(3, "tied_zeros", caption, rows, titles, digits=2), text)


def not_by_layer(results: Results) -> Finding:
    """Table V's one number is the density of all parameters, biases included, and says nothing of layers."""
    frame = results.frame("layers")
    rows: list[Row] = []
    for cell, group in cells(frame):
        shares = pd.DataFrame([_densities(record) for record in done(group, results)], columns=list(_DENSITIES))
        rows.append(
            cell | {"published": in_print("table5_layer_compression", cell)} | {key: shares[key] for key in _DENSITIES}
        )
    titles = {"pruner": "Pruner", "published": "Published", **_DENSITIES}
    caption = (
        "Density in %: of all parameters, of all weights, and of the layers that keep the smallest and the largest "
        f"share, without and with their biases, which are never pruned ({formatting.seeds(frame)})."
    )
    exact = sum(abs(row["published"] - row["parameters"].mean()) < 0.005 for row in rows)
    least, most = (
        pick((row[key].mean() for row in rows), default=math.nan) for pick, key in ((min, "least"), (max, "most"))
    )
    text = said(
        untestable(frame, trained=False),
        exact == len(rows) and _uneven(rows),
        (
            f"The density of all parameters rounds to the published number in {exact} of {len(rows)} cells, while "
            "single "
            if any(known(row["published"]) for row in rows)
            else "Single "
        )
        + f"layers keep from {least:.1f} % to {most:.1f} % of their weights."
        if rows
        else "",
    )
    return Finding(made(6, "density", caption, rows, titles, digits=2), text)


def _uneven(rows: list[Row]) -> bool:
    """Whether, for some pruner, layers keep shares further apart than a factor of two."""
    return any(row["most"].mean() > 2 * row["least"].mean() for row in rows)


def _share(trials: pd.DataFrame) -> pd.Series:
    return 100 * trials.flops_kept.astype(float) / trials.flops.astype(float)


def _separate(first: pd.Series, second: pd.Series) -> bool:
    """Whether the 95 % intervals of two means lie apart."""
    return bool(abs(first.mean() - second.mean()) > half_width(first.dropna()) + half_width(second.dropna()))


_DENSITIES = {
    "parameters": "All parameters",
    "weights": "All weights",
    "least": "Least of a layer",
    "least_with_biases": "Least, with biases",
    "most": "Most of a layer",
    "most_with_biases": "Most, with biases",
}


def _weights(record: Record) -> tuple[int, int]:
    return sum(layer.kept for layer in record.layers), sum(layer.total for layer in record.layers)


def _ties(rows: list[Row]) -> str:
    """What the paper's FLOPs on CIFAR-10 say of its ties."""
    for row in rows:
        if row["dataset"] == "cifar10" and row["tied"]:
            return (
                f" It prints {row['published']:g} million FLOPs there; ours are {shown(row['ours'])} with ties broken "
                f"at random, and would be {shown(row['by_position'])} if the earliest layers lost theirs first."
            )
    return ""


def _costs(record: Record) -> tuple[float, float | None]:
    return (record.flops_kept or math.nan) / 1e6, _by_position(record)


def _by_position(record: Record) -> float | None:
    """Millions of FLOPs if, of scores of zero that are too many to go, those of the earliest layers went; else None."""
    removed = sum(layer.total - layer.kept for layer in record.layers)
    if record.flops is None or sum(layer.zero_scores or 0 for layer in record.layers) <= removed:
        return None
    left = float(record.flops)
    for layer in record.layers:
        gone = min(removed, layer.zero_scores or 0)
        left -= layer.flops * gone / layer.total
        removed -= gone
    return left / 1e6


def _densities(record: Record) -> dict[str, float]:
    assert record.parameters and record.parameters_kept
    kept, total = _weights(record)
    biases = record.parameters - total == sum(layer.channels for layer in record.layers)
    alone = [100 * layer.kept / layer.total for layer in record.layers]
    together = [100 * (layer.kept + layer.channels) / (layer.total + layer.channels) for layer in record.layers]
    together = together if biases else alone
    return {
        "parameters": 100 * record.parameters_kept / record.parameters,
        "weights": 100 * kept / total,
        "least": min(alone),
        "least_with_biases": min(together),
        "most": max(alone),
        "most_with_biases": max(together),
    }
