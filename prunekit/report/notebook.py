"""A notebook's parameters -> its study."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import UserError, suggestion
from ..study.params import Params, standing, validated
from ..study.profile import Study

NAMES = ("out", *Params.model_fields)  # that a parameters cell may have


def study(namespace: Mapping[str, Any]) -> tuple[Study, str]:
    """Return the study that a notebook's parameters describe, and the folder to write into; from its globals().

    Parameters are what its parameters cell and papermill's injected one say, whatever else the names stand for by now.
    What a notebook does not take, since nothing in it depends on it, is as in its profile. Raises UserError for an
    unknown name and for a wrong value.
    """
    values = parameters(namespace)
    if unknown := sorted(values.keys() - set(NAMES)):
        raise UserError(f"unknown parameter {unknown[0]}; {suggestion(unknown[0], list(NAMES))}")
    out = str(values.pop("out", ""))
    rest = standing(str(values.get("profile"))) or standing("demo")
    return Study(validated((rest.model_dump() if rest else {}) | values, "the notebook's parameters")), out


def parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters among a notebook's globals().

    Where no history of cells is kept (nbval keeps none) they are the names that parameters have.
    """
    found: dict[str, Any] = {}
    for cell in reversed(namespace.get("In", ())):
        own = re.search(r"^profile: str\b", cell, re.MULTILINE)
        if own or cell.startswith("# Parameters"):  # which is how papermill's begins
            found = dict(_assigned(cell, namespace)) | found
        if own:
            return found
    if "profile" not in namespace:
        raise UserError("this notebook's parameters cell has not been run; run it, then this cell again")
    return {name: namespace[name] for name in NAMES if name in namespace}


def _assigned(cell: str, namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names that a cell gives values to, and these."""
    for line in ast.parse(cell).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(line, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name) and line.value:
            try:
                yield target.id, ast.literal_eval(line.value)
            except ValueError:  # an expression of the user's
                yield target.id, namespace[target.id]
