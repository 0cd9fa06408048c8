"""A params file -> its trials; which of them are done, missing or failed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import UserError, describe, suggestion
from . import store, trial
from .trial import Record, Trial

if TYPE_CHECKING:
    import pandas as pd

Section = Literal["comparison", "sweep", "flops", "layers", "histograms", "described", "described_flops"]
_TRIAL_KEYS = [key for key in Trial.model_fields if key not in {"pruner", "compression", "seed"}]
_ROW_KEYS = [*_TRIAL_KEYS, "described_pre_epochs"]


class Params(BaseModel):
    """What a profile runs. The keys are the notebooks' parameters and the words of `--set`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    comparison: Annotated[list[dict[str, Any]], Field(min_length=1)]
    comparison_compression: trial.Compression
    datasets: Annotated[list[trial.DatasetName], Field(min_length=1)]
    model: trial.ModelName
    pruners: Annotated[list[trial.PrunerName], Field(min_length=1)]
    compressions: Annotated[list[trial.Compression], Field(min_length=1)]
    layer_compression: trial.Compression
    seeds: Annotated[list[trial.Seed], Field(min_length=1)]
    width: trial.Width
    flops_width: trial.Width | None
    train_subset: trial.Count | None
    pre_epochs: trial.Epochs
    magnitude_pre_epochs: trial.Epochs
    post_epochs: trial.Epochs
    prune_steps: trial.Count
    described_compressions: Annotated[list[trial.Compression], Field(min_length=1)]
    described_pre_epochs: trial.Epochs
    described_prune_steps: trial.Count
    schedule: Literal["exponential", "linear"]
    scope: Literal["global", "local"]
    optimizer: Literal["adam", "sgd"]
    learning_rate: trial.LearningRate
    batch_size: trial.Count
    scoring_images_per_class: trial.Count
    scoring_batch_size: trial.Count
    precision: Literal["float32", "bfloat16"]

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        return _with_lists(values)

    @field_validator("datasets", "pruners", "compressions", "described_compressions", "seeds")
    @classmethod
    def _no_repeats(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) < len(values):
            raise ValueError(f"names a value twice: {values}")
        return values

    @field_validator("comparison")
    @classmethod
    def _known_rows(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            if missing := {"dataset", "model"} - row.keys():
                raise ValueError(f"row {row} lacks {' and '.join(sorted(missing))}")
            if unknown := row.keys() - set(_ROW_KEYS):
                key = sorted(unknown)[0]
                raise ValueError(f"row {row} has the unknown key {key}; {suggestion(key, _ROW_KEYS)}")
            try:
                for fields in (_as_run(row), _as_described(row)):
                    Trial(**fields, pruner="random", compression=0.0)
            except ValidationError as error:
                raise ValueError(f"row {row}: {describe(error, _ROW_KEYS)}") from error
        return rows

    def budget(self, pruner: str) -> dict[str, Any]:
        """The fields that every trial of `pruner` takes from the profile."""
        shared = {key: getattr(self, key) for key in _TRIAL_KEYS if key in Params.model_fields}
        return shared | ({"pre_epochs": self.magnitude_pre_epochs} if pruner == "magnitude" else {})


class Study:
    """All trials of a profile, by the section of the report that they belong to, and what is known of them."""

    def __init__(self, params: Params, runs_dir: Path | str | None = None):
        self.params = params
        self.store = store.Store(runs_dir or os.environ.get("PRUNEKIT_RUNS") or project_root() / "runs")

    @cached_property
    def sections(self) -> dict[Section, list[Trial]]:
        """The trials behind Table I (comparison), Tables II and III (sweep), IV, V, and the histograms.

        "described" are the magnitude and SynFlow trials of these that differ from what was run if the study's words are
        followed: epochs before magnitude pruning, many prune steps for SynFlow. "described_flops" goes with "flops".
        """
        p = self.params
        untrained = {} if p.flops_width is None else _untrained(p.flops_width)
        trained_before = {"pre_epochs": p.described_pre_epochs}
        in_steps = {"prune_steps": p.described_prune_steps}
        compressions = p.described_compressions
        return {
            "comparison": [trial_ for row in p.comparison for trial_ in self._row(_as_run(row), p.pruners)],
            "sweep": self._trials(p.datasets, p.compressions),
            "flops": self._trials(p.datasets, p.compressions, **untrained),
            "layers": self._trials(p.datasets, [p.layer_compression], **untrained),
            "histograms": self._trials(p.datasets, [p.layer_compression]),
            "described": list(
                dict.fromkeys(
                    [
                        *(
                            trial_
                            for row in p.comparison
                            for trial_ in self._row(trained_before | _as_described(row), self._among("magnitude"))
                        ),
                        *self._trials(p.datasets, compressions, self._among("magnitude"), **trained_before),
                        *self._trials(p.datasets, compressions, self._among("synflow"), **in_steps),
                    ]
                )
            ),
            "described_flops": self._trials(p.datasets, compressions, self._among("synflow"), **untrained | in_steps),
        }

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """Every trial once, by id, like beside like."""
        return {trial_.id: trial_ for section in self.sections.values() for trial_ in section}

    def records(self) -> dict[str, Record]:
        """Return the records of this study's trials by id: those run here, else published, else failed."""
        found = self.store.load(self.trials)
        good = {id_: record for id_, record in found.items() if record.status == "ok"}
        if len(good) < len(self.trials):
            good = {**found, **store.published(self.published_file), **good}
        return {id_: good[id_] for id_ in self.trials if id_ in good}

    def missing(self, records: Mapping[str, Record]) -> list[Trial]:
        """Return the trials without a record, or with that of a failure."""
        done = {id_ for id_, record in records.items() if record.status == "ok"}
        return [trial_ for id_, trial_ in self.trials.items() if id_ not in done]

    def publish(self, folder: Path) -> None:
        """Write the records that were run here to `folder`/trials.parquet."""
        store.publish(self.store.load(self.trials).values(), folder / self.published_file.name)

    def frame(self, section: Section, records: Mapping[str, Record]) -> pd.DataFrame:
        """Return a section's trials as rows: the trial's fields, and of its record whatever is one number."""
        import pandas as pd

        rows = []
        for trial_ in self.sections[section]:
            record = records.get(trial_.id)
            rows.append(trial_.model_dump() | {"id": trial_.id} | _numbers(record))
        return pd.DataFrame(rows, columns=[*Trial.model_fields, "id", *_NUMBERS, "trial_seconds"])

    @property
    def published_file(self) -> Path:
        return project_root() / "reports" / self.params.profile / "trials.parquet"

    @property
    def folder(self) -> Path:
        """Where the report goes: reports/PROFILE for the profile as it stands in params/, else a folder of its own."""
        if self.params == standing(self.params.profile):
            return self.published_file.parent
        digest = hashlib.sha256(self.params.model_dump_json().encode()).hexdigest()[:8]
        return project_root() / "reports" / "custom" / f"{self.params.profile}-{digest}"

    def _row(self, row: dict[str, Any], pruners: Iterable[str]) -> list[Trial]:
        return self._trials([row["dataset"]], [self.params.comparison_compression], pruners, **row)

    def _among(self, pruner: str) -> list[str]:
        return [pruner] if pruner in self.params.pruners else []

    def _trials(
        self,
        datasets: Iterable[str],
        compressions: Iterable[float],
        pruners: Iterable[str] | None = None,
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
            for seed in p.seeds
            for pruner in (p.pruners if pruners is None else pruners)
            for compression in compressions
        ]


def load_params(profile: str, assignments: Iterable[str] = ()) -> Params:
    """Return the params of `profile` (a name in params/, or a YAML file) with `key=value` assignments, values YAML.

    A file that gives no name to its profile lends it its own.
    """
    file = Path(profile) if profile.endswith((".yaml", ".yml")) else _file(profile)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(path.stem for path in _file(profile).parent.glob("*.yaml"))
        raise UserError(f"no profile {profile!r} ({file}); {suggestion(profile, known)}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} does not hold `key: value` lines")
    values = {"profile": file.stem, **values}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: write key=value")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {assignment}: the value is not YAML") from error
    return validated(values, str(file))


