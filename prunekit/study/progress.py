"""How far a run is: a bar on a terminal and in a notebook, plain lines where the output is a file."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tqdm.auto import tqdm

from .trial import Trial


class Progress:
    """A context whose value is to be called after each trial, with the error of one that failed."""

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
