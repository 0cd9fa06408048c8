"""The one error that users meet as a line of text, not as a traceback, and the lines for wrong parameters."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """Something the user can mend: the message says what, where and what to do, in one line."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"prunekit: {self}"]


def suggestion(word: str, known: list[str]) -> str:
    """Return what to write for a misspelt `word`: its nearest neighbour in `known`, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


def describe(error: ValidationError, known: list[str]) -> str:
    """Return pydantic's first complaint as one line: the key, the value, and what is allowed."""
    # A misspelt key is also a missing one; the spelling is the cause.
    first = min(error.errors(), key=lambda one: one["type"] == "missing")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}; {suggestion(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "value_error":
        return f"{key + ': ' if key else ''}{first['ctx']['error']}"
    if first["type"] == "too_short":
        return f"{key}: must not be empty"
    message = first["msg"].replace("Input should be", "must be").replace("greater than or equal to", "at least")
    hint = ""
    if isinstance(first["input"], str) and first["type"] in {"float_type", "int_type"}:
        hint = "; YAML reads this as text (1e-3 is text, 1.0e-3 a number)"
    return f"{key}: {message}, not {first['input']!r}{hint}"
