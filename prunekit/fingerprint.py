"""Digest of a user's function: it changes whenever the function's source, or anything it uses, is edited.

The user's own modules are followed, by source and by value. Python, torch and prunekit count by name alone, since every
record says which versions ran; other packages count by name and version.
"""

from __future__ import annotations

import dis
import hashlib
import importlib
import inspect
import os
import random
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from .errors import UserError, shown

_UNVERSIONED = {"prunekit", "torch", "torchvision", *sys.stdlib_module_names}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(...))
_INSTALLED = [Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")]
_read: WeakKeyDictionary[ModuleType, tuple[int, int]] = WeakKeyDictionary()  # time and size of their files, first seen


def installed(module: ModuleType) -> bool:
    """Whether a module is Python's own, prunekit's, or part of an installed package."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.partition(".")[0] in _UNVERSIONED:
        return True
    return any(Path(file).resolve().is_relative_to(place) for place in _INSTALLED)


def reloaded(module: ModuleType) -> ModuleType:
    """Return a module, imported anew if its file was edited: what runs is what the digest is made of."""
    if _edited(module):
        del _read[module]
        importlib.reload(module)
        _edited(module)
    return module


def digest(function: FunctionType) -> str:
    """Return 16 hexadecimal digits of a function's source and of everything that it uses.

    Raises UserError for a value without a state that could be compared (a lock, an open file) and for a module that was
    edited since it was imported; OSError or TypeError for a function without a source.
    """
    inspect.getsource(inspect.unwrap(function))
    walk = _Walk(inspect.unwrap(function).__module__)
    walk.tell(function.__name__, function)
    return hashlib.sha256(repr(sorted(walk.texts.items())).encode()).hexdigest()[:16]


class _Walk:
    """Gathers texts, by name, of functions, classes and modules that a value leads to, and of what they hold."""

    def __init__(self, home: str):
        self.home = home  # the module whose names stand alone
        self.texts: dict[str, str] = {}
        self.seen: dict[int, tuple[str, Any]] = {}  # by identity: how it was told, and the value, which keeps identity

    def tell(self, name: str, value: Any) -> str:
        """Return what tells a value from others; `name` is what a user calls it, for the line if that fails."""
        if _plain(value):
            return repr(value)
        if id(value) not in self.seen:
            self.seen[id(value)] = (f"seen {len(self.seen)}", value)
            told = self._tell(name, value)
            if isinstance(value, (FunctionType, type, ModuleType)):
                self.seen[id(value)] = (told, value)
            return told
        return self.seen[id(value)][0]

    def _tell(self, name: str, value: Any) -> str:
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType):
            return self._module(value)
        kind, parts = type(value).__name__, self._parts(name, value)
        return f"{kind} {parts if isinstance(parts, str) else [self.tell(name, part) for part in parts]}"

    def _parts(self, name: str, value: Any) -> str | list[Any]:
        """Return what a value is made of, or what tells it by itself."""
        if generator := _generator(value):
            if generator == "global":  # which a trial seeds
                return generator
            raise UserError(f"{shown(name)}, a generator that goes on from call to call; make it inside the function")
        if type(value) in (list, tuple):
            return list(value)
        if type(value) is dict:
            return [part for item in value.items() for part in item]
        if isinstance(value, (set, frozenset)):
            return sorted(value, key=lambda one: getattr(one, "__qualname__", repr(one)))
        if isinstance(value, property):
            return [value.fget, value.fset, value.fdel]
        if (array := _array(value)) is not None and array.dtype != object:
            return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(array.tobytes()).hexdigest()}"
        if hasattr(value, "__wrapped__"):  # as functools.cache has it
            return [value.__wrapped__]
        try:
            reduced = value.__reduce_ex__(2)  # what pickle would keep: class and state
        except Exception:  # whatever the class raises
            problem = f"{shown(name)} ({type(value).__name__}), and whether that was edited cannot be told"
            raise UserError(f"{problem}; make it inside the function") from None
        if isinstance(reduced, str):
            return f"{getattr(value, '__module__', None) or type(value).__module__}.{reduced}"
        return [list(part) if isinstance(part, Iterator) else part for part in reduced]

    def _function(self, value: FunctionType) -> str:
        wrapped = getattr(value, "__wrapped__", None)
        module = value.__globals__.get("__name__", "")
        if not self._own(module):
            return f"{_versioned(value)} {self.tell(value.__name__, wrapped) if wrapped else ''}".rstrip()
        key = self._add(value, module, textwrap.dedent(inspect.getsource(value.__code__)))
        given = (value.__defaults__ or (), value.__kwdefaults__ or {})
        if any(given):
            self.texts[f"{key}()"] = self.tell(f"a default of {key}", given)
        for name, used in _used(value):
            told = self.tell(name, used)
            if told != name:  # else a function or class of that name, whose source is there
                where = "" if module == self.home else f"{module}."
                self.texts[f"{where}{name}" if _plain(used) else f"{where}{name} ="] = told
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        enclosed = [(name, cell.cell_contents) for name, cell in cells if cell != CellType()]  # not empty
        for name, used in [*enclosed, *([("what it wraps", wrapped)] if wrapped else [])]:
            self.texts[f"{key}: {name}"] = self.tell(name, used)
        return key

    def _class(self, value: type) -> str:
        if not self._own(value.__module__):
            return _versioned(value)
        try:
            source = textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError):  # as in a notebook; its functions have theirs
            source = repr([base.__qualname__ for base in value.__bases__])
        key = self._add(value, value.__module__, source)
        for name, member in [*((base.__name__, base) for base in value.__bases__), *_members(value)]:
            told = self.tell(f"{key}.{name}", member)
            if not isinstance(member, (FunctionType, type, property)):
                self.texts[f"{key}.{name}"] = told
        return key

    def _module(self, value: ModuleType) -> str:
        """Tell a user's own module by its source, and by what it imports from others of the user's modules."""
        if not self._own(value.__name__):
            return _versioned(value)
        with suppress(OSError, TypeError):  # a package without a file has no source
            self.texts[f"module {value.__name__}"] = inspect.getsource(value)
        for one in list(vars(value).values()):
            if isinstance(one, (ModuleType, FunctionType, type)):
                home = one.__name__ if isinstance(one, ModuleType) else one.__module__
                if home != value.__name__ and self._own(home):
                    self.tell(home, one)
        return value.__name__

    def _add(self, value: Any, module: str, source: str) -> str:
        """Add a source under its name, another where one of that name is there; return the name."""
        key = value.__qualname__ if module == self.home else f"{module}.{value.__qualname__}"
        key = next(one for i in range(len(self.texts) + 1) if (one := f"{key}#{i}" if i else key) not in self.texts)
        self.texts[key] = source
        self.seen[id(value)] = (key, value)
        return key

    def _own(self, name: str | None) -> bool:
        """Whether a module is the user's own; raises UserError if so, and what runs is not what its file says."""
        module = sys.modules.get(name or "")
        own = name in (self.home, "__main__") or not (module is None or installed(module))
        if own and module and _edited(module):
            raise UserError(f"{shown(module.__file__)}, which was edited since it was imported; start anew")
        return own


def _edited(module: ModuleType) -> bool:
    """Whether a module's file has changed since the first of these calls for it."""
    try:
        found = os.stat(module.__file__ or "")
    except (OSError, AttributeError):
        return False
    now = (found.st_mtime_ns, found.st_size)
    return _read.setdefault(module, now) != now


def _used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function, and functions inside it, use of their module by name; and the modules that they import."""
    known, package = function.__globals__, function.__globals__.get("__package__") or ""
    for step in _steps(function.__code__):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"} and step.argval in known and not step.argval.startswith("__"):
            yield step.argval, known[step.argval]
        elif step.opname == "IMPORT_NAME" and step.argval.partition(".")[0] not in _UNVERSIONED:
            parents = [package.rsplit(".", up)[0] for up in range(package.count(".") + 1)] if package else []
            for name in [step.argval, *(f"{parent}.{step.argval}".rstrip(".") for parent in parents)]:
                with suppress(Exception):  # not there, or it fails: the function will say so when it runs
                    yield name, importlib.import_module(name)


def _steps(code: CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _steps(constant)


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(thing).items():
        if isinstance(value, FunctionType) and inspect.unwrap(value).__code__.co_filename == "<string>":
            continue  # written by dataclass, from the fields
        value = getattr(value, "__func__", value) if isinstance(value, (classmethod, staticmethod)) else value
        private = name.startswith("_abc_") or (name.endswith("_") and name.startswith("_"))  # Python's, as in an Enum
        if isinstance(value, (FunctionType, property)) or not (private or inspect.isdatadescriptor(value)):
            yield name, value


def _generator(value: Any) -> str:
    """Return "global" for the generators that torch, numpy and Python draw from, "own" for others, else ""."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    kinds, common = [random.Random], [random.seed.__self__]  # type: ignore[attr-defined]
    if torch:
        kinds, common = [*kinds, torch.Generator], [*common, torch.default_generator]
    if numpy:
        drawing = numpy.random
        kinds += [drawing.Generator, drawing.RandomState, drawing.BitGenerator]
        common.append(drawing.get_state.__self__)
    if not isinstance(value, tuple(kinds)):
        return ""
    return "global" if any(value is one for one in common) else "own"


def _array(value: Any) -> Any:
    """Return a tensor or an array as a numpy array, None for other values."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
        whole = value.detach().cpu().contiguous().flatten()
        return whole.view(torch.uint8).numpy() if len(whole) else whole.numpy()
    return numpy.asarray(value) if numpy and isinstance(value, (numpy.ndarray, numpy.generic)) else None


def _plain(value: Any) -> bool:
    if type(value) in (list, tuple, dict):
        return all(map(_plain, [*value, *value.values()] if isinstance(value, dict) else value))
    return type(value) in _PLAIN


def _versioned(thing: Any) -> str:
    """Return the name of what is not the user's own, with the version of its package."""
    module = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    name = module if isinstance(thing, ModuleType) else f"{module}.{thing.__qualname__}"
    top = module.partition(".")[0]
    version = "" if top in _UNVERSIONED else getattr(sys.modules.get(top), "__version__", "")
    return f"{name} {version}".rstrip()