def standing(profile: str) -> Params | None:
    """Return the params of the profile of that name as it stands in params/, None if there is none."""
    return load_params(profile) if _file(profile).exists() else None


def validated(values: Mapping[Any, Any], where: str) -> Params:
    """Return `values` as Params; raises UserError, one line that says where they stood, for what is wrong in them."""
    try:
        return Params.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(f"{where}: {describe(error, list(Params.model_fields))}") from None


def project_root() -> Path:
    """Return the folder that holds params/ and notebooks/: the working folder or one above it, else the checkout's."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params" / "demo.yaml").exists():
            return folder
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / "params" / "demo.yaml").exists() else here


def _as_run(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key in _TRIAL_KEYS}


def _as_described(row: dict[str, Any]) -> dict[str, Any]:
    return _as_run(row) | ({"pre_epochs": row["described_pre_epochs"]} if "described_pre_epochs" in row else {})


def _file(profile: str) -> Path:
    return project_root() / "params" / f"{profile}.yaml"


def _with_lists(value: Any) -> Any:
    """Tuples as the lists that they were meant as, at any depth."""
    if isinstance(value, dict):
        return {key: _with_lists(inner) for key, inner in value.items()}
    return [_with_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _untrained(width: float) -> dict[str, Any]:
    """What a network that is pruned and measured but never trained has in place of the profile's budget."""
    return {"width": width, "pre_epochs": 0, "post_epochs": 0}


_NUMBERS = [
    *("status", "top1", "top5", "density", "effective_density", "collapsed", "flops", "flops_kept"),
    *("parameters", "parameters_kept", "inference_seconds", "together", "machine"),
]


def _numbers(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {"status": "missing"}
    values = {key: getattr(record, key) for key in _NUMBERS}
    seconds = record.trial_seconds if record.status == "ok" else None
    return values | {"trial_seconds": seconds}
