"""Trial -> Record: the one path through the rooms, and what trials share on the way."""

import copy
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import batches, datasets, masks, metrics, models, pruners, training
from .trial import Epoch, Layer, Record, Trial


def run_trial(trial: Trial, shared: "Shared | None" = None, where: dict[str, Any] | None = None) -> Record:
    """Run `trial` and return its record; raises what the rooms raise.

    Load data -> build from the seed -> train before pruning, if asked -> score -> mask -> check the masks' health ->
    train -> evaluate -> measure. A trial that trains nothing is not evaluated: its accuracy would mean nothing.
    """
    shared = shared or Shared()
    data, data_seconds = shared.data(trial)
    (dense, pre_curve), pretrain_seconds = shared.network(trial)
    (kept, zero_scores), score_seconds = _prune(trial, dense, data, shared)

    start = time.perf_counter()
    health = masks.health(dense, kept, data.image_shape)
    costs = metrics.flops(dense, kept, data.image_shape)
    measure_seconds = time.perf_counter() - start

    net = copy.deepcopy(dense)
    masks.apply(net, kept)
    curve = _train(trial, net, kept, data, trial.post_epochs, "")
    final: dict[str, float] = curve[-1] if curve else {}
    if pre_curve and not curve:
        final = metrics.evaluate(net, data.test.in_order(training.EVALUATION_BATCH), trial.precision)

    start = time.perf_counter()
    layers = _layers(health, costs.set_index("name"), metrics.histograms(net, kept), zero_scores)
    measure_seconds += time.perf_counter() - start
    return Record(
        id=trial.id,
        trial=trial,
        status="ok",
        top1=final.get("top1"),
        top5=final.get("top5"),
        pre_curve=[Epoch.model_validate(row) for row in pre_curve],
        curve=[Epoch.model_validate(row) for row in curve],
        density=health.density,
        effective_density=health.effective_density,
        collapsed=health.collapsed,
        flops=int(costs.flops.sum()),
        flops_kept=int(costs.flops_kept.sum()),
        parameters=int(costs.total.sum()),
        parameters_kept=int(costs.kept.sum()),
        layers=layers,
        seconds={
            "data": data_seconds,
            "pretrain": pretrain_seconds,
            "score": score_seconds,
            "train": sum(row["train_seconds"] for row in curve),
            "test": sum(row["test_seconds"] for row in curve),
            "measure": measure_seconds,
        },
        inference_seconds=final.get("test_seconds"),
        where=where or {},
        finished=datetime.now(UTC),
    )


