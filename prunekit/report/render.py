"""Executed notebooks -> one report: Markdown as GitHub shows it, HTML in one file, PDF."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import UserError, exception_summary, say
from ..files import replace
from ..names import listed
from .markup import LONG_LINE, MIME, PUBLISHED, first_sentence, verbatim

_MARKDOWN = "markdown-yaml_metadata_block-citations"  # pandoc's, but lines of dashes and @ are what they look like
_TEMPLATES = Path(__file__).parent / "templates"
_ROWS = {False: 30, True: 12}  # that a page of the PDF has room for; True: of a table of texts
LINE, _COLUMN = 140, 14  # characters of a table's line that it has room for; a longer cell takes several lines
_CODE_OR_UNDERSCORE = re.compile(r"(`+).*?\1|\]\([^)]*\)|(?<![^\W_])_|_(?![^\W_])", re.S)
_BREAKS = re.compile(r"(?<=\w[_:/])(?=\w)")  # where a long name may go on in the next line


@dataclass(frozen=True)
class TableBlock:
    name: str
    caption: str
    body: str
    keys: int  # how many of the first columns tell the rows
    texts: bool
    folded: bool

    @property
    def cells(self) -> list[list[str]]:
        """The table's lines as cells, the header, dashes, and rows."""
        lines = [re.split(r"(?<!\\)\|", line.strip("|")) for line in self.body.splitlines()]
        return [_muted([_BREAKS.sub("\u200b", cell.strip()) for cell in line], self.keys) for line in lines]


def _muted(line: list[str], keys: int) -> list[str]:
    """Return the cells of a row; those of a published row as spans, which HTML and PDF set small and grey."""
    if PUBLISHED not in line[:keys]:
        return line
    return [
        f'[{cell}]{{.{PUBLISHED} typst:text:fill="luma(90)" typst:text:size=0.9em}}' if cell else "" for cell in line
    ]


@dataclass(frozen=True)
class FigureBlock:
    caption: str
    alt: str
    file: str


_Cells = list[list[str]]  # of a table: its header, dashes and rows
_Block = str | TableBlock | FigureBlock
_Flavour = Callable[[_Block], str]


def render(profile: str, folder: Path, executed: Mapping[Path, str]) -> None:
    """Write report.md, .html and .pdf into `folder` from notebooks and why each stopped, "" if it did not.

    Words of a notebook that pandoc or Typst refuse are left out of the two, and a line names the notebook.
    """
    sections = {notebook: blocks(notebook, error, folder) for notebook, error in executed.items()}
    parts = [part for section in sections.values() for part in section]
    replace(folder / "report.md", _written(parts, for_github).encode())
    try:
        html, pdf = _converted(profile, parts, folder)
    except UserError:
        html, pdf = _converted(profile, _readable(profile, sections, folder), folder)
    replace(folder / "report.html", html)
    replace(folder / "report.pdf", pdf)


def _converted(profile: str, parts: list[_Block], folder: Path) -> tuple[bytes, bytes]:
    """Return a report as HTML and as PDF; raises UserError for what pandoc or Typst refuse or warn of."""
    import pypandoc
    import typst

    common = [f"--columns={LONG_LINE}", "--standalone", "--toc", f"--metadata=pagetitle:prunekit, {profile}"]
    common += ["--metadata=lang:en", "--fail-if-warnings"]

    def converted(flavour: _Flavour, kind: str, *more: str) -> str:
        try:
            return str(pypandoc.convert_text(_written(parts, flavour), kind, _MARKDOWN, [*common, *more]))
        except RuntimeError as error:
            raise UserError(f"report.{kind} cannot be written: {exception_summary(error)}") from None

    css, template = (
        f"--{kind}={_TEMPLATES / name}" for kind, name in (("css", "report.css"), ("template", "report.typ"))
    )
    file = folder / ".report.typ"  # Typst finds pictures beside its source
    # In the folder, since a path with a colon would be two to pandoc.
    with chdir(folder), ThreadPoolExecutor() as pool:
        html = pool.submit(converted, for_html, "html5", "--embed-resources", "--toc-depth=2", css)
        source = pool.submit(converted, for_pdf, "typst", template).result()
        try:
            file.write_text(source, encoding="utf-8")
            pdf, warnings = typst.compile_with_warnings(file, root=folder)
        except typst.TypstError as error:
            raise UserError(f"report.pdf cannot be written: {exception_summary(error)}") from None
        finally:
            file.unlink(missing_ok=True)
    if warnings:
        raise UserError(f"report.pdf cannot be written: {listed([exception_summary(one) for one in warnings])}")
    return html.result().encode(), bytes(pdf)


