"""What trials share, made once: data on a device, pretrained networks, one-shot scores."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .. import batches, datasets, masks, metrics, models, pruners, training
from ..batches import stream
from . import machine
from .machine import Cost
from .trial import Trial

T = TypeVar("T")
_AFTERWARDS = {  # fields on which a network does not depend before it is pruned
    *("pruner", "pruner_source", "compression", "post_epochs", "prune_steps", "schedule", "scope", "control"),
    *("scoring_images_per_class", "scoring_batch_size", "reaugmented", "measure_speedup", "timed"),
}


@dataclass(frozen=True)
class Data:
    """A dataset on the device, as a trial sees it."""

    train: batches.Batches
    test: batches.Batches
    image_shape: tuple[int, int, int]
    num_classes: int
    coarse: Tensor | None  # of each class its coarse one, int64 [classes]
    transform: datasets.Transform

    @property
    def few(self) -> Tensor:
        """The first hundred test images, by which a network's signal is told."""
        return next(self.test.in_order(100))[0]


@dataclass(frozen=True)
class Ties:
    """Ties among one-shot scores: zero scores by layer, and the share of all scores that equal the most common one."""

    zeros: dict[str, int]
    share: float


class Artifacts:
    """What trials share, made once: data on the device, pretrained networks, one-shot scores.

    Only the latest of each kind is held, so trials that share something are run in a row. Each method returns the thing
    and what making it cost, now or earlier: the cost of a trial does not depend on which trial ran first.
    """

    def __init__(self, data_dir: Path | str | None = None, device: str = "cpu"):
        self.data_dir = data_dir
        self.device = machine.device(device)
        if self.device.startswith("cuda"):
            torch.backends.cudnn.allow_tf32 = False  # float32 is to be float32
        self._latest: dict[str, tuple[Hashable, tuple[Any, Cost]]] = {}

    def data(self, trial: Trial) -> tuple[Data, Cost]:
        data, cost = self._once("images", _images_key(trial), lambda: self.measured(lambda: _load(trial, self)))
        if trial.labels == "fine":
            return data, cost
        grouped, more = self._once("labels", _data_key(trial), lambda: self.measured(lambda: _grouped(data, trial)))
        return grouped, cost + more

    def network(self, trial: Trial) -> tuple[tuple[nn.Module, list[dict[str, float]]], Cost]:
        """The network as it stands before pruning, and the learning curve that led there."""

        def make() -> tuple[tuple[nn.Module, list[dict[str, float]]], Cost]:
            net = self.drawn(trial, "init")
            curve, cost = self.measured(lambda: list(self.epochs(trial, net, None, trial.pre_epochs, "pre ")))
            return (net, curve), cost

        return self._once("network", self._network_key(trial), make)

    def drawn(self, trial: Trial, name: str) -> nn.Module:
        """A new network with weights from the seed's stream of that name."""
        data, _ = self.data(trial)
        net = models.build(trial.model, data.image_shape, data.num_classes, trial.width, stream(trial.seed, name))
        return net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def signal(self, trial: Trial) -> tuple[float, Cost]:
        """The signal of the network as it stands before pruning; see `metrics.signal`."""
        (data, _), ((dense, _), _) = self.data(trial), self.network(trial)
        return self._once(
            "signal", self._network_key(trial), lambda: self.measured(lambda: metrics.signal(dense, data.few))
        )

    def scores(self, trial: Trial) -> tuple[tuple[pruners.Scores, Ties], Cost]:
        """The one-shot scores of the network as it stands before pruning, and which of them are equal."""
        images = (trial.scoring_images_per_class, trial.scoring_batch_size, trial.reaugmented)
        told = trial.density if pruners.takes_density(trial.pruner) else None
        key = (*self._network_key(trial), trial.pruner, trial.pruner_source, *images, told)

        def score() -> pruners.Scores:
            size, again = trial.scoring_batch_size, self.augmented_anew(trial)
            return pruners.score(trial.pruner, *self.examples(trial), size, noise(trial), again, told)

        def make() -> tuple[tuple[pruners.Scores, Ties], Cost]:
            scores, cost = self.measured(score)
            return (scores, _ties(scores)), cost

        return self._once("scores", key, make)

    def examples(self, trial: Trial) -> tuple[nn.Module, Tensor, Tensor]:
        """What pruners look at: the network as it stands before pruning, images and their labels."""
        (data, _), ((dense, _), _) = self.data(trial), self.network(trial)
        return dense, *_examples(trial, data, "scoring augmentation")

    def augmented_anew(self, trial: Trial) -> Tensor | None:
        """The same images augmented once more, for a trial whose pruner sees them so in its second pass."""
        data, _ = self.data(trial)
        return _examples(trial, data, "scoring augmentation, second pass")[0] if trial.reaugmented else None

    def epochs(
        self, trial: Trial, net: nn.Module, kept: masks.Masks | None, count: int, stage: str = ""
    ) -> Iterator[dict[str, float]]:
        """Train `net` in place as `trial` says, on random streams of the `stage`'s own; yield what `training` does."""
        data, _ = self.data(trial)
        return training.epochs(
            net,
            kept,
            data.train,
            data.test,
            count,
            optimizer=trial.optimizer,
            learning_rate=trial.learning_rate,
            batch_size=trial.batch_size,
            order=stream(trial.seed, f"{stage}order"),
            augmentation=stream(trial.seed, f"{stage}augmentation"),
            precision=self.precision(trial),
            weight_decay=trial.weight_decay,
            nesterov=trial.nesterov,
            lr_drops=[int(epoch) for epoch in trial.lr_drops.split(",") if epoch],
            lr_factor=trial.lr_factor,
            warmup_epochs=trial.warmup_epochs,
        )

    def measured(self, make: Callable[[], T]) -> tuple[T, Cost]:
        return machine.measured(self.device, make)

    def precision(self, trial: Trial) -> str:
        """The precision that `trial` asks for, float32 if the device does not compute in it."""
        return trial.precision if machine.computes_in(trial.precision, self.device) else "float32"

    def _network_key(self, trial: Trial) -> tuple[Hashable, ...]:
        fields = trial.model_dump(exclude=_AFTERWARDS) | {"precision": self.precision(trial)}
        return tuple(fields.items())

    def _once(self, kind: str, key: Hashable, make: Callable[[], tuple[T, Cost]]) -> tuple[T, Cost]:
        if kind not in self._latest or self._latest[kind][0] != key:
            self._latest.pop(kind, None)  # the old one's memory first
            self._latest[kind] = (key, make())
        return self._latest[kind][1]


