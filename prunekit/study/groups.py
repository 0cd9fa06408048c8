"""Trials that share work, put together: what one process runs in a row, and what it trains at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .trial import Trial

_SIDE_BY_SIDE = 10  # trials at most: what is in flight when a run is killed is lost
_IMAGES = {"digits": 1437, "digit-pairs": 4000, "mnist": 60_000}  # to train on; CIFAR has 50,000
_SIZES = {"fc": 0.001, "conv": 0.03, "resnet20": 0.13, "resnet18": 1.8}  # multiply-adds beside those of VGG16, about


@dataclass(frozen=True)
class Group:
    """Trials that one process runs in a row, since they share network and scores; each set of `sets` at once.

    `wanted` are the ids of those that have no record yet. Others are there because what runs side by side must always
    be the same, or the last bits of its results would depend on when a run was interrupted.
    """

    sets: tuple[tuple[Trial, ...], ...]
    wanted: frozenset[str]

    @property
    def trials(self) -> list[Trial]:
        return [trial for one in self.sets for trial in one if trial.id in self.wanted]


def grouped(trials: Iterable[Trial], done: Collection[str] = ()) -> list[Group]:
    """Put trials that share network and scores, or train side by side, together; leave out what is done."""
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        free = {"compression"}
        if _at_once(trial) > 1:
            free |= {"pruner", "scoring_images_per_class", "scoring_batch_size"}
        alike.setdefault(trial.model_dump_json(exclude=free), []).append(trial)
    groups = []
    for group in alike.values():
        step = _at_once(group[0])
        sets = [tuple(group[start : start + step]) for start in range(0, len(group), step)]
        sets = [one for one in sets if any(trial.id not in done for trial in one)]
        wanted = frozenset(trial.id for one in sets for trial in one).difference(done)
        groups += [Group(tuple(sets), wanted)] if sets else []
    return groups


def _at_once(trial: Trial) -> int:
    """Return how many such trials train side by side: many, where networks are so small that it is faster."""
    return _SIDE_BY_SIDE if trial.model == "fc" and trial.width <= 1 else 1


def size(group: Group) -> float:
    """Return about how long a group takes, in images that VGG16 trains on; to prune and measure takes as long as 20."""
    trials = group.trials
    one = trials[0]
    epochs = one.pre_epochs + one.post_epochs * len(trials)
    classes = 100 if one.dataset in {"cifar100", "digit-pairs"} else 10
    passes = {"snip": 1, "grasp": 4}.get(one.pruner, 1 if one.pruner_source else 0)
    scored = passes * one.scoring_images_per_class * classes
    rounds = 1 if one.prune_steps == 1 else one.prune_steps * len(trials)
    trained = min(one.train_subset or 60_000, _IMAGES.get(one.dataset, 50_000))
    images = epochs * trained + rounds * scored + (rounds + len(trials)) * 20
    return images * _SIZES.get(one.model, 1) * one.width**2
