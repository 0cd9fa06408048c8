"""Notebooks -> executed notebooks -> one report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from loky import cpu_count
from loky.process_executor import ProcessPoolExecutor

from .. import datasets
from ..errors import UserError, exception_summary, say, shown, suggestion
from ..files import remove_leftovers, replace
from ..study.params import Params, as_shipped
from ..study.progress import Progress
from ..study.project import active_dir
from ..study.signals import signals_blocked
from ..study.study import NO_RUN, Study
from .markup import MIME

PAGES = (  # of a report whose profile names none
    *("00_overview", "01_dataset_comparison", "02_compression_sweep", "03_timing", "04_flops"),
    *("05_layers_and_histograms", "07_labels", "08_controls", "09_speed", "10_seeds", "11_runs"),
)
AUDIT = ("00_paper", "06_audit", "06_claims", "06_numbers")  # written by hand for the profile `paper`
_WIDGET = "application/vnd.jupyter.widget-view+json"
FOLDERS = ("tables", "figures", "notebooks")  # folders of a report
_KINDS = {"table": "tables", "figure": "figures"}  # and where they are
PARAMS = "params.yaml"


def check_notebooks(names: Sequence[str] = ()) -> None:
    """Check, before anything runs, that notebooks take parameters and no unknown ones; raises UserError for others."""
    try:
        import papermill  # noqa: F401
        import pypandoc
        import typst  # noqa: F401
    except ImportError as error:
        raise UserError(f"a report needs {error.name}; install the extra: pip install 'prunekit[report]'") from None
    if not pypandoc.get_pandoc_path():
        raise UserError("a report needs pandoc; install the extra: pip install 'prunekit[report]'")
    for notebook in notebooks(names):
        own, problem = _taken(notebook)
        if problem:  # which its section is to say
            continue
        if missing := sorted({"profile", "out"} - own):
            raise UserError(f"{notebook}: its parameters cell lacks {', '.join(missing)}; add it as in the others")


def notebooks(names: Sequence[str] = ()) -> list[Path]:
    """Return a report's notebooks in order: these names', else PAGES and the user's; raises UserError if none."""
    folder = active_dir("notebooks")
    found = {path.name for path in folder.glob("[0-9][0-9]_*.ipynb")}
    if not found:
        raise UserError(f"no notebooks in {folder}; prunekit init copies its own to a folder")
    if missing := [name for name in names if not (folder / f"{name}.ipynb").is_file()]:
        known = sorted(path.stem for path in folder.glob("*.ipynb"))
        raise UserError(f"pages: no notebook {shown(missing[0])} in {folder}; {suggestion(missing[0][:80], known)}")
    ours, audit = ({f"{name}.ipynb" for name in of} for of in (PAGES, AUDIT))
    return [folder / f"{name}.ipynb" for name in names] or [folder / name for name in sorted((found | ours) - audit)]


def pages(params: Params) -> list[str]:
    """Return the pages of a profile; if --set or --only changed it, without pages that were written by hand for it.

    A changed profile has other records than those pages speak of.
    """
    kept = [name for name in params.pages if name not in AUDIT]
    if as_shipped(params.profile) in (None, params) or len(kept) == len(params.pages):
        return params.pages
    return [PAGES[0], *kept]


def build(study: Study, folder: Path, data_dir: Path | None = None) -> list[str]:
    """Write the study's whole report into `folder`; return a line for each notebook that failed.

    Raises UserError where no trial has a record, and as `check_notebooks` does.
    """
    folder, todo = folder.resolve(), notebooks(pages(study.params))
    with _environment(study, data_dir), _processes(min(len(todo), cpu_count())) as pool:
        check_notebooks(pages(study.params))
        _check_records(study)
        errors = _executed(todo, study, folder, pool)
    say("making report.html, .pdf and .md of them")
    from .render import render

    render(study.params.profile, folder, {folder / "notebooks" / name: error for name, error in errors.items()})
    return [f"{name}: {error}" for name, error in errors.items() if error]


