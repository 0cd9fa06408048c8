"""Executed notebooks -> one report: Markdown as GitHub shows it, HTML in one file, PDF."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..files import replace
from . import formatting
from .shown import LONG_LINE, MIME

_TEMPLATES = Path(__file__).parent / "templates"
_TITLE = "Pruning at initialisation, re-run"
_ROWS = {False: 30, True: 12}  # that a page of the PDF has room for; True: of a table of texts


@dataclass(frozen=True)
class _Table:
    caption: str
    body: str


@dataclass(frozen=True)
class _Figure:
    caption: str
    alt: str
    file: str


_Part = str | _Table | _Figure
_Flavour = Callable[[_Part], str]


def render(profile: str, folder: Path, executed: Mapping[Path, str]) -> None:
    """Write report.md, .html and .pdf into `folder` from notebooks and why each stopped, "" if it did not."""
    import pypandoc
    import typst

    parts = [part for notebook, error in executed.items() for part in _parts(notebook, error, folder)]
    subtitle = f"prunekit, profile {profile}"
    replace(folder / "report.md", f"# {_TITLE}\n\n{subtitle}\n\n{_written(parts, _github)}".encode())
    common = [f"--columns={LONG_LINE}", "--standalone", "--toc", f"--metadata=title:{_TITLE}"]
    common += [f"--metadata=subtitle:{subtitle}", "--metadata=lang:en", f"--resource-path={folder}"]
    html = pypandoc.convert_text(
        _written(parts, _html),
        "html5",
        format="markdown",
        extra_args=[*common, "--embed-resources", "--toc-depth=2", f"--css={_TEMPLATES / 'report.css'}"],
    )
    replace(folder / "report.html", html.encode())
    source = pypandoc.convert_text(
        _written(parts, _pdf),
        "typst",
        format="markdown",
        extra_args=[*common, "--toc-depth=1", f"--include-in-header={_TEMPLATES / 'report.typ'}"],
    )
    file = folder / ".report.typ"  # Typst finds pictures beside its source
    try:
        file.write_text(source, encoding="utf-8")
        replace(folder / "report.pdf", typst.compile(file, root=folder))
    finally:
        file.unlink(missing_ok=True)


def _parts(notebook: Path, error: str, folder: Path) -> Iterator[_Part]:
    """Yield a notebook's prose and what its cells show; up to where it stopped, which is said."""
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells if notebook.exists() else []
    if not cells:
        yield f"# {notebook.stem}"
    for cell in cells:
        if cell.cell_type == "markdown":
            yield cell.source
        elif cell.cell_type == "code":
            yield from (part for output in cell.outputs if (part := _shown(output, folder)))
            if error and (not cell.execution_count or any(one.output_type == "error" for one in cell.outputs)):
                break
    if error:
        yield f"**This section stopped:** {formatting.verbatim(error)}"


def _shown(output: Any, folder: Path) -> _Part:
    data = output.get("data", {})
    bundle = data.get(MIME)
    if bundle is None:
        return str(data.get("text/markdown", ""))
    if "table" in bundle:
        caption, body = (folder / "tables" / f"{bundle['table']}.md").read_text(encoding="utf-8").split("\n\n", 1)
        return _Table(caption, body.strip())
    caption = f"**{bundle['number']}.** {bundle['caption']}"
    return _Figure(caption, bundle["alt"].replace('"', "'"), f"figures/{bundle['figure']}.svg")


def _written(parts: list[_Part], flavour: _Flavour) -> str:
    return "\n\n".join(flavour(part).strip() for part in parts) + "\n"


def _github(part: _Part) -> str:
    if isinstance(part, _Table):
        return f"{part.caption}\n\n{part.body}"
    if isinstance(part, _Figure):
        return f"![{part.alt}]({part.file})\n\n{part.caption}"
    return part


def _html(part: _Part) -> str:
    if isinstance(part, _Table):
        return f":::: table\n{part.caption}\n\n::: {{.scroll tabindex=0}}\n{part.body}\n:::\n::::"
    return _pandoc(part)


def _pdf(part: _Part) -> str:
    """Tables longer than a page are cut into parts of like length, so that none leaves a row behind."""
    if not isinstance(part, _Table):
        return _pandoc(part)
    header, dashes, *rows = part.body.splitlines()
    count = math.ceil(len(rows) / _ROWS[len(dashes) > LONG_LINE])
    cuts = [round(i * len(rows) / count) for i in range(count + 1)]
    tables = ["\n".join([header, dashes, *rows[start:end]]) for start, end in pairwise(cuts)]
    number = part.caption.split(".**")[0]
    captions = [part.caption, *(f"{number}, continued.**" for _ in tables[1:])]
    return "\n\n".join(f"{table}\n\n: {caption}" for table, caption in zip(tables, captions, strict=True))


def _pandoc(part: str | _Figure) -> str:
    return f'![{part.caption}]({part.file}){{alt="{part.alt}"}}' if isinstance(part, _Figure) else part
