"""Digest of a user's function: it changes whenever the function's source, or anything it uses, is edited.

Their own modules are followed, by source and by value. Of Python, torch and prunekit it is the name that counts: which
versions ran is in every record and in no id; of other packages it is name and version.
"""

from __future__ import annotations

import dis
import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from .errors import UserError, shown

_UNVERSIONED = {"prunekit", "torch", "torchvision", *sys.stdlib_module_names}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(...))
_INSTALLED = [Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")]


_loaded: WeakKeyDictionary[ModuleType, tuple[int, int]] = WeakKeyDictionary()  # the state of their files, first seen


def installed(module: ModuleType) -> bool:
    """Whether a module is Python's own, prunekit's, or of a package that was installed."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.partition(".")[0] in _UNVERSIONED:
        return True
    return any(Path(file).resolve().is_relative_to(place) for place in _INSTALLED)


def edited(module: ModuleType) -> bool:
    """Whether a module's file has changed since the first of these calls for it."""
    try:
        found = os.stat(module.__file__ or "")
    except (OSError, AttributeError):
        return False
    now = (found.st_mtime_ns, found.st_size)
    return _loaded.setdefault(module, now) != now


def reloaded(module: ModuleType) -> ModuleType:
    """Return a module, read anew if its file has changed: what runs is to be what the digest tells."""
    if edited(module):
        _loaded.pop(module)
        importlib.reload(module)
    edited(module)
    return module


def digest(function: FunctionType) -> str:
    """Return 16 hexadecimal digits of a function's source and of all that it reaches.

    Raises UserError, naming it, for a value that cannot be told from another (a lock, an open file), and OSError or
    TypeError for a function without a source.
    """
    parts = _Parts(function.__globals__["__name__"])
    parts.function(function)
    return hashlib.sha256(repr(sorted(parts.texts.items())).encode()).hexdigest()[:16]


class _Parts:
    """The texts that were gathered, by name; what stands in the module `home` is called by its name there alone."""

    def __init__(self, home: str):
        self.home = home
        self.texts: dict[str, str] = {}
        self._keys: dict[int, str] = {}  # of functions, classes and modules that have been followed, by identity
        self._inside: list[Any] = []  # of what values are being told

    def function(self, function: FunctionType) -> str:
        """Add a function, what it wraps and what it uses; return its key."""
        if id(function) in self._keys:
            return self._keys[id(function)]
        module, code = function.__globals__.get("__name__", ""), function.__code__
        wrapped = getattr(function, "__wrapped__", None)
        if not self._owned(module):
            return f"{_qualified(function)} {self.value(function.__name__, wrapped) if wrapped else ''}".rstrip()
        key = self._key(function, module, code.co_qualname)
        self.texts[key] = textwrap.dedent(inspect.getsource(code))
        given = (function.__defaults__ or (), function.__kwdefaults__ or {})
        if any(given):
            self.texts[f"{key}()"] = self.value(f"a default of {key}", given)
        for name, value in _used(function):
            told = self.value(name, value)
            if told != name:  # else a function or class of that name, whose source is there
                where = "" if module == self.home else f"{module}."
                self.texts[f"{where}{name}" if _plain(value) else f"{where}{name} ="] = told
        for name, value in [*_enclosed(function), *([("what it wraps", wrapped)] if wrapped else [])]:
            self.texts[f"{key}: {name}"] = self.value(name, value)
        return key

    def value(self, name: str, value: Any) -> str:
        """Return what tells a value from others; what it leads to is added. `name` is for the line if that fails."""
        if _plain(value):
            return repr(value)
        if any(value is one for one in self._inside):
            return f"within {type(value).__name__}"
        self._inside.append(value)
        try:
            return self._told(name, value)
        finally:
            self._inside.pop()

    def _told(self, name: str, value: Any) -> str:
        value = getattr(value, "__func__", value) if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(value, FunctionType):
            return self.function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType):
            return self._module(value)
        if type(value) in (list, tuple):
            return f"{type(value).__name__} [{', '.join(self.value(name, one) for one in value)}]"
        if type(value) is dict:
            return f"{{{', '.join(f'{self.value(name, k)}: {self.value(name, v)}' for k, v in value.items())}}}"
        if isinstance(value, (set, frozenset)):
            return f"{type(value).__name__} {sorted(self.value(name, one) for one in value)}"
        if isinstance(value, partial):
            return f"partial {self.value(name, (value.func, value.args, value.keywords))}"
        if isinstance(value, MethodType):
            return f"method {self.value(name, (value.__func__, value.__self__))}"
        if isinstance(value, property):
            return f"property {self.value(name, (value.fget, value.fset, value.fdel))}"
        if (array := _array(value)) is not None and array.dtype != object:
            content = hashlib.sha256(array.tobytes()).hexdigest()
            return f"{type(value).__name__} {value.dtype} {tuple(value.shape)} {content}"
        if hasattr(value, "__wrapped__"):  # as functools.cache has it
            return f"{type(value).__name__} {self.value(name, value.__wrapped__)}"
        if isinstance(value, BuiltinFunctionType) or type(value).__name__ in {"ufunc", "method_descriptor"}:
            return _qualified(value)
        return self._instance(name, value)

    def _instance(self, name: str, value: Any) -> str:
        """What pickle would keep of it: its class and its state."""
        try:
            reduced = value.__reduce_ex__(2)
        except Exception:  # of what cannot be copied any kind comes
            problem = f"{shown(name)} ({type(value).__name__}), and whether that was edited cannot be told"
            raise UserError(f"{problem}; make it inside the function") from None
        if isinstance(reduced, str):
            return f"{type(value).__module__}.{reduced}"
        parts = [list(part) if isinstance(part, Iterator) else part for part in reduced]
        return self.value(name, (type(value), *parts))

    def _class(self, thing: type) -> str:
        module = thing.__module__
        if id(thing) in self._keys:
            return self._keys[id(thing)]
        if not self._owned(module):
            return _qualified(thing)
        key = self._key(thing, module, thing.__qualname__)
        self.texts[key] = _class_source(thing)
        for base in thing.__bases__:
            self.value(key, base)
        for name, value in vars(thing).items():
            if isinstance(value, FunctionType) and inspect.unwrap(value).__code__.co_filename == "<string>":
                continue  # written by dataclass, from the fields
            if isinstance(value, (FunctionType, type, property, classmethod, staticmethod)):
                self.value(f"{key}.{name}", value)
            elif not name.startswith(("__", "_abc_")) and not inspect.isdatadescriptor(value):
                self.texts[f"{key}.{name}"] = self.value(f"{key}.{name}", value)
        return key

    def _module(self, module: ModuleType) -> str:
        """Of a user's own its whole source, and what it has of others of theirs; of installed ones name and version."""
        name = module.__name__
        if not self._owned(name) or id(module) in self._keys:
            return _versioned(name, name)
        self._keys[id(module)] = name
        with suppress(OSError, TypeError):  # a package without a file has no source
            self.texts[f"module {name}"] = inspect.getsource(module)
        for value in list(vars(module).values()):
            home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(value, (ModuleType, FunctionType, type)) and home != name and self._owned(home):
                self.value(name, value)
        return name

    def _key(self, thing: Any, module: str, qualname: str) -> str:
        key = qualname if module == self.home else f"{module}.{qualname}"
        others = list(self._keys.values())
        key = next(one for i in range(len(others) + 1) if (one := f"{key}#{i}" if i else key) not in others)
        self._keys[id(thing)] = key
        return key

    def _owned(self, name: str | None) -> bool:
        """Whether a module is the user's own; raises UserError if so, and what runs is not what its file says."""
        owned = self._is_own(name)
        if owned and name in sys.modules and edited(sys.modules[name]):
            raise UserError(f"{shown(sys.modules[name].__file__)}, which was edited since it was imported; start anew")
        return owned

    def _is_own(self, module: str | None) -> bool:
        if module == self.home or not module:
            return module == self.home
        there = sys.modules.get(module)
        return module == "__main__" or not (there is None or installed(there))


