"""A params file -> the parameters of a profile: the keys of the notebooks' parameters and of `--set`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .. import own
from ..errors import UserError, describe, quoted, shown, suggestion
from ..files import replace
from . import plain_yaml, trial
from .trial import Trial

_NOT_GIVEN = {"pruner", "compression", "seed", "reaugmented", "labels", "control"}  # with a row, or at all
_NOT_GIVEN |= {"passes", "timed"}
_NOT_GIVEN |= {f"{kind}_source" for kind in trial.OURS}
_TRIAL_KEYS = [key for key in Trial.model_fields if key not in _NOT_GIVEN]
_NAME = re.compile(r"\w[\w.-]{0,63}")  # of a profile, and so of a folder in reports/
_TAKEN = {"bench", "custom"}  # folders in reports/ that are of no profile
_BEYOND = ["labels", "label_compressions", "control_compressions", "step_counts", "step_compressions"]
_BEYOND += ["pass_compressions", "timing_seeds"]
_ROW_KEYS = [*_TRIAL_KEYS, "magnitude_pre_epochs", "described_pre_epochs"]


class Params(BaseModel):
    """What a profile runs. The keys are the notebooks' parameters and the words of `--set`.

    Those of what goes beyond the study may be left out, and so may what they are of: an empty list runs nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: str
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
    schedule: trial.Schedule
    scope: Literal["global", "local"]
    optimizer: Literal["adam", "sgd"]
    learning_rate: trial.LearningRate
    batch_size: trial.Count
    scoring_images_per_class: trial.Count
    scoring_batch_size: trial.Count
    precision: Literal["float32", "bf16-mixed"]
    timed_alone: bool
    timing_seeds: list[trial.Seed] = []
    unpruned: bool = False
    labels_on: dict[str, Any] = {}
    labels: list[trial.Labels] = []
    label_compressions: list[trial.Compression] = []
    controls_on: dict[str, Any] = {}
    control_compressions: list[trial.Compression] = []
    step_counts: list[trial.Count] = []
    step_compressions: list[trial.Compression] = []
    pass_compressions: list[trial.Compression] = []

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        return _with_lists(values)

    @field_validator("profile")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise ValueError(f"{quoted(name)} cannot name a profile: it takes letters, digits, _ . -, at most 64")
        return name

    @field_validator("datasets", "pruners", "compressions", "described_compressions", "seeds", *_BEYOND)
    @classmethod
    def _no_repeats(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) < len(values):
            raise ValueError(f"names a value twice: {quoted(values)}")
        return values

    @field_validator("datasets", "pruners")
    @classmethod
    def _told_apart(cls, names: list[str]) -> list[str]:
        if len({own.short(name).lower() for name in names}) < len(names):
            raise ValueError(f"two would look alike in tables: {quoted(names)}; rename one")
        return names

    @field_validator("comparison")
    @classmethod
    def _known_rows(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            _check(row)
        return rows

    @model_validator(mode="after")
    def _known_rows_beyond(self) -> Self:
        for key, row, wanted in (
            ("labels_on", self.labels_on, self.labels),
            ("controls_on", self.controls_on, self.control_compressions or self.step_compressions),
        ):
            try:
                if row or wanted:
                    _check(row, self.labels if key == "labels_on" else [])
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return self

    def budget(self, pruner: str) -> dict[str, Any]:
        """The fields that every trial of `pruner` takes from the profile."""
        shared = {key: getattr(self, key) for key in _SHARED}
        return shared | ({"pre_epochs": self.magnitude_pre_epochs} if pruner == "magnitude" else {})


_SHARED = [key for key in _TRIAL_KEYS if key in Params.model_fields]


def load_params(profile: str, assignments: Iterable[str] = ()) -> Params:
    """Return the params of `profile` (a name in params/, or a YAML file) with `key=value` assignments, values YAML.

    A file that gives no name to its profile lends it its own.
    """
    file = Path(profile) if profile.endswith((".yaml", ".yml")) else _file(profile)
    try:
        if file == _file(profile) and not _NAME.fullmatch(profile):
            raise FileNotFoundError
        with file.open("rb") as content:
            values = plain_yaml.load(content.read(plain_yaml.LARGEST + 1))
    except FileNotFoundError:
        known = sorted(path.stem for path in _file(profile).parent.glob("*.yaml"))
        raise UserError(f"no profile {quoted(profile)} ({shown(file)}); {suggestion(profile[:80], known)}") from None
    except OSError as error:
        raise UserError(f"{shown(file)} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{shown(file)} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{shown(file)} does not hold `key: value` lines")
    values = {"profile": file.stem, **values}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {shown(assignment)}: write key=value")
        try:
            values[key.strip()] = plain_yaml.load(text)
        except ValueError as error:
            raise UserError(f"--set {shown(assignment)}: the value is not YAML ({error})") from error
    return validated(values, shown(file))


def standing(profile: str) -> Params | None:
    """Return the params of the profile of that name as it stands in params/, None if there is none."""
    return load_params(profile) if _NAME.fullmatch(profile) and _file(profile).exists() else None


def stands(profile: str, params: Params) -> bool:
    """Return whether `profile`, a name or a file, is one in params/, and not a file of the user's own."""
    return profile == params.profile or Path(profile).resolve() == _file(params.profile).resolve()


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


def shipped(part: str) -> Path:
    """Return the folder of `part`, "params" or "notebooks", as it came: in the installed package, else the checkout."""
    installed = Path(__file__).parents[1] / "share" / part
    return installed if installed.is_dir() else Path(__file__).parents[2] / part


def in_force(part: str) -> Path:
    """Return the folder of `part` that counts here: the project's own, else as it came."""
    here = project_root() / part
    return here if here.is_dir() else shipped(part)


def copy_shipped(folder: Path) -> None:
    """Copy params and notebooks as they came into `folder`; raises UserError, and copies nothing, if one is there."""
    sources = [file for part in ("params", "notebooks") for file in sorted(shipped(part).iterdir()) if file.is_file()]
    targets = [folder / file.parent.name / file.name for file in sources]
    if there := [target for target in targets if target.exists()]:
        raise UserError(f"{shown(there[0])} is there already; name another folder")
    for source, target in zip(sources, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, source.read_bytes())


def _check(row: dict[str, Any], labels: Iterable[str] = ()) -> None:
    """Raise ValueError for what is wrong in a row of dataset, model and what it changes, and with `labels` for it."""
    if missing := {"dataset", "model"} - row.keys():
        raise ValueError(f"row {quoted(row)} lacks {' and '.join(sorted(missing))}")
    if unknown := row.keys() - set(_ROW_KEYS):
        key = shown(min(unknown))
        raise ValueError(f"row {quoted(row)} has the unknown key {key}; {suggestion(key, _ROW_KEYS)}")
    try:
        for fields in (as_run(row), as_run(row, "magnitude"), as_described(row)):
            for labels_ in ("fine", *labels):
                Trial(**fields, labels=labels_, pruner="random", compression=0.0)
    except ValidationError as error:
        raise ValueError(f"row {quoted(row)}: {describe(error, _ROW_KEYS)}") from error


def as_run(row: dict[str, Any], pruner: str = "") -> dict[str, Any]:
    before = "magnitude_pre_epochs" if pruner == "magnitude" else "pre_epochs"
    fields = {key: value for key, value in row.items() if key in _TRIAL_KEYS}
    return fields | ({"pre_epochs": row[before]} if before in row else {})


def at_initialisation(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [as_run(row) | {"pre_epochs": 0}] if row.get("magnitude_pre_epochs") else []


def as_described(row: dict[str, Any]) -> dict[str, Any]:
    return as_run(row) | ({"pre_epochs": row["described_pre_epochs"]} if "described_pre_epochs" in row else {})


def _file(profile: str) -> Path:
    return in_force("params") / f"{profile}.yaml"


def _with_lists(value: Any) -> Any:
    """Tuples as the lists that they were meant as, at any depth."""
    if isinstance(value, dict):
        return {key: _with_lists(inner) for key, inner in value.items()}
    return [_with_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value
