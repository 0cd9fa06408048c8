"""Where images come from: scikit-learn's digits, Hugging Face snapshots (parquet), torchvision's layout or download."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, exception_summary, say
from ..names import CIFAR100_SUPERCLASSES, DATASETS

_COLUMNS = {  # of a Hugging Face snapshot: labels, coarse labels
    "mnist": ("label", None),
    "cifar10": ("label", None),
    "cifar100": ("fine_label", "coarse_label"),
}
_IMAGES = ("img", "image")  # what its column of images is called
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}  # that Pillow makes RGB or grey of
_FORMATS = ("PNG", "JPEG", "WEBP")  # of images in a snapshot; Pillow hands some of the others to other programs
_TORCHVISION = {  # torchvision's class, and a file pattern of its layout under the data folder
    "mnist": ("MNIST", "MNIST/raw/*-ubyte*"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py/*"),
    "cifar100": ("CIFAR100", "cifar-100-python/*"),
}


@dataclass(frozen=True)
class Split:
    """uint8 images [N, C, H, W], int64 labels [N], int64 coarse labels [N] or None."""

    images: np.ndarray
    labels: np.ndarray
    coarse_labels: np.ndarray | None = None


@dataclass(frozen=True)
class Arrays:
    """A dataset as numpy arrays."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    coarse_classes: tuple[str, ...]


def _counts(name: str) -> tuple[int, int]:
    return DATASETS[name].train, DATASETS[name].test


def warn(message: str) -> None:
    say(message)


def files(name: str, root: Path) -> list[Path]:
    """Return the files under `root` that hold the named dataset, a snapshot's before torchvision's; [] if none.

    Raises UserError for a link to a file that is not there, as half a snapshot has them.
    """
    found = _shards(root / name) or sorted(root.glob(_TORCHVISION[name][1]))
    for file in found:
        if "idx" in file.suffix and not file.with_name(whole := file.name.replace(".idx", "-idx")).exists():
            raise UserError(f"{file}: rename it to {whole}, as torchvision has it")
        if not file.is_file():
            what = f"links to {file.readlink()}, which is not there" if file.is_symlink() else "is not a file"
            raise UserError(f"{file} {what}; copy {name} again, with what its links lead to")
    return found


def _shards(folder: Path) -> list[Path]:
    """Return the parquet files in and below a folder, through links too, but not those of hidden folders."""
    found, seen = [], set()
    for place, inner, names in os.walk(folder, followlinks=True):
        inner[:] = [one for one in inner if not one.startswith(".")]
        if (real := os.path.realpath(place)) in seen:  # links may lead in a circle
            inner.clear()
            continue
        seen.add(real)
        found += [Path(place, one) for one in (*names, *inner) if one.endswith(".parquet") and not one.startswith(".")]
    return sorted(found)


def read(name: str, root: Path) -> tuple[Split, Split]:
    """Return the named dataset's training and test part from `root`, downloaded there if it is missing."""
    if not root.is_dir() and root.exists():
        raise UserError(f"the data folder {root} is not a folder")
    snapshot = _shards(root / name)
    parts = _read_snapshot(name, root, snapshot) if snapshot else _read_torchvision(name, root)
    for part, count in zip(parts, _counts(name), strict=True):
        if part.images.dtype != np.uint8:
            raise UserError(f"{name} in {root}: pixels come as {part.images.dtype}, not bytes; this is another dataset")
        if part.images.shape != (count, *DATASETS[name].shape):
            found, wanted = ("x".join(map(str, shape)) for shape in (part.images.shape, (count, *DATASETS[name].shape)))
            raise UserError(f"{name} in {root}: images come as {found}, not {wanted}; this is another dataset")
    return parts


