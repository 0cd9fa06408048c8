"""The paper's claims about which weights stay: layers, ties, collapse and histograms."""

from __future__ import annotations

import numpy as np

from ...study.trial import HISTOGRAM_CENTRES, Record
from .. import formatting
from .claim import ALL, SWEPT, Claim, Values, by_dataset, lead

_TABLE_5 = "table5_layer_compression"
_NOISE = 5  # points: what random pruning may stray in a layer of a thousand weights or more
_ALIKE = 2  # times: layers whose weights deviate less unequally are distributed alike


def _oddest_layer(record: Record) -> float | None:
    """How far, in points, the density of any layer of a thousand weights or more lies from that of the whole."""
    if record.density is None or not (large := [layer for layer in record.layers if layer.total >= 1000]):
        return None
    return 100 * max(abs(layer.kept / layer.total - record.density) for layer in large)


def _percent_of_parameters(record: Record) -> float | None:
    if not record.parameters or record.parameters_kept is None:
        return None
    return 100 * record.parameters_kept / record.parameters


def _zeros_beyond(record: Record) -> float | None:
    """Scores of exactly zero beyond the weights that go, in percent of all weights; negative if they are fewer."""
    zeros = [layer.zero_scores for layer in record.layers]
    total = sum(layer.total for layer in record.layers)
    if not total or None in zeros:
        return None
    return 100 * (sum(zero or 0 for zero in zeros) - sum(layer.total - layer.kept for layer in record.layers)) / total


def _live(record: Record) -> float | None:
    return None if record.effective_density is None else 100 * record.effective_density


def _width(record: Record) -> float | None:
    return _deviation(np.sum([layer.histogram for layer in record.layers], axis=0))


def _unlikeness(record: Record) -> float | None:
    widths = [_deviation(np.array(layer.histogram)) for layer in record.layers if layer.kept]
    return None if not widths or None in widths else max(w or 0 for w in widths) / min(w or 0 for w in widths)


def _peak(record: Record) -> float | None:
    return max((max(layer.histogram) for layer in record.layers), default=0) / 1e3 or None


def _deviation(counts: np.ndarray) -> float | None:
    """The standard deviation of weights that are known as counts in bins, spread evenly within each."""
    if not np.sum(counts):
        return None
    mean = np.average(HISTOGRAM_CENTRES, weights=counts)
    bin_width = HISTOGRAM_CENTRES[1] - HISTOGRAM_CENTRES[0]
    return float(np.sqrt(np.average((HISTOGRAM_CENTRES - mean) ** 2, weights=counts) + bin_width**2 / 12))


def _layers_alike(values: Values) -> tuple[float, str]:
    found = {d: values.by_pruner(d, 0.5) for d in SWEPT}
    most = max(max(line.values()) for line in found.values())
    return _NOISE - most, f"the layer furthest from the whole network's density, in points: {by_dataset(values, found)}"


def _datasets_alike(values: Values) -> tuple[float, str]:
    gaps = [abs(values.at("cifar10", 0.5, p) - values.at("cifar100", 0.5, p)) for p in formatting.PRUNERS]
    found = {d: values.by_pruner(d, 0.5) for d in SWEPT}
    return 0.01 - max(gaps), f"% of all parameters kept: {by_dataset(values, found, 2)}"


def _snip_fails(values: Values) -> tuple[float, str]:
    beyond = values.at("cifar100", 0.05, "snip")
    return beyond, f"scores of zero less weights to remove: {beyond:+.2f} % of all weights"


def _avoids_collapse(values: Values) -> tuple[float, str]:
    found = {(d, c): values.at(d, c, "synflow") for d in SWEPT for c in ALL}
    (dataset, compression), least = min(found.items(), key=lambda item: item[1])
    dead = [f"{values.name(d)} c = {c:g}" for (d, c), live in found.items() if live == 0]
    shown = f"the fewest live weights: {least:.2f} % ({values.name(dataset)}, c = {compression:g})"
    return (least or -1.0), shown + (f"; none at {', '.join(dead)}" if dead else "")


def _random_alike(values: Values) -> tuple[float, str]:
    found = {d: {"random": values.at(d, 0.5, "random")} for d in SWEPT}
    most = max(line["random"] for line in found.values())
    return _ALIKE - most, f"the widest layer over the narrowest: {by_dataset(values, found)}"


def _synflow_widest(values: Values) -> tuple[float, str]:
    found = {d: values.by_pruner(d, 0.5) for d in SWEPT}
    return min(
        lead(line, "synflow") for line in found.values()
    ), f"sd of all kept weights: {by_dataset(values, found, 3)}"


def _grasp_highest(values: Values) -> tuple[float, str]:
    found = {d: values.by_pruner(d, 0.5) for d in SWEPT}
    margin = min(lead(line, "grasp") for line in found.values())
    return margin, f"thousands of weights in the fullest bin: {by_dataset(values, found)}"


CLAIMS = (
    Claim(
        "SNIP cannot prune to c = 0.05 on CIFAR-100.",
        "II-A-b, Tables II to IV",
        "flops",
        _zeros_beyond,
        _snip_fails,
        "% of all weights",
        trained=False,
        explained="with a threshold that removes every tie; ties broken at random, it prunes to the exact count",
        datasets=("cifar100",),
    ),
    Claim(
        "SynFlow avoids the collapse of layers, which makes it faster and more successful.",
        "II-A-c",
        "flops",
        _live,
        _avoids_collapse,
        "% of all weights",
        trained=False,
    ),
    Claim(
        f"Every layer is compressed alike, whichever the pruner (within {_NOISE} points of the whole).",
        "II-B, Table V",
        "layers",
        _oddest_layer,
        _layers_alike,
        "points",
        trained=False,
    ),
    Claim(
        "The compression ratio is the same for both datasets.",
        "II-B, Table V",
        "layers",
        _percent_of_parameters,
        _datasets_alike,
        "points",
        trained=False,
        printed=_TABLE_5,
    ),
    Claim(
        "After random pruning, the weights of all layers are distributed alike (the widest layer less than twice as "
        "wide as the narrowest).",
        "II-B, Figures 2 and 3",
        "histograms",
        _unlikeness,
        _random_alike,
        "times",
    ),
    Claim(
        "SynFlow's weights are the most widely distributed.",
        "II-B, Figures 2 and 3",
        "histograms",
        _width,
        _synflow_widest,
        "(the weights' unit)",
    ),
    Claim(
        "GraSP has the highest peak.",
        "II-B, Figures 2 and 3",
        "histograms",
        _peak,
        _grasp_highest,
        "thousand weights",
    ),
)
