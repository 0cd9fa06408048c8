"""Trials that share work, grouped: one process runs a group in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..names import DATASETS
from .trial import Trial

WorkUnit = tuple[Trial, ...]  # they share network and scores, and differ in compression
_SIZES = {"fc": 0.001, "conv": 0.03, "resnet20": 0.13, "resnet18": 1.8}  # multiply-adds relative to VGG16, about


def grouped(trials: Iterable[Trial]) -> list[WorkUnit]:
    """Return units of the trials that share network and scores."""
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        alike.setdefault(trial.model_dump_json(exclude={"compression"}), []).append(trial)
    return [tuple(unit) for unit in alike.values()]


def size(unit: Sequence[Trial]) -> float:
    """Return about how long a unit takes, in images that VGG16 trains on; to prune and to measure takes 20."""
    one = unit[0]
    epochs = one.pre_epochs + one.post_epochs * len(unit)
    data = DATASETS.get(one.dataset, DATASETS["cifar10"])  # for a user's own, as much as CIFAR-10
    passes = {"snip": 1, "grasp": 4}.get(one.pruner, 1 if one.pruner_source else 0)
    scored = passes * one.scoring_images_per_class * len(data.classes)
    rounds = 1 if one.prune_steps == 1 else one.prune_steps * len(unit)
    trained = min(one.train_subset or data.train, data.train)
    images = epochs * trained + rounds * scored + (rounds + len(unit)) * 20
    return images * _SIZES.get(one.model, 1) * one.width**2
