"""Dask clusters: connecting to a scheduler, and checking that its workers can run trials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UserError, say

_CONNECT = 10  # seconds to reach the scheduler
_JOIN = 600  # seconds for the first worker to join: a queue may hold it back


@contextmanager
def connect(address: str, device: str) -> Iterator[tuple[Executor, int]]:
    """Give the executor of the dask cluster at `address`, a scheduler's or its file, and how many workers it has.

    Where workers offer the resource GPU and `device` is not "cpu", each task takes one. What is in flight at the end is
    cancelled. Raises UserError for a scheduler out of reach, no workers, or workers without this version of prunekit.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--cluster needs dask; install the extra: pip install 'prunekit[cluster]'") from None
    scheduler = address if "://" in address else _in_file(address)
    try:
        client = Client(scheduler, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise UserError(
            f"--cluster {address}: no dask scheduler answers ({problem}); start one: dask scheduler"
        ) from None
    with client:
        workers = _workers(client, address)
        gpu = device != "cpu" and any("GPU" in worker["resources"] for worker in workers.values())
        executor = client.get_executor(pure=False, **({"resources": {"GPU": 1}} if gpu else {}))
        try:
            yield executor, len(workers)
        finally:
            executor.shutdown(wait=False)


def threads() -> int:
    """Return how many threads the dask worker that runs this was started with."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _in_file(name: str) -> str:
    """Return the address in a scheduler's file."""
    try:
        return str(json.loads(Path(name).read_text(encoding="utf-8"))["address"])
    except FileNotFoundError:
        raise UserError(f"--cluster {name}: no such scheduler file; write tcp://HOST:8786 for an address") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--cluster {name} is not a dask scheduler's file ({' '.join(str(error).split())})") from None


def _workers(client: Any, address: str) -> dict[str, dict[str, Any]]:
    """Return the cluster's workers as its scheduler tells of them, once there are any; each has this prunekit."""
    if not client.scheduler_info()["workers"]:
        say(f"no workers at {address} yet; waiting {_JOIN} s for one")
        asked = client.submit(int, pure=False)  # an adaptive cluster starts workers for what waits for one
        try:
            client.wait_for_workers(1, timeout=_JOIN)
        except TimeoutError:
            raise UserError(f"no worker joined {address} in {_JOIN} s; start some: dask worker {address}") from None
        finally:
            asked.release()
    for worker, found in client.run(version, "prunekit", on_error="return").items():
        if found != __version__:
            has = "no prunekit" if isinstance(found, PackageNotFoundError) else f"prunekit {found}"
            raise UserError(f"worker {worker} has {has}, not {__version__}; install that on it and run again")
    workers: dict[str, dict[str, Any]] = client.scheduler_info(n_workers=-1)["workers"]
    return workers
