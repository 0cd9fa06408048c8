"""Runs trials, here or in worker processes, and shows how far they are."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from .. import datasets
from ..errors import UserError
from . import machine
from .progress import Progress
from .store import Store
from .trial import Record, Trial, failed

Report = Callable[[Trial, str | None], None]  # called after each trial, with the error of one that failed
_SIDE_BY_SIDE = 10  # trials at most: what is in flight when a run is killed is lost
_SIZES = {"fc": 0.001, "conv": 0.03}  # multiply-adds beside those of VGG16, about
# Large pages for torch's large tensors on Linux: of SynFlow's steps on VGG16 a fifth went into mapping small ones.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def run(
    trials: Iterable[Trial],
    store: Store,
    data_dir: Path | str | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> dict[Trial, str]:
    """Run `trials`, store a record of each, and return the errors of those that failed.

    `device` is a torch device ("auto": a GPU if there is one). On a CPU, `workers` processes share its cores (if None:
    one a core, fewer where one would work on alone in the end); on a GPU one process is the default. Raises UserError
    for a device that is not there.
    """
    trials = list(trials)
    if not trials:
        return {}
    device = _device(device)
    errors: dict[Trial, str] = {}
    with Progress(len(trials)) as advance:

        def report(trial: Trial, error: str | None) -> None:
            if error:
                errors[trial] = error
            advance(trial, error)

        unavailable = _unavailable({trial.dataset for trial in trials}, data_dir)
        groups = _groups(trial for trial in trials if trial.dataset not in unavailable)
        default = min(machine.cores(), _useful(groups)) if device == "cpu" else 1
        workers = max(1, min(workers or default, len(groups)))
        where = machine.where(device, workers)
        for trial in trials:
            if problem := unavailable.get(trial.dataset):
                report(trial, _save(store, failed(trial, problem, where)) or problem)
        if not all(machine.computes_in(trial.precision, device) for trial in trials):
            print(f"prunekit: {where['gpu']} does not compute in bfloat16; going on in float32", file=sys.stderr)
        _spread(groups, partial(_run_group, store=store, data_dir=data_dir, device=device), where, report)
    return errors


def lines(errors: dict[Trial, str]) -> Iterator[str]:
    """Yield one line an error of `run`: trials that failed of the same share it."""
    sharing: dict[str, list[Trial]] = {}
    for trial, error in errors.items():
        sharing.setdefault(error, []).append(trial)
    for error, (first, *others) in sharing.items():
        label = f"{1 + len(others)} trials (first: {first.label})" if others else first.label
        yield f"{label}: {error}"


def _unavailable(names: set[str], data_dir: Path | str | None) -> dict[str, str]:
    """Read each dataset once, so that workers find it decoded; return why for those that cannot be had, by name."""
    problems = {}
    for name in sorted(names):
        try:
            datasets.read(name, data_dir)
        except UserError as problem:
            problems[name] = str(problem)
    return problems


def _groups(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Put trials that share network and scores, or train side by side, together: one process runs them in a row."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        free = {"compression"}
        if _at_once(trial) > 1:
            free |= {"pruner", "scoring_images_per_class", "scoring_batch_size"}
        groups.setdefault(trial.model_dump_json(exclude=free), []).append(trial)
    return list(groups.values())


def _at_once(trial: Trial) -> int:
    """Return how many such trials train side by side: many, where networks are so small that it is faster."""
    return _SIDE_BY_SIDE if trial.model == "fc" and trial.width <= 1 else 1


def _no_memory(error: str) -> bool:
    """Whether a GPU's memory did not suffice: as torch says it, as CUDA and as its libraries do."""
    return "out of memory" in error or "ALLOC_FAILED" in error


def _work(group: list[Trial]) -> float:
    """Return about how long a group takes, in images that VGG16 trains on; to prune and measure takes as long as 20."""
    one = group[0]
    epochs = one.pre_epochs + one.post_epochs * len(group)
    classes = 100 if one.dataset in {"cifar100", "digit-pairs"} else 10
    scored = {"snip": 1, "grasp": 4}.get(one.pruner, 0) * one.scoring_images_per_class * classes
    rounds = 1 if one.prune_steps == 1 else one.prune_steps * len(group)
    images = epochs * (one.train_subset or 50_000) + rounds * scored + (rounds + len(group)) * 20
    return images * _SIZES.get(one.model, 1) * one.width**2


def _useful(groups: list[list[Trial]]) -> int:
    """Return how many processes are of use: when the longest group has ended in one of them, the others have too."""
    work = [_work(group) for group in groups]
    return int(sum(work) / max(work)) if work else 1


