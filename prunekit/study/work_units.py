"""Trials that share work, put together: what one process runs in a row, and what it trains at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..names import DATASETS
from .trial import Trial

_SIDE_BY_SIDE = 10  # trials at most: what is in flight when a run is killed is lost
_SIZES = {"fc": 0.001, "conv": 0.03, "resnet20": 0.13, "resnet18": 1.8}  # multiply-adds beside those of VGG16, about


@dataclass(frozen=True)
class WorkUnit:
    """Trials that one process runs in a row, since they share network and scores; each batch of `batches` side by side.

    `pending` are the ids of those that have no record yet. Others are there because what runs side by side must always
    be the same, or the last bits of its results would depend on when a run was interrupted.
    """

    batches: tuple[tuple[Trial, ...], ...]
    pending: frozenset[str]

    @property
    def trials(self) -> list[Trial]:
        return [trial for one in self.batches for trial in one if trial.id in self.pending]


def grouped(trials: Iterable[Trial], done: Collection[str] = ()) -> list[WorkUnit]:
    """Put trials that share network and scores, or train side by side, together; leave out what is done."""
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        free = {"compression"}
        if _at_once(trial) > 1:
            free |= {"pruner", "scoring_images_per_class", "scoring_batch_size"}
        alike.setdefault(trial.model_dump_json(exclude=free), []).append(trial)
    units = []
    for like in alike.values():
        step = _at_once(like[0])
        batches = [tuple(like[start : start + step]) for start in range(0, len(like), step)]
        batches = [one for one in batches if any(trial.id not in done for trial in one)]
        pending = frozenset(trial.id for one in batches for trial in one).difference(done)
        units += [WorkUnit(tuple(batches), pending)] if batches else []
    return units


def _at_once(trial: Trial) -> int:
    """Return how many such trials train side by side: many, where networks are so small that it is faster."""
    return _SIDE_BY_SIDE if trial.model == "fc" and trial.width <= 1 else 1


def size(trials: Sequence[Trial]) -> float:
    """Return about how long like trials take, in images that VGG16 trains on; to prune and measure takes 20."""
    one = trials[0]
    epochs = one.pre_epochs + one.post_epochs * len(trials)
    data = DATASETS.get(one.dataset, DATASETS["cifar10"])  # as much as any, of a user's own
    passes = {"snip": 1, "grasp": 4}.get(one.pruner, 1 if one.pruner_source else 0)
    scored = passes * one.scoring_images_per_class * len(data.classes)
    rounds = 1 if one.prune_steps == 1 else one.prune_steps * len(trials)
    trained = min(one.train_subset or data.train, data.train)
    images = epochs * trained + rounds * scored + (rounds + len(trials)) * 20
    return images * _SIZES.get(one.model, 1) * one.width**2
