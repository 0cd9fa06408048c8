"""The machine that trials run on: what a record says of it."""

from __future__ import annotations

import ctypes
import multiprocessing
import platform
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
from loky import cpu_count

from .. import __version__
from ..errors import UserError, shown

T = TypeVar("T")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass(frozen=True)
class Cost:
    """What making something took: seconds, and the most memory in use meanwhile, in bytes (None where unknown)."""

    seconds: float
    peak_memory: int | None

    def __add__(self, other: Cost) -> Cost:
        peak = max(filter(None, (self.peak_memory, other.peak_memory)), default=None)
        return Cost(self.seconds + other.seconds, peak)


def measured(device: str, make: Callable[[], T]) -> tuple[T, Cost]:
    """Return what `make` makes and its cost; calls must not be nested, since there is one peak of memory to reset.

    On a CPU, memory is what this process holds (Linux only); on a GPU, what torch has allocated there.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    _give_back()  # or the peak would be that of a stage before
    known = on_gpu or _reset_peak()
    start = time.perf_counter()
    made = make()
    if device != "cpu":
        torch.accelerator.synchronize()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if on_gpu else _peak() if known else None
    return made, Cost(seconds, peak)


def keep_memory() -> None:
    """Let the C library reuse the memory of large tensors within a stage; `measured` gives it back after each.

    Mapping it anew takes up to a third of SynFlow's time. Does nothing where the C library has no such option.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _give_back() -> None:
    """Give memory that was freed back to the system, where the C library can: scoring leaves a third of a gigabyte."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None


def cores() -> int:
    """Return how many cores this process may use: a container's quota counts."""
    return int(cpu_count())


def device(wanted: str) -> str:
    """Return the named torch device with its index, for "auto" a GPU if there is one, and use it in this process.

    Raises UserError for a device that is not here.
    """
    there = _devices()
    if wanted == "auto":
        wanted = "cuda" if "cuda" in there else "cpu"
    if wanted not in there:
        raise UserError(f"--device {shown(wanted)} is not here; choose from auto, {', '.join(there)}")
    if wanted == "cpu":
        return wanted
    kind, _, number = wanted.partition(":")
    index = int(number or 0)
    if kind == "cuda":
        torch.cuda.set_device(index)  # whose memory and name are asked for without naming it
    return f"{kind}:{index}"


def _devices() -> list[str]:
    """Return the devices that torch finds here: cpu, and the accelerator by its kind and by number."""
    if not torch.accelerator.is_available():
        return ["cpu"]
    kind = torch.accelerator.current_accelerator().type  # type: ignore[union-attr]
    return ["cpu", kind, *(f"{kind}:{i}" for i in range(torch.accelerator.device_count()))]


def free_memory(device: str) -> int:
    """Return how many bytes are free on the GPU that this process uses; 0 where torch does not tell."""
    return torch.cuda.mem_get_info()[0] if device.startswith("cuda") else 0


def processes_start() -> bool:
    """Whether this machine has the semaphores that worker processes take: not without /dev/shm."""
    try:
        multiprocessing.Lock()
    except (OSError, ImportError):
        return False
    return True


def threads(workers: int) -> int:
    """Return how many threads a trial has where `workers` processes share the cores, however many are at work."""
    return max(1, cores() // workers)


def use_threads(count: int) -> None:
    """Let torch compute in `count` threads in this process."""
    torch.set_num_threads(count)


def computes_in(precision: str, device: str) -> bool:
    """Return whether `device` computes in `precision`; GPUs older than bfloat16 only emulate it."""
    on_gpu = device.startswith("cuda")
    return precision == "float32" or not on_gpu or torch.cuda.is_bf16_supported(including_emulation=False)


def where(device: str, workers: int) -> dict[str, str | int | None]:
    """Return what a record says of the place where it ran, this process."""
    return {
        "device": device,
        "gpu": processor(device) if device.startswith("cuda") else None,
        "cpu": _cpu_name(),
        "cores": cores(),
        "workers": workers,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "prunekit": __version__,
        "commit": _commit(),
    }


def processor(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else _cpu_name()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@cache
def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