def stream(seed: int, name: str) -> torch.Generator:
    """Return the CPU generator of the named random stream: each stage has its own, so none disturbs another."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


@dataclass(frozen=True)
class Data:
    """A dataset on the device, as a trial sees it."""

    train: batches.Batches
    test: batches.Batches
    image_shape: tuple[int, int, int]
    num_classes: int


class Shared:
    """What trials have in common, made once: data on the device, pretrained networks, one-shot scores.

    Only the latest of each kind is held, so run trials in an order that keeps like beside like. Each method returns the
    thing and the seconds that making it took, now or earlier: what a trial costs does not depend on who went first.
    """

    def __init__(self, data_dir: Path | str | None = None, device: str = "cpu"):
        self.data_dir = data_dir
        self.device = device
        self._latest: dict[str, tuple[Hashable, tuple[Any, float]]] = {}

    def data(self, trial: Trial) -> tuple[Data, float]:
        return self._once("data", _data_key(trial), lambda: _load(trial, self))

    def network(self, trial: Trial) -> tuple[tuple[nn.Module, list[dict[str, float]]], float]:
        """The network as it stands before pruning, and the learning curve that led there."""

        def make() -> tuple[nn.Module, list[dict[str, float]]]:
            data, _ = self.data(trial)
            net: nn.Module = models.build(
                trial.model, data.image_shape, data.num_classes, trial.width, stream(trial.seed, "init")
            )
            net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            return net, _train(trial, net, None, data, trial.pre_epochs, "pre ")

        return self._once("network", _network_key(trial), make)

    def scores(self, trial: Trial, make: Callable[[], pruners.Scores]) -> tuple[pruners.Scores, float]:
        key = (*_network_key(trial), trial.pruner, trial.scoring_images_per_class, trial.scoring_batch_size)
        return self._once("scores", key, make)

    def _once(self, kind: str, key: Hashable, make: Callable[[], Any]) -> tuple[Any, float]:
        if kind not in self._latest or self._latest[kind][0] != key:
            self._latest.pop(kind, None)  # the old one's memory first
            start = time.perf_counter()
            value = make()
            if self.device != "cpu":
                torch.accelerator.synchronize()
            self._latest[kind] = (key, (value, time.perf_counter() - start))
        return self._latest[kind][1]


def _data_key(trial: Trial) -> tuple[Hashable, ...]:
    return trial.dataset, trial.train_subset, trial.seed if trial.train_subset else None


def _network_key(trial: Trial) -> tuple[Hashable, ...]:
    training_words = (trial.optimizer, trial.learning_rate, trial.batch_size, trial.precision)
    return *_data_key(trial), trial.model, trial.width, trial.seed, trial.pre_epochs, *training_words


def _load(trial: Trial, shared: Shared) -> Data:
    data = datasets.load(trial.dataset, shared.data_dir)
    images, labels = data.train.images, data.train.labels
    if trial.train_subset:
        per_class = max(1, trial.train_subset // len(data.classes))
        chosen = batches.per_class_indices(labels, per_class, stream(trial.seed, "subset"))
        images, labels = images[chosen], labels[chosen]
    train = batches.Batches(images, labels, data.transform, shared.device)
    test = batches.Batches(data.test.images, data.test.labels, data.transform, shared.device)
    return Data(train, test, data.image_shape, len(data.classes))


def _train(
    trial: Trial, net: nn.Module, kept: masks.Masks | None, data: Data, epochs: int, prefix: str
) -> list[dict[str, float]]:
    return training.train(
        net,
        kept,
        data.train,
        data.test,
        epochs,
        optimizer=trial.optimizer,
        learning_rate=trial.learning_rate,
        batch_size=trial.batch_size,
        order=stream(trial.seed, f"{prefix}order"),
        augmentation=stream(trial.seed, f"{prefix}augmentation"),
        precision=trial.precision,
    )


def _prune(
    trial: Trial, dense: nn.Module, data: Data, shared: Shared
) -> tuple[tuple[masks.Masks, dict[str, int] | None], float]:
    """Return the trial's masks, how many scores of each layer are zero (one-shot only), and the seconds it took."""
    images, labels = data.train.sample(
        trial.scoring_images_per_class,
        stream(trial.seed, "scoring order"),
        stream(trial.seed, "scoring augmentation"),
    )
    generator = stream(trial.seed, "random scores")
    zero_scores: dict[str, int] | None = None
    score_seconds = 0.0
    if trial.prune_steps == 1:  # one set of scores serves every compression
        scores, score_seconds = shared.scores(
            trial,
            lambda: pruners.score(trial.pruner, dense, images, labels, trial.scoring_batch_size, generator),
        )
        zero_scores = {name: int((score == 0).sum()) for name, score in scores.items()}
        start = time.perf_counter()
        kept = masks.from_scores(scores, trial.density, trial.scope)
    else:
        start = time.perf_counter()
        kept = pruners.prune(
            trial.pruner,
            dense,
            images,
            labels,
            trial.density,
            trial.prune_steps,
            trial.schedule,
            trial.scope,
            trial.scoring_batch_size,
            generator,
        )
    return (kept, zero_scores), score_seconds + time.perf_counter() - start


def _layers(
    health: masks.Health, costs: Any, histograms: dict[str, list[int]], zero_scores: dict[str, int] | None
) -> list[Layer]:
    return [
        Layer(
            name=name,
            zero_scores=None if zero_scores is None else zero_scores[name],
            flops=int(costs.flops[name]),
            flops_kept=int(costs.flops_kept[name]),
            histogram=histograms[name],
            **vars(layer),
        )
        for name, layer in health.layers.items()
    ]
