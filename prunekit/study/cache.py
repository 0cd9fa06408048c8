"""Tensors that took long to make, on disk: pretrained networks and one-shot scores, for other processes and later runs.

The folder may be deleted at any time. What two processes make at once, the later one writes over the earlier's equal;
what would make it larger than `LARGEST`, those files give way for that were used least lately.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import exception_summary
from ..files import load_arrays, save_arrays
from . import machine

Made = tuple[dict[str, Tensor], list[dict[str, float]]]  # tensors, and the rows of numbers that go with them
WORTHWHILE = 1.0  # seconds: what is made faster is not written
LARGEST = 8e9  # bytes: what the profile `paper` caches at width 1 several times over
_VERSION = 3  # of the file's layout and of what the tensors mean: raise it when either changes


def once(folder: Path | None, key: Hashable, device: str, make: Callable[[], Made]) -> tuple[Made, machine.Cost]:
    """Return what `make` makes and what making it cost: from `folder` if it lies there, else made now and put there.

    `key` says all that the outcome depends on; what its cost depends on, versions, device and threads, is added here.
    A damaged file is made again, with a line. No folder, no cache.
    """
    text = repr((_VERSION, torch.__version__, machine.processor(device), torch.get_num_threads(), key))
    file = folder and folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
    if file and (found := _read(file, text)):
        (tensors, rows), cost = found
        return ({name: tensor.to(device) for name, tensor in tensors.items()}, rows), cost
    made, cost = machine.measured(device, make)
    if file and cost.seconds >= WORTHWHILE:
        _write(file, made, {"key": text, "rows": made[1], "cost": vars(cost)})
    return made, cost


def _read(file: Path, key: str) -> tuple[Made, machine.Cost] | None:
    try:
        arrays = load_arrays(file)
        if arrays is None:
            return None
        about = json.loads(str(arrays.pop("about")))
        if about["key"] != key:
            raise ValueError("another key")
    except (ValueError, KeyError) as error:
        print(f"prunekit: {file} is damaged ({exception_summary(error)}); making its contents again", file=sys.stderr)
        return None
    with suppress(OSError):
        file.touch()
    tensors = {name[1:]: torch.from_numpy(array) for name, array in arrays.items()}
    return (tensors, about["rows"]), machine.Cost(**about["cost"])


def _write(file: Path, made: Made, about: dict[str, Any]) -> None:
    arrays = {f"_{name}": tensor.detach().cpu().numpy() for name, tensor in made[0].items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _make_room(file.parent, sum(array.nbytes for array in arrays.values()))
        save_arrays(file, arrays | {"about": np.array(json.dumps(about))})
    except OSError as error:
        print(f"prunekit: cannot write {file} ({exception_summary(error)}); going on without", file=sys.stderr)


def _make_room(folder: Path, size: int) -> None:
    """Delete the files that were used least lately, until one of `size` bytes finds room."""
    used = []
    for file in folder.glob("*.npz"):
        with suppress(FileNotFoundError):  # another process may delete it meanwhile
            status = file.stat()
            used.append((status.st_mtime_ns, status.st_size, file))
    left = sum(one[1] for one in used) + size
    for _, freed, file in sorted(used):
        if left <= LARGEST:
            return
        file.unlink(missing_ok=True)
        left -= freed
