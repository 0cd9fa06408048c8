"""The one error that users meet as a line of text, not as a traceback, and the lines for what they gave wrongly."""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
from typing import TYPE_CHECKING

from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from pydantic import ValidationError

_WIDTH = 80  # characters of a user's own words in a line
_ADVICE = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOTDIR: "name a folder",
    errno.EEXIST: "name a folder",
}


_RENAMED = [  # sections, fields and keys of a profile, as they were called before
    ("described", "as_described"),
    ("described_flops", "as_described_flops"),
    ("reaugmented", "grasp_reaugmented"),
    ("initialisations", "init_seeds"),
    ("passes", "speedups"),
    ("passes", "measure_speedup"),
    ("arithmetic", "precision_check"),
    ("alone", "one_at_a_time"),
]


class UserError(Exception):
    """Something the user can mend: the message says what, where and what to do, in one line."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"prunekit: {self}"]


def say(line: str) -> None:
    """Print `line` after prunekit's name to the standard error."""
    log(f"prunekit: {line}")


def log(line: str) -> None:
    """Print `line` to the standard error; where that cannot be written, as on a full disk, the log is lost, no more."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # also what it still holds


def shown(words: object) -> str:
    """Return what a user gave as a line may hold it: printable, its middle left out beyond some 80 characters."""
    text = _cut(str(words))
    return _cut(_printable(text))


def safe_repr(value: object) -> str:
    """Return a value as Python writes it, as `shown`."""
    return shown(repr(value))


def exception_summary(problem: BaseException) -> str:
    """Return the first 300 characters of what an exception says, in one line; its name if it says nothing."""
    return _printable(" ".join(str(problem).split())[:300]) or type(problem).__name__


def advice(problem: OSError) -> str:
    """Return what to do about a file or folder that cannot be written."""
    return _ADVICE.get(problem.errno or 0, "make it writable or name another")


def suggestion(word: str, known: list[str]) -> str:
    """Return what to write for a misspelt `word`: its new name, its nearest neighbour in `known`, or all of them."""
    if now := [new for old, new in _RENAMED if old == word and new in known]:
        return f"it is called {now[0]} now"
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


def describe(error: ValidationError, known: list[str]) -> str:
    """Return pydantic's first complaint as one line: the key, the value, and what is allowed."""
    # A misspelt key is also a missing one; the spelling is the cause.
    first = min(error.errors(), key=lambda one: one["type"] == "missing")
    key = shown(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}; {suggestion(str(first['loc'][-1])[:_WIDTH], known)}"
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "value_error":
        return f"{key + ': ' if key else ''}{first['ctx']['error']}"
    if first["type"] == "too_short":
        return f"{key}: must not be empty"
    if first["type"] == "literal_error":
        allowed = suggestion(str(first["input"])[:_WIDTH], re.findall("'([^']*)'", first["ctx"]["expected"]))
        return f"{key.removesuffix('.[key]')}: unknown {safe_repr(first['input'])}; {allowed}"
    message = first["msg"].replace("Input should be", "must be")
    for long, short in (("greater than or equal to", "at least"), ("less than or equal to", "at most")):
        message = message.replace(long, short)
    given = "" if first["input"] is PydanticUndefined else f", not {safe_repr(first['input'])}"
    return f"{key}: {message}{given}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str) -> str:
    half = _WIDTH // 2
    return text if len(text) <= _WIDTH else f"{text[: half - 1]}…{text[-half:]}"
