"""Trial -> Record: the one path through the method."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from .. import compaction, masks, metrics, models, plugins, pruners, training
from ..batches import stream
from ..names import UNPRUNED
from .artifacts import Artifacts, Data, Ties, noise
from .machine import Cost
from .trial import Epoch, Layer, Record, Trial

STAGES = ("data", "pretrain", "score", "train", "test", "measure")


def run_trial(trial: Trial, artifacts: Artifacts | None = None, where: dict[str, Any] | None = None) -> Record:
    """Run `trial` and return its record; raises what the method raises, and UserError for what a user edited since.

    Load data -> build from the seed -> train before pruning, if asked -> score -> mask -> check the masks' health ->
    train -> evaluate -> measure. A trial that trains nothing is not evaluated: its accuracy would mean nothing.
    """
    trial.check_sources()
    return run_and_keep(trial, artifacts or Artifacts(), where)[0]


def run_and_keep(
    trial: Trial, artifacts: Artifacts, where: dict[str, Any] | None = None
) -> tuple[Record, nn.Module, masks.Masks]:
    """Run `trial` and return its record, the network that was pruned and trained, and its masks."""
    where = dict(where or {})
    if (precision := artifacts.precision(trial)) != trial.precision:
        where["precision"] = precision
    with plugins.torch_defaults_kept(shipped=True):  # a notebook may have set others
        one = _pruned(trial, artifacts)
        curve, cost = artifacts.measured(lambda: list(artifacts.epochs(trial, one.net, one.kept, trial.post_epochs)))
        return _record(one, curve, cost.peak_memory, artifacts, where), one.net, one.kept


@dataclass(frozen=True)
class _Pruned:
    """A trial about to be trained: its network, masks, and what is known so far. Costs go by stage."""

    trial: Trial
    data: Data
    net: nn.Module
    kept: masks.Masks
    ties: Ties | None
    pre_curve: list[dict[str, float]]
    health: masks.Health
    flops: Any
    signal: float
    dense_signal: float
    costs: dict[str, Cost]


def _pruned(trial: Trial, artifacts: Artifacts) -> _Pruned:
    data, data_cost = artifacts.data(trial)
    (dense, pre_curve), pretrain_cost = artifacts.network(trial)
    (kept, ties), score_cost = prune(trial, artifacts)
    dense_signal, dense_cost = artifacts.signal(trial)
    net = artifacts.drawn(trial, "init, again") if trial.control == "reinitialised" else copy.deepcopy(dense)
    masks.apply(net, kept)
    (health, flops, signal), cost = artifacts.measured(
        lambda: (
            masks.health(dense, kept, data.image_shape),
            metrics.flops(dense, kept, data.image_shape),
            metrics.signal(net, data.few),
        )
    )
    costs = {"data": data_cost, "pretrain": pretrain_cost, "score": score_cost, "measure": dense_cost + cost}
    return _Pruned(trial, data, net, kept, ties, pre_curve, health, flops, signal, dense_signal, costs)


def _record(
    one: _Pruned, curve: list[dict[str, float]], train_peak: int | None, artifacts: Artifacts, where: dict[str, Any]
) -> Record:
    trial, health = one.trial, one.health
    final: dict[str, float] = curve[-1] if curve else {}
    if one.pre_curve and not curve:
        images = one.data.test.in_order(training.evaluation_batch(artifacts.device))
        final = metrics.evaluate(one.net, images, artifacts.precision(trial))
    (histograms, latency, (flops_compacted, by_form)), measure_cost = artifacts.measured(
        lambda: (
            metrics.histograms(one.net, one.kept),
            metrics.latency(one.net, one.data.few, artifacts.precision(trial)) if final else None,
            _speedup(one.net, one.kept, one.data.few) if trial.measure_speedup else (None, {}),
        )
    )
    seconds = {stage: cost.seconds for stage, cost in one.costs.items()}
    seconds |= {stage: sum(row[f"{stage}_seconds"] for row in curve) for stage in ("train", "test")}
    seconds["measure"] += measure_cost.seconds
    peaks = {stage: cost.peak_memory for stage, cost in one.costs.items()} | {"train": train_peak}
    return Record(
        id=trial.id,
        trial=trial,
        status="ok",
        top1=final.get("top1"),
        top5=final.get("top5"),
        pre_curve=[Epoch.model_validate(row) for row in one.pre_curve],
        curve=[Epoch.model_validate(row) for row in curve],
        density=health.density,
        effective_density=health.effective_density,
        collapsed=health.collapsed,
        signal=one.signal if math.isfinite(one.signal) else None,
        dense_signal=one.dense_signal if math.isfinite(one.dense_signal) else None,
        tied_scores=one.ties.share if one.ties else None,
        flops=int(one.flops.flops.sum()),
        flops_kept=int(one.flops.flops_kept.sum()),
        parameters=int(one.flops.total.sum()),
        parameters_kept=int(one.flops.kept.sum()),
        layers=_layers(health, one.flops.set_index("name"), histograms, one.ties),
        seconds={stage: seconds[stage] for stage in STAGES},
        peak_memory={stage: peak for stage in STAGES if (peak := peaks.get(stage)) is not None},
        latency=latency,
        flops_compacted=flops_compacted,
        latency_by_form=by_form,
        where=where,
        finished=datetime.now(UTC),
    )


def _speedup(net: nn.Module, kept: masks.Masks, images: Tensor) -> tuple[int | None, dict[str, float]]:
    """Return the FLOPs of the compacted network for an image, and the seconds an image takes, ten at a time, by form.

    `net` is the masked network, `kept` its masks. Forms: masked, and compacted if compaction knows all its layers.
    """
    images, shape = images[:10], (images.shape[1], images.shape[2], images.shape[3])
    seconds = {"masked": metrics.latency(net, images, passes=9)}
    try:
        small = compaction.compact(net, kept, shape).net
    except ValueError:
        return None, seconds
    return int(metrics.flops(small, {}, shape).flops.sum()), seconds | {
        "compacted": metrics.latency(small, images, passes=9)
    }


def prune(trial: Trial, artifacts: Artifacts) -> tuple[tuple[masks.Masks, Ties | None], Cost]:
    """Return the trial's masks, which of its scores are equal (of pruning in one step only), and what it cost.

    Raises ValueError for a control of collapsed masks: what does not compute anything has no choice to be destroyed.
    """
    (kept, equal), cost = _chosen(trial, artifacts)
    if trial.control != "none":
        (data, _), ((dense, _), _) = artifacts.data(trial), artifacts.network(trial)
        if masks.health(dense, kept, data.image_shape).collapsed:
            raise ValueError("its own mask is collapsed, so a control of it would tell nothing; lower the compression")
    if trial.control == "shuffled":
        kept = masks.shuffled(kept, stream(trial.seed, "shuffle"))
    return (kept, equal), cost


def _chosen(trial: Trial, artifacts: Artifacts) -> tuple[tuple[masks.Masks, Ties | None], Cost]:
    """Return what `prune` does, before any control."""
    if trial.pruner == UNPRUNED:
        (dense, _), _ = artifacts.network(trial)
        weights = models.prunable(dense).items()
        kept, cost = artifacts.measured(lambda: {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights})
        return (kept, None), cost
    ties = stream(trial.seed, "ties")
    if trial.prune_steps == 1:  # one set of scores serves every compression
        (scores, equal), scored = artifacts.scores(trial)
        kept, ranked = artifacts.measured(lambda: masks.from_scores(scores, trial.density, trial.scope, ties=ties))
        return (kept, equal), scored + ranked
    examples = artifacts.examples(trial)
    kept, cost = artifacts.measured(
        lambda: pruners.prune(
            trial.pruner,
            *examples,
            trial.density,
            trial.prune_steps,
            trial.schedule,
            trial.scope,
            trial.scoring_batch_size,
            noise(trial),
            ties,
            artifacts.augmented_anew(trial),
        )
    )
    return (kept, None), cost


def _layers(health: masks.Health, costs: Any, histograms: dict[str, list[int]], ties: Ties | None) -> list[Layer]:
    return [
        Layer(
            name=name,
            zero_scores=ties.zeros[name] if ties else None,
            flops=int(costs.flops[name]),
            flops_kept=int(costs.flops_kept[name]),
            histogram=histograms[name],
            **vars(layer),
        )
        for name, layer in health.layers.items()
    ]
