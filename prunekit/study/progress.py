"""How far a run is: a bar on a terminal and in a notebook, plain lines where the output is a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event, Thread

from tqdm.auto import tqdm

from ..errors import log

_EVERY = 0.5  # seconds


class Progress:
    """A context that gives a function to call after each of `count` things, with its name and, if it failed, the error.

    `so_far` returns how many are done, called or not: between calls the bar moves by it, and its clock runs on.
    """

    def __init__(self, count: int, unit: str = "trial", so_far: Callable[[], int] = lambda: 0):
        self._count, self._so_far = count, so_far
        self._done = 0
        in_kernel = "ipykernel.kernelapp" in sys.modules  # where kernels are started from, ipykernel is there too
        self._interactive = sys.stderr.isatty() or in_kernel
        self._bar = tqdm(total=count, unit=unit, disable=not self._interactive, smoothing=0.1)
        self._ended = Event()
        self._clock = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Callable[[str, str | None], None]:
        if self._interactive:
            self._clock.start()
        return self._advance

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self._interactive:
            self._clock.join()
        self._bar.close()

    def _advance(self, name: str, error: str | None = None) -> None:
        self._done += 1
        if self._interactive:
            self._bar.set_description(name, refresh=False)
            self._show()
            if error:
                self._bar.write(f"{name}: {error}", file=sys.stderr)
        else:
            outcome = f"failed: {error}" if error else "done"
            log(f"[{self._done}/{self._count}] {name}: {outcome}")

    def _tick(self) -> None:
        while not self._ended.wait(_EVERY):
            self._show()

    def _show(self) -> None:
        self._bar.n = max(self._bar.n, self._done, self._so_far())
        self._bar.refresh()
