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
    told = _Walk(inspect.unwrap(function).__module__).tell(function.__name__, function)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


class _Walk:
    """Tells values, and whatever they lead to, as nested tuples of text; what was told before, by its place."""

    def __init__(self, home: str):
        self.home = home
        self.seen: dict[int, tuple[int, Any]] = {}  # by identity: place, and what keeps that identity

    def tell(self, name: str, value: Any) -> Any:
        """Tell one value; `name` is what a user calls it, for the line if it cannot be told."""
        if type(value) in _PLAIN:
            return repr(value)
        if id(value) in self.seen:
            return self.seen[id(value)][0]
        if type(value) is not tuple:  # equal constant tuples may be one object or two
            self.seen[id(value)] = (len(self.seen), value)
        text, parts = self._parts(name, value)
        return type(value).__name__, text, [(label, self.tell(label or name, part)) for label, part in parts]

    def _parts(self, name: str, value: Any) -> tuple[str, list[tuple[str, Any]]]:
        """Return what tells a value by itself, and the values that it is made of, those with a name under theirs."""
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType):
            return self._module(value)
        if type(value) in (list, tuple):
            return _values(value)
        if type(value) is dict:
            return _values([part for item in value.items() for part in item])
        if isinstance(value, (set, frozenset)):
            return _values(sorted(value, key=lambda one: getattr(one, "__qualname__", repr(one))))
        if isinstance(value, property):
            return _values([value.fget, value.fset, value.fdel])
        if (array := _array(value)) is not None and array.dtype != object:
            content = hashlib.sha256(array.tobytes()).hexdigest()
            return f"{value.dtype} {tuple(value.shape)} {content}", []
        if hasattr(value, "__wrapped__"):  # as functools.cache has it
            return _values([value.__wrapped__])
        try:
            reduced = value.__reduce_ex__(2)  # what pickle would keep: class and state
        except Exception:  # whatever the class raises
            problem = f"{shown(name)} ({type(value).__name__}), and whether that was edited cannot be told"
            raise UserError(f"{problem}; make it inside the function") from None
        if isinstance(reduced, str):
            return f"{getattr(value, '__module__', None) or type(value).__module__}.{reduced}", []
        return _values([list(part) if isinstance(part, Iterator) else part for part in reduced])

    def _function(self, value: FunctionType) -> tuple[str, list[tuple[str, Any]]]:
        wrapped = [("", value.__wrapped__)] if hasattr(value, "__wrapped__") else []
        if not self._own(value.__globals__.get("__name__", "")):
            return _versioned(value), wrapped
        enclosed = [("", cell.cell_contents) for cell in value.__closure__ or () if cell != CellType()]
        given = [("", value.__defaults__), *(value.__kwdefaults__ or {}).items()]
        source = textwrap.dedent(inspect.getsource(value.__code__))
        return source, [*given, *enclosed, *wrapped, *_used(value)]

    def _class(self, value: type) -> tuple[str, list[tuple[str, Any]]]:
        if not self._own(value.__module__):
            return _versioned(value), []
        try:
            source = textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError):  # as in a notebook; its functions have theirs
            source = value.__qualname__
        return source, [*(("", base) for base in value.__bases__), *_members(value)]

    def _module(self, value: ModuleType) -> tuple[str, list[tuple[str, Any]]]:
        """Tell a user's own module by its source and by what it has of others of theirs."""
        if not self._own(value.__name__):
            return _versioned(value), []
        source = ""
        with suppress(OSError, TypeError):  # a package without a file has no source
            source = inspect.getsource(value)
        homes = {name: one.__name__ if isinstance(one, ModuleType) else getattr(one, "__module__", None)
                 for name, one in vars(value).items() if isinstance(one, (ModuleType, FunctionType, type))}  # fmt: skip
        return source, [(n, vars(value)[n]) for n, home in homes.items() if home != value.__name__ and self._own(home)]

    def _own(self, name: str | None) -> bool:
        """Whether a module is the user's own; raises UserError if so, and what runs is not what its file says."""
        module = sys.modules.get(name or "")
        own = name in (self.home, "__main__") or not (module is None or installed(module))
        if own and module and _edited(module):
            raise UserError(f"{shown(module.__file__)}, which was edited since it was imported; start anew")
        return own


def _values(values: Any) -> tuple[str, list[tuple[str, Any]]]:
    return "", [("", one) for one in values]


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


def _array(value: Any) -> Any:
    """Return a tensor or an array as a numpy array, None for other values."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
        whole = value.detach().cpu().contiguous().flatten()
        return whole.view(torch.uint8).numpy() if len(whole) else whole.numpy()
    return numpy.asarray(value) if numpy and isinstance(value, (numpy.ndarray, numpy.generic)) else None


def _versioned(thing: Any) -> str:
    """Return the name of what is not the user's own, with the version of its package."""
    module = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    top = module.partition(".")[0]
    version = "" if top in _UNVERSIONED else getattr(sys.modules.get(top), "__version__", "")
    return f"{module} {getattr(thing, '__qualname__', '')} {version}"
