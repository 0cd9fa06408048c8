"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace(file: Path, content: bytes | Callable[[BinaryIO], object], durable: bool = False) -> None:
    """Write `file` through a temporary file beside it, so that no reader sees half of it; raises OSError.

    `content` is the bytes to write, or a function that writes them. If `durable`, they are on the disk on return.
    """
    temporary = file.with_name(f".{file.name}.{host()}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as sink:
            sink.write(content) if isinstance(content, bytes) else content(sink)
            if durable:
                sink.flush()
                os.fsync(sink.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _flush(file.parent)


def probe(folder: Path) -> None:
    """Make `folder`, and write a megabyte there that is gone at once; raises OSError where that cannot be."""
    import tempfile  # here, and others too: --help need not wait for it

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(2**20))


def remove_leftovers(*folders: Path) -> None:
    """Delete what processes of this machine that are gone left of files they did not finish."""
    temporary = re.compile(rf"\..+\.{host()}\.(\d+)\.tmp")
    for folder in folders:
        with suppress(OSError):  # of a folder that is not there, or not ours: litter harms nothing
            for file in folder.iterdir():
                if (left := temporary.fullmatch(file.name)) and _gone(int(left[1])):
                    file.unlink(missing_ok=True)


def host() -> str:
    """Return this machine's name, for files' names: several machines may share a folder."""
    import platform

    return re.sub(r"[^\w-]", "", platform.node())[:40]


def _gone(process: int) -> bool:
    if os.name != "posix":  # elsewhere asking may kill it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _flush(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
