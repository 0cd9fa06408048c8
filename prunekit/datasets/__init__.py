"""Images and labels by name: digits and digit-pairs (embedded), mnist, cifar10, cifar100 (from disk), a user's own.

torch is imported only where tensors are asked for, so that a picture of the data can be drawn without it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plugins
from ..errors import UserError, exception_summary
from ..files import remove_leftovers, replace
from ..names import DATASETS
from . import sources, user_datasets
from .sources import Arrays

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Transform:
    """How a dataset's pixels (0 to 1) are normalised, channel by channel, and how training images are augmented."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 0  # pixels of black border before a random crop to the original size
    flip: bool = False

    @property
    def augments(self) -> bool:
        """Whether a training image may look different each time."""
        return bool(self.crop_padding or self.flip)


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, C, H, W], labels int64 [N], and coarse labels int64 [N] where the dataset has them."""

    images: Tensor
    labels: Tensor
    coarse_labels: Tensor | None = None


@dataclass(frozen=True)
class Dataset:
    """A training and a test split with the names of their classes."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    coarse_classes: tuple[str, ...]
    transform: Transform

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width


_GREY = (0.306, 0.306, 0.306), (0.323, 0.323, 0.323)
TRANSFORMS = {
    "digits": Transform(*_GREY),  # centred as they are written: crops would only make them slower to learn
    "digit-pairs": Transform(*_GREY),
    "mnist": Transform((0.1307,), (0.3081,)),
    "cifar10": Transform((0.491, 0.482, 0.447), (0.247, 0.243, 0.262), crop_padding=4, flip=True),
    "cifar100": Transform((0.507, 0.487, 0.441), (0.267, 0.256, 0.276), crop_padding=4, flip=True),
}
NAMES = tuple(DATASETS)
_COPIES = 6  # decoded ones that are kept


def register(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Return a decorator that makes a function known as the dataset `name`, here and in what is run from here.

    The function takes nothing and returns the same each time: (images, labels), (test images, test labels), images
    uint8 [N, C, H, W] and labels whole numbers [N] from 0, as arrays or tensors. Images are normalised by the mean and
    standard deviation of the training images, a channel, and not augmented. What it draws from the global generators of
    torch, numpy and Python is the same each time; a process calls it twice at first, to see that all is. Its source is
    part of a trial's id, what it reads is not. Raises UserError for a name that is taken, and for what is no function.
    """
    return plugins.register("dataset", name)  # type: ignore[return-value]


def load(name: str, root: str | Path | None = None) -> Dataset:
    """Return the named dataset as tensors.

    `root` is the folder that holds the datasets (PRUNEKIT_DATA, else ./data, if None); digits and digit-pairs need
    none. What is missing is downloaded there. Raises UserError for an unknown name, and when the data can neither be
    read nor downloaded, or a user's function fails or returns anything but images and labels.
    """
    import torch

    def split(part: sources.Split) -> Split:
        coarse = None if part.coarse_labels is None else torch.from_numpy(part.coarse_labels)
        return Split(torch.from_numpy(part.images), torch.from_numpy(part.labels), coarse)

    arrays = read(name, root)
    transform = TRANSFORMS[name] if name in NAMES else Transform(*user_datasets.scale(arrays))
    return Dataset(name, split(arrays.train), split(arrays.test), arrays.classes, arrays.coarse_classes, transform)


def read(name: str, root: str | Path | None = None) -> Arrays:
    """Return the named dataset as numpy arrays; otherwise as `load`."""
    if name not in NAMES:
        return user_datasets.read(name)
    if name in sources.EMBEDDED:
        return sources.EMBEDDED[name]()
    try:
        return _from_disk(name, data_root(root))
    except UserError:
        raise
    except Exception as error:  # a folder may be out of reach in ways that nobody foresaw
        problem = f"{type(error).__name__}: {exception_summary(error)}"
        raise UserError(f"{name} in {data_root(root)} cannot be read ({problem}); make it readable") from error


def _from_disk(name: str, folder: Path) -> Arrays:
    files = sources.files(name, folder)
    parts = read_cache(_cache_file(name, files)) if files else None
    if parts is None:
        parts = sources.read(name, folder)
        if files := sources.files(name, folder):  # they may have been downloaded just now
            write_cache(_cache_file(name, files), *parts, source=files[0])
    return Arrays(*parts, DATASETS[name].classes, DATASETS[name].coarse_classes)


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds the datasets: `root`, else PRUNEKIT_DATA, else ./data."""
    return Path(root or os.environ.get("PRUNEKIT_DATA") or "data").expanduser()


def cache_root() -> Path:
    """Return the folder of the decoded data: prunekit's own under XDG_CACHE_HOME, else ~/.cache, else /tmp."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "prunekit"
    try:
        return Path.home() / ".cache" / "prunekit"
    except RuntimeError:  # a user without a home, as in containers
        return Path(tempfile.gettempdir()) / "prunekit"


def _cache_file(name: str, files: list[Path]) -> Path:
    """A changed source file gets another cache file: its name digests the sources' content, and where they lie."""
    whole = hashlib.sha256(b"layout 3")
    for path in files:
        with path.open("rb") as source:
            whole.update(str(path.resolve()).encode() + hashlib.file_digest(source, "sha256").digest())
    return cache_root() / f"{name}-{whole.hexdigest()[:16]}.npz"


def read_cache(file: Path) -> tuple[sources.Split, sources.Split] | None:
    """Return what `write_cache` wrote, None where there is nothing, or nothing whole: zip files check their bytes."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            train, test = (
                [stored[f"{part}_{field}"] for field in ("images", "labels", "coarse_labels")]
                for part in ("train", "test")
            )
        return _part(*train), _part(*test)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # of damaged bytes any kind comes
        sources.warn(f"{file} is damaged ({exception_summary(error)}); decoding the data again")
        return None


def _part(images: np.ndarray, labels: np.ndarray, coarse_labels: np.ndarray) -> sources.Split:
    return sources.Split(images, labels, coarse_labels if len(coarse_labels) else None)


def write_cache(file: Path, train: sources.Split, test: sources.Split, source: Path) -> None:
    """Write decoded data for `read_cache`, and remove what stood there of the same `source` before, or of one gone."""
    arrays = {"source": np.array(str(source.resolve()))} | {
        f"{part}_{field}": np.zeros(0) if array is None else array  # so that none is missing unnoticed
        for part, values in (("train", train), ("test", test))
        for field, array in vars(values).items()
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(file.parent)
        _remove_stale(file.parent, source)
        replace(file, lambda sink: np.savez(sink, **arrays))
    except OSError as error:
        sources.warn(f"cannot cache decoded data in {file.parent} ({exception_summary(error)}); going on without")


def _remove_stale(folder: Path, source: Path) -> None:
    """Delete the decoded copies that nothing will ask for again, and the oldest of more than a few."""
    copies = sorted(folder.glob("*.npz"), key=lambda one: one.stat().st_mtime, reverse=True)
    for place, copy in enumerate(copies):
        try:
            with np.load(copy, allow_pickle=False) as stored:
                of = Path(str(stored["source"]))
        except Exception:  # damaged, or of another layout
            of = source.resolve()
        if place >= _COPIES - 1 or of == source.resolve() or not of.exists():
            copy.unlink(missing_ok=True)
