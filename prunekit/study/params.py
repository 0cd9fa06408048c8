"""A params file -> the trials of a profile: grids of trial fields, by the section of the report that shows them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .. import names, plugins
from ..errors import UserError, describe, safe_repr, shown, suggestion
from . import yaml_loader
from .project import active_dir
from .trial import Seed, Trial

Section = Literal[
    "comparison",
    "sweep",
    "unpruned",
    "timing",
    "flops",
    "layers",
    "histograms",
    "as_described",
    "as_described_flops",
    "grasp_reaugmented",
    "init_seeds",
    "labels",
    "controls",
    "steps",
    "speedups",
    "precision_check",
]
SECTIONS: tuple[Section, ...] = get_args(Section)
Grid = dict[str, Any]
_SOURCES = {f"{kind}_source" for kind in names.BY_KIND}
_FIELDS = [field for field in Trial.model_fields if field not in _SOURCES]  # that a grid may give
_CELL = ("dataset", "model", "pruner", "compression", "seed")
_TOLD_APART: dict[Section, tuple[str, ...]] = {  # what the tables of a section tell apart beside its cells
    "as_described": ("pre_epochs", "prune_steps"),
    "labels": ("labels",),
    "controls": ("control",),
    "steps": ("prune_steps", "schedule"),
    "precision_check": ("precision",),
}
_OF_ONE_NETWORK = {"init_seeds", "labels"}  # whose tables are of one dataset and network


class Params(BaseModel):
    """What a profile runs: in each section of the report grids of trial fields, multiplied out.

    A grid gives a field one value or a list of them. Fields that it does not give are those of `defaults`, then those
    of Trial. A value may depend on the pruner: `pre_epochs: {magnitude: 10}`. Trials of the sections in `one_at_a_time`
    run while no other does. Those of "precision_check" are never run, and shown where there are records of them.
    `pages` names the notebooks of the report in their order; if empty, `report.build.PAGES` and the user's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    seeds: Annotated[list[Annotated[Seed, Field(strict=True)]], Field(min_length=1)]
    defaults: Grid = {}
    sections: dict[Section, list[Grid]]
    one_at_a_time: list[Section] = []
    pages: list[str] = []

    @field_validator("profile")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w.-]{0,63}", name) or name == "own":  # which holds the reports that are not published
            raise ValueError(f"{safe_repr(name)} cannot name a profile: it takes letters, digits, _ . -, at most 64")
        return name

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        trials = [trial for section in self.trials.values() for trial in section]
        if not trials:
            raise ValueError("sections: they hold no trials")
        for kind in names.BY_KIND:
            used = dict.fromkeys(getattr(trial, kind) for trial in trials)
            if len({names.title(kind, name).lower() for name in used}) < len(used):
                raise ValueError(f"two {kind}s would look alike in tables: {safe_repr(list(used))}; rename one")
        return self

    @cached_property
    def trials(self) -> dict[Section, list[Trial]]:
        """The trials of every section, each once; raises ValueError with section and field for what cannot be."""
        return {section: self._trials(section) for section in SECTIONS}

    def only(self, sections: Iterable[str]) -> Params:
        """Return the same profile with only these sections."""
        kept = {name: grids for name, grids in self.sections.items() if name in set(sections)}
        return Params.model_validate(self.model_dump() | {"sections": kept})

    def _trials(self, section: Section) -> list[Trial]:
        found: dict[Trial, None] = {}
        try:
            for grid in self.sections.get(section, ()):
                found |= dict.fromkeys(_multiplied(grid, self.defaults, self.seeds))
        except ValidationError as error:
            raise ValueError(f"sections.{section}: {describe(error, _FIELDS)}") from None
        except (ValueError, UserError) as error:
            raise ValueError(f"sections.{section}: {error}") from None
        _check_cells(section, found)
        if section != "precision_check" and any(trial.precision == "bfloat16" for trial in found):
            raise ValueError(f"sections.{section}: precision: must be 'float32' or 'bf16-mixed', not 'bfloat16'")
        return list(found)


def _check_cells(section: Section, trials: Collection[Trial]) -> None:
    """Raise ValueError for trials of one seed that the tables of a section would take for seeds of one cell."""
    for field in ("dataset", "model") if section in _OF_ONE_NETWORK else ():
        if len({getattr(trial, field) for trial in trials}) > 1:
            raise ValueError(f"sections.{section}: trials differ in {field}, which its tables do not tell apart")
    cells: dict[tuple[Any, ...], Trial] = {}
    for trial in trials:
        cell = tuple(getattr(trial, field) for field in (*_CELL, *_TOLD_APART.get(section, ())))
        other = cells.setdefault(cell, trial)
        for field in _FIELDS:
            if getattr(trial, field) != getattr(other, field):
                raise ValueError(f"sections.{section}: trials differ in {field}, which its tables do not tell apart")


def _multiplied(grid: Grid, defaults: Grid, seeds: list[int]) -> Iterator[Trial]:
    """Yield a trial for every combination of a grid's values; of the first keys, what comes later varies faster."""
    _check_keys(grid, defaults)
    layers = (grid, defaults, {"seed": seeds})
    first = ("dataset", "model", "labels", "seed", "pruner", "compression")
    given = {key: [layer[key] for layer in layers if key in layer] for key in dict.fromkeys([*first, *defaults, *grid])}
    by_pruner = [key for key, values in given.items() if values and isinstance(values[0], dict)]
    shared = [key for key, values in given.items() if values and key not in by_pruner]
    for choice in product(*(_values(key, given[key]) for key in shared)):
        fields: Grid = dict(zip(shared, choice, strict=True))
        for own in product(*(_values(key, given[key], fields.get("pruner")) for key in by_pruner)):
            yield Trial(**fields, **dict(zip(by_pruner, own, strict=True)))


