"""Datasets of a user's own: what their function returns, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import plugins
from ..errors import UserError, exception_summary, safe_repr
from .sources import Arrays, Split

_digests: dict[tuple[str, str], str] = {}  # of what was returned first, by name and source


def read(name: str) -> Arrays:
    """Return what the user's function of that name returns; raises UserError with its name if that is wrong.

    It is called twice before its data are first used in a process: all trials are to have the same.
    """
    function = plugins.find("dataset", name)
    arrays = _returned(name, function)
    key, found = (name, plugins.digest("dataset", name)), _digest(arrays)
    if key not in _digests:
        del arrays  # the memory of one copy is enough
        _digests[key], arrays = found, _returned(name, function)
        found = _digest(arrays)
    if found != _digests[key]:
        raise UserError(f"dataset {name} returns other data each time; seed what it draws, sort what it lists")
    return arrays


def _digest(arrays: Arrays) -> str:
    whole = hashlib.sha256()
    for part in (arrays.train, arrays.test):
        for array in (part.images, part.labels):
            whole.update(repr(array.shape).encode() + array.tobytes())
    return whole.hexdigest()


def _returned(name: str, function: Callable[[], Any]) -> Arrays:
    try:
        with plugins.drawing_from(0):
            returned = function()
    except (Exception, SystemExit) as error:
        raise UserError(f"dataset {name} raised {type(error).__name__}: {exception_summary(error)}") from error
    try:
        (images, labels), (test_images, test_labels) = returned
    except (TypeError, ValueError):
        problem = f"returned {safe_repr(returned)}; it must return (images, labels), (test images, test labels)"
        raise UserError(f"dataset {name} {problem}") from None
    train, test = (
        _part(f"dataset {name}: the {which}", *both)
        for which, *both in (("training", images, labels), ("test", test_images, test_labels))
    )
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = " and ".join("x".join(map(str, part.images.shape[1:])) for part in (train, test))
        raise UserError(f"dataset {name}: training and test images differ in shape ({shapes})")
    found = np.unique(train.labels)
    count = int(found[-1]) + 1
    if len(found) < 2:
        raise UserError(f"dataset {name}: the training labels are of one class; it takes two or more")
    if len(found) < count:
        lacking = int((found != np.arange(len(found))).argmax())
        raise UserError(f"dataset {name}: no training label is {lacking}; they must run from 0 to {count - 1}")
    if test.labels.max() >= count:
        raise UserError(f"dataset {name}: a test label is {test.labels.max()}, yet training has 0 to {count - 1}")
    return Arrays(train, test, tuple(map(str, range(count))), ())


def scale(arrays: Arrays) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the training images' pixels (0 to 1), channel by channel."""
    channels = arrays.train.images.swapaxes(0, 1).reshape(arrays.train.images.shape[1], -1) / np.float32(255)
    spread = channels.std(1, dtype=np.float64).clip(1 / 255)  # a channel may be constant
    return tuple(channels.mean(1, dtype=np.float64).tolist()), tuple(spread.tolist())


def _part(what: str, images: Any, labels: Any) -> Split:
    """Return images and labels of one split as arrays; `what` they are of begins the line if they are wrong."""
    if np.ma.is_masked(images) or np.ma.is_masked(labels):
        raise UserError(f"{what} images or labels are masked in places; leave those out")
    try:
        images, labels = np.asarray(images), np.asarray(labels)
    except (TypeError, ValueError, RuntimeError) as error:  # as of rows that differ in length, or on a GPU
        raise UserError(f"{what} images or labels cannot be an array ({exception_summary(error)})") from None
    if images.dtype != np.uint8:
        raise UserError(f"{what} images are {images.dtype}; they must be uint8, 0 to 255")
    if images.ndim != 4 or not images.size:
        raise UserError(f"{what} images have the shape {list(images.shape)}; it must be [N, channels, height, width]")
    if images.shape[1] > 4 >= images.shape[3]:
        raise UserError(f"{what} images have the shape {list(images.shape)}, channels last; move them to [N, C, H, W]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        problem = f"labels are {labels.dtype} of shape {list(labels.shape)}"
        raise UserError(f"{what} {problem}; they must be whole numbers, one for each of {len(images)} images")
    if (labels := labels.astype(np.int64)).min() < 0:  # as -1 is in uint64, too
        raise UserError(f"{what} labels hold {labels.min()}; they must run from 0")
    return Split(np.require(images, requirements=["C", "W"]), labels)
