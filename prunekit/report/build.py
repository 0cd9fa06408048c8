"""Notebooks -> executed notebooks -> one report, as Markdown, HTML and PDF."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import datasets
from ..errors import UserError
from ..study.profile import Params, Study, project_root
from ..study.store import replace
from .tables import LONG_LINE

_TEMPLATES = Path(__file__).parent / "templates"
_MIME = "application/vnd.prunekit+json"
_COLUMNS = f"--columns={LONG_LINE}"
_TITLE = "Pruning at initialisation, re-run"


def check_notebooks() -> None:
    """Check, before anything runs, that every notebook takes every parameter; raises UserError if one does not."""
    try:
        import papermill
        import pypandoc
        import typst  # noqa: F401
    except ImportError as error:
        raise UserError(f"a report needs {error.name}; install the extra: pip install 'prunekit[report]'") from None
    if not pypandoc.get_pandoc_path():
        raise UserError("a report needs pandoc; install the extra: pip install 'prunekit[report]'")
    wanted = {"profile", "out", *Params.model_fields}
    for notebook in notebooks():
        own = papermill.inspect_notebook(str(notebook)).keys()
        if missing := sorted(wanted - own):
            raise UserError(f"{notebook}: its parameters cell lacks {', '.join(missing)}; add it as in the others")
        if unknown := sorted(own - wanted):
            raise UserError(f"{notebook}: its parameters cell has the unknown {', '.join(unknown)}; remove it")


def notebooks() -> list[Path]:
    """Return the report's notebooks in order; raises UserError where there are none."""
    found = sorted((project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise UserError(f"no notebooks in {project_root() / 'notebooks'}; run prunekit inside a checkout of it")
    return found


def build(study: Study, folder: Path, data_dir: Path | None = None) -> list[str]:
    """Write the study's whole report into `folder`; return a line for each notebook that failed."""
    for part in ("tables", "figures", "notebooks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    study.publish(folder)
    parameters = {"profile": study.profile, "out": "..", **study.params.model_dump()}
    with _environment(study, data_dir), ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(lambda notebook: _execute(notebook, folder / "notebooks", parameters), notebooks()))
    _render(study, folder, [folder / "notebooks" / notebook.name for notebook in notebooks()])
    return [error for error in errors if error]


@contextmanager
def _environment(study: Study, data_dir: Path | None) -> Iterator[None]:
    """The kernels' environment: where records and data are, and one thread each, since several run side by side."""
    ours = {
        "PRUNEKIT_RUNS": str(study.store.folder.resolve()),
        "PRUNEKIT_DATA": str(datasets.data_root(data_dir).resolve()),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _execute(notebook: Path, folder: Path, parameters: dict[str, Any]) -> str | None:
    """Execute `notebook` into `folder`; return one line if it raised."""
    import nbformat
    import papermill

    output = folder / notebook.name
    error = None
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters,
            cwd=str(folder),
            progress_bar=False,
            kernel_name="python3",
            extra_arguments=["--log-level=CRITICAL"],
        )
    except papermill.PapermillExecutionError as problem:
        error = f"{notebook.name}: {problem.ename}: {problem.evalue}"
    except Exception as problem:  # a kernel that cannot start or dies costs its own section
        return f"{notebook.name}: {type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
    nb = nbformat.read(output, as_version=4)
    strip(nb)
    replace(output, nbformat.writes(nb).encode())
    return error


def strip(nb: Any) -> None:
    """Remove from a notebook, in place, what changes from run to run: papermill's notes and times."""
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)


def _render(study: Study, folder: Path, executed: list[Path]) -> None:
    import jinja2
    import pypandoc

    template = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), keep_trailing_newline=True)
    sections = [_section(notebook, folder) for notebook in executed]
    markdown = template.get_template("report.md.j2").render(
        title=_TITLE, subtitle=f"prunekit, profile {study.profile}", sections=sections
    )
    markdown = re.sub(r"\n{3,}", "\n\n", markdown)
    replace(folder / "report.md", markdown.encode())
    common = [f"--resource-path={folder}"]
    html = pypandoc.convert_text(
        markdown,
        "html5",
        format="markdown",
        extra_args=[
            *common,
            _COLUMNS,
            "--standalone",
            "--embed-resources",
            "--toc",
            "--toc-depth=1",
            f"--css={_TEMPLATES / 'report.css'}",
        ],
    )
    replace(folder / "report.html", html.encode())
    _write_pdf(markdown, folder)


def _write_pdf(markdown: str, folder: Path) -> None:
    import pypandoc
    import typst

    source = pypandoc.convert_text(
        markdown,
        "typst",
        format="markdown",
        extra_args=[_COLUMNS, "--standalone", f"--include-in-header={_TEMPLATES / 'report.typ'}"],
    )
    file = folder / ".report.typ"  # Typst finds pictures beside its source
    try:
        file.write_text(source, encoding="utf-8")
        replace(folder / "report.pdf", typst.compile(file, root=folder))
    finally:
        file.unlink(missing_ok=True)


def _section(notebook: Path, folder: Path) -> str:
    """Return an executed notebook as Markdown: its prose, and what its cells show."""
    import nbformat

    if not notebook.exists():
        return f"# {notebook.stem}\n\n**This section could not be made.**"
    parts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts += [text for output in cell.outputs if (text := _shown(output, folder))]
    return "\n\n".join(parts)


def _shown(output: Any, folder: Path) -> str:
    if output.output_type == "error":
        return f"**This section stopped: {output.ename}: {output.evalue}**"
    bundle = output.get("data", {}).get(_MIME)
    if bundle is None:
        return str(output.get("data", {}).get("text/markdown", ""))
    if "table" in bundle:
        return (folder / "tables" / f"{bundle['table']}.md").read_text(encoding="utf-8")
    alt = bundle["alt"].replace('"', "'")
    caption = f"**{bundle['number']}.** {bundle['caption']}"
    return f'![{caption}](figures/{bundle["figure"]}.svg){{alt="{alt}"}}'
