"""Many trials: groups that share work go to an executor, here or on a cluster; the records that come back are kept."""

from __future__ import annotations

import os
import random
import sys
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from .. import datasets, own
from ..errors import UserError
from . import machine
from .cluster import connect
from .groups import Group, grouped, size
from .progress import Progress
from .store import Store
from .trial import Record, Trial, failed
from .worker import Place, deaf, follow, kept, no_room, one_line, records, work

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
    timed: Collection[str] = (),
    ranks: Mapping[str, int] | None = None,
) -> dict[Trial, str]:
    """Run those of `trials` that `store` has no good record of, store one of each; return the errors of failed ones.

    Those whose ids are `done` are not run either; yet they belong in `trials`, since what trains side by side must not
    depend on it. `device` is a torch device ("auto": a GPU if there is one). On a CPU, `workers` processes share its
    cores (None: one a core, if there are as many groups to run), on a GPU they share it (None: as many as memory and
    the cores have room for, six at most). Those of lower `ranks`, by id, begin first. Those whose ids are `timed` come
    last, one at a time with all cores, in random order: a machine that slows down must not seem to be a slow pruner.
    With `cluster`, the address or file of a dask scheduler, its workers run all trials, on data of their
    own. Raises UserError for a device or a cluster that is not there, and if something of the user's own was edited
    since its trials were made.
    """
    trials = list(trials)
    done = store.good(trial.id for trial in trials).keys() | set(done)
    missing = [trial for trial in trials if trial.id not in done]
    store.sweep()
    if not missing:
        return {}
    for trial in {tuple(trial.sources.items()): trial for trial in missing}.values():
        trial.check_sources()
    if cluster:
        made = _on_cluster(_in_order(grouped(trials, done), ranks or {}, True), cluster, device, store)
    else:
        made = _here(trials, done, timed, ranks or {}, store, data_dir, device, workers)
    errors: dict[Trial, str] = {}
    with Progress(len(missing)) as advance, closing(made):
        for record in made:
            if record.error:
                errors[record.trial] = record.error
            advance(record.trial, record.error)
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
    timed: Collection[str],
    ranks: Mapping[str, int],
    store: Store,
    data_dir: Path | str | None,
    device: str,
    workers: int | None,
) -> Generator[Record, None, None]:
    """Yield the records of the trials not `done`, stored, from this machine."""
    device = machine.device(device)
    workers = workers or _processes(device, [trial for trial in trials if trial.id not in timed])
    place = Place(device, workers, machine.threads(workers), data_dir, store.folder)
    unavailable = _unavailable({trial.dataset for trial in trials if trial.id not in done}, data_dir)
    for trial in trials:
        if (problem := unavailable.get(trial.dataset)) and trial.id not in done:
            yield kept(failed(trial, problem, machine.where(device, workers)), store)
    trials = [trial for trial in trials if trial.dataset not in unavailable]
    if not all(machine.computes_in(trial.precision, device) for trial in trials if trial.id not in done):
        print(f"prunekit: {machine.processor(device)} has no bfloat16; going on in float32", file=sys.stderr)
    if workers > 1:
        place = replace(place, brought=_brought(trial for trial in trials if trial.id not in done))
    yield from _spread(grouped((trial for trial in trials if trial.id not in timed), done), ranks, place, store)
    by_itself = replace(place, workers=1, threads=machine.threads(1))
    for group in _shuffled(trial for trial in trials if trial.id in timed and trial.id not in done):
        yield from records(group, by_itself)