def _readable(profile: str, sections: Mapping[Path, list[_Block]], folder: Path) -> list[_Block]:
    """Return the blocks of all notebooks, without the words that cannot stand there after those before them."""
    words: list[_Block] = []
    parts: list[_Block] = []

    def problem(*more: _Block) -> str:
        try:
            _converted(profile, [*words, *more], folder)
        except UserError as error:
            return str(error)
        return ""

    for notebook, section in sections.items():
        good = not problem(*(part for part in section if isinstance(part, str)))
        for part in section:
            if isinstance(part, str):
                if not good and (refused := problem(part)):
                    say(f"{notebook.name}: some of its words are left out of the report: {refused}")
                    heading = re.match(r"#+ .*", part)
                    title = re.sub(r"[^\w #,.-]", "", heading[0]) if heading else ""
                    part = f"{title}\n\n*Some words of {verbatim(notebook.name)} could not be shown here.*"
                words.append(part)
            parts.append(part)
    return parts


def blocks(notebook: Path, error: str, folder: Path) -> list[_Block]:
    """Return a notebook's prose and what its cells show; if it stopped, what comes before, and a line that says so.

    Prose whose cells show nothing is left out, and so is a notebook that shows neither a table nor a figure.
    """
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells if notebook.exists() else []
    groups: list[tuple[str, list[_Block], bool]] = []  # prose, what is below it, whether there is code
    for cell in cells:
        if cell.cell_type == "markdown":
            groups.append((cell.source, [], False))
        elif cell.cell_type == "code" and groups:
            prose, below, _ = groups[-1]
            below += [part for output in cell.outputs if (part := block(output, folder))]
            groups[-1] = prose, below, True
            if error and (not cell.execution_count or any(one.output_type == "error" for one in cell.outputs)):
                break
    if not error and all(isinstance(part, str) for _, below, _ in groups for part in below):
        return []
    first = groups[0][0] if groups else f"# {notebook.stem}"
    told = [part for prose, below, code in groups[1:] if below or not code for part in (prose, *below)]
    stopped = [f"**This section stopped:** {verbatim(error)}"] if error else []
    return [first, *(groups[0][1] if groups else []), *told, *stopped]


def block(output: Any, folder: Path) -> _Block:
    data = output.get("data", {})
    bundle = data.get(MIME)
    if bundle is None:
        return _literal(str(data.get("text/markdown", "")))
    if "table" in bundle:
        name = bundle["table"]
        caption, body = (folder / "tables" / f"{name}.md").read_text(encoding="utf-8").split("\n\n", 1)
        return TableBlock(name, _literal(caption), body.strip(), bundle["keys"], bundle["texts"], bundle["folded"])
    caption = _literal(f"**{bundle['number']}.** {bundle['caption']}")
    return FigureBlock(caption, bundle["alt"].replace('"', "'"), f"figures/{bundle['figure']}.svg")


def _literal(text: str) -> str:
    """Markdown in which underscores at the ends of words, as names of a user's may have, are no marks."""
    return _CODE_OR_UNDERSCORE.sub(lambda found: r"\_" if found[0] == "_" else found[0], text)


