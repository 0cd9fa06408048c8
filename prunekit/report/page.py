"""What a notebook holds in its hands: its study's records, and how to show a table, a figure or a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from .. import datasets
from ..datasets.sources import Arrays
from ..study import profile
from ..study.trial import Record
from . import words

if TYPE_CHECKING:
    from .findings import Finding
    from .tables import Table


class Shown(Protocol):
    """A table or a figure: it saves itself and shows itself."""

    def save(self, folder: Path) -> None: ...


class Page:
    """One notebook of the report. `namespace` is the notebook's globals(), which hold its parameters.

    Records that were published with the profile are shown at once; what is missing is run first. With the parameter
    `out`, whatever is shown is also written there, into tables/ and figures/.
    """

    def __init__(self, namespace: Mapping[str, Any]):
        self.study = profile.from_notebook(namespace)
        self.out = Path(namespace["out"]) if namespace.get("out") else None
        self.records: dict[str, Record] = self.study.records()
        if todo := [trial for trial in self.study.missing(self.records) if trial.id not in self.records]:
            from ..study import engine

            engine.run(todo, self.study.store)
            self.records = self.study.records()

    def frame(self, section: profile.Section) -> pd.DataFrame:
        """Return a section's trials as rows; see Study.frame."""
        return self.study.frame(section, self.records)

    def images(self, dataset: str) -> Arrays:
        """Return a dataset's images and labels; see datasets.read."""
        return datasets.read(dataset)

    def show(self, shown: Shown) -> None:
        """Display a table or a figure, and write its files if the page has a folder."""
        from IPython.display import display

        if self.out:
            shown.save(self.out / ("figures" if hasattr(shown, "drawing") else "tables"))
        display(shown)

    def say(self, text: str) -> None:
        """Display a paragraph of Markdown whose numbers come from the records."""
        from IPython.display import Markdown, display

        display(Markdown(text))

    def find(self, finding: Finding) -> None:
        """Display a finding: what it says, and its evidence."""
        self.say(finding.text)
        self.show(finding.table)

    def health(self) -> Table:
        """Return the study's state: trials done, failed, collapsed and their time, a row a dataset and network."""
        from .tables import Table

        rows = []
        for (dataset, model), trials in _by_network(self.study.trials.values()).items():
            records = [self.records[trial.id] for trial in trials if trial.id in self.records]
            done = [record for record in records if record.status == "ok"]
            rows.append(
                {
                    "Dataset": words.DATASETS[dataset],
                    "Network": model,
                    "Trials": len(trials),
                    "Done": len(done),
                    "Failed": len(records) - len(done),
                    "Collapsed": sum(bool(record.collapsed) for record in done),
                    "Pretraining, s": _seconds(done, "pretrain"),
                    "Scoring, s": _seconds(done, "score"),
                    "Training, s": _seconds(done, "train"),
                    "Testing, s": _seconds(done, "test"),
                    "Peak memory, GB": _peak(done),
                }
            )
        tidy = pd.DataFrame(rows).dropna(axis=1, how="all").fillna("–")  # records of before told no memory
        caption = (
            "The trials behind this report. Collapsed: no path of kept weights leads from input to output. Seconds are "
            "sums over trials; what several trials share, once made, counts for each of them."
        )
        if "Peak memory, GB" in tidy:
            caption += " Peak memory is the most that a process held at once; on a GPU, that torch held there."
        return Table("health", "Table H", caption, tidy, tidy)

    def failures(self) -> str:
        """Return the trials that failed or are missing, as a Markdown list, or a sentence that there are none."""
        lines = []
        for id_, trial in self.study.trials.items():
            record = self.records.get(id_)
            if record is None:
                lines.append(f"- {trial.label}: missing")
            elif record.status == "failed":
                lines.append(f"- {trial.label}: {record.error}")
        return "\n".join(lines) or "No trial failed and none is missing."

    def facts(self) -> str:
        """Return profile, budget, seeds, machine, versions and when, as a Markdown list read from the records."""
        params = self.study.params
        done = [record for record in self.records.values() if record.status == "ok"]
        where = {key: _distinct(record.where.get(key) for record in done) for key in _WHERE}
        first, last = _span([record.finished for record in done])
        budgets: dict[str, list[str]] = {}
        for section, title in _TITLES.items():
            budgets.setdefault(words.budget(self.frame(section)), []).append(title)
        return "\n".join(
            [
                f"- **Profile:** `{self.study.profile}`, {len(self.study.trials)} trials",
                *[f"- **{', '.join(titles)}:** {budget}" for budget, titles in budgets.items()],
                f"- **Optimiser:** {params.optimizer}, learning rate {params.learning_rate:g}, batches of "
                f"{params.batch_size}, {params.precision}; rows of Table I may differ, see `params/`",
                f"- **Scoring:** {params.scoring_images_per_class} images a class, prune steps: {params.prune_steps}, "
                f"{params.schedule} schedule, {params.scope} ranking",
                f"- **Seeds:** {', '.join(map(str, params.seeds))}",
                *[f"- **{title}:** {where[key]}" for key, title in _WHERE.items() if where[key]],
                f"- **Run:** {first} to {last} (UTC)",
            ]
        )


_TITLES: dict[profile.Section, str] = {
    "comparison": "Table I",
    "sweep": "Tables II and III",
    "flops": "Table IV",
    "layers": "Table V",
    "histograms": "Figures 2 and 3",
    "described": "As the paper describes it",
}
_WHERE = {
    "gpu": "GPU",
    "cpu": "Processor",
    "cores": "Cores",
    "workers": "Processes at once",
    "together": "Fully connected networks trained side by side",
    "precision": "Computed in, the GPU having no bfloat16",
    "system": "System",
    "python": "Python",
    "torch": "torch",
    "prunekit": "prunekit",
    "commit": "Commit",
}


def _by_network(trials: Any) -> dict[tuple[str, str], list[Any]]:
    groups: dict[tuple[str, str], list[Any]] = {}
    for trial in trials:
        scale = "" if trial.width == 1 else f", width {trial.width:g}"
        kind = "" if trial.post_epochs else ", not trained"
        groups.setdefault((trial.dataset, words.model(trial.model) + scale + kind), []).append(trial)
    return groups


def _seconds(records: list[Record], stage: str) -> str:
    return f"{sum(record.seconds.get(stage, 0.0) for record in records):.0f}"


def _peak(records: list[Record]) -> str | None:
    peaks = [peak for record in records for peak in record.peak_memory.values()]
    return f"{max(peaks) / 1e9:.1f}" if peaks else None


def _distinct(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _span(times: list[datetime]) -> tuple[str, str]:
    if not times:
        return "–", "–"
    return f"{min(times):%Y-%m-%d %H:%M}", f"{max(times):%Y-%m-%d %H:%M}"
