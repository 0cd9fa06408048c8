"""A profile's trials and what came out of them: records, and tidy frames to make tables and figures of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis import starts
from ..errors import UserError
from . import store
from .params import Params, Section, as_shipped
from .project import project_root
from .trial import HISTOGRAM_CENTRES, Layer, Record, Trial

if TYPE_CHECKING:
    import pandas as pd

ANALYSES: tuple[Section, ...] = ("init_seeds", "labels", "controls", "steps", "speedups", "precision_check")
_FIRST: tuple[Section, ...] = ("comparison", "sweep", "unpruned", "flops", "layers", "histograms")
NO_RUN = "PRUNEKIT_NO_RUN"  # 1 where a report's run has tried every trial
_CELL = ["dataset", "model", "pruner", "compression", "seed"]
_OUTCOME = ["top1", "top5", "learned", "at_init", "collapsed", "signal", "dense_signal", "tied_scores", "density"]
_OUTCOME += ["effective_density", "flops", "flops_kept", "flops_compacted", "parameters", "parameters_kept", "seconds"]
_OUTCOME += ["latency", "together", "alone", "threads", "machine", "status"]
_STAGES = ("score", "train", "test")
_FORMS = ("masked", "compacted")  # see `Record.latency_by_form`
_PARTS = [*(f"{stage}_seconds" for stage in _STAGES), *(f"{form}_latency" for form in _FORMS)]


class Study:
    """A profile's trials by section, and the records that there are of them: run here, else published, else failed."""

    def __init__(self, params: Params, runs_dir: Path | str | None = None):
        self.params = params
        self.sections = params.trials
        self.store = store.Store(
            os.path.expanduser(runs_dir or os.environ.get("PRUNEKIT_RUNS") or project_root() / "runs")
        )
        self._frames: dict[str, pd.DataFrame] = {}

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """Every trial to run, by id; trials that share work are neighbours."""
        run = (trials for section, trials in self.sections.items() if section != "precision_check")
        return {trial.id: trial for trials in run for trial in trials}

    @property
    def ranks(self) -> dict[str, int]:
        """In which order trials start, by id: one seed after another, the study's own tables before the analyses."""
        seeds = list(dict.fromkeys(trial.seed for trial in self.trials.values()))
        first, beside = ({trial.id for name in part for trial in self.sections[name]} for part in (_FIRST, ANALYSES))
        tiers = {id_: 0 if id_ in first else 2 if id_ in beside else 1 for id_ in self.trials}
        return {id_: tiers[id_] * len(seeds) + seeds.index(trial.seed) for id_, trial in self.trials.items()}

    @property
    def alone(self) -> frozenset[str]:
        """The ids of trials that run one at a time, since their seconds are wanted."""
        named = {trial.id for section in self.params.one_at_a_time for trial in self.sections[section]}
        return frozenset(named | {id_ for id_, trial in self.trials.items() if trial.timed or trial.measure_speedup})

    @cached_property
    def records(self) -> dict[str, Record]:
        """The records by id of the trial, in their order, as they were when first asked for; see `reread`."""
        wanted = dict.fromkeys([*self.trials, *(trial.id for trial in self.sections["precision_check"])])
        found = self.store.load(wanted)
        good = {id_: record for id_, record in found.items() if record.status == "ok"}
        if len(good) < len(wanted):
            good = {**found, **store.committed_records(self.committed_file), **good}
        return {id_: good[id_] for id_ in wanted if id_ in good}

    @property
    def good(self) -> dict[str, Record]:
        """The records of trials that did not fail."""
        return {id_: record for id_, record in self.records.items() if record.status == "ok"}

    def reread(self) -> None:
        """Read the records anew when they are next asked for."""
        with suppress(AttributeError):  # not read yet
            del self.records
        self._frames = {}

    def cached_frame(self, what: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a copy of the frame named `what`, which `make` computes once, until the records are read anew."""
        if what not in self._frames:
            self._frames[what] = make()
        return self._frames[what].copy()

    def missing(self, records: Mapping[str, Record]) -> list[Trial]:
        """Return the trials that have no record among `records`, or the record of a failure."""
        done = {id_ for id_, record in records.items() if record.status == "ok"}
        return [trial for id_, trial in self.trials.items() if id_ not in done]

    def publish(self, folder: Path) -> None:
        """Write the records to `folder`/trials.parquet, and keep those of other trials that it holds."""
        file = folder / self.committed_file.name
        others: dict[str, Record] = {}
        with suppress(UserError):  # a damaged file holds none
            others = store.committed_records(file)
        store.publish((others | self.records).values(), file)

    def frame(self, section: Section) -> pd.DataFrame:
        """Return a section's trials that have a record, a row each, in their order.

        dataset, model, pruner, compression, seed; top1, top5: %; learned: not at chance, see `learned`;
        at_init: severed, vanished, exploded or passes, see `starts.at_init`; collapsed: no path of kept weights from
        input to output; signal, dense_signal, tied_scores: see `Record`; density, effective_density: shares of the
        weights; flops, flops_kept, flops_compacted: of an image; parameters, parameters_kept; seconds: of the whole
        trial; latency: seconds an image; together: how many trained side by side; alone: no other ran beside it;
        threads; machine; status: ok or failed; id; score_seconds, train_seconds, test_seconds: of these stages;
        masked_latency, compacted_latency: seconds an image in a batch of ten, where `measure_speedup` asked for it; and
        the trial's other fields.
        """
        return self.cached_frame(f"frame of {section}", lambda: self._frame(section))

    def _frame(self, section: Section) -> pd.DataFrame:
        import pandas as pd

        rows = [
            trial.model_dump() | outcome(self.records[trial.id])
            for trial in self.sections[section]
            if trial.id in self.records
        ]
        rest = [field for field in Trial.model_fields if field not in _CELL]
        return pd.DataFrame(rows, columns=[*_CELL, *_OUTCOME, "id", *_PARTS, *rest]).astype({"learned": bool})

    def layers(self, section: Section) -> pd.DataFrame:
        """Return one row per layer of each trial of a section that came to an end: the columns of both.

        layer; layer_total, layer_kept, layer_effective: weights; layer_channels, layer_dead_channels;
        layer_zero_scores; layer_flops, layer_flops_kept: of an image.
        """
        import pandas as pd

        fields = [field for field in Layer.model_fields if field not in ("name", "histogram")]
        frame = self.frame(section)
        rows = [
            {"id": id_, "layer": layer.name.removesuffix(".weight")}
            | {f"layer_{field}": getattr(layer, field) for field in fields}
            for id_ in frame.id
            for layer in self.records[id_].layers
        ]
        columns = ["id", "layer", *(f"layer_{field}" for field in fields)]
        return frame.merge(pd.DataFrame(rows, columns=columns), on="id")

    def weights(self, section: Section) -> pd.DataFrame:
        """Return one row per trial, layer and bin of weights kept at the trial's end: the cell, layer, weight, count.

        weight is the bin's centre.
        """
        import pandas as pd

        frame, bins = self.frame(section), {"weight": HISTOGRAM_CENTRES}
        parts = [
            pd.DataFrame({"id": id_, "layer": layer.name.removesuffix(".weight")} | bins | {"count": layer.histogram})
            for id_ in frame.id
            for layer in self.records[id_].layers
        ]
        columns = ["id", "layer", *bins, "count"]
        found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
        return frame[[*_CELL, "id"]].merge(found, on="id")

    @property
    def committed_file(self) -> Path:
        return project_root() / "reports" / self.params.profile / "trials.parquet"

    @property
    def folder(self) -> Path:
        """Where a report goes: reports/own/PROFILE if the profile is as in params/, else a folder of its own."""
        own = self.committed_file.parent.parent / "own"
        return own / self.params.profile if self.params == as_shipped(self.params.profile) else self.own_folder

    @property
    def own_folder(self) -> Path:
        """The folder for parameters that no file of params/ holds."""
        digest = hashlib.sha256(self.params.model_dump_json().encode()).hexdigest()[:8]
        return self.committed_file.parent.parent / "own" / f"{self.params.profile}-{digest}"


def learned(record: Record) -> bool:
    """Return whether a network was trained, did not collapse, and is not at chance: see `starts.at_chance`."""
    if record.top1 is None or record.collapsed:  # and so reads no data of a user's own
        return False
    trial = record.trial
    return not starts.at_chance(record.top1, record.top5, trial.dataset, trial.labels, trial.seed)


def at_init(record: Record) -> str:
    """Return how the signal of a record's network fared before any training: see `starts.at_init`."""
    return starts.at_init(record.collapsed, record.signal, record.dense_signal)


def outcome(record: Record) -> dict[str, Any]:
    values = {key: getattr(record, key) for key in _OUTCOME if key not in ("learned", "at_init", "seconds")}
    seconds = record.trial_seconds if record.status == "ok" else None
    values |= {"id": record.id, "learned": learned(record), "at_init": at_init(record), "seconds": seconds}
    values |= {f"{stage}_seconds": record.seconds.get(stage) for stage in _STAGES}
    return values | {f"{form}_latency": record.latency_by_form.get(form) for form in _FORMS}


def runs_nothing() -> bool:
    """Whether the environment says that notebooks are to start no trial."""
    return os.environ.get(NO_RUN, "").lower() not in ("", "0", "false", "no")
