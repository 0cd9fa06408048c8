"""Our runs, as claims look at them: one number a run, with the paper's cell, what it shares and what it varies like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...study.params import Section
from ...study.results import Results
from ...study.statistics import CELL
from ...study.trial import HISTOGRAM_CENTRES, Record
from ..protocol import DESCRIBED_PRE_EPOCHS, as_printed, unlike
from ..readings import PARTS, runs

Of = Callable[[Results], pd.DataFrame]  # columns CELL, seed, value, unlike, started, pool, cell, cluster


def accuracy(results: Results) -> pd.DataFrame:
    """Return top-1, top-5 of a hundred classes, in percent, as the paper prints them.

    Magnitude as the paper's FLOPs show it: on the CIFARs at initialisation; on MNIST after 100 epochs, as it says.
    """
    frame = runs(results, PARTS[1])
    described = np.where((frame.pruner == "magnitude") & (frame.model == "fc"), DESCRIBED_PRE_EPOCHS, 0)
    frame = frame[frame.pre_epochs == described]
    return frame.assign(value=as_printed(frame))


def highest(results: Results) -> pd.DataFrame:
    """Return such accuracies, of each cell the highest of its runs."""
    frame = accuracy(results)
    known = frame.value.where((frame.unlike == "") & frame.started)
    return frame.assign(value=known.groupby(frame.cell).transform("max").fillna(frame.value))


def seconds(results: Results) -> pd.DataFrame:
    """Return the seconds of whole trials that ran one at a time."""
    return _of("timing", lambda record: record.trial_seconds)(results)


def flops(results: Results) -> pd.DataFrame:
    """Return millions of FLOPs of the pruned network for one image."""
    return _of("flops", lambda record: None if record.flops_kept is None else record.flops_kept / 1e6)(results)


def zeros_beyond(results: Results) -> pd.DataFrame:
    """Return scores of exactly zero beyond the weights that go, in percent of all weights; negative if fewer."""
    return _of("flops", _zeros_beyond)(results)


def live(results: Results) -> pd.DataFrame:
    """Return the weights on a path from input to output, in percent of all."""
    return _of("flops", lambda one: None if one.effective_density is None else 100 * one.effective_density)(results)


def oddest_layer(results: Results) -> pd.DataFrame:
    """Return how far, in points, the density of any layer of a thousand weights or more lies from the whole's."""
    return _of("layers", _oddest_layer)(results)


def parameters(results: Results) -> pd.DataFrame:
    """Return the parameters kept, biases among them, in percent."""
    return _of("layers", _parameters)(results)


def unlikeness(results: Results) -> pd.DataFrame:
    """Return how many times as wide the widest layer's weights are distributed as the narrowest's, after training."""
    return _of("histograms", _unlikeness, trained=True)(results)


def width(results: Results) -> pd.DataFrame:
    """Return the standard deviation of all kept weights after training."""
    return _of("histograms", lambda record: _deviation(np.sum([one.histogram for one in record.layers], axis=0)), True)(
        results
    )


def peak(results: Results) -> pd.DataFrame:
    """Return thousands of weights in the fullest bin of any layer, after training."""
    return _of("histograms", lambda one: max((max(layer.histogram) for layer in one.layers), default=0) / 1e3, True)(
        results
    )


def _of(section: Section, value: Callable[[Record], float | None], trained: bool = False) -> Of:
    """Runs of a section: FLOPs and layers vary by pruner and compression, seconds by dataset, trained weights alike."""

    def found(results: Results) -> pd.DataFrame:
        frame = results.frame(section)
        values = [
            value(results.records[id_]) if status == "ok" else None
            for id_, status in zip(frame.id, frame.status, strict=True)
        ]
        why = unlike(frame, trained or section == "timing", timed=section == "timing")
        why[(why == "") & (frame.pre_epochs > 0)] = "pruned after training"
        text = frame[[*CELL, "seed"]].astype(str)
        pools = {"timing": ["dataset"], "histograms": []}.get(section, ["model", "pruner", "compression"])
        return frame.assign(
            value=pd.Series(values, frame.index, dtype=float),
            unlike=why,
            started=frame.started if trained else True,
            pool=text[pools].agg("/".join, axis=1) if pools and len(text) else "",
            cell=text.dataset + text.model + text.pruner + text.compression,
            cluster=text.seed,
        )

    return found


def _zeros_beyond(record: Record) -> float | None:
    zeros = [layer.zero_scores for layer in record.layers]
    total = sum(layer.total for layer in record.layers)
    if not total or None in zeros:
        return None
    return 100 * (sum(zero or 0 for zero in zeros) - sum(layer.total - layer.kept for layer in record.layers)) / total


def _oddest_layer(record: Record) -> float | None:
    if record.density is None or not (large := [layer for layer in record.layers if layer.total >= 1000]):
        return None
    return 100 * max(abs(layer.kept / layer.total - record.density) for layer in large)


def _parameters(record: Record) -> float | None:
    if not record.parameters or record.parameters_kept is None:
        return None
    return 100 * record.parameters_kept / record.parameters


def _unlikeness(record: Record) -> float | None:
    widths = [_deviation(np.array(layer.histogram)) for layer in record.layers if layer.kept]
    known = [one for one in widths if one]
    return max(known) / min(known) if known and len(known) == len(widths) else None


def _deviation(counts: np.ndarray) -> float | None:
    """The standard deviation of weights that are known as counts in bins, spread evenly within each."""
    if not np.sum(counts):
        return None
    mean = np.average(HISTOGRAM_CENTRES, weights=counts)
    bin_width = HISTOGRAM_CENTRES[1] - HISTOGRAM_CENTRES[0]
    return float(np.sqrt(np.average((HISTOGRAM_CENTRES - mean) ** 2, weights=counts) + bin_width**2 / 12))