def _check_records(study: Study) -> None:
    """Say how many trials have a record, if not all do; raises UserError where none does."""
    there = sum(id_ in study.trials for id_ in study.records)
    if not there:
        lacks = f"no record of {study.params.profile} in {study.store.folder}, and none is published"
        raise UserError(f"{lacks}; run some first, or prunekit merge FOLDER")
    if there < len(study.trials):
        say(f"{len(study.trials)} trials, {there} have a record")


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes to execute notebooks in, which import papermill while this one checks; they end with their kernels."""
    with signals_blocked():
        pool = ProcessPoolExecutor(count, initializer=import_module, initargs=("papermill",))
        pool.submit(int)  # which starts them all
    try:
        yield pool
    finally:
        pool.shutdown(kill_workers=True)  # on Ctrl-C do not wait for the notebooks under way


def _executed(todo: list[Path], study: Study, folder: Path, pool: ProcessPoolExecutor) -> dict[str, str]:
    """Execute notebooks into `folder`, publish the records there; return by name why each stopped, "" if it did not."""
    for part in FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, *(folder / part for part in FOLDERS))
    before = {file: file.stat().st_mtime_ns for file in _made_before(folder)}
    arguments = folder / "notebooks", {"out": "..", "profile": _told(study.params, folder)}
    futures = {pool.submit(_execute, notebook, *arguments): notebook.name for notebook in todo}
    with Progress(len(todo), unit="notebook") as advance:
        study.publish(folder)
        for future in as_completed(futures):
            advance(futures[future], future.result() or None)
    for file, written in before.items():
        if file.exists() and file.stat().st_mtime_ns == written:
            file.unlink()
    return {name: future.result() for future, name in futures.items()}


def _made_before(folder: Path) -> list[Path]:
    """Return the notebooks, tables and figures of the report that is in `folder`, by what its notebooks show."""
    import nbformat

    found = []
    for notebook in sorted((folder / "notebooks").glob("*.ipynb")):
        with suppress(Exception):  # of what is no notebook any kind comes
            cells = nbformat.read(notebook, as_version=4).cells
            data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
            shown = [
                (kind, one[MIME][kind]) for one in data if MIME in one for kind in one[MIME].keys() & _KINDS.keys()
            ]
            found += [notebook, *(file for kind, name in shown for file in (folder / _KINDS[kind]).glob(f"{name}.*"))]
    return found


def _told(params: Params, folder: Path) -> str:
    """Return what a notebook in `folder`/notebooks opens: a profile's name, or of one not in params/ a file there."""
    if params == as_shipped(params.profile):
        return params.profile
    replace(folder / PARAMS, yaml.safe_dump(params.model_dump(), sort_keys=False).encode())
    return f"../{PARAMS}"


@contextmanager
def _environment(study: Study, data_dir: Path | None) -> Iterator[None]:
    """The kernels' environment: where records and data are, and that all trials were tried."""
    ours = {
        "PRUNEKIT_RUNS": str(study.store.folder.resolve()),
        "PRUNEKIT_DATA": str(datasets.data_root(data_dir).resolve()),
        "PRUNEKIT_PLUGINS_DIR": os.environ.get("PRUNEKIT_PLUGINS_DIR") or os.getcwd(),
        NO_RUN: "1",
        "JUPYTER_PREFER_ENV_PATH": "1",  # a user's own kernel may be called python3 too
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _taken(notebook: Path) -> tuple[set[str], str]:
    """Return the names of a notebook's parameters, and in one line why it cannot be read, "" if it can."""
    import nbformat
    import papermill

    if not notebook.exists():
        return set(), f"{notebook} is missing; fetch it again (git checkout {notebook.name})"
    try:
        about = nbformat.read(notebook, as_version=4).metadata
        kernel = about.get("kernelspec", {})
        if not (kernel.get("name") and kernel.get("language", about.get("language_info", {}).get("name"))):
            return set(), f"{notebook} does not say which kernel it is for; open it in JupyterLab, choose one, save it"
        return set(papermill.inspect_notebook(str(notebook))), ""
    except Exception as error:  # of what is no notebook any kind comes
        return (
            set(),
            f"{notebook} is damaged ({exception_summary(error)}); fetch it again (git checkout {notebook.name})",
        )


def _execute(notebook: Path, folder: Path, parameters: dict[str, Any]) -> str:
    """Execute `notebook` into `folder`, there; return one line if it stopped, else ""."""
    import nbformat
    import papermill

    output = folder / notebook.name
    output.unlink(missing_ok=True)
    taken, error = _taken(notebook)
    if error:
        return error
    given = {name: value for name, value in parameters.items() if name in taken}
    # A kernel that has nothing more to do is killed, which spares half a second of its own tidying.
    quiet: dict[str, Any] = {"progress_bar": False, "extra_arguments": ["--log-level=CRITICAL"]}
    quiet["shutdown_kernel"] = "immediate"
    try:
        papermill.execute_notebook(notebook, output, given, kernel_name="python3", cwd=folder, **quiet)
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
    """Remove from a notebook, in place, what changes from run to run: notes of papermill's, times, widgets, an id."""
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    nb.cells = [cell for cell in nb.cells if not any("papermill-error" in tag for tag in cell.metadata.get("tags", []))]
    for cell in nb.cells:
        if (tag := "injected-parameters") in cell.metadata.get("tags", []):
            cell.id = tag  # papermill draws one
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if one.output_type != "display_data" or _WIDGET not in one.data]
        for output in cell.get("outputs", ()):  # widgets are of a kernel that is no more: bars go, others leave words
            output.get("data", {}).pop(_WIDGET, None)
