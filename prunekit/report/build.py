"""Notebooks -> executed notebooks -> one report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import datasets
from ..errors import UserError, suggestion
from ..files import replace, sweep
from ..study.params import project_root
from ..study.profile import Study
from .notebook import NAMES
from .page import ONLY_SHOW
from .render import render


def check_notebooks() -> None:
    """Check, before anything runs, that notebooks take parameters and no unknown ones; raises UserError for others."""
    try:
        import papermill  # noqa: F401
        import pypandoc
        import typst  # noqa: F401
    except ImportError as error:
        raise UserError(f"a report needs {error.name}; install the extra: pip install 'prunekit[report]'") from None
    if not pypandoc.get_pandoc_path():
        raise UserError("a report needs pandoc; install the extra: pip install 'prunekit[report]'")
    for notebook in notebooks():
        own = _taken(notebook)
        if missing := sorted({"profile", "out"} - own):
            raise UserError(f"{notebook}: its parameters cell lacks {', '.join(missing)}; add it as in the others")
        if unknown := sorted(own - set(NAMES)):
            raise UserError(
                f"{notebook}: its parameters cell has the unknown {unknown[0]}; {suggestion(unknown[0], list(NAMES))}"
            )


def notebooks() -> list[Path]:
    """Return the report's notebooks in order; raises UserError where there are none."""
    found = sorted((project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise UserError(f"no notebooks in {project_root() / 'notebooks'}; run prunekit inside a checkout of it")
    return found


def build(study: Study, folder: Path, data_dir: Path | None = None) -> list[str]:
    """Write the study's whole report into `folder`; return a line for each notebook that failed."""
    folder = folder.resolve()
    for part in ("tables", "figures", "notebooks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        sweep(folder / part)
    sweep(folder)
    study.publish(folder)
    parameters = {"out": "..", **study.params.model_dump()}
    with _environment(study, data_dir), ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(lambda notebook: _execute(notebook, folder / "notebooks", parameters), notebooks()))
    executed = [folder / "notebooks" / notebook.name for notebook in notebooks()]
    render(study.params.profile, folder, dict(zip(executed, errors, strict=True)))
    return [f"{path.name}: {error}" for path, error in zip(executed, errors, strict=True) if error]


@contextmanager
def _environment(study: Study, data_dir: Path | None) -> Iterator[None]:
    """The kernels' environment: where records and data are, and that all trials were tried."""
    ours = {
        "PRUNEKIT_RUNS": str(study.store.folder.resolve()),
        "PRUNEKIT_DATA": str(datasets.data_root(data_dir).resolve()),
        ONLY_SHOW: "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _taken(notebook: Path) -> set[str]:
    """The names of a notebook's parameters."""
    import papermill

    return set(papermill.inspect_notebook(str(notebook)))


def _execute(notebook: Path, folder: Path, parameters: dict[str, Any]) -> str:
    """Execute `notebook` into `folder`, there; return one line if it stopped, "" else."""
    import nbformat
    import papermill

    output = folder / notebook.name
    output.unlink(missing_ok=True)
    taken = _taken(notebook)
    error = ""
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            {name: value for name, value in parameters.items() if name in taken},
            progress_bar=False,
            kernel_name="python3",
            extra_arguments=["--log-level=CRITICAL"],
            resources={"metadata": {"path": str(folder)}},  # papermill's `cwd` moves this process, threads and all
        )
    except papermill.PapermillExecutionError as problem:
        error = problem.evalue if problem.ename == UserError.__name__ else f"{problem.ename}: {problem.evalue}"
    except Exception as problem:  # a kernel that cannot start or dies costs its own section
        error = f"{type(problem).__name__}: {problem}"
    if output.exists():
        nb = nbformat.read(output, as_version=4)
        strip(nb)
        replace(output, nbformat.writes(nb).encode())
    return " ".join(error.split())[:300]


def strip(nb: Any) -> None:
    """Remove from a notebook, in place, what changes from run to run: papermill's notes and times."""
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    nb.cells = [cell for cell in nb.cells if not any("papermill-error" in tag for tag in cell.metadata.get("tags", []))]
    for cell in nb.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