def _check_labels(name: str, root: Path, *parts: np.ndarray) -> None:
    top, about = len(DATASETS[name].classes) - 1, DATASETS[name]
    of_each = about.train_counts, about.test_counts
    for labels, which, count, each in zip(parts, ("training", "test"), _counts(name), of_each, strict=True):
        if len(labels) != count:
            raise UserError(
                f"{name} in {root}: found {len(labels):,} {which} images of {count:,}; a file is missing or cut "
                "short: copy the data again"
            )
        if labels.min() != 0 or labels.max() != top:
            raise UserError(f"{name} in {root}: labels do not run from 0 to {top}; this is another dataset")
        found, wanted = np.bincount(labels), each or (count // (top + 1),) * (top + 1)
        if not np.array_equal(found, wanted):
            wrong = int((found != wanted).argmax())
            problem = f"{found[wrong]:,} {which} images have label {wrong}, not {wanted[wrong]:,}"
            raise UserError(f"{name} in {root}: {problem}; this is another dataset: load it as one of your own")


def _check_groups(root: Path, part: dict[str, np.ndarray]) -> None:
    if "coarse_labels" in part and not np.array_equal(part["coarse_labels"], coarse_of(part["labels"])):
        raise UserError(f"cifar100 in {root}: coarse labels are not those of the fine ones; copy the data again")


def _read_snapshot(name: str, root: Path, shards: list[Path]) -> tuple[Split, Split]:
    def columns(which: str) -> dict[str, Any]:
        chosen = [shard for shard in shards if _split(shard.relative_to(root / name)) == which]
        if not chosen:
            files = f"{which}-*.parquet nor {which}/*.parquet"
            raise UserError(f"{name} in {root / name}: no {files}; copy the snapshot's {which} shards there")
        tables = [_read_shard(name, shard) for shard in chosen]
        return {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}

    parts = columns("train"), columns("test")
    _check_labels(name, root, *(part["labels"] for part in parts))
    for part in parts:
        _check_groups(root, part)
    try:
        train, test = (Split(decode_images(part.pop("images"), *DATASETS[name].shape), **part) for part in parts)
    except Exception as error:  # of damaged bytes Pillow raises any kind
        problem = f"an image cannot be read ({exception_summary(error)})"
        raise UserError(f"{name} in {root / name}: {problem}; copy the data again") from error
    return train, test


def _split(shard: Path) -> str | None:
    """Return "train" or "test": as the file's name begins, or else that of the innermost folder that tells."""
    names = (shard.name, *(folder.name for folder in shard.parents))
    return next((which for name in names for which in ("train", "test") if name.startswith(which)), None)


def _read_shard(name: str, shard: Path) -> dict[str, np.ndarray]:
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(shard).read()  # read_table would take folders called a=b for columns
        images = next((column for column in _IMAGES if column in table.column_names), _IMAGES[0])
        names = dict(zip(("images", "labels", "coarse_labels"), (images, *_COLUMNS[name]), strict=True))
        wanted = {field: column for field, column in names.items() if column}
        if missing := [column for column in wanted.values() if column not in table.column_names]:
            raise UserError(
                f"{shard} has no column {', '.join(missing)} (it has {', '.join(table.column_names)}): not {name}; put "
                "that dataset's own snapshot there"
            )
        encoded = pyarrow.compute.struct_field(table[wanted.pop("images")], "bytes").to_numpy()
        labels = {field: table[column].cast(pyarrow.int64()) for field, column in wanted.items()}
        if any(column.null_count for column in labels.values()):
            raise ValueError("a label is missing")
        return {"images": encoded, **{field: column.to_numpy() for field, column in labels.items()}}
    except UserError:
        raise
    except Exception as error:  # of damaged bytes pyarrow raises any kind
        raise UserError(f"{shard} is damaged ({exception_summary(error)}); copy it again") from error


def decode_images(encoded: np.ndarray, channels: int, height: int, width: int) -> np.ndarray:
    from PIL import Image

    def decode(some: np.ndarray) -> np.ndarray:
        return np.stack([pixels_of(Image.open(io.BytesIO(bytes_), formats=_FORMATS)) for bytes_ in some])

    def pixels_of(image: Any) -> np.ndarray:
        if image.size != (width, height):  # known before it is decoded: it may be huge
            raise ValueError(f"it has {image.width}x{image.height} pixels, not {width}x{height}")
        if image.mode in {"I", "I;16", "I;16B"}:  # 16 bits of grey, which Pillow would cut off at 255
            grey = np.rint(np.asarray(image) / 257).astype(np.uint8)
            return grey if channels == 1 else np.repeat(grey[..., None], 3, axis=2)
        if image.mode not in _MODES:
            raise ValueError(f"its pixels are {image.mode}; write it as RGB or grey")
        if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
            raise ValueError(f"it is transparent in places (mode {image.mode}); write it as RGB or grey")
        return np.asarray(image.convert("L" if channels == 1 else "RGB"))

    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        pixels = np.concatenate(list(pool.map(decode, np.array_split(encoded, max(1, len(encoded) // 500)))))
    pixels = pixels.reshape(len(encoded), height, width, channels)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _read_torchvision(name: str, root: Path) -> tuple[Split, Split]:
    import torchvision

    class_name, pattern = _TORCHVISION[name]
    reader, found = getattr(torchvision.datasets, class_name), bool(files(name, root))

    def part(train: bool) -> Split:
        # What is whole is not downloaded. CIFAR's files are unpickled only after their MD5 digests have proved to be
        # the published ones.
        data = reader(root, train=train, download=True)
        pixels = np.asarray(data.data)
        images = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
        labels = np.asarray(data.targets, dtype=np.int64)
        coarse = coarse_of(labels) if name == "cifar100" else None
        return Split(np.ascontiguousarray(images), labels, coarse)

    try:
        parts = part(True), part(False)
    except Exception as error:  # of damaged bytes torchvision raises any kind
        problem = exception_summary(error)
        if found:
            what = "is damaged or not whole, and was not downloaded"
            raise UserError(f"{name} in {root / pattern} {what} ({problem}); delete it, or copy it again") from error
        raise UserError(
            f"{name} is not at hand: looked for {root / name}/*.parquet and {root / pattern}, and the download failed "
            f"({problem}); put it in either place and name the folder with --data-dir or PRUNEKIT_DATA (in a notebook: "
            "%env PRUNEKIT_DATA=FOLDER)"
        ) from error
    _check_labels(name, root, *(part.labels for part in parts))
    return parts


def coarse_of(labels: np.ndarray) -> np.ndarray:
    coarse = {fine: i for i, group in enumerate(CIFAR100_SUPERCLASSES.values()) for fine in group}
    return np.array([coarse[fine] for fine in DATASETS["cifar100"].classes], dtype=np.int64)[labels]


def _digits() -> Arrays:
    images, labels = _digit_images(32)
    cut = _digits_cut(labels)
    rgb = np.repeat(images[:, None], 3, axis=1)
    labels = labels.copy()  # whoever reads them may write to them
    return Arrays(Split(rgb[:cut], labels[:cut]), Split(rgb[cut:], labels[cut:]), DATASETS["digits"].classes, ())


def _digit_pairs() -> Arrays:
    """Return pairs of digits side by side, 40 training and 10 test pairs per class; no digit is in both."""
    images, labels = _digit_images(16)
    cut = _digits_cut(labels)
    random = np.random.Generator(np.random.PCG64(0))

    def part(images: np.ndarray, labels: np.ndarray, per_class: int) -> Split:
        pool = [np.flatnonzero(labels == digit) for digit in range(10)]
        left, right = np.divmod(np.repeat(np.arange(100), per_class), 10)
        halves = [images[[random.choice(pool[digit]) for digit in side]] for side in (left, right)]
        rgb = np.repeat(np.concatenate(halves, axis=2)[:, None], 3, axis=1)
        return Split(rgb, left * 10 + right, left)

    about = DATASETS["digit-pairs"]
    train, test = part(images[:cut], labels[:cut], 40), part(images[cut:], labels[cut:], 10)
    return Arrays(train, test, about.classes, about.coarse_classes)


def _digits_cut(labels: np.ndarray) -> int:
    """Training comes first and holds four fifths: the file is in order of writers, so the test's are mostly unseen."""
    return len(labels) * 4 // 5


def _digit_images(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's 1,797 handwritten digits as uint8 [N, 32, width], and their labels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    bytes_ = np.round(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    resized = [np.asarray(Image.fromarray(p).resize((width, 32), Image.Resampling.BILINEAR)) for p in bytes_]
    return np.stack(resized), labels.astype(np.int64)


EMBEDDED: dict[str, Callable[[], Arrays]] = {"digits": _digits, "digit-pairs": _digit_pairs}
