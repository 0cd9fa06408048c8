"""The images that CIFAR-10 and CIFAR-100 share, which the paper takes to be all."""

from __future__ import annotations

import hashlib

import pandas as pd

from .. import datasets

_PAIR = ("cifar10", "cifar100")
_Place = tuple[str, int]  # a split, train or test, and a position in it


def shared() -> tuple[tuple[int, int], pd.DataFrame]:
    """Return how many different images CIFAR-10 and CIFAR-100 have, and which images are in both, pixel by pixel.

    The second has one row per image and dataset: image (from 1), dataset, split, position, class. Raises UserError if
    the data are not there.
    """
    there = {name: datasets.read(name) for name in _PAIR}
    first, second = map(_distinct, there.values())
    rows = []
    for number, image in enumerate((image for image in first if image in second), start=1):
        for name, (split, position) in zip(_PAIR, (first[image], second[image]), strict=True):
            label = there[name].classes[getattr(there[name], split).labels[position]].replace("_", " ")
            rows.append((number, name, split, position, label))
    return (len(first), len(second)), pd.DataFrame(rows, columns=["image", "dataset", "split", "position", "class"])


def _distinct(arrays: datasets.Arrays) -> dict[bytes, _Place]:
    """Return a digest of each different image of a dataset, with the place of its last appearance."""
    parts = {"train": arrays.train.images, "test": arrays.test.images}
    return {
        hashlib.blake2b(image.tobytes(), digest_size=16).digest(): (split, position)
        for split, images in parts.items()
        for position, image in enumerate(images)
    }
