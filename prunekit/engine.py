"""Runs trials, here or in worker processes, and shows how far they are."""

from __future__ import annotations

import multiprocessing
import os
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from . import __version__
from .errors import UserError
from .store import Store
from .trial import Trial, failed

Report = Callable[[Trial, str | None], None]  # called after each trial, with the error of one that failed
_NOT_SHARED = {"compression"}


def run(
    trials: Iterable[Trial],
    store: Store,
    data_dir: Path | str | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> dict[str, str]:
    """Run `trials`, store a record of each, and return the errors of those that failed, by label.

    `device` is a torch device ("auto": a GPU if there is one). On a CPU, `workers` processes (one a core if None) share
    its cores; on a GPU one process is the default. Raises UserError for a device that is not there.
    """
    groups = [list(group) for _, group in groupby(trials, key=_group_key)]
    count = sum(map(len, groups))
    if not count:
        return {}
    device = _device(device)
    workers = min(workers or (_cores() if device == "cpu" else 1), len(groups))
    errors: dict[str, str] = {}
    with _Progress(count) as advance:

        def report(trial: Trial, error: str | None) -> None:
            if error:
                errors[trial.label] = error
            advance(trial, error)

        run_here = partial(_run_group, store=store, data_dir=data_dir, device=device)
        where = _where(device, workers)
        if workers == 1:
            _use_threads(_cores())
            for group in groups:
                run_here(group, where=where, report=report)
        else:
            _in_processes(groups, partial(run_here, where=where), workers, report)
    return errors


def _group_key(trial: Trial) -> str:
    """Trials of one key share network and scores, so one process runs them in a row."""
    return trial.model_dump_json(exclude=_NOT_SHARED)


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
        try:
            store.save(record)
        except OSError as problem:
            error = f"its record cannot be written to {store.folder} ({problem.strerror}); free space and run again"
        report(trial, error)


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
    pool = ProcessPoolExecutor(workers, context, _start_worker, (messages, max(1, _cores() // workers), sys.path))
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


class _Progress:
    """A bar on a terminal and in a notebook, plain lines where the output is a file."""

    def __init__(self, count: int):
        self._count = count
        self._done = 0
        self._interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
        self._bar = tqdm(total=count, unit="trial", disable=not self._interactive, smoothing=0.1)

    def __enter__(self) -> Callable[[Trial, str | None], None]:
        return self._advance

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def _advance(self, trial: Trial, error: str | None) -> None:
        self._done += 1
        if self._interactive:
            self._bar.set_description(trial.label)
            self._bar.update()
            if error:
                self._bar.write(f"{trial.label}: {error}")
        else:
            outcome = f"failed: {error}" if error else "done"
            print(f"[{self._done}/{self._count}] {trial.label}: {outcome}", file=sys.stderr, flush=True)


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _where(device: str, workers: int) -> dict[str, str | int | None]:
    """Return what a record says of the place where it ran."""
    import torch

    return {
        "device": device,
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "cpu": _cpu_name(),
        "cores": _cores(),
        "workers": workers,
        "threads": max(1, _cores() // workers),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "prunekit": __version__,
        "commit": _commit(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def lines(errors: dict[str, str]) -> Iterator[str]:
    """Yield one line an error of `run`."""
    for label, error in errors.items():
        yield f"{label}: {error}"
