"""What the paper's numbers turn out to be: the evidence, a row a cell or kind. What it says is its reader's.

Means over seeds have beside them X_interval, half of the 95 % t interval, and X_seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..names import DATASETS
from ..study.results import Results
from ..study.statistics import CELL, over_seeds
from ..study.trial import Record
from . import protocol
from .numbers import UNPRUNED_MILLIONS, elsewhere, others

INFERENCE_IMAGES = DATASETS["cifar10"].test


def one_shot(results: Results) -> pd.DataFrame:
    """Return SynFlow in one step beside many: FLOPs kept and live weights in percent, collapsed networks, top-1.

    published: the paper's FLOPs in percent of the unpruned network's; apart: the two differ by more than their
    intervals; nearer: print is nearer to one step.
    """
    once, many = (results.frame(section).query("status == 'ok'") for section in ("flops", "described_flops"))
    trained = pd.concat([results.frame(section) for section in ("sweep", "described")]).drop_duplicates("id")
    rows = []
    for cell, group in _cells(many[many.pruner == "synflow"]):
        unpruned = UNPRUNED_MILLIONS.get(cell["dataset"], math.nan)
        row: dict[str, Any] = cell | {"steps": int(group.prune_steps.max())}
        row |= {"published": 100 * _in_print(_at(once, cell), "IV") / unpruned}
        for name, trials in {"one": _at(once, cell), "many": group}.items():
            steps = _at(trained, cell)
            steps = steps[(steps.prune_steps == 1) == (name == "one")]
            row |= over_seeds(name, 100 * trials.flops_kept.astype(float) / trials.flops.astype(float))
            row |= over_seeds(f"{name}_live", 100 * trials.effective_density.astype(float))
            row |= {f"{name}_collapsed": int(trials.collapsed.eq(True).sum()), f"{name}_runs": len(trials)}
            row |= over_seeds(f"{name}_top1", steps.top1)
        row["apart"] = abs(row["one"] - row["many"]) > row["one_interval"] + row["many_interval"]
        row["nearer"] = abs(row["published"] - row["one"]) < abs(row["published"] - row["many"])
        rows.append(row)
    return pd.DataFrame(rows)


def magnitude(results: Results) -> pd.DataFrame:
    """Return magnitude pruning's FLOPs on the CIFARs in millions: in print, ours at initialisation, and others'.

    untrained, pretrained: the mean of what others had who pruned at initialisation, and after training.
    """
    theirs = others()[(others().quantity == "flops_millions") & (others().pruner == "magnitude")]
    rows = []
    for cell, group in _cells(
        _at(results.frame("flops").query("status == 'ok'"), {"pruner": "magnitude", "pre_epochs": 0})
    ):
        if not math.isnan(number := _in_print(group, "IV")):
            same = _at(theirs, cell)
            means = {"untrained": same[same.pre_epochs == 0], "pretrained": same[same.pre_epochs > 0]}
            row = cell | {"published": number}
            row |= over_seeds("ours", group.flops_kept.astype(float) / 1e6)
            rows.append(row | {name: found.value.mean() for name, found in means.items()})
    return pd.DataFrame(rows)


def pretraining(results: Results) -> pd.DataFrame:
    """Return top-1 of magnitude pruning by epochs before it, where some were run, and the seconds of such trials."""
    frames = [results.frame(section) for section in ("comparison", "sweep", "described")]
    frame = pd.concat(frames).drop_duplicates("id").query("pruner == 'magnitude' and status == 'ok'")
    pretrained = set(map(tuple, frame.loc[frame.pre_epochs > 0, CELL].to_numpy()))
    rows = []
    for (*key, epochs), group in frame.groupby([*CELL, "pre_epochs"], sort=True):
        if tuple(key) in pretrained:
            cell = dict(zip(CELL, key, strict=True))
            table = "I" if cell["model"] == "fc" else "II"
            row = cell | {"epochs": epochs, "published": _in_print(group, table)}
            rows.append(row | over_seeds("top1", group.top1) | over_seeds("seconds", group.seconds))
    return pd.DataFrame(rows)


def tied_zeros(results: Results) -> pd.DataFrame:
    """Return SNIP's scores of exactly zero beside the weights that the lowest compression removes, in percent.

    A row a dataset and machine, on which rounding depends: more: seeds with more zeros than weights to go; FLOPs in
    millions: ours, ties broken at random, and by_position, if those of the earliest layers went first.
    """
    frame = results.frame("flops")
    frame = frame[(frame.pruner == "snip") & (frame.compression == frame.compression.min()) & (frame.status == "ok")]
    rows = []
    for (*key, machine), group in frame.groupby([*CELL, "machine"], sort=False):
        cell = dict(zip(CELL, key, strict=True))
        records = [one for id_ in group.id if (one := results.records[id_]).layers]
        counts = pd.DataFrame(
            [(*_zeros(one), (one.flops_kept or math.nan) / 1e6, _by_position(one)) for one in records],
            columns=["zero", "removed", "ours", "by_position"],
        ).astype(float)
        counts = counts.dropna(subset="zero")
        if counts.empty:
            continue
        row = cell | {"machine": machine, "published": _in_print(group, "IV")}
        row |= {"more": int((counts.zero > counts.removed).sum()), "runs": len(counts)}
        rows.append(row | {k: v for name in counts for k, v in over_seeds(str(name), counts[name]).items()})
    return pd.DataFrame(rows)


def stages(results: Results) -> pd.DataFrame:
    """Return where a trial's seconds go, a row a dataset: median in print, the whole, score, train, test, inference.

    Means over the section's trials; inference: of CIFAR's ten thousand test images.
    """
    frame = results.frame("timing").query("status == 'ok'")
    rows = []
    for (dataset, model), group in frame.groupby(["dataset", "model"], sort=False):
        in_print = protocol.beside(group, "III").drop_duplicates(CELL).published
        row = {"dataset": dataset, "model": model, "published": in_print.median()}
        row |= {stage: group[f"{stage}_seconds"].mean() for stage in ("score", "train", "test")}
        rows.append(row | {"trial": group.seconds.mean(), "inference": INFERENCE_IMAGES * group.latency.mean()})
    return pd.DataFrame(rows)


def inference_elsewhere() -> pd.DataFrame:
    """Return the seconds that a test of CIFAR-10 took others, a row a source: least, most, and of how many runs."""
    rows = others()[(others().quantity == "test_seconds") & (others().dataset == "cifar10")].dropna(subset="value")
    return rows.groupby("source").value.agg(least="min", most="max", runs="size").reset_index()


def densities(results: Results) -> pd.DataFrame:
    """Return densities in percent beside Table V: parameters, weights, the layers that keep least and most."""
    rows = []
    for cell, group in _cells(results.frame("layers").query("status == 'ok'")):
        records = [one for id_ in group.id if (one := results.records[id_]).layers and one.parameters]
        found = pd.DataFrame([_densities(one) for one in records])
        row = cell | {"published": _in_print(group, "V")}
        rows.append(row | {k: v for name in found for k, v in over_seeds(str(name), found[name]).items()})
    return pd.DataFrame(rows)


def signals(results: Results) -> pd.DataFrame:
    """Return a row a trained network: CELL, seed, share, at_init, started.

    share: how much its logits depend on the image before training, of the unpruned network's; inf where they overflow.
    """
    frames = [results.frame(section) for section in ("sweep", "unpruned", "comparison")]
    frame = pd.concat(frames).drop_duplicates("id").query("status == 'ok' and at_init != '' and pre_epochs == 0")
    frame = frame.dropna(subset="top1")
    share = frame.signal.astype(float).fillna(math.inf) / frame.dense_signal.astype(float)
    return frame[[*CELL, "seed", "at_init", "started", "top1"]].assign(share=share).reset_index(drop=True)


def reaugmented(results: Results) -> pd.DataFrame:
    """Return GraSP's millions of FLOPs with the same images in both passes and with images augmented anew.

    moved: anew less same, paired on seeds; others: the mean elsewhere.
    """
    once, anew = (results.frame(section).query("status == 'ok'") for section in ("flops", "reaugmented"))
    theirs = elsewhere("flops_millions")
    rows = []
    for cell, group in _cells(anew):
        same, other = (trials.set_index("seed").flops_kept.astype(float) / 1e6 for trials in (_at(once, cell), group))
        row = cell | {"published": _in_print(_at(once, cell), "IV")}
        row |= over_seeds("same", same) | over_seeds("anew", other) | over_seeds("moved", (other - same).dropna())
        rows.append(row | {"others": _at(theirs, cell).value.mean()})
    return pd.DataFrame(rows)


def _cells(frame: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    for key, group in frame.groupby(CELL, sort=False):
        yield dict(zip(CELL, key, strict=True)), group


def _at(frame: pd.DataFrame, cell: dict[str, Any]) -> pd.DataFrame:
    return frame[(frame[list(cell)] == pd.Series(cell)).all(axis=1)]


def _in_print(group: pd.DataFrame, table: str) -> float:
    """What the paper's table has for a cell of a section's frame, NaN where its runs are of another protocol."""
    return float(protocol.beside(group, table).published.iloc[0]) if len(group) else math.nan


def _zeros(record: Record) -> tuple[float, float]:
    """Scores of exactly zero, and weights removed, in percent of all weights; NaN where zeros were not counted."""
    total = sum(layer.total for layer in record.layers)
    zeros = [layer.zero_scores for layer in record.layers]
    count = math.nan if None in zeros else sum(zero or 0 for zero in zeros)
    return 100 * count / total, 100 * sum(layer.total - layer.kept for layer in record.layers) / total


def _by_position(record: Record) -> float:
    """Millions of FLOPs if, of scores of zero that are too many to go, those of the earliest layers went; else NaN."""
    removed = sum(layer.total - layer.kept for layer in record.layers)
    if record.flops is None or sum(layer.zero_scores or 0 for layer in record.layers) <= removed:
        return math.nan
    left = float(record.flops)
    for layer in record.layers:
        gone = min(removed, layer.zero_scores or 0)
        left -= layer.flops * gone / layer.total
        removed -= gone
    return left / 1e6


def _densities(record: Record) -> dict[str, float]:
    assert record.parameters and record.parameters_kept
    kept, total = (sum(getattr(layer, what) for layer in record.layers) for what in ("kept", "total"))
    alone = [100 * layer.kept / layer.total for layer in record.layers]
    return {
        "parameters": 100 * record.parameters_kept / record.parameters,
        "weights": 100 * kept / total,
        "least": min(alone),
        "most": max(alone),
    }