def _processes(device: str, trials: list[Trial]) -> int:
    """Return how many processes to run `trials` in: not more than there are groups, whatever is done of them."""
    room = machine.cores()
    if device != "cpu":
        room = min(room, _ON_A_GPU, int(machine.free_memory(device) // _GPU_MEMORY))
    return max(1, min(room, len(grouped(trials))))


def _shuffled(trials: Iterable[Trial]) -> list[Group]:
    """Return trials one by one in random order, but those of a seed and dataset, which share images, in a row."""
    trials = list(trials)
    random.shuffle(trials)
    alike: dict[tuple[int, str], list[Trial]] = {}
    for trial in trials:
        alike.setdefault((trial.seed, trial.dataset), []).append(trial)
    return [group for row in alike.values() for trial in row for group in grouped([trial])]


def _unavailable(names: set[str], data_dir: Path | str | None) -> dict[str, str]:
    """Read each dataset once, so that workers find it decoded; return why for those that cannot be had, by name."""
    problems = {}
    for name in sorted(names):
        try:
            datasets.read(name, data_dir)
        except UserError as problem:
            problems[name] = str(problem)
    return problems


def _in_order(groups: list[Group], ranks: Mapping[str, int], longest_first: bool) -> list[Group]:
    """Return `groups` by rank, of like rank if asked the longest first, so that several processes end together.

    Like ones begin elsewhere in each run, so that two runs in one folder divide the work.
    """

    def place(group: Group) -> tuple[int, float]:
        return min(ranks.get(trial.id, 0) for trial in group.trials), -size(group) if longest_first else 0

    begin = random.randrange(len(groups)) if groups else 0
    return sorted(groups[begin:] + groups[:begin], key=place)


def _spread(groups: list[Group], ranks: Mapping[str, int], place: Place, store: Store) -> Generator[Record, None, None]:
    """Yield the records of `groups`, run in `place.workers` processes; in half as many what there was no room for."""
    groups = _in_order(groups, ranks, longest_first=place.workers > 1)
    if place.workers == 1:
        for group in groups:
            yield from records(group, place)
        return
    starved = []
    with closing(_in_processes(groups, place, store)) as spread:
        for record in spread:
            if record.error and no_room(record.error):
                starved.append(record.trial)
            else:
                yield record
    if starved:
        half = place.workers // 2
        print(f"prunekit: no room for {place.workers} trials at once; going on with {half}", file=sys.stderr)
        yield from _spread(grouped(starved), ranks, replace(place, workers=half), store)


def _in_processes(groups: list[Group], place: Place, store: Store) -> Generator[Record, None, None]:
    """Yield the records of groups that worker processes run.

    What is in flight when a process is killed runs again, a group at a time, so that a second kill tells whose it is.
    """
    left = deque(groups)
    while left:
        for group in (yield from _in_pool(left, place)):
            if (yield from _in_pool(deque([group]), place)):
                good = store.good(trial.id for trial in group.trials)
                yield from good.values()
                for trial in group.trials:
                    if trial.id not in good:
                        yield kept(failed(trial, _LOST, machine.where(place.device, place.workers)), store)


def _in_pool(left: deque[Group], place: Place) -> Generator[Record, None, list[Group]]:
    """Yield the records of the groups in `left`, emptying it; return those in flight when a process was killed."""
    from loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

    count = min(place.workers, len(left))
    with deaf():
        pool = ProcessPoolExecutor(count, initializer=follow, initargs=(os.getpid(),), env=_GROWING)
    running: dict[Future[list[Record]], Group] = {}
    try:
        while left or running:
            while left and len(running) < count:
                with deaf():
                    running[pool.submit(work, left[0], place)] = left[0]
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


def _on_cluster(groups: list[Group], address: str, device: str, store: Store) -> Generator[Record, None, None]:
    """Yield the records of groups that a dask cluster runs; what a lost worker ran, dask runs elsewhere."""
    brought = _brought(trial for group in groups for trial in group.trials)
    with connect(address, device) as (executor, workers):
        place = Place(device, workers, None, brought=brought)
        running = {executor.submit(work, group, place): group for group in groups}
        for future in as_completed(running):
            for record in _outcome(running[future], future):
                yield kept(record, store)


def _brought(trials: Iterable[Trial]) -> bytes:
    """Return what `trials` need of the user's own, for other processes."""
    needed = {brought for trial in trials for brought in trial.sources}
    return own.packed(sorted(needed)) if needed else b""


def _outcome(group: Group, future: Future[list[Record]]) -> list[Record]:
    """Return the records of a group whose future is done; if it raised, a failure of each trial, in one line."""
    try:
        return future.result()
    except Exception as problem:
        return [failed(trial, one_line(problem), {}) for trial in group.trials]
