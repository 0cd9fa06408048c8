"""What a notebook works with: its results, and how to show a table, a figure or a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from .. import datasets
from ..datasets.sources import Arrays
from ..errors import UserError
from ..study.params import Section
from . import formatting, health, notebook

ONLY_SHOW = "PRUNEKIT_ONLY_SHOW"  # set where the report's own run has tried every trial


class Shown(Protocol):
    """A table or a figure: it saves itself and shows itself."""

    def save(self, folder: Path) -> None: ...


class Page:
    """One notebook of the report. `namespace` is the notebook's globals(), `sections` those it shows (none: all).

    Records that were published with the profile are shown at once; of the sections' trials, those that are missing or
    failed are run first, unless the environment has PRUNEKIT_ONLY_SHOW=1; what still lacks is said. With the parameter
    `out`, whatever is shown is also written there, into tables/ and figures/.
    Raises UserError for wrong parameters, and where data are missing that trials need.
    """

    def __init__(self, namespace: Mapping[str, Any], *sections: Section):
        self.results, out = notebook.opened(namespace)
        self.out = Path(out) if out else None
        results = self.results
        shown = {trial.id for section in sections or results.sections for trial in results.sections[section]}
        todo = {trial.id for trial in results.missing(results.records)} & shown
        if todo and not os.environ.get(ONLY_SHOW):
            from ..study import engine

            for dataset in sorted({results.trials[id_].dataset for id_ in todo}):
                datasets.read(dataset)
            done = results.trials.keys() - todo
            engine.run(results.trials.values(), results.store, done=done, alone=results.alone, ranks=results.ranks)
            results.reread()
        if sections:
            self.say(health.lacking(results, sections))

    def frame(self, section: Section) -> pd.DataFrame:
        """Return a section's trials as rows; see Results.frame."""
        return self.results.frame(section)

    def images(self, dataset: str) -> Arrays | None:
        """Return a dataset's images and labels, see datasets.read; None, said in a line, where a page is only to show.

        Raises UserError for data that cannot be had where trials need them.
        """
        try:
            return datasets.read(dataset)
        except UserError as problem:
            if not os.environ.get(ONLY_SHOW):
                raise
            self.say(f"Its images cannot be shown: {formatting.verbatim(str(problem))}")
            return None

    def show(self, shown: Shown | None) -> None:
        """Display a table or a figure, and write its files if the page has a folder; nothing for None."""
        from IPython.display import display

        if shown is None:
            return
        if self.out:
            shown.save(self.out / ("figures" if hasattr(shown, "drawing") else "tables"))
        display(shown)

    def say(self, text: str | None) -> None:
        """Display a paragraph of Markdown whose numbers come from the records; nothing for one without words."""
        from IPython.display import Markdown, display

        if text:
            display(Markdown(text))