def _values(key: str, layers: list[Any], pruner: Any = None) -> list[Any]:
    """Return the values of a field: of what the grid, the defaults and the seeds say, the first that is of `pruner`."""
    for value in [*layers, Trial.model_fields[key].default]:
        if isinstance(value, dict) and pruner in value:
            value = value[pruner]
        if not isinstance(value, dict):
            break
    some = list(value) if isinstance(value, (list, tuple)) else [value]
    if not some:
        raise ValueError(f"{key}: must not be empty")
    return some


def _check_keys(grid: Grid, defaults: Grid) -> None:
    if "seed" in defaults:
        raise ValueError("seed is no default; write seeds")
    for key, value in [*defaults.items(), *grid.items()]:
        if key not in _FIELDS:
            raise ValueError(f"unknown key {shown(key)}; {suggestion(str(key)[:80], _FIELDS)}")
        if isinstance(value, dict) and key == "pruner":
            raise ValueError(f"pruner: must be a name or a list of them, not {safe_repr(value)}")
        for pruner in value if isinstance(value, dict) else ():
            try:
                plugins.check("pruner", str(pruner))
            except UserError as error:
                raise ValueError(f"{key}: {error}") from None


def load_params(profile: str, assignments: Iterable[str] = ()) -> Params:
    """Return the params of `profile` (a name in params/, or a YAML file) with `place=value` assignments, values YAML.

    A place is named by dots: `seeds`, `defaults.post_epochs`, or `sections.sweep.compression` of all grids of a
    section. A file that gives no name to its profile lends it its own. Raises UserError.
    """
    values, where = _read(profile)
    for assignment in (assignments := list(assignments)):
        place, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {shown(assignment)}: write key=value")
        try:
            value = yaml_loader.load(text)
        except ValueError as error:
            raise UserError(f"--set {shown(assignment)}: the value is not YAML ({error})") from error
        try:
            values = assigned(values, place.strip().split("."), value)
        except ValueError as error:
            raise UserError(f"--set {shown(assignment)}: {error}") from None
    return validated(values, f"{where} with --set" if assignments else where)


def assigned(values: dict[str, Any], place: list[str], value: Any) -> dict[str, Any]:
    """Return `values` with `value` at a place, one key per step; a place in a section means all its grids.

    Raises ValueError if the place cannot be.
    """
    sections = values.get("sections")
    grids = sections.get(place[1]) if isinstance(sections, dict) and place[1:] else None
    if place[0] == "sections" and place[2:] and place[1] in SECTIONS and not grids:
        raise ValueError(f"section {place[1]} has no grid to change; give it some: sections.{place[1]}=[{{...}}]")
    changed: dict[str, Any] = _put(values, place, value)
    return changed


def _put(values: Any, place: list[str], value: Any) -> Any:
    if not place:
        return value
    if isinstance(values, list):
        return [_put(one, place, value) for one in values]
    if not isinstance(values, dict | NoneType):
        raise ValueError(f"{safe_repr(values)} has no {shown(place[0])}")
    here = values or {}
    return here | {place[0]: _put(here.get(place[0]), place[1:], value)}


def as_shipped(profile: str) -> Params | None:
    """Return the params of the profile of that name in params/, None if there is none."""
    return load_params(profile) if _file(profile).exists() else None


def is_profile(word: str) -> bool:
    """Return whether a word names a profile in params/ or a YAML file."""
    return word.endswith((".yaml", ".yml")) or _file(word).exists()


def is_shipped(profile: str, params: Params) -> bool:
    """Return whether `profile`, a name or a file, is one in params/, and not a user's own file."""
    return profile == params.profile or Path(profile).resolve() == _file(params.profile).resolve()


def validated(values: Mapping[Any, Any], where: str) -> Params:
    """Return `values` as Params; raises UserError, one line that says where they stood, for what is wrong in them."""
    places = {field: f"defaults.{field}" for field in _FIELDS if field != "seed"}
    places |= {key: key for key in Params.model_fields}
    for key in (str(key) for key in values if key not in Params.model_fields):
        near = difflib.get_close_matches(key[:80], places, n=1)
        hint = f"did you mean {places[near[0]]}?" if near else suggestion(key[:80], list(Params.model_fields))
        raise UserError(f"{where}: unknown key {shown(key)}; {hint}")
    try:
        return Params.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(f"{where}: {describe(error, list(Params.model_fields))}") from None


def _read(profile: str) -> tuple[dict[str, Any], str]:
    """Return the content of a profile's file, and the file's name for messages."""
    file = Path(profile) if profile.endswith((".yaml", ".yml")) else _file(profile)
    try:
        values = yaml_loader.load(file.read_bytes())
    except FileNotFoundError:
        known = sorted(path.stem for path in _file(profile).parent.glob("*.yaml"))
        raise UserError(f"no profile {safe_repr(profile)} ({shown(file)}); {suggestion(profile[:80], known)}") from None
    except OSError as error:
        raise UserError(f"{shown(file)} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{shown(file)} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{shown(file)} does not hold `key: value` lines")
    return {"profile": file.stem, **values}, shown(file)


def _file(profile: str) -> Path:
    return active_dir("params") / f"{profile}.yaml"
