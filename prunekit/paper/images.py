"""The images that CIFAR-10 and CIFAR-100 share, which the paper takes to be all."""

from __future__ import annotations

import hashlib
from functools import cache

from .. import datasets
from ..errors import UserError
from ..study.results import Results

Place = tuple[str, int]  # a split, train or test, and a position in it


def shared(results: Results) -> tuple[int, int, list[tuple[Place, Place]]]:
    """Return how many different images CIFAR-10 and CIFAR-100 have, and where in each those lie that both have.

    Raises UserError without the data, or where the profile uses others.
    """
    if not {"cifar10", "cifar100"} <= {trial.dataset for trial in results.trials.values()}:
        raise UserError("this profile does not use CIFAR-10 and CIFAR-100")
    first, second = _distinct("cifar10"), _distinct("cifar100")
    return len(first), len(second), [(place, second[image]) for image, place in first.items() if image in second]


@cache
def _distinct(name: str) -> dict[bytes, Place]:
    """Return a digest of each different image of a dataset, with the place of its last appearance."""
    arrays = datasets.read(name)
    parts = {"train": arrays.train.images, "test": arrays.test.images}
    return {
        hashlib.blake2b(image.tobytes(), digest_size=16).digest(): (split, position)
        for split, images in parts.items()
        for position, image in enumerate(images)
    }