def _spread(groups: list[list[Trial]], run_group: Callable[..., None], where: dict[str, Any], report: Report) -> None:
    """Run `groups` in as many processes as `where` says; in half as many what a GPU had no memory for."""
    workers = where["workers"]
    if workers == 1:
        _use_threads(machine.cores())
        for group in groups:
            run_group(group, where=where, report=report)
        return
    again: list[Trial] = []

    def report_or_keep(trial: Trial, error: str | None) -> None:
        if error and _no_memory(error):
            again.append(trial)
        else:
            report(trial, error)

    longest_first = sorted(groups, key=_work, reverse=True)
    _in_processes(longest_first, partial(run_group, where=where), workers, report_or_keep)
    if again:
        print(f"prunekit: no memory for {workers} trials at once; going on with {workers // 2}", file=sys.stderr)
        _spread(_groups(again), run_group, machine.where(where["device"], workers // 2), report)


def _run_group(
    group: list[Trial],
    store: Store,
    data_dir: Path | str | None,
    device: str,
    where: dict[str, Any],
    report: Report,
) -> None:
    from .shared import Shared

    shared = _process_shared(lambda: Shared(data_dir, device, store.folder / "cache"))
    at_once = _at_once(group[0])
    for start in range(0, len(group), at_once):
        for record in _attempt(group[start : start + at_once], shared, where):
            report(record.trial, _save(store, record) or record.error)


def _attempt(trials: list[Trial], shared: Any, where: dict[str, Any]) -> Iterator[Record]:
    """Yield the records of `trials`, run at once; if that fails, of each half: what fails costs nothing but itself."""
    from .runner import run_together

    try:
        records, error = run_together(trials, shared, where), ""
    except Exception as problem:
        records, error = [], _one_line(problem)
    if not error or len(trials) == 1:
        yield from records or [failed(trials[0], error, where)]
        return
    half = len(trials) // 2
    if _no_memory(error):
        print(f"prunekit: no memory for {len(trials)} trials side by side; going on with {half}", file=sys.stderr)
    for part in (trials[:half], trials[half:]):
        yield from _attempt(part, shared, where)


def _save(store: Store, record: Record) -> str | None:
    try:
        store.save(record)
    except OSError as problem:
        return f"its record cannot be written to {store.folder} ({problem.strerror}); free space and run again"
    return None


_shared: Any = None


def _process_shared(make: Callable[[], Any]) -> Any:
    """Return this process's shared things; the process keeps them from group to group."""
    global _shared
    wanted = make()
    words = attrgetter("data_dir", "device", "cache_dir")
    if _shared is None or words(_shared) != words(wanted):
        _shared = wanted
    return _shared


def _in_processes(groups: list[list[Trial]], run_group: Callable[..., None], workers: int, report: Report) -> None:
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    threads = max(1, machine.cores() // workers)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (messages, threads, sys.path))
    reported: set[str] = set()

    def drain(timeout: float) -> None:
        try:
            while True:
                trial, error = messages.get(timeout=timeout)
                reported.add(trial.id)
                report(trial, error)
        except queue.Empty:
            pass

    try:
        futures = [pool.submit(_run_in_worker, run_group, group) for group in groups]
        while not all(future.done() for future in futures):
            drain(timeout=0.2)
        drain(timeout=0.2)
        for group, future in zip(groups, futures, strict=True):
            _report_rest(group, future, reported, report)
    finally:
        for process in list((pool._processes or {}).values()):  # on Ctrl-C: do not wait for trials in flight
            if sys.exc_info()[0] is not None:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _report_rest(
    group: list[Trial], future: Future[list[tuple[Trial, str | None]]], reported: set[str], report: Report
) -> None:
    """Report what the messages did not: those that came too late, and trials whose process was killed."""
    problem = future.exception()
    if problem is None:
        rest = future.result()
    else:
        lost = "a worker process was killed, perhaps for want of memory; run again with fewer --workers"
        reason = lost if isinstance(problem, BrokenProcessPool) else _one_line(problem)
        rest = [(trial, reason) for trial in group]
    for trial, error in rest:
        if trial.id not in reported:
            report(trial, error)


_messages: Any = None


def _start_worker(messages: Any, threads: int, path: list[str]) -> None:
    global _messages
    _messages = messages
    sys.path[:] = path
    _use_threads(threads)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:  # a run that is killed takes its workers with it
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _run_in_worker(run_group: Callable[..., None], group: list[Trial]) -> list[tuple[Trial, str | None]]:
    outcomes: list[tuple[Trial, str | None]] = []

    def tell(trial: Trial, error: str | None) -> None:
        outcomes.append((trial, error))
        _messages.put((trial, error))

    run_group(group, report=tell)
    return outcomes


def _one_line(problem: BaseException) -> str:
    text = " ".join(str(problem).split())[:300]
    if isinstance(problem, (UserError, ValueError, FloatingPointError)) and text:
        return text
    trace = problem.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(problem).__name__}: {text}{place}"


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).strip().splitlines()[0]
        raise UserError(f"--device {wanted}: {problem}; try cpu, cuda or auto") from None
    if wanted.startswith("cuda"):
        torch.cuda.set_device(wanted)  # whose name is asked for without naming it
    return wanted if wanted.startswith("cuda") else torch.device(wanted).type


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)
