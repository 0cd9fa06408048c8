"""A user's own pruners, networks and datasets: functions, registered under a name or as package.module:function.

A function is known by its source, so that what an edit changes is run again; and it travels whole to other processes.
"""

from __future__ import annotations

import dis
import hashlib
import importlib
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator
from types import CodeType, FunctionType
from typing import Any

from .errors import UserError, exception_summary, safe_repr, suggestion
from .names import BY_KIND

_NAME = re.compile(r"[A-Za-z]\w{0,39}")
_PATH = re.compile(r"(?=.{3,80}$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_registered: dict[tuple[str, str], FunctionType] = {}


def register(kind: str, name: str) -> Callable[[FunctionType], FunctionType]:
    """Return a decorator that makes a function known as the `kind` ("pruner", ...) of that name; the latest counts.

    Raises UserError for a name of prunekit's own or none at all, and for what is not a function with a source.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{safe_repr(name)} cannot name a {kind}: it takes letters, digits and _, at most 40")
    if name in BY_KIND[kind]:
        raise UserError(f"{name} is a {kind} of prunekit's own; choose another name")

    def registered(function: FunctionType) -> FunctionType:
        _check(kind, name, function)
        _registered[kind, name] = function
        return function

    return registered


def check(kind: str, name: str) -> str:
    """Return `name` if it is of a `kind` of prunekit's own or a user's; raises UserError for others."""
    if name not in BY_KIND[kind]:
        find(kind, name)
    return name


def find(kind: str, name: str) -> FunctionType:
    """Return the user's function of that name; raises UserError if none is registered so, or it cannot be imported.

    What a path names is looked for where Python looks, and in the folder PRUNEKIT_OWN, else the working folder.
    """
    if (kind, name) in _registered:
        return _registered[kind, name]
    if not _PATH.fullmatch(name):
        names = [*BY_KIND[kind], *(other for of, other in _registered if of == kind)]
        hint = suggestion(name[:80], names)
        raise UserError(f"unknown {kind} {safe_repr(name)}; {hint} (one of your own: package.module:function)")
    module, _, attribute = name.partition(":")
    folder = os.environ.get("PRUNEKIT_OWN") or os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)  # which worker processes inherit
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # of a user's module any kind comes
        raise UserError(
            f"{kind} {name} cannot be imported ({type(error).__name__}: {exception_summary(error)})"
        ) from error
    _check(kind, name, function)
    return function


def digest(kind: str, name: str) -> str:
    """Return 16 hexadecimal digits that tell a function's source: its text, and what it uses of its own module.

    Those are functions and classes, and numbers and words in variables, as far as they reach. Raises as `find`.
    """
    parts: dict[str, str] = {}
    _collect(find(kind, name), parts)
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


def packed(keys: Collection[tuple[str, str]]) -> bytes:
    """Return functions, each by kind and name, as bytes for `unpack` in a process that need not have their modules."""
    import cloudpickle

    functions = {(kind, name): find(kind, name) for kind, name in keys}
    homes = {sys.modules[home] for f in functions.values() if (home := inspect.unwrap(f).__module__) in sys.modules}
    homes = {home for home in homes if home.__name__ != "__main__"}  # which travels whole anyway
    for home in homes:
        cloudpickle.register_pickle_by_value(home)
    try:
        return bytes(cloudpickle.dumps(functions))
    except Exception as error:
        what = ", ".join(" ".join(key) for key in functions)
        problem = f"cannot be sent to another process ({exception_summary(error)})"
        raise UserError(f"{what} {problem}; run with --workers 1") from error
    finally:
        for home in homes:
            cloudpickle.unregister_pickle_by_value(home)


def unpack(content: bytes) -> None:
    """Make known here what was `packed` by the run that this process works for."""
    import cloudpickle

    _registered.update(cloudpickle.loads(content))


def _check(kind: str, name: str, function: Any) -> None:
    if not isinstance(function, FunctionType):
        raise UserError(f"{kind} {name} is a {type(function).__name__}; it must be a function")
    try:
        _collect(function, {})
    except (OSError, TypeError) as error:
        raise UserError(
            f"the source of {kind} {name} cannot be read ({exception_summary(error)}); write it to a file"
        ) from None


def _collect(thing: Any, parts: dict[str, str]) -> None:
    """Add the sources of a function or class, and of what it uses of its module, to `parts`."""
    if isinstance(thing, type):
        parts[thing.__qualname__] = _class_source(thing)
        for name, value in [*(("", base) for base in thing.__bases__), *vars(thing).items()]:
            _add(f"{thing.__qualname__}.{name}", value, thing.__module__, parts)
        return
    function = inspect.unwrap(thing)
    if function.__qualname__ in parts:
        return
    parts[function.__qualname__] = textwrap.dedent(inspect.getsource(function))
    used = dict(inspect.getclosurevars(function).nonlocals)
    used |= {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    for name, value in used.items():
        _add(name, value, function.__module__, parts)


def _class_source(thing: type) -> str:
    """Return the text of a class; the names of what it is made from where Python cannot tell, as in a notebook."""
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return repr([base.__qualname__ for base in thing.__bases__])


def _add(name: str, value: Any, module: str, parts: dict[str, str]) -> None:
    value = getattr(value, "__func__", getattr(value, "fget", value))  # of methods and properties
    if isinstance(value, (FunctionType, type)):
        made = inspect.unwrap(value)
        written = isinstance(made, type) or made.__code__.co_filename != "<string>"  # not by dataclass from its fields
        if written and made.__module__ == module and value.__qualname__ not in parts:
            _collect(value, parts)
    elif not name.endswith("__") and _plain(value):
        parts[name] = repr(value)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code looks up in its module, and functions in it; not attributes."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in {"LOAD_GLOBAL", "LOAD_NAME"})
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_plain, [*value, *value.values()]))
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes))
