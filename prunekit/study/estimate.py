"""How long what is missing of a study takes, by what like trials took."""

from __future__ import annotations

import platform
import shutil
import sys
from collections import Counter
from collections.abc import Container, Mapping
from itertools import chain
from statistics import mean
from typing import NamedTuple

from . import store
from .project import project_root
from .study import Study
from .trial import Record, Trial
from .work_units import size

_SHARED = ("data", "pretrain", "score")  # stages that trials of several compressions have in common

_ALONE_ON_A_GPU = 2  # times as long as one of six side by side takes of the GPU, see `engine`


class Estimate(NamedTuple):
    """Seconds that missing trials take, by records of `machines`, and the bytes of memory that a process had there."""

    seconds: float
    machines: str
    memory: int
    like: float  # for what share of them there are records that differ in seed and compression alone

    @property
    def told(self) -> str:
        """As a line."""
        memory = f", and {self.memory / 1e9:.1f} GB of memory a process" if self.memory else ""
        known = (
            "by what like trials took" if self.like else "no like trial ran on such a machine: by the size of others"
        )
        known += " and by their size" if 0 < self.like < 1 else ""
        return f"about {self.time} to go{memory}, {known} ({self.machines})"

    @property
    def time(self) -> str:
        """In a unit that leaves two or three digits."""
        for unit, seconds in {"seconds": 1, "minutes": 60, "hours": 3600}.items():
            if self.seconds < 100 * seconds:
                return f"{self.seconds / seconds:.0f} {unit}"
        return f"{self.seconds / 86400:.0f} days"


def time_left(study: Study, device: str = "auto", among: Container[str] | None = None) -> Estimate | None:
    """Return about how long what is missing here, `among` these ids if given, takes; None if nothing is or is known.

    A trial takes as long as those run here that differ in seed and compression alone took, or published with the
    profile where none was run here, or with others; one of no known kind, what its size tells. Trials of a GPU tell
    nothing of a processor, nor the other way round: `device` is the one that is to run them.
    """
    here = study.store.load(study.trials)
    left = [trial for trial in study.missing(here) if among is None or trial.id in among]
    device = machine_device() if device == "auto" else device
    files = [study.committed_file, *sorted(project_root().glob("reports/*/trials.parquet"))]
    sources = chain([here], map(store.committed_records, files))  # of which the first that knows any are read
    found = ([one for one in source.values() if one.status == "ok" and _is_of(one, device)] for source in sources)
    known = next(filter(None, found), [])
    if not left or not known:
        return None
    on_gpu = all(record.where.get("gpu") for record in known)
    sharing = Counter(_kind(trial, "compression") for trial in study.trials.values())
    seconds: dict[str, list[float]] = {}
    for record in known:
        seconds.setdefault(_kind(record.trial, "compression", "seed"), []).append(_cost(record, sharing))
    rate = sum(map(sum, seconds.values())) / sum(_size(record.trial, on_gpu) for record in known)
    total = 0.0
    for trial in left:
        once = mean(seconds.get(_kind(trial, "compression", "seed"), [rate * _size(trial, on_gpu)]))
        total += once * (_ALONE_ON_A_GPU if on_gpu and trial.id in study.alone else 1)
    memory = max((peak for record in known for peak in record.peak_memory.values()), default=0)
    like = mean(_kind(trial, "compression", "seed") in seconds for trial in left)
    return Estimate(total, "; ".join(sorted({record.machine for record in known})), memory, like)


def machine_device() -> str:
    """Return cuda, mps or cpu, by the tools that come with a GPU's driver: torch, which knows, takes long to load."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if any(map(shutil.which, ("nvidia-smi", "rocm-smi"))) else "cpu"


def _size(trial: Trial, on_gpu: bool) -> float:
    """How long it takes beside others; on a GPU, where launching bounds a step, as long as VGG16 in as many steps."""
    if not on_gpu:
        return size([trial])
    steps = Trial.model_fields["batch_size"].default / trial.batch_size
    return size([trial.model_copy(update={"model": "vgg16", "width": 1.0})]) * steps


def _is_of(record: Record, device: str) -> bool:
    return bool(record.where.get("gpu")) == (device != "cpu")


def _kind(trial: Trial, *without: str) -> str:
    return trial.model_dump_json(exclude=set(without))


def _cost(record: Record, sharing: Mapping[str, int]) -> float:
    """Return the seconds that a trial took of its run: what it shared, and the machine with others, in part."""
    share = max(1, sharing.get(_kind(record.trial, "compression"), 1)) if record.trial.prune_steps == 1 else 1
    spent = sum(seconds / share if stage in _SHARED else seconds for stage, seconds in record.seconds.items())
    return spent / int(record.where.get("workers") or 1)
