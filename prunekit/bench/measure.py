"""What is measured, what it must reach, and the rulers: seconds, and this machine's own rates."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from ..metrics import flops
from ..models import build

_SIDE = 4096  # of the matrices whose product is a ruler


@dataclass(frozen=True)
class Goal:
    """A line of the report: some work, the unit in which it is measured, and what it must reach, if anything."""

    work: str
    unit: str = "s"
    ratio: float | None = None  # the baseline's median over ours, at least
    most: float | None = None
    least: float | None = None

    def target(self) -> str:
        parts = (
            "" if self.ratio is None else f"{self.ratio:g} times the baseline",
            "" if self.most is None else f"at most {self.most:g} {self.unit}",
            "" if self.least is None else f"at least {self.least:g} {self.unit}",
        )
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Measured:
    """What was measured for a goal, in its unit; nothing, and the note says why, where it could not be."""

    ours: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    note: str = ""

    def ratio(self) -> float | None:
        """The baseline's median over ours, None without a baseline."""
        return statistics.median(self.baseline) / statistics.median(self.ours) if self.baseline else None

    def verdict(self, goal: Goal) -> str:
        """Return met, missed or not measured; nothing for a goal that sets no target."""
        if not self.ours:
            return "not measured"
        median, ratio = statistics.median(self.ours), self.ratio()
        met = []
        if goal.ratio is not None:
            met.append(ratio is not None and ratio >= goal.ratio)
        if goal.most is not None:
            met.append(median <= goal.most)
        if goal.least is not None:
            met.append(median >= goal.least)
        return ("met" if all(met) else "missed") if met else ""


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(times: int, ours: Callable[[], float], baseline: Callable[[], float]) -> Measured:
    """Measure the baseline and ours alternately, `times` each; both return what they measured."""
    measured = Measured()
    for _ in range(times):
        measured.baseline.append(baseline())
        measured.ours.append(ours())
    return measured


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new Python process; raises RuntimeError with its last line if it fails."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(last)
    return done


def prunekit(*words: str) -> float:
    """Return the seconds of a command, from the start of its process to the end."""
    return timed(lambda: python("from prunekit.cli import main; main()", *words))


def product_rate(device: str, dtype: torch.dtype) -> float:
    """Return the billions of operations a second of a product of two square matrices, the best of three.

    On a CPU that of the faster library: torch multiplies float32 matrices with MKL and convolves, which is most of
    training, with oneDNN; on AMD's processors the former is half as fast.
    """
    a, b = torch.randn(2, _SIDE, _SIDE, device=device).to(dtype)
    out = torch.empty_like(a)

    def product() -> None:
        torch.mm(a, b, out=out)
        if device != "cpu":
            torch.accelerator.synchronize()

    ways: list[Callable[[], Any]] = [product]
    if device == "cpu" and torch.backends.mkldnn.is_available():
        theirs = a.to_mkldnn(), b.to_mkldnn()
        ways.append(torch.no_grad()(lambda: F.linear(*theirs)))
    return 2 * _SIDE**3 / min(timed(way) for way in ways for _ in range(3)) / 1e9


def copy_rate() -> float:
    """Return the GB/s that copying half a GB moves, read and written, the best of three."""
    source = torch.ones(2**27)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / min(timed(lambda: target.copy_(source)) for _ in range(3)) / 1e9


def step_operations(images: int) -> int:
    """Return the operations that training VGG16 on `images` of CIFAR-10 takes: a multiply-add is two of them.

    Forward, the gradients of the weights and those of the inputs take a multiply-add each, but the first layer's input
    needs no gradient. Convolutions count as they are defined, whatever algorithm computes them.
    """
    costs = flops(build("vgg16", (3, 32, 32), 10), {}, (3, 32, 32))
    weights = costs.flops[costs.kind == "weight"]
    return 2 * images * int(3 * weights.sum() - weights.iloc[0])
