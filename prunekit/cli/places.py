"""Folders that a command is given: whether they will do, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError, advice, shown
from ..files import probe

if TYPE_CHECKING:
    from ..study.study import Study


def check_data(data_dir: Path | None) -> None:
    if data_dir:
        check_readable("--data-dir", data_dir, absent_too=False)


def check_readable(option: str, folder: Path, absent_too: bool = True) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        if not (absent_too and isinstance(error, FileNotFoundError)):
            raise UserError(f"{option} {shown(folder)} cannot be read ({error.strerror}); name another") from None


def check_writable(option: str, folder: Path) -> None:
    """Raise UserError for a folder that cannot be written to, before anything runs that takes hours."""
    try:
        probe(folder)
    except OSError as error:
        problem = f"cannot be written to ({error.strerror}); {advice(error)}"
        raise UserError(f"{option} {shown(folder)} {problem}") from None


def usual(study: Study, profile: str) -> Path:
    """Return where a report goes without --out: a user's own file never writes over a profile of params/."""
    from ..study.params import is_shipped

    return study.folder if is_shipped(profile, study.params) else study.own_folder


def check_not_published(out: Path, study: Study, profile: str) -> None:
    """Raise UserError if `out` holds the published report of another profile, or of this one before it was changed."""
    from ..study.params import as_shipped, is_shipped
    from ..study.project import project_root

    there = as_shipped(out.resolve().name) if out.resolve().parent == project_root() / "reports" else None
    if there and not (study.params == there and is_shipped(profile, there)):
        raise UserError(
            f"--out {shown(out)}: is for the profile {out.name} as it stands in params/; name another folder"
        )
