"""Open a profile in a notebook: its trials as tidy frames, and where the tables and figures made of them go."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from .. import datasets
from ..datasets.sources import Arrays
from ..errors import UserError, shown, suggestion
from ..study import yaml_loader
from ..study.params import SECTIONS, Params, Section, assigned, load_params, validated
from ..study.study import Study, runs_nothing
from ..study.trial import Trial
from . import formatting
from .markup import verbatim
from .shown import Figure, Table


def open_page(profile: str = "demo", out: str | None = None, **changes: Any) -> Page:
    """Return a profile, a name in params/ or a YAML file, opened to be shown; `out`: the folder to write into.

    `changes` are what stands in the profile's place, by its keys: `seeds=[0, 1]`, `defaults={"post_epochs": 1}`,
    `sections={"sweep": {"compression": [0.5, 1]}}` of all grids of a section. What is None stays the profile's. Words,
    which papermill's -p gives, are read as YAML. Raises UserError, one line, for a wrong profile, place or value.
    """
    params = load_params(str(profile))
    before = values = params.model_dump()
    where = f"open_page({str(profile)!r})"
    for place, value in _places(changes):
        _check(place, where)
        if value is None:
            continue
        try:
            values = assigned(values, place, yaml_loader.load(value) if isinstance(value, str) else value)
        except ValueError as error:
            raise UserError(f"{where}: {'.'.join(place)}: {error}") from None
    return Page(Study(params if values == before else validated(values, where)), out)


class Page:
    """A profile in a notebook: its trials as tidy frames; what is shown is also written into the folder `out`, if any.

    Records that were published with the profile are shown at once; of a section that is asked for, the trials that are
    missing or failed are run first, unless the environment has PRUNEKIT_NO_RUN=1. Raises UserError where data are
    missing that trials need.
    """

    def __init__(self, study: Study, out: str | Path | None = None):
        self.out = Path(os.path.expanduser(out)) if out else None
        self._tried: set[str] = set()
        self.study = study  # the trials and the records that there are of them; nothing is run

    def run(self, *sections: Section) -> Study:
        """Run the trials of `sections`, of all where none is named, that are missing; return the study."""
        for section in sections:
            if section not in SECTIONS:
                raise UserError(f"no section {section!r}; {suggestion(str(section)[:80], list(SECTIONS))}")
        wanted = {trial.id for section in sections or SECTIONS for trial in self.study.sections[section]}
        self._run(wanted)
        return self.study

    def frame(self, section: Section) -> pd.DataFrame:
        """Return one row per trial of a section; `help(page.study.frame)` lists the columns."""
        return self.run(section).frame(section)

    def layers(self, section: Section) -> pd.DataFrame:
        """Return one row per trial of a section and layer; see Study.layers."""
        return self.run(section).layers(section)

    def weights(self, section: Section) -> pd.DataFrame:
        """Return one row per trial of a section, layer and bin of kept weights; see Study.weights."""
        return self.run(section).weights(section)

    def images(self, dataset: str) -> Arrays | None:
        """Return a dataset's images and labels, see datasets.read; None, said in a line, where the report has none."""
        try:
            return datasets.read(dataset)
        except UserError as problem:
            if not runs_nothing():
                raise
            self.say(f"Its images cannot be shown: {verbatim(str(problem))}")
            return None

    def table(
        self,
        shown: pd.DataFrame,
        name: str,
        number: str,
        caption: str,
        data: pd.DataFrame | None = None,
        widths: tuple[int, ...] = (),
        best: pd.DataFrame | None = None,
        folded: bool = False,
    ) -> None:
        """Display a table below its number and caption; write tables/NAME.csv (`data`, or what is shown), .md, .tex.

        Levels of a named index, as after a pivot, become columns, and names are made readable: formatting.format_pivot.
        best: what is set in bold, True by the same rows and columns, of which some may lack; folded: a report shows it
        when it is asked for. A table without rows is not shown; its CSV
        has its columns. The caption's first sentence says what the table holds.
        """
        name = _file_name(name)
        wide = formatting.format_pivot(shown)
        keys = wide.shape[1] - shown.shape[1]
        bold = None
        if best is not None:
            bold = wide.isna()  # nothing is
            bold.iloc[:, keys:] = _best(best, shown)
        tidy = wide if data is None else data
        table = Table(name, number, caption, tidy, wide, max(1, keys), widths, bold, folded)
        if len(shown):
            self._show(table)
        elif self.out and data is not None and len(data.columns):
            table.save(self.out)

    def figure(self, drawn: Any, name: str, number: str, caption: str, data: pd.DataFrame, alt: str = "") -> None:
        """Display a figure, or a seaborn grid, with its caption; write figures/NAME.csv (`data`), .png, .svg, .pdf."""
        plt.close(drawn.figure)  # which the kernel would show once more
        figure = Figure(_file_name(name), number, caption, alt or caption, data, drawn.figure)
        self._show(figure)
        if signs := figure.unprintable:
            missing = verbatim(" ".join(signs))
            self.say(f"{number}: no font of this machine has {missing}; install one that has, as Noto Sans CJK.")

    def say(self, text: str) -> None:
        """Display a paragraph of Markdown; nothing for one without words."""
        if text:
            display(Markdown(text))

    def _show(self, shown: Table | Figure) -> None:
        if self.out:
            shown.save(self.out)
        display(shown)

    def _run(self, wanted: set[str]) -> None:
        study = self.study
        todo = {trial.id for trial in study.missing(study.records)} & wanted - self._tried
        if not todo or runs_nothing():
            return
        from ..study import engine  # which imports torch

        for dataset in sorted({study.trials[id_].dataset for id_ in todo}):
            datasets.read(dataset)
        done = study.trials.keys() - todo
        engine.run(study.trials.values(), study.store, done=done, alone=study.alone, ranks=study.ranks)
        self._tried |= todo
        study.reread()


def _file_name(name: str) -> str:
    """A name that Windows can hold, too: of own:data a colon is the end."""
    return re.sub(r'[<>:"/\\|?*]', "-", name)


def _check(place: list[str], where: str) -> None:
    """Raise UserError for a place that no profile has."""
    if place[0] not in Params.model_fields:
        validated({place[0]: None}, where)
    fields = [field for field in Trial.model_fields if not field.endswith("_source")]
    known: dict[str, list[list[str]]] = {"defaults": [fields], "sections": [list(SECTIONS), fields]}
    for key, names in zip(place[1:], known.get(place[0], []), strict=False):
        if key not in names:
            raise UserError(f"{where}: unknown key {shown(key)}; {suggestion(str(key)[:80], names)}")


def _places(changes: dict[str, Any]) -> list[tuple[list[str], Any]]:
    """Return each place that is given a value, key by key, and the value; a section's grids are one."""
    found: list[tuple[list[str], Any]] = []
    for key, value in changes.items():
        if isinstance(value, dict):
            found += [([key, *place], at_place) for place, at_place in _places(value)]
        else:
            found.append(
                ([key], value.tolist() if hasattr(value, "tolist") else value)
            )  # NumPy's, as np.logspace gives
    return found


def _best(best: pd.DataFrame, shown: pd.DataFrame) -> Any:
    """What is set in bold, of the shape of `shown`; rows of what is published never are."""
    if "" in shown.index.names:
        best = best.set_axis(pd.MultiIndex.from_tuples([(*key, "ours") for key in best.index], names=shown.index.names))
    return best.reindex_like(shown).eq(True).to_numpy(dtype=bool)
