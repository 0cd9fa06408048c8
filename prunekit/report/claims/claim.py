"""What a claim is, and the numbers that its check looks at."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ...study.params import Section
from ...study.trial import Record
from .. import formatting

SWEPT = ("cifar10", "cifar100")
SMALL, LARGE = (0.05, 0.1), (0.2, 0.5, 1.0, 2.0)
ALL = (*SMALL, *LARGE)
_Name = TypeVar("_Name", bound=Hashable)
TRAINABLE = ("synflow", "magnitude", "snip")  # at every compression; the other two fall to chance


class MissingValueError(Exception):
    """A check asked for a value that is not there; the message names it."""


class Values:
    """One number for each (dataset, model, compression, pruner) of the paper: of one seed, their mean, or in print."""

    def __init__(
        self, values: Mapping[tuple[str, str, float, str], float], names: Mapping[str, str] = formatting.DATASETS
    ):
        self._values = values
        self._names = names

    def name(self, dataset: str) -> str:
        """Return how the data are called that these values are of: the paper's, or what stands in for them."""
        return self._names.get(dataset, formatting.DATASETS[dataset])

    def at(self, dataset: str, compression: float, pruner: str, model: str = "vgg16") -> float:
        """Return one number; raises MissingValueError where there is none."""
        value = self._values.get((dataset, model, compression, pruner), math.nan)
        if math.isnan(value):
            raise MissingValueError(f"{self.name(dataset)}, {formatting.PRUNERS[pruner]}, c = {compression:g}")
        return value

    def by_pruner(self, dataset: str, compression: float, model: str = "vgg16") -> dict[str, float]:
        """Return the number of each pruner, the highest first."""
        found = {pruner: self.at(dataset, compression, pruner, model) for pruner in formatting.PRUNERS}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def mean(self, pruner: str, compressions: tuple[float, ...], datasets: tuple[str, ...] = SWEPT) -> float:
        """Return a pruner's mean over compressions and datasets."""
        found = [self.at(dataset, c, pruner) for dataset in datasets for c in compressions]
        return sum(found) / len(found)


Check = Callable[[Values], tuple[float, str]]  # the margin by which a claim holds of these values, and what decides it


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, where it stands there, and its check on one number a record of a section's trials.

    The check's margin, in `unit`, is positive where the claim holds and negative where it fails. `trained` tells
    whether the number depends on training, `timed` whether on the machine's other work; `pretrained` takes magnitude
    pruning after the paper's 100 epochs in place of that at initialisation; `printed` names the paper's own table of
    such numbers; `explained` is the reason for which the claim holds, where the paper does not give it.
    """

    text: str
    where: str
    section: Section
    value: Callable[[Record], float | None]
    check: Check
    unit: str
    trained: bool = True
    timed: bool = False
    pretrained: bool = False
    printed: str = ""
    explained: str = ""
    datasets: tuple[str, ...] = SWEPT


def lead(found: Mapping[_Name, float], first: _Name) -> float:
    """Return by how much `first` exceeds the highest of the others."""
    return found[first] - max(value for name, value in found.items() if name != first)


def lag(found: Mapping[_Name, float], last: _Name) -> float:
    """Return by how much `last` falls short of the lowest of the others."""
    return min(value for name, value in found.items() if name != last) - found[last]


def listed(found: Mapping[str, float], digits: int = 1) -> str:
    """SynFlow 81.4, SNIP 77.0"""
    return ", ".join(f"{formatting.PRUNERS[pruner]} {value:.{digits}f}" for pruner, value in found.items())


def by_dataset(values: Values, found: Mapping[str, Mapping[str, float]], digits: int = 1) -> str:
    """CIFAR-10 SynFlow 81.4, SNIP 77.0; CIFAR-100 ..."""
    return "; ".join(f"{values.name(dataset)} {listed(line, digits)}" for dataset, line in found.items())
