"""Many trials: units that share work go to an executor, here or on a cluster; the records that come back are kept."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from .. import datasets, plugins
from ..errors import UserError, say
from . import machine
from .cluster import connect
from .progress import Progress
from .signals import signals_blocked
from .store import Store
from .trial import Record, Trial, failed
from .work_units import WorkUnit, grouped, size
from .worker import (
    WorkerConfig,
    exit_with_parent,
    failure_summary,
    no_room,
    records,
    save_or_fail,
    work,
)

_LOST = "the process of these trials was killed twice, perhaps for want of memory; run again with fewer --workers"

# On an H100 (80 GB, MPS, 16 cores) six processes were twice as fast as one, ten no faster; VGG16 takes under 4 GB.
_ON_A_GPU, _GPU_MEMORY = 6, 4e9  # processes at most; bytes for each
_GROWING = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}  # bytes; a process that reads a second dataset has no leak


def run(
    trials: Iterable[Trial],
    store: Store,
    data_dir: Path | str | None = None,
    device: str = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    done: Collection[str] = (),
    alone: Collection[str] = (),
    ranks: Mapping[str, int] | None = None,
) -> dict[Trial, str]:
    """Run those of `trials` that `store` has no good record of, store one of each; return the errors of failed ones.

    Those whose ids are `done` are not run either; yet they belong in `trials`, since the number of processes, with it
    the threads of each, and so the last bits of results must not depend on what is left. `device` is a torch device
    ("auto": a GPU if there is one). On a CPU, `workers` processes share its cores (None: one per core, but no more than
    there are units), on a GPU they share it (None: as many as memory and the cores have room for, six at most). Those
    of lower `ranks`, by id, begin first. Those whose ids are `alone` come last, one at a time with all cores, seeds and
    pruners in random order: a machine that slows down must not seem to be a slow pruner.
    With `cluster`, the address or file of a dask scheduler, its workers run all trials, on data of their own. Raises
    UserError for a device or a cluster that is not there, and if something of the user's own was edited since its
    trials were made.
    """
    trials = list(trials)
    done = store.good(trial.id for trial in trials).keys() | set(done)
    missing = [trial for trial in trials if trial.id not in done]
    store.remove_leftovers()
    if not missing:
        return {}
    for trial in {tuple(trial.sources.items()): trial for trial in missing}.values():
        trial.check_sources()
    if cluster:
        made = _on_cluster(in_order(grouped(missing), ranks or {}, True), cluster, device, store)
    else:
        made = _here(trials, done, alone, ranks or {}, store, data_dir, device, workers)
    errors: dict[Trial, str] = {}
    files = [file for trial in missing if not (file := store.folder / f"{trial.id}.json").exists()]
    with Progress(len(missing), so_far=lambda: sum(file.exists() for file in files)) as advance, closing(made):
        for record in made:
            if record.error:
                errors[record.trial] = record.error
            advance(record.trial.label, record.error)
    return errors


def lines(errors: dict[Trial, str]) -> Iterator[str]:
    """Yield one line an error of `run`: trials that failed of the same share it."""
    sharing: dict[str, list[Trial]] = {}
    for trial, error in errors.items():
        sharing.setdefault(error, []).append(trial)
    for error, (first, *others) in sharing.items():
        label = f"{1 + len(others)} trials (first: {first.label})" if others else first.label
        yield f"{label}: {error}"


def _here(
    trials: list[Trial],
    done: Collection[str],
    alone: Collection[str],
    ranks: Mapping[str, int],
    store: Store,
    data_dir: Path | str | None,
    device: str,
    workers: int | None,
) -> Generator[Record, None, None]:
    """Yield the records of the trials not `done`, stored, from this machine."""
    device = machine.device(device)
    workers = workers or processes(device, [trial for trial in trials if trial.id not in alone])
    if workers > 1 and not machine.processes_start():
        say("no semaphores here (/dev/shm), so no other processes; going on in this one")
        workers = 1
    config = WorkerConfig(device, workers, machine.threads(workers), data_dir, store.folder)
    missing = [trial for trial in trials if trial.id not in done]
    unavailable = _unavailable({trial.dataset for trial in missing}, data_dir)
    for trial in missing:
        if problem := unavailable.get(trial.dataset):
            yield save_or_fail(failed(trial, problem, machine.where(device, workers)), store)
    missing = [trial for trial in missing if trial.dataset not in unavailable]
    if not all(machine.computes_in(trial.precision, device) for trial in missing):
        say(f"{machine.processor(device)} has no bfloat16; going on in float32")
    if workers > 1:
        config = replace(config, plugins=_plugins(missing))
    yield from _spread(grouped(trial for trial in missing if trial.id not in alone), ranks, config, store)
    by_itself = replace(config, workers=1, threads=machine.threads(1))
    for unit in _one_by_one(trial for trial in missing if trial.id in alone):
        yield from records(unit, by_itself)


def processes(device: str, trials: list[Trial]) -> int:
    """Return how many processes to run `trials` in: no more than there are units, done or not."""
    room = machine.cores()
    if device != "cpu":
        room = min(room, _ON_A_GPU, int(machine.free_memory(device) // _GPU_MEMORY))
    return max(1, min(room, len(grouped(trials))))


def _one_by_one(trials: Iterable[Trial]) -> list[WorkUnit]:
    """Return trials in random order, one seed and dataset in a row, within these what shares scores."""
    alike: dict[tuple[int, str], dict[str, list[Trial]]] = {}
    for trial in random.sample(trials := list(trials), len(trials)):
        sharing = alike.setdefault((trial.seed, trial.dataset), {})
        sharing.setdefault(trial.model_dump_json(exclude={"compression"}), []).append(trial)
    return [tuple(unit) for sharing in alike.values() for unit in sharing.values()]


def _unavailable(names: set[str], data_dir: Path | str | None) -> dict[str, str]:
    """Read each dataset once, so that workers find it decoded; return why for those that cannot be had, by name."""
    problems = {}
    for name in sorted(names):
        try:
            datasets.read(name, data_dir)
        except UserError as problem:
            problems[name] = str(problem)
    return problems


def in_order(units: list[WorkUnit], ranks: Mapping[str, int], longest_first: bool) -> list[WorkUnit]:
    """Return `units` by rank, of like rank if asked the longest first, so that several processes end together.

    Like ones begin elsewhere in each run, so that two runs in one folder divide the work.
    """

    def place(unit: WorkUnit) -> tuple[int, float]:
        return min(ranks.get(trial.id, 0) for trial in unit), -size(unit) if longest_first else 0

    begin = random.randrange(len(units)) if units else 0
    return sorted(units[begin:] + units[:begin], key=place)


def _spread(
    units: list[WorkUnit], ranks: Mapping[str, int], config: WorkerConfig, store: Store
) -> Generator[Record, None, None]:
    """Yield the records of `units`, run in `config.workers` processes; in half as many what there was no room for."""
    units = in_order(units, ranks, longest_first=config.workers > 1)
    if config.workers == 1:
        for unit in units:
            yield from records(unit, config)
        return
    starved = []
    with closing(_in_processes(units, config, store)) as spread:
        for record in spread:
            if record.error and no_room(record.error):
                starved.append(record.trial)
            else:
                yield record
    if starved:
        half = config.workers // 2
        say(f"no room for {config.workers} trials at once; going on with {half}")
        yield from _spread(grouped(starved), ranks, replace(config, workers=half), store)


def _in_processes(units: list[WorkUnit], config: WorkerConfig, store: Store) -> Generator[Record, None, None]:
    """Yield the records of units that worker processes run.

    What is in flight when a process is killed runs again, a unit at a time, so that a second kill tells whose it is.
    """
    left = deque(units)
    while left:
        for unit in (yield from _in_pool(left, config)):
            if (yield from _in_pool(deque([unit]), config)):
                good = store.good(trial.id for trial in unit)
                yield from good.values()
                for trial in unit:
                    if trial.id not in good:
                        yield save_or_fail(failed(trial, _LOST, machine.where(config.device, config.workers)), store)


def _in_pool(left: deque[WorkUnit], config: WorkerConfig) -> Generator[Record, None, list[WorkUnit]]:
    """Yield the records of the units in `left`, emptying it; return those in flight when a process was killed."""
    from loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

    count = min(config.workers, len(left))
    with signals_blocked():
        pool = ProcessPoolExecutor(count, initializer=exit_with_parent, initargs=(os.getpid(),), env=_GROWING)
    running: dict[Future[list[Record]], WorkUnit] = {}
    try:
        while left or running:
            while left and len(running) < count:
                with signals_blocked():
                    running[pool.submit(work, left[0], config)] = left[0]
                left.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                yield from _outcome(running.pop(future), future)
    except BrokenProcessPool:  # before anything more could be submitted
        return list(running.values())
    finally:
        pool.shutdown(kill_workers=True)  # at the end they are idle; on Ctrl-C do not wait for trials in flight
    return []


def _on_cluster(units: list[WorkUnit], address: str, device: str, store: Store) -> Generator[Record, None, None]:
    """Yield the records of units that a dask cluster runs; what a lost worker ran, dask runs elsewhere."""
    needed = _plugins(trial for unit in units for trial in unit)
    with connect(address, device) as (executor, workers):
        config = WorkerConfig(device, workers, None, plugins=needed)
        running = {executor.submit(work, unit, config): unit for unit in units}
        for future in as_completed(running):
            for record in _outcome(running[future], future):
                yield save_or_fail(record, store)


def _plugins(trials: Iterable[Trial]) -> bytes:
    """Return what `trials` need of the user's own, for other processes."""
    needed = {key for trial in trials for key in trial.sources}
    return plugins.packed(sorted(needed)) if needed else b""


def _outcome(unit: WorkUnit, future: Future[list[Record]]) -> list[Record]:
    """Return the records of a unit whose future is done; if it raised, a failure of each trial, in one line."""
    try:
        return future.result()
    except Exception as problem:
        return [failed(trial, failure_summary(problem), {}) for trial in unit]
