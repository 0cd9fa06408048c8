"""Who learned: networks that stay at chance, and how their signal fares before any training."""

from __future__ import annotations

import math
from functools import lru_cache

from .. import datasets, plugins
from ..names import DATASETS

SEVERED, VANISHED, EXPLODED, PASSES = "severed", "vanished", "exploded", "passes"
# Of the unpruned network's signal. Set where full-width VGG16 leaves room: random at c = 0.5 has 2e-4 of it, at 1 1e-7.
LEAST_SIGNAL, MOST_SIGNAL = 1e-4, 1e2
NOISE = 3  # binomial standard errors: what an accuracy may stray from a constant output's by the test images drawn


def classes(dataset: str, labels: str = "fine") -> int:
    """Return how many labels there are: a dataset's classes, its coarse ones, or as many groups as `labels` says."""
    if labels.isdigit():
        return int(labels)
    if labels == "coarse":
        return len(DATASETS[dataset].coarse_classes)
    return len(_counts(dataset))


def best_constant(dataset: str, labels: str = "fine", top: int = 1, seed: int = 0) -> float:
    """Return the accuracy of the best constant output in percent: how many test images have its `top` labels.

    With ten equally large classes it is 10 for top-1 and 50 for top-5; MNIST's digit one gives 11.35. Where labels are
    random groups of classes they are those of the `seed`.
    """
    counts = sorted(_counts(dataset), reverse=True)
    if labels != "fine":
        counts = sorted(_grouped(dataset, labels, seed), reverse=True)
    return 100 * sum(counts[:top]) / sum(counts)


def ceiling(dataset: str, labels: str = "fine", top: int = 1, seed: int = 0) -> float:
    """Return up to what accuracy a network is at chance: the best constant output's and NOISE standard errors."""
    share = best_constant(dataset, labels, top, seed) / 100
    return 100 * (share + NOISE * math.sqrt(share * (1 - share) / sum(_counts(dataset))))


def at_chance(top1: float, top5: float | None, dataset: str, labels: str = "fine", seed: int = 0) -> bool:
    """Return whether a network's accuracies, in percent, are no better than a constant output's within the noise.

    Labels are those that the trial of that `seed` learnt; top-5 counts where there are more than five.
    """
    known = [(top1, 1)]
    if top5 is not None and not math.isnan(top5) and classes(dataset, labels) > 5:
        known.append((top5, 5))
    return all(value <= ceiling(dataset, labels, top, seed) for value, top in known)


def at_init(collapsed: bool | None, signal: float | None, dense_signal: float | None) -> str:
    """Return how the signal of a pruned network fares before any training, "" where that was not recorded.

    Severed: no path of kept weights from input to output; vanished or exploded: the logits depend on the image less
    than LEAST_SIGNAL, more than MOST_SIGNAL, times as much as the unpruned network's; passes: else.
    """
    if collapsed:
        return SEVERED
    if not dense_signal:
        return ""
    if signal is None:
        return EXPLODED
    share = signal / dense_signal
    return VANISHED if share < LEAST_SIGNAL else EXPLODED if share > MOST_SIGNAL else PASSES


def _grouped(dataset: str, labels: str, seed: int) -> tuple[int, ...]:
    """How many test images each label has, where these are groups of classes."""
    counts = _counts(dataset)
    if labels == "coarse":  # of as many classes each, all equally large
        return (sum(counts) // classes(dataset, labels),) * classes(dataset, labels)
    from ..batches import groups_of_seed  # and torch

    groups = groups_of_seed(len(counts), int(labels), seed).tolist()
    return tuple(sum(n for n, of in zip(counts, groups, strict=True) if of == group) for group in range(int(labels)))


def _counts(dataset: str) -> tuple[int, ...]:
    """How many test images each class has."""
    about = DATASETS.get(dataset)
    if about is None:
        return _read(dataset, plugins.digest("dataset", dataset))
    return about.test_counts or (about.test // len(about.classes),) * len(about.classes)


@lru_cache
def _read(dataset: str, source: str) -> tuple[int, ...]:
    arrays = datasets.read(dataset)
    return tuple(int((arrays.test.labels == label).sum()) for label in range(len(arrays.classes)))
