"""What a process that runs trials does: a unit of them, one trial after another, each failure in one line."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import __version__, plugins
from ..errors import UserError, advice, exception_summary
from . import cluster, machine, runner
from .artifacts import Artifacts
from .store import Store
from .trial import Record, Trial, failed
from .work_units import WorkUnit

_one_at_a_time = threading.Lock()
# Large pages for torch's large tensors on Linux: of SynFlow's steps on VGG16 a fifth went into mapping small ones.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@dataclass(frozen=True)
class WorkerConfig:
    """What a process must know to run trials. `threads` None: those of its dask worker; `runs` None: records travel."""

    device: str
    workers: int
    threads: int | None
    data_dir: Path | str | None = None
    runs: Path | None = None
    version: str = __version__
    plugins: bytes = b""  # of the user's own


def work(unit: WorkUnit, config: WorkerConfig) -> list[Record]:
    """Run a unit in a worker process, and return its records."""
    if config.version != __version__:
        raise UserError(f"a worker has prunekit {__version__}, not {config.version}; install that on every worker")
    if config.plugins:
        plugins.unpack(config.plugins)
    with _one_at_a_time:  # a dask worker of several threads takes several units
        return list(records(unit, config))


def records(unit: WorkUnit, config: WorkerConfig) -> Iterator[Record]:
    """Yield the records of a unit's trials, run in this process and stored if `config` names a folder."""
    machine.use_threads(config.threads or cluster.threads())
    machine.keep_memory()
    device = machine.device(config.device)
    store = config.runs and Store(config.runs)
    artifacts = _artifacts(config.data_dir, device)
    where = machine.where(device, config.workers)
    for trial in unit:
        # Another run in this folder, or this unit's killed process, may have been here.
        if store and (found := store.good([trial.id])):
            yield from found.values()
        else:
            record = _attempt(trial, artifacts, where)
            yield save_or_fail(record, store) if store else record


def _attempt(trial: Trial, artifacts: Artifacts, where: dict[str, Any]) -> Record:
    """Run a trial and return its record, a failed one if it raises."""
    try:
        return runner.run_and_keep(trial, artifacts, where)[0]
    except Exception as problem:
        return failed(trial, failure_summary(problem), where)


def save_or_fail(record: Record, store: Store) -> Record:
    """Store a record and return it; where that cannot be, a failed one that says so."""
    try:
        store.save(record)
    except OSError as problem:
        error = f"its record cannot be written to {store.folder} ({problem.strerror}); {advice(problem)}"
        return failed(record.trial, f"{error}, then run again", record.where)
    return record


def no_room(error: str) -> bool:
    """Whether a GPU's memory did not suffice, or it takes but one process: as torch, CUDA and its libraries say it."""
    return any(words in error for words in ("out of memory", "ALLOC_FAILED", "busy or unavailable"))


def exit_with_parent(parent: int) -> None:
    """Make this worker process end with the run that started it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def failure_summary(problem: BaseException) -> str:
    """Return what a trial failed of: the text of an error that explains itself, else with its kind and config."""
    text = exception_summary(problem)
    if isinstance(problem, (UserError, ValueError, FloatingPointError)) and str(problem):
        return text
    trace = problem.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(problem).__name__}: {text}{place}"


@lru_cache(maxsize=1)
def _artifacts(data_dir: Path | str | None, device: str) -> Artifacts:
    """What the trials of this process share, from unit to unit."""
    return Artifacts(data_dir, device)