def _written(parts: list[_Block], flavour: _Flavour) -> str:
    text = "\n\n".join(flavour(part).strip() for part in parts) + "\n"
    there = {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}
    return re.sub(r"\[([^]]*)\]\(#([^)]*)\)", lambda link: link[0] if link[2] in there else link[1], text)


def _anchor(heading: str) -> str:
    """What pandoc and GitHub make of a heading of words."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def for_github(part: _Block) -> str:
    if isinstance(part, TableBlock):
        return _folded(part, part.body) if part.folded else f"{part.caption}\n\n{part.body}"
    if isinstance(part, FigureBlock):
        return f"![{part.alt}]({part.file})\n\n{part.caption}"
    return part


def for_html(part: _Block) -> str:
    if not isinstance(part, TableBlock):
        return _pandoc(part)
    body = f"::: {{.scroll tabindex=0}}\n{_piped(part.cells)}\n:::"
    return _folded(part, body) if part.folded else f":::: table\n{part.caption}\n\n{body}\n::::"


def _folded(table: TableBlock, body: str) -> str:
    first, rest = re.fullmatch(r"\*\*(.*?)\*\* (.*)", table.caption, re.S).groups()  # type: ignore[union-attr]
    title = first_sentence(rest)
    more = rest.removeprefix(title).strip()
    summary = f"<summary><b>{first}</b> {title}</summary>".replace(r"\_", "&#95;")  # GitHub reads no Markdown there
    return "\n\n".join(["<details>", summary, *filter(None, [more]), body, "</details>"])


def for_pdf(part: _Block) -> str:
    """Tables longer or wider than a page are cut into parts; of what is folded it is said where it is."""
    if not isinstance(part, TableBlock):
        return _pandoc(part)
    number, rest = part.caption.split(".** ", 1)
    if part.folded:
        return f"{number}.** {first_sentence(rest)} It is in `report.html`, and in `tables/{part.name}.csv`."
    bodies = [rows for columns in narrow(part) for rows in short(columns, part.texts)]
    captions = [part.caption, *(f"{number}, continued.**" for _ in bodies[1:])]
    return "\n\n".join(f"{_piped(table)}\n\n: {text}" for table, text in zip(bodies, captions, strict=True))


def short(cells: _Cells, texts: bool) -> list[_Cells]:
    """Cut a table into parts of like length, so that none leaves a row behind."""
    header, dashes, *rows = cells
    count = math.ceil(len(rows) / _ROWS[texts])
    cuts = [round(i * len(rows) / count) for i in range(count + 1)]
    return [[header, dashes, *rows[start:end]] for start, end in pairwise(cuts)]


def narrow(table: TableBlock) -> list[_Cells]:
    """Cut a table that is too wide into parts of like width, each with the columns that tell the rows."""
    header, _, *rows = table.cells
    widths = [2 + max(map(width, column)) for column in zip(header, *rows, strict=True)]
    keys, rest = table.keys, sum(widths[table.keys :])
    count = 1 if table.texts else math.ceil(max(1, rest) / max(1, LINE - sum(widths[:keys])))
    cuts = [keys + round(i * (len(widths) - keys) / count) for i in range(count + 1)]
    return [[line[:keys] + line[start:end] for line in table.cells] for start, end in pairwise(cuts)]


def width(cell: str) -> int:
    """How many characters wide a cell has to be: its longest word, and if it is short, all."""
    cell = re.sub(r"^\[(.*)\]\{.*\}$", r"\1", cell)
    return max(min(len(cell), _COLUMN), *map(len, re.split("[ \u200b]", cell)))


def _piped(cells: _Cells) -> str:
    return "\n".join(f"|{'|'.join(line)}|" for line in cells)


def _pandoc(part: str | FigureBlock) -> str:
    return f'![{part.caption}]({part.file}){{alt="{part.alt}"}}' if isinstance(part, FigureBlock) else part
