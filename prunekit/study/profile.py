"""A profile -> its trials; which of them are done, missing or failed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..datasets import TRANSFORMS
from ..errors import UserError
from . import forecast, store
from .params import Params, as_described, as_run, at_initialisation, project_root, standing
from .trial import SCHEDULES, Record, Trial

if TYPE_CHECKING:
    import pandas as pd

Section = Literal[
    "comparison",
    "sweep",
    "unpruned",
    "timing",
    "flops",
    "layers",
    "histograms",
    "described",
    "described_flops",
    "reaugmented",
    "labels",
    "controls",
    "steps",
    "passes",
    "arithmetic",
]
_FIRST: tuple[Section, ...] = ("comparison", "sweep", "unpruned", "flops", "layers", "histograms")
BEYOND: tuple[Section, ...] = ("labels", "controls", "steps", "passes", "arithmetic")  # the study
DENSE = "random"  # the pruner of trials at compression 0, where all keep everything
ERK = "prunekit.baselines:erk_random"


class Study:
    """All trials of a profile, by the section of the report that they belong to, and what is known of them."""

    def __init__(self, params: Params, runs_dir: Path | str | None = None):
        self.params = params
        self.store = store.Store(runs_dir or os.environ.get("PRUNEKIT_RUNS") or project_root() / "runs")

    @cached_property
    def sections(self) -> dict[Section, list[Trial]]:
        """The trials behind Table I (comparison), Tables II (sweep), III (timing), IV, V, and the histograms.

        "unpruned" are their networks with all weights. Where "timing" has seeds of its own, its trials are the sweep's
        once more, each by itself; else they are the sweep's.

        "described" are the magnitude and SynFlow trials of these that differ from what was run if the study's words are
        followed: epochs before magnitude pruning, many prune steps for SynFlow; and magnitude pruning at
        initialisation where a row of Table I has epochs before it. "described_flops" goes with "flops", and so does
        "reaugmented": GraSP with images augmented anew for its second pass, where they are augmented at all.

        Beyond the study: "labels", the same images with fewer labels, pruned and not; "controls", pruners with their
        masks shuffled or their weights drawn anew, and ERK-random; "steps", pruners that see what they pruned, in one
        step and in several, not trained; "passes", cells of Table IV for one seed, with what their zeros are worth.
        "arithmetic" are the sweep's trials in other precisions; they are no trials of the study, and never run with it,
        but shown where there are records of them.
        """
        p = self.params
        untrained = {} if p.flops_width is None else _untrained(p.flops_width)
        trained_before: dict[str, Any] = {"pre_epochs": p.described_pre_epochs}
        in_steps: dict[str, Any] = {"prune_steps": p.described_prune_steps}
        of_its_own: dict[str, Any] = {"seeds": p.timing_seeds, "timed": True} if p.timing_seeds else {}
        compressions = p.described_compressions
        found: dict[Section, list[Trial]] = {
            "comparison": [
                trial_
                for row in p.comparison
                for pruner in p.pruners
                for trial_ in self._row(as_run(row, pruner), [pruner])
            ],
            "sweep": self._trials(p.datasets, p.compressions),
            "unpruned": [
                trial_
                for row in ([*({"dataset": name} for name in p.datasets), *p.comparison] if p.unpruned else ())
                for trial_ in self._trials([row["dataset"]], [0.0], [DENSE], **as_run(row))
            ],
            "timing": self._trials(p.datasets, p.compressions, **of_its_own),
            "flops": self._trials(p.datasets, p.compressions, **untrained),
            "layers": self._trials(p.datasets, [p.layer_compression], **untrained),
            "histograms": self._trials(p.datasets, [p.layer_compression]),
            "described": [
                *(
                    trial_
                    for row in p.comparison
                    for fields in [trained_before | as_described(row), *at_initialisation(row)]
                    for trial_ in self._row(fields, self._among("magnitude"))
                ),
                *self._trials(p.datasets, compressions, self._among("magnitude"), **trained_before),
                *self._trials(p.datasets, compressions, self._among("synflow"), **in_steps),
            ],
            "described_flops": self._trials(p.datasets, compressions, self._among("synflow"), **untrained | in_steps),
            "reaugmented": self._trials(
                [name for name in p.datasets if name in TRANSFORMS and TRANSFORMS[name].augments],
                compressions,
                self._among("grasp"),
                **_untrained(p.width if p.flops_width is None else p.flops_width),
                reaugmented=True,
            ),
            "labels": [trial_ for labels in p.labels for trial_ in self._labelled(labels)],
            "controls": [
                trial_
                for pruner in [*p.pruners, ERK]
                if p.control_compressions
                for control in (("none", "shuffled", "reinitialised") if pruner != ERK else ("none",))
                for trial_ in self._trials(
                    [p.controls_on["dataset"]],
                    p.control_compressions,
                    [pruner],
                    **as_run(p.controls_on, pruner),
                    control=control,
                )
            ],
            "steps": list(self._in_steps()),
            "passes": [
                trial_
                for trial_ in self._trials(
                    p.datasets,
                    p.pass_compressions,
                    **_untrained(p.width if p.flops_width is None else p.flops_width),
                    passes=True,
                )
                if trial_.seed == p.seeds[0]
            ],
            "arithmetic": [
                trial_
                for precision in (("float32", "bfloat16") if p.precision != "float32" else ())
                for trial_ in self._trials(p.datasets, p.compressions, precision=precision)
            ],
        }
        return {section: list(dict.fromkeys(trials)) for section, trials in found.items()}  # each once

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """Every trial that is to run once, by id, like beside like."""
        run = (trials for section, trials in self.sections.items() if section != "arithmetic")
        return {trial_.id: trial_ for trials in run for trial_ in trials}

    @property
    def ranks(self) -> dict[str, int]:
        """How early trials are to run, by id: a seed after another, the study's tables before what is beside them."""
        p = self.params
        seeds = list(dict.fromkeys([*p.seeds, *p.timing_seeds]))
        first = {trial_.id for section in _FIRST for trial_ in self.sections[section]}
        beside = {trial_.id for section in BEYOND for trial_ in self.sections[section]}
        tiers = {id_: 0 if id_ in first else 2 if id_ in beside else 1 for id_ in self.trials}
        return {id_: tiers[id_] * len(seeds) + seeds.index(trial_.seed) for id_, trial_ in self.trials.items()}

    @property
    def timed(self) -> frozenset[str]:
        """The ids of the trials that are to run one at a time, for the sake of their seconds.

        Those that time passes always, those of Table III where the profile says so.
        """
        p = self.params
        timed = self.sections["passes"] + (self.sections["timing"] if p.timed_alone or p.timing_seeds else [])
        return frozenset(trial_.id for trial_ in timed)

    def records(self) -> dict[str, Record]:
        """Return the records of this study's trials by id: those run here, else published, else failed."""
        shown = [trial_.id for trial_ in self.sections["arithmetic"]]
        wanted = dict.fromkeys([*self.trials, *shown])
        found = self.store.load(wanted)
        good = {id_: record for id_, record in found.items() if record.status == "ok"}
        if len(good) < len(wanted):
            good = {**found, **store.published(self.published_file), **good}
        return {id_: good[id_] for id_ in wanted if id_ in good}

    def missing(self, records: Mapping[str, Record]) -> list[Trial]:
        """Return the trials without a record, or with that of a failure."""
        done = {id_ for id_, record in records.items() if record.status == "ok"}
        return [trial_ for id_, trial_ in self.trials.items() if id_ not in done]

    def forecast(self) -> tuple[float, str] | None:
        """Return about how many seconds what is missing here will take and on which machines that was measured.

        Measured are the trials that were run here; before any was, those published with the profile. None if nothing is
        missing, or was measured.
        """
        here = self.store.load(self.trials)
        left = self.missing(here)
        known = [one for one in here.values() if one.status == "ok"]
        if left and not known:
            known = list(store.published(self.published_file).values())
        seconds = forecast.seconds(left, known)
        if not left or seconds is None:
            return None
        return seconds, "; ".join(sorted({one.machine for one in known}))

    def publish(self, folder: Path) -> None:
        """Write the records that there are to `folder`/trials.parquet, beside those of other trials that it holds."""
        file = folder / self.published_file.name
        others: dict[str, Record] = {}
        with suppress(UserError):  # a damaged file holds none
            others = store.published(file)
        store.publish((others | self.records()).values(), file)

    def frame(self, section: Section, records: Mapping[str, Record]) -> pd.DataFrame:
        """Return a section's trials with a record as rows: the trial's fields, and of the record what is one number."""
        import pandas as pd

        rows = [
            trial_.model_dump() | {"id": trial_.id} | _numbers(records[trial_.id])
            for trial_ in self.sections[section]
            if trial_.id in records
        ]
        return pd.DataFrame(rows, columns=[*Trial.model_fields, "id", *_NUMBERS, "trial_seconds"])

    @property
    def published_file(self) -> Path:
        return project_root() / "reports" / self.params.profile / "trials.parquet"

    @property
    def folder(self) -> Path:
        """Where the report goes: reports/PROFILE for the profile as it stands in params/, else `own_folder`."""
        return self.published_file.parent if self.params == standing(self.params.profile) else self.own_folder

    @property
    def own_folder(self) -> Path:
        """A folder for parameters that are in no file of params/."""
        digest = hashlib.sha256(self.params.model_dump_json().encode()).hexdigest()[:8]
        return project_root() / "reports" / "custom" / f"{self.params.profile}-{digest}"

    def _labelled(self, labels: str) -> list[Trial]:
        """Every pruner's trials with so many labels, after the unpruned network's."""
        p, dataset = self.params, [self.params.labels_on["dataset"]]
        found = self._trials(dataset, [0.0], [DENSE], **as_run(p.labels_on), labels=labels)
        for pruner in p.pruners:
            fields = as_run(p.labels_on, pruner)
            found += self._trials(dataset, p.label_compressions, [pruner], **fields, labels=labels)
        return found

    def _in_steps(self) -> Iterator[Trial]:
        """The trials of pruners whose scores change with what is pruned, which those of the others do not."""
        p = self.params
        for compression, pruner in product(p.step_compressions, ("synflow", "snip", "grasp")):
            for steps, schedule in product(p.step_counts, SCHEDULES):
                fields = as_run(p.controls_on) | {"pre_epochs": 0, "post_epochs": 0}
                fields |= {"prune_steps": steps, "schedule": schedule}
                yield from self._trials([p.controls_on["dataset"]], [compression], self._among(pruner), **fields)

    def _row(self, row: dict[str, Any], pruners: Iterable[str]) -> list[Trial]:
        return self._trials([row["dataset"]], [self.params.comparison_compression], pruners, **row)

    def _among(self, pruner: str) -> list[str]:
        return [pruner] if pruner in self.params.pruners else []

    def _trials(
        self,
        datasets: Iterable[str],
        compressions: Iterable[float],
        pruners: Iterable[str] | None = None,
        seeds: Iterable[int] | None = None,
        **fields: Any,
    ) -> list[Trial]:
        p = self.params
        return [
            Trial(
                **(
                    p.budget(pruner)
                    | {"dataset": dataset, "pruner": pruner, "compression": compression, "seed": seed}
                    | fields
                )
            )
            for dataset in datasets
            for seed in (p.seeds if seeds is None else seeds)
            for pruner in (p.pruners if pruners is None else pruners)
            for compression in compressions
        ]


def _untrained(width: float) -> dict[str, Any]:
    """What a network that is pruned and measured but never trained has in place of the profile's budget."""
    return {"width": width, "pre_epochs": 0, "post_epochs": 0}


_NUMBERS = [
    "flops_compacted",
    *("status", "top1", "top5", "density", "effective_density", "collapsed", "flops", "flops_kept"),
    *("parameters", "parameters_kept", "latency", "together", "alone", "threads", "machine"),
]


def _numbers(record: Record) -> dict[str, Any]:
    values = {key: getattr(record, key) for key in _NUMBERS}
    seconds = record.trial_seconds if record.status == "ok" else None
    return values | {"trial_seconds": seconds}