def _enclosed(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses of the functions around it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # nothing is in it yet
            yield name, cell.cell_contents


def _used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses of its module by name, and modules that it imports."""
    for name in dict.fromkeys(_names(function.__code__)):
        if name in function.__globals__ and not name.startswith("__"):
            yield name, function.__globals__[name]
    for name in dict.fromkeys(_imports(function.__code__, function.__globals__.get("__package__") or "")):
        if name.partition(".")[0] not in _UNVERSIONED:
            with suppress(Exception):  # it is the function's to say, when it runs
                yield f"import {name}", importlib.import_module(name)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code looks up in its module, and functions in it; not attributes."""
    for one in _codes(code):
        yield from (step.argval for step in dis.get_instructions(one) if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"})


def _imports(code: CodeType, package: str) -> Iterator[str]:
    for one in _codes(code):
        steps = list(dis.get_instructions(one))
        for place, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                level = steps[place - 2].argval or 0
                with suppress(ImportError):
                    yield importlib.util.resolve_name("." * level + step.argval, package) if level else step.argval


def _class_source(thing: type) -> str:
    """Return the text of a class; the names of what it is made from where Python cannot tell, as in a notebook."""
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return repr([base.__qualname__ for base in thing.__bases__])


def _plain(value: Any) -> bool:
    if type(value) in (list, tuple, dict):
        return all(map(_plain, [*value, *value.values()] if isinstance(value, dict) else value))
    return type(value) in _PLAIN


def _array(value: Any) -> Any:
    """Return a tensor or an array as a numpy array, None of other values."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
        whole = value.detach().cpu().contiguous().flatten()
        return whole.view(torch.uint8).numpy() if len(whole) else whole.numpy()
    return numpy.asarray(value) if numpy and isinstance(value, (numpy.ndarray, numpy.generic)) else None


def _qualified(thing: Any) -> str:
    module = getattr(thing, "__module__", None) or getattr(getattr(thing, "__objclass__", None), "__module__", "") or ""
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", repr(thing)))
    return _versioned(module, f"{module}.{name}")


def _versioned(module: str, name: str) -> str:
    top = module.partition(".")[0]
    version = "" if top in _UNVERSIONED else getattr(sys.modules.get(top), "__version__", "")
    return f"{name} {version}".rstrip()
