"""prunekit beside the straightforward way, tests/benchmarks/baseline.py, measured in one run and alternating."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import torch

from .. import datasets
from ..datasets import sources
from ..errors import UserError, suggestion
from ..study import machine
from ..study.params import project_root
from ..study.store import replace
from .measure import Goal, Measured
from .rows import ROWS, Place, Row

Lines = list[tuple[str, Goal, Measured]]  # the row's name, a goal of it, and what came out

_ABOUT = """\
Medians; in brackets the lowest and the highest value and the number of measurements. prunekit and the baseline are
measured in one run, in turn; the ratio is the baseline's median over prunekit's. The baseline is the straightforward
way: PIL images and torchvision's transforms behind a DataLoader, masks multiplied in the forward pass, torch's default
Adam, everything scored and trained again for each cell (tests/benchmarks/baseline.py).

- Times of trials and of Table IV include reading the data, on both sides from prunekit's cache of decoded images.
- The baseline shares nothing between trials or cells: its time for five trials is five times that of one, for the 60
  cells of Table IV six times that of the ten at one compression.
- A training step's operations are those of forward, weight and input gradients (none for the first layer's input), two
  for each multiply-add, convolutions as they are defined. A matrix product is one of 4096 x 4096; copying counts the
  bytes read and those written.
- The memory is that of a process with all of CIFAR-10 at hand that scores with GraSP, trains two steps and tests.
- An epoch on a GPU is its training alone, the baseline's in float32. The baseline's time for `run paper` is that of one
  epoch and test of each network, times the epochs of all trials.
"""


def check(names: Collection[str]) -> None:
    """Raise UserError for a name that is no row's."""
    for name in names:
        if name not in ROWS:
            raise UserError(f"unknown row {name!r}; {suggestion(name, list(ROWS))}")


def run(names: Collection[str], data_dir: Path | str | None, out: Path, baseline: ModuleType) -> list[str]:
    """Measure the named rows (all if none is), write `out`/bench.csv and bench.md; return a line a row that failed."""
    torch.set_num_threads(machine.cores())
    lines: Lines = []
    errors = []
    for name, row in ROWS.items():
        reason = "not asked for" if names and name not in names else _lacks(row, data_dir)
        measured = [Measured(note=reason)] * len(row.goals)
        if not reason:
            print(f"prunekit: measuring {name}", file=sys.stderr)
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    measured = row.measure(Place(datasets.data_root(data_dir), baseline, Path(scratch)))
            except Exception as error:  # a row that fails costs no other
                errors.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
                measured = [Measured(note="failed")] * len(row.goals)
        lines += [(name, goal, one) for goal, one in zip(row.goals, measured, strict=True)]
    write(lines, out)
    return errors


def load_baseline() -> ModuleType:
    """Return tests/benchmarks/baseline.py of the checkout as a module; raises UserError where there is none."""
    file = project_root() / "tests" / "benchmarks" / "baseline.py"
    spec = importlib.util.spec_from_file_location("baseline", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["baseline"] = module  # where dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError:
        raise UserError(
            f"no baseline to measure against ({file}); run prunekit bench inside a checkout of it"
        ) from None
    return module


def write(lines: Lines, out: Path) -> None:
    """Write bench.csv, a row a line with all that is known of the machine, and bench.md, the same to be read."""
    here = _machine()
    out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([_tidy(*line) | here for line in lines])
    replace(out / "bench.csv", table.to_csv(index=False, lineterminator="\n").encode())
    replace(out / "bench.md", markdown(lines, here).encode())


def markdown(lines: Lines, here: dict[str, Any]) -> str:
    """Return the report to be read."""
    gpu = here["gpu"] or "no GPU"
    where = f"{here['cpu']}, {here['cores']} cores, {here['threads']} threads, {gpu}, {here['system']}"
    packages = ", ".join(f"{name} {here[name]}" for name in ("python", "torch", "torchvision", "prunekit"))
    rows = [("", "work", "prunekit", "baseline", "ratio", "target", ""), ("---",) * 7]
    for name, goal, measured in lines:
        ratio = measured.ratio()
        rows.append(
            (
                name,
                goal.work,
                _shown(measured.ours, goal.unit) or f"not measured: {measured.note}",
                _shown(measured.baseline, goal.unit),
                "" if ratio is None or goal.unit != "s" else f"{ratio:.2f}",
                goal.target(),
                measured.verdict(goal) if measured.ours else "",
            )
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# prunekit bench\n\n{here['date']}: {where}; {packages} ({here['commit']}).\n\n{table}\n\n{_ABOUT}"


def _lacks(row: Row, data_dir: Path | str | None) -> str:
    """Return why a row cannot be measured here, nothing if it can; downloads nothing."""
    if row.gpu and not torch.cuda.is_available():
        return "no GPU"
    folder = datasets.data_root(data_dir)
    missing = [name for name in row.datasets if not sources.files(name, folder)]
    return f"no {', '.join(missing)} in {folder}" if missing else ""


def _machine() -> dict[str, Any]:
    here = machine.where("cuda" if torch.cuda.is_available() else "cpu", workers=1)
    del here["device"], here["workers"]
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", **here, "torchvision": version("torchvision")}


def _tidy(name: str, goal: Goal, measured: Measured) -> dict[str, Any]:
    def numbers(who: str, values: list[float]) -> dict[str, Any]:
        median, low, high = spread(values) if values else (None, None, None)
        return {who: median, f"{who}_low": low, f"{who}_high": high, f"{who}_n": len(values)}

    targets = {"target_ratio": goal.ratio, "target_most": goal.most, "target_least": goal.least}
    words = {"verdict": measured.verdict(goal), "note": measured.note}
    sides = numbers("ours", measured.ours) | numbers("baseline", measured.baseline)
    return {"row": name, "work": goal.work, "unit": goal.unit, **sides, "ratio": measured.ratio(), **targets, **words}


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the lowest and the highest of `values`."""
    return statistics.median(values), min(values), max(values)


def _shown(values: list[float], unit: str) -> str:
    if not values:
        return ""
    median, low, high = (f"{value:.3g}" for value in spread(values))
    count = f" ({low}–{high}, n = {len(values)})" if len(values) > 1 else " (n = 1)"
    return f"{median} {unit}{count}"
