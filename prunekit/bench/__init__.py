"""prunekit beside the straightforward way, tests/benchmarks/baseline.py, measured in one run and alternating."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import torch

from .. import datasets
from ..datasets import sources
from ..errors import UserError, quoted, suggestion
from ..study import machine
from ..study.params import project_root
from .measure import Measured
from .report import Lines, write
from .rows import ROWS, Row
from .work import Place


def check(names: Collection[str]) -> None:
    """Raise UserError for a name that is no row's."""
    for name in names:
        if name not in ROWS:
            raise UserError(f"unknown row {quoted(name)}; {suggestion(name[:80], list(ROWS))}")


def run(
    names: Collection[str], data_dir: Path | str | None, out: Path, baseline: ModuleType, quick: bool = False
) -> list[str]:
    """Measure the named rows (all if none is) and write the report into `out`; return a line for each row that failed.

    If `quick`, all but the slow rows, and once each. prunekit and the baseline have all cores, and the memory settings
    that trials have.
    """
    machine.use_threads(machine.cores())
    machine.keep_memory()
    lines: Lines = []
    errors = []
    for name, row in ROWS.items():
        reason = _lacks(row, data_dir) if not names or name in names else "not asked for"
        reason = reason or ("left out by --quick" if quick and row.slow else "")
        measured = [Measured(note=reason)] * len(row.goals)
        if not reason:
            print(f"prunekit: measuring {name}", file=sys.stderr)
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    measured = row.measure(Place(datasets.data_root(data_dir), baseline, Path(scratch), quick))
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


def _lacks(row: Row, data_dir: Path | str | None) -> str:
    """Return why a row cannot be measured here, nothing if it can; downloads nothing."""
    if row.gpu and not torch.cuda.is_available():
        return "no GPU"
    folder = datasets.data_root(data_dir)
    missing = [name for name in row.datasets if not sources.files(name, folder)]
    return f"no {', '.join(missing)} in {folder}" if missing else ""
