"""A user's own pruners, networks and datasets: functions, registered under a name or as package.module:function.

A function is known by its source, so that what an edit changes is run again; and it travels whole to other processes.
"""

from __future__ import annotations

import importlib
import inspect
import os
import random
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

from . import fingerprint
from .errors import UserError, exception_summary, safe_repr, shown, suggestion
from .names import BY_KIND

_NAME = re.compile(r"[^\W\d_]\w{0,39}")
_PATH = re.compile(r"(?=.{3,80}$)[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")  # what Python takes for names
_registered: dict[tuple[str, str], FunctionType] = {}
_sent: dict[
    tuple[str, str], str
] = {}  # digests of those that another process registered; it alone may know their source


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
        _sent.pop((kind, name), None)
        return function

    return registered


def check(kind: str, name: str) -> str:
    """Return `name` if it is of a `kind` of prunekit's own or a user's; raises UserError for others."""
    if name not in BY_KIND[kind]:
        find(kind, name)
    return name


def find(kind: str, name: str) -> FunctionType:
    """Return the user's function of that name; raises UserError if none is registered so, or it cannot be imported.

    What a path names is looked for where Python looks, and in the folder PRUNEKIT_PLUGINS_DIR, else the working folder.
    """
    if (kind, name) in _registered:
        return _registered[kind, name]
    if not _PATH.fullmatch(name):
        names = [*BY_KIND[kind], *(other for of, other in _registered if of == kind)]
        hint = suggestion(name[:80], names)
        raise UserError(f"unknown {kind} {safe_repr(name)}; {hint} (one of your own: package.module:function)")
    module, _, attribute = name.partition(":")
    folder = os.path.expanduser(os.environ.get("PRUNEKIT_PLUGINS_DIR") or os.getcwd())
    if folder not in sys.path:
        sys.path.append(folder)  # which worker processes inherit
    try:
        ours = module.startswith(f"{__package__}.")  # which need not wait for torch
        with nullcontext() if ours else torch_defaults_kept():  # whatever the module sets as it is imported
            made = fingerprint.reloaded(importlib.import_module(module))
        there = Path(folder, *module.split(".")).with_suffix(".py")
        found = getattr(made, "__file__", None) or sys.executable
        if there.is_file() and fingerprint.installed(made) and not there.samefile(found):
            problem = f"{shown(there)} is hidden by Python's own or an installed module ({found})"
            raise UserError(f"{kind} {name}: {problem}, which has the same name; rename it")
        function = getattr(made, attribute)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # of a user's module any kind comes
        raise UserError(
            f"{kind} {name} cannot be imported ({type(error).__name__}: {exception_summary(error)})"
        ) from error
    _check(kind, name, function)
    return function


def digest(kind: str, name: str) -> str:
    """Return 16 hexadecimal digits of a user's function and everything that it uses; raises as `find`."""
    return _sent.get((kind, name)) or fingerprint.digest(find(kind, name))


@contextmanager
def drawing_from(seed: int, devices: Iterable[Any] = ()) -> Iterator[None]:
    """Seed the global generators of torch (and its `devices`), numpy and Python for a while; then all are as before.

    So are torch's defaults, as in `torch_defaults_kept`.
    """
    import numpy
    import torch

    before, numpys = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices), torch_defaults_kept():
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before)
            numpy.random.set_state(numpys)


@contextmanager
def torch_defaults_kept(shipped: bool = False) -> Iterator[None]:
    """Put torch's defaults (the type of a new tensor, gradients on or off, threads, ...) back to what they were before.

    If `shipped`, those that numbers depend on are meanwhile as torch has them when it starts.
    """
    settings = _torch_defaults()
    before = [get() for get, _, _ in settings]
    try:
        for get, put, usual in settings:
            if shipped and usual is not None and get() != usual:
                put(usual)
        yield
    finally:
        for (get, put, _), value in zip(settings, before, strict=True):
            if get() != value:
                put(value)


def _torch_defaults() -> list[tuple[Callable[[], Any], Callable[[Any], Any], Any]]:
    """Return how to get and to put each default, and what it is when torch starts, None where that is the machine's."""
    import torch

    cpu, cudnn = torch.device("cpu"), torch.backends.cudnn
    return [
        (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        (torch.get_default_device, lambda device: torch.set_default_device(None if device == cpu else device), cpu),
        (torch.is_grad_enabled, torch.set_grad_enabled, True),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
        (torch.get_num_threads, torch.set_num_threads, None),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, None),
        (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, None),
        *(
            (partial(getattr, cudnn, name), partial(setattr, cudnn, name), None)
            for name in ("benchmark", "deterministic", "allow_tf32")
        ),
    ]


def packed(keys: Collection[tuple[str, str]]) -> bytes:
    """Return functions, each by kind and name, as bytes for `unpack` in a process that need not have their modules."""
    import cloudpickle

    functions = {(kind, name): find(kind, name) for kind, name in keys}
    homes = {sys.modules[home] for f in functions.values() if (home := inspect.unwrap(f).__module__) in sys.modules}
    homes = {home for home in homes if home.__name__ != "__main__"}  # which travels whole anyway
    for home in homes:
        cloudpickle.register_pickle_by_value(home)
    try:
        return bytes(cloudpickle.dumps((functions, {key: digest(*key) for key in functions})))
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

    with torch_defaults_kept():
        functions, digests = cloudpickle.loads(content)
    _registered.update(functions)
    _sent.update(digests)


def _check(kind: str, name: str, function: Any) -> None:
    if not isinstance(function, FunctionType):
        raise UserError(f"{kind} {name} is a {type(function).__name__}; it must be a function")
    try:
        fingerprint.digest(function)
    except UserError as error:
        raise UserError(f"{kind} {name} uses {error}") from None
    except (OSError, TypeError) as error:
        raise UserError(
            f"the source of {kind} {name} cannot be read ({exception_summary(error)}); write it to a file"
        ) from None
