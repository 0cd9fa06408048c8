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
from pathlib import Path
from typing import Any

from . import datasets, machine
from .errors import UserError
from .progress import Progress
from .store import Store
from .trial import Record, Trial, failed

Report = Callable[[Trial, str | None], None]  # called after each trial, with the error of one that failed
_NOT_SHARED = {"compression"}


def run(
    trials: Iterable[Trial],
    store: Store,
    data_dir: Path | str | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> dict[Trial, str]:
    """Run `trials`, store a record of each, and return the errors of those that failed.

    `device` is a torch device ("auto": a GPU if there is one). On a CPU, `workers` processes (one a core if None) share
    its cores; on a GPU one process is the default. Raises UserError for a device that is not there.
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
        workers = max(1, min(workers or (machine.cores() if device == "cpu" else 1), len(groups)))
        where = machine.where(device, workers)
        for trial in trials:
            if problem := unavailable.get(trial.dataset):
                report(trial, _save(store, failed(trial, problem, where)) or problem)
        run_group = partial(_run_group, store=store, data_dir=data_dir, device=device, where=where)
        if workers == 1:
            _use_threads(machine.cores())
            for group in groups:
                run_group(group, report=report)
        else:
            _in_processes(groups, run_group, workers, report)
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
    """Put trials that share network and scores together, so that one process runs them in a row."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.model_dump_json(exclude=_NOT_SHARED), []).append(trial)
    return list(groups.values())


def _run_group(
    group: list[Trial],
    store: Store,
    data_dir: Path | str | None,
    device: str,
    where: dict[str, Any],
    report: Report,
) -> None:
    from .runner import Shared, run_trial

    shared = _process_shared(lambda: Shared(data_dir, device))
    for trial in group:
        error = None
        try:
            record = run_trial(trial, shared, where)
        except Exception as problem:  # a trial that fails costs nothing but itself
            error = _one_line(problem)
            record = failed(trial, error, where)
        report(trial, _save(store, record) or error)


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
    if _shared is None or (_shared.data_dir, _shared.device) != (wanted.data_dir, wanted.device):
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
            _report_lost(group, future, reported, report)
    finally:
        for process in list((pool._processes or {}).values()):  # on Ctrl-C: do not wait for trials in flight
            if sys.exc_info()[0] is not None:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _report_lost(group: list[Trial], future: Future[None], reported: set[str], report: Report) -> None:
    problem = future.exception()
    if problem is None:
        return
    lost = "a worker process was killed, perhaps for want of memory; run again with fewer --workers"
    reason = lost if isinstance(problem, BrokenProcessPool) else _one_line(problem)
    for trial in group:
        if trial.id not in reported:
            report(trial, reason)


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


def _run_in_worker(run_group: Callable[..., None], group: list[Trial]) -> None:
    run_group(group, report=lambda trial, error: _messages.put((trial, error)))


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
    return wanted


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)
