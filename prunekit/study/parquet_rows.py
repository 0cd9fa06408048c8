"""A record as one row of a table, and back: one column per field of the record and of its trial, in every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from .trial import Record, Trial

MAPS = ("seconds", "peak_memory", "where", "latency_by_form")  # of any keys: a column of JSON each
_WAS = {"measure_speedup": "passes", "latency_by_form": "passes_by_form"}  # columns in files of before
_FIELDS = {**Record.model_fields, **Trial.model_fields}
_NEEDED = [name for name, field in _FIELDS.items() if field.is_required() and name != "trial"]
_TYPES = {str: "string", int: "int64", float: "double", bool: "bool"}


def schema() -> Any:
    """Return the columns of trials.parquet as a pyarrow schema: of the record, of its trial in its place, checksum."""
    import pyarrow

    trial = [(name, _type(Trial.model_fields[name].annotation)) for name in Trial.model_fields]
    columns: list[tuple[str, Any]] = []
    for name, field in Record.model_fields.items():
        kind = pyarrow.string() if name in MAPS or name == "finished" else None
        columns += trial if name == "trial" else [(name, kind or _type(field.annotation))]
    return pyarrow.schema([*columns, ("checksum", pyarrow.string())])


def row(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's JSON object as a row."""
    trial: dict[str, Any] = content["trial"]
    rest = {name: value for name, value in content.items() if name != "trial"}
    return trial | {name: json.dumps(value) if name in MAPS else value for name, value in rest.items()}


def content(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a record whose row this is; raises ValueError for one of other columns."""
    row = {**row, **{new: row[old] for new, old in _WAS.items() if old in row}}
    if lacking := [name for name in _NEEDED if name not in row]:
        raise ValueError(f"it has no column {lacking[0]}")
    values: dict[str, Any] = {name: row[name] for name in Record.model_fields if name in row}
    values |= {name: json.loads(values[name]) for name in MAPS if name in values}
    return values | {
        "trial": {name: row[name] for name in Trial.model_fields if name in row},
        "checksum": row.get("checksum"),
    }


def _type(annotation: Any) -> Any:
    """Return the pyarrow type of a field: of plain values, of lists of them, and of lists of models."""
    import pyarrow

    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0])
    if origin in (UnionType, Union):
        return _type(next(arg for arg in args if arg is not NoneType))
    if origin is Literal:
        return _type(type(args[0]))
    if origin is list:
        return pyarrow.list_(_type(args[0]))
    if issubclass(annotation, BaseModel):
        return pyarrow.struct([(name, _type(field.annotation)) for name, field in annotation.model_fields.items()])
    return pyarrow.type_for_alias(_TYPES[annotation])
