"""Where the project is: the folder with params/ and notebooks/, and the packaged copies of these."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError, shown
from ..files import replace


def project_root() -> Path:
    """Return the folder that holds params/ and notebooks/: the working folder or one above it, else the checkout's."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params" / "demo.yaml").exists():
            return folder
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / "params" / "demo.yaml").exists() else here


def packaged_dir(part: str) -> Path:
    """Return the packaged "params" or "notebooks": in the installed package, else in the checkout."""
    installed = Path(__file__).parents[1] / "share" / part
    return installed if installed.is_dir() else Path(__file__).parents[2] / part


def active_dir(part: str) -> Path:
    """Return the folder of "params" or "notebooks" in use: the project's own, else the packaged one."""
    here = project_root() / part
    return here if here.is_dir() else packaged_dir(part)


def copy_shipped(folder: Path) -> None:
    """Copy params and notebooks as they came into `folder`; raises UserError, and copies nothing, if one is there."""
    sources = [
        file for part in ("params", "notebooks") for file in sorted(packaged_dir(part).iterdir()) if file.is_file()
    ]
    targets = [folder / file.parent.name / file.name for file in sources]
    if there := [target for target in targets if target.exists()]:
        raise UserError(f"{shown(there[0])} is there already; name another folder")
    for source, target in zip(sources, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, source.read_bytes())