def noise(trial: Trial) -> torch.Generator:
    """Return what random scores are drawn from."""
    return stream(trial.seed, "random scores")


def _ties(scores: pruners.Scores) -> Ties:
    total = sum(score.numel() for score in scores.values())
    apart = 97 if total > 100_000 else 1  # a prime, which falls in step with no shape
    some = [score.flatten()[::apart] for score in scores.values()]  # enough to see what most are
    common = torch.cat(some).mode().values
    share = sum(int((score == common).sum()) for score in scores.values()) / total
    return Ties({name: score.numel() - int(score.count_nonzero()) for name, score in scores.items()}, share)


def _examples(trial: Trial, data: Data, augmentation: str) -> tuple[Tensor, Tensor]:
    streams = (stream(trial.seed, "scoring order"), stream(trial.seed, augmentation))
    return data.train.sample(trial.scoring_images_per_class, *streams)


def _images_key(trial: Trial) -> tuple[Hashable, ...]:
    return trial.dataset, trial.dataset_source, trial.train_subset, trial.seed if trial.train_subset else None


def _data_key(trial: Trial) -> tuple[Hashable, ...]:
    return *_images_key(trial), trial.labels, trial.seed if trial.labels.isdigit() else None


def _load(trial: Trial, artifacts: Artifacts) -> Data:
    data = datasets.load(trial.dataset, artifacts.data_dir)
    images, labels = data.train.images, data.train.labels
    if trial.train_subset:
        per_class = max(1, trial.train_subset // len(data.classes))
        chosen = batches.per_class_indices(labels, per_class, stream(trial.seed, "subset"))
        if len(chosen) != trial.train_subset:
            asked = f"train_subset {trial.train_subset:,}: it is of as many of each of {len(data.classes)} classes"
            raise ValueError(f"{asked}, and {trial.dataset} gives {len(chosen):,} so; ask for these")
        images, labels = images[chosen], labels[chosen]
    train = batches.Batches(images, labels, data.transform, artifacts.device)
    test = batches.Batches(data.test.images, data.test.labels, data.transform, artifacts.device)
    coarse = None
    if data.train.coarse_labels is not None:
        coarse = batches.coarse_groups(data.train.labels, data.train.coarse_labels)
    return Data(train, test, data.image_shape, len(data.classes), coarse, data.transform)


def _grouped(data: Data, trial: Trial) -> Data:
    """Return the same images with the labels that `trial` asks for; raises ValueError where they cannot be had."""
    if trial.labels != "coarse":
        groups = batches.groups_of_seed(data.num_classes, int(trial.labels), trial.seed)
    elif data.coarse is None:
        raise ValueError(f"{trial.dataset} has no coarse labels; choose fine, or a number of groups")
    else:
        groups = data.coarse
    count = int(groups.max()) + 1
    return replace(data, train=data.train.grouped(groups), test=data.test.grouped(groups), num_classes=count)
