"""From executed notebooks to one report: what is left out, folded, cut, and where links lead."""

import re
import subprocess
import sys
from itertools import pairwise

import nbformat
import pandas as pd
import pytest

from prunekit.errors import UserError
from prunekit.report import render
from prunekit.report.markup import MIME
from prunekit.report.shown import Table


def markdown(text):
    return nbformat.v4.new_markdown_cell(text)


def code(*outputs):
    data = [{MIME: one} if isinstance(one, dict) else {"text/markdown": one} for one in outputs]
    cell = nbformat.v4.new_code_cell("...", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("display_data", one) for one in data]
    return cell


@pytest.fixture
def made(tmp_path):
    """Render notebooks, each a list of cells, and return the folder."""

    def make(*notebooks):
        paths = [tmp_path / f"{number:02}.ipynb" for number in range(len(notebooks))]
        for path, cells in zip(paths, notebooks, strict=True):
            nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        render.render("tiny", tmp_path, dict.fromkeys(paths, ""))
        return tmp_path

    return make


def table(folder, name="one", columns=2, rows=1, folded=False, widths=(), label="c{}"):
    wide = pd.DataFrame({label.format(i): [f"{i}.{row}" for row in range(rows)] for i in range(columns)})
    shown = Table(name, "Table 1", "What it holds. How it is read.", wide, wide, 1, widths, None, folded)
    shown.save(folder)
    return shown._repr_mimebundle_()[MIME]


def test_nothing_is_said_of_what_was_not_run_and_no_link_leads_nowhere(made, tmp_path):
    """A notebook without table or figure is left out, and prose below which nothing is shown."""
    shown = table(tmp_path)
    first = [markdown("# First one"), code("See [second](#second) and [nothing](#nothing)."), code(shown)]
    nothing = [markdown("# Nothing"), code("Words alone.")]
    second = [
        markdown("# Second"),
        code(),
        markdown("## Empty\n\nText."),
        code(),
        markdown("## Rule"),
        markdown("## Full"),
    ]
    folder = made(first, nothing, [*second, code(shown), code("More.")])
    text = (folder / "report.md").read_text()
    assert re.findall(r"^#+ (.*)", text, re.M) == ["First one", "Second", "Rule", "Full"]
    assert "See [second](#second) and nothing." in text and "Words alone" not in text and "More." in text
    html = (folder / "report.html").read_text()
    assert '<a href="#second">second</a>' in html and 'id="second"' in html
    assert re.search(rb"/MediaBox\s*\[0 0 595", (folder / "report.pdf").read_bytes()), "A4"


def test_a_folded_table_is_opened_in_html_and_named_in_the_pdf(made, tmp_path):
    folder = made([markdown("# One"), code(table(tmp_path, folded=True))])
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert "<details>" in text and re.search(r"<summary>\s*<b>Table 1.</b> What it holds.\s*</summary>", text), name
        assert "How it is read." in text.split("</summary>")[1]
    parts = render.blocks(tmp_path / "00.ipynb", "", tmp_path)
    assert render.for_pdf(parts[1]) == "**Table 1.** What it holds. It is in `report.html`, and in `tables/one.csv`."


@pytest.mark.parametrize(("columns", "rows"), [(31, 3), (4, 95), (13, 40)])
def test_what_is_wider_or_longer_than_a_page_is_cut_into_parts_that_keep_every_cell(tmp_path, columns, rows):
    """Each with the header and the column that tells the rows; of like size."""
    bundle = table(tmp_path, columns=columns, rows=rows, label="a_long_name_of_a_pruner_{}")
    whole = render.block({"data": {MIME: bundle}}, tmp_path)
    parts = [rows for part in render.narrow(whole) for rows in render.short(part, texts=False)]
    assert len(parts) > 1 and "continued" in render.for_pdf(whole)
    cells = {cell for part in parts for _, _, *lines in [part] for line in lines for cell in line}
    assert cells == {f"{i}.{row}" for i in range(columns) for row in range(rows)}
    for header, _, *lines in parts:
        assert header[0].replace("\u200b", "") == "a_long_name_of_a_pruner_0" and len(lines) <= 30
        assert (
            sum(2 + max(map(render.width, column)) for column in zip(header, *lines, strict=True)) <= render.LINE + 40
        )
    sizes = {len(lines) for _, _, *lines in parts}
    assert max(sizes) - min(sizes) <= 1


def test_a_table_that_fits_is_left_whole(tmp_path):
    whole = render.block({"data": {MIME: table(tmp_path, columns=6, rows=20)}}, tmp_path)
    assert render.narrow(whole) == [whole.cells] == render.short(whole.cells, texts=False)
    texts = render.block({"data": {MIME: table(tmp_path, rows=20, widths=(1, 3))}}, tmp_path)
    assert [len(part) for part in render.short(texts.cells, texts=True)] == [12, 12], "a line of text takes several"
    dashes = [len(cell) for cell in texts.cells[1]]
    assert sum(dashes) > render.LONG_LINE and dashes[1] == 3 * dashes[0], "pandoc takes their widths"


def test_signs_of_markdown_in_cells_stay_in_them(tmp_path):
    wide = pd.DataFrame({"a|b": ["x | y"]})
    Table("one", "Table 1", "What.", wide, wide).save(tmp_path)
    found = render.block(
        {"data": {MIME: Table("one", "Table 1", "What.", wide, wide)._repr_mimebundle_()[MIME]}}, tmp_path
    )
    assert [len(line) for line in found.cells] == [1, 1, 1]


def test_a_name_with_underscores_stands_in_prose_as_it_is(made, tmp_path):
    """Of a user's pruner, at whose ends they would be marks; code, links and pictures keep theirs."""
    frame = pd.DataFrame({"c": ["1"]})
    tables = [
        Table(f"_t{folded:d}_", "Table _mod:_x_", "That of _mod:_x_. And __more__.", frame, frame, 1, (), None, folded)
        for folded in (False, True)
    ]
    for one in tables:
        one.save(tmp_path)
    shown = [one._repr_mimebundle_()[MIME] for one in tables]
    prose = "_steep_ and mod:_steep_ of `_code_`, see [_there_](#a_b_c)"
    folder = made([markdown("# Names\n\n## a_b_c\n\nText."), code(prose, *shown)])
    page = (folder / "report.html").read_text().split("<main", 1)[-1]
    assert "_steep_ and mod:_steep_ of <code>_code_</code>" in page and "<em>" not in page
    for text in ("Table _mod:_x_", "That of _mod:_x_.", "And __more__."):
        assert re.sub("<[^>]*>", "", page).count(text) == 2, text
    assert "\\_" not in re.sub("<summary>.*</summary>", "", page)


def test_ticks_that_would_lie_on_each_other_are_left_out():
    from prunekit.report.curves import readable_ticks

    thirty = [round(0.05 + 0.1 * i, 2) for i in range(30)]
    shown = readable_ticks(thirty, room=10)
    assert shown[0] == 0.05 and shown[-1] == 2.95 and 5 <= len(shown) <= 11
    usual = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    assert readable_ticks(usual, room=10) == usual and readable_ticks([1.0], room=4) == [1.0]
    assert all(b / a > 1.2 for a, b in pairwise(shown))


@pytest.mark.parametrize("name", ["10:30", "a:b c", "x;y,z & #"])
def test_pictures_are_held_whatever_the_folder_is_called(tmp_path, name):
    folder = tmp_path / name
    (folder / "figures").mkdir(parents=True)
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    (folder / "figures" / "one.svg").write_text(svg)
    bundle = {"figure": "one", "number": "Figure 1", "caption": "A square.", "alt": "a square"}
    notebook = tmp_path / "00.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[markdown("# First"), code(bundle)]), notebook)
    render.render("tiny", folder, {notebook: ""})
    html = (folder / "report.html").read_text()
    assert html.count("<img") + html.count("<svg") == 1 and 'src="figures' not in html


@pytest.mark.parametrize(
    "words",
    [
        r"$\argmin_w L(w)$",
        r"$$\bm{w} \odot \bm{m}$$",
        "![a picture](attachment:p.png)",
        "<img src='p.png'>",
        "![a badge](https://img.example/badge.svg)",
        "<div>\n\nopen",
        "a note[^1]\n\n[^1]: another one",
    ],
)
def test_words_that_a_report_cannot_show_cost_their_own_section(made, tmp_path, capsys, words):
    """The note's number is that of another notebook, too."""
    shown = table(tmp_path)
    first = [markdown("# First\n\nGood words,[^1] and more.\n\n[^1]: a note"), code(shown)]
    second = [markdown(f"# Second\n\n{words}"), code(shown), markdown("## Rest\n\nWords that stay."), code(shown)]
    html = (made(first, second) / "report.html").read_text()
    assert all(said in html for said in ("Good words", "Second", "Words that stay", "a note"))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert words in (tmp_path / "report.md").read_text(), "which shows what it can"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prunekit: 01.ipynb: ")


@pytest.mark.parametrize("words", ["as shown [@tanaka2020], thanks to @someone", "---\nkey: [1\n---\n\ntext"])
def test_words_are_what_they_look_like(made, tmp_path, capsys, words):
    html = (made([markdown(f"# First\n\n{words}"), code(table(tmp_path))]) / "report.html").read_text()
    assert not capsys.readouterr().err
    assert all(word in html for word in re.findall(r"@?\w+", words))


def test_a_warning_of_pandoc_is_an_error_with_its_words(made, tmp_path):
    """A picture that is not there."""
    bundle = {"figure": "absent", "number": "Figure 1", "caption": "Nothing.", "alt": "nothing"}
    with pytest.raises(UserError, match=r"report.(html5|pdf) cannot be written: .*absent\.svg"):
        made([markdown("# First"), code(bundle)])


def test_a_matplotlibrc_changes_no_figure(tmp_path):
    shows = "from prunekit.report import shown; import matplotlib; print(sorted(matplotlib.rcParams.items()))"
    said = []
    for lines in ("", "text.usetex: True\nfont.family: Comic Sans MS\nfigure.dpi: 33\naxes.grid: True\n"):
        (tmp_path / "matplotlibrc").write_text(lines)
        told = subprocess.run([sys.executable, "-c", shows], cwd=tmp_path, capture_output=True, text=True, check=True)
        said.append(told.stdout)
    assert said[0] == said[1]


def test_a_row_of_what_is_published_is_small_and_grey(tmp_path):
    """A span in HTML and PDF, plain cells on GitHub; the key of the row tells."""
    body = "| Data | | SNIP |\n|:--|:--|:--|\n| CIFAR-10 | ours | 76.2 |\n|  | published | 76.98 ✓ |"
    table = render.TableBlock("t", "**Table.** It.", body, 2, False, False)
    first, second = table.cells[2:]
    assert first == ["CIFAR-10", "ours", "76.2"]
    assert second[0] == "" and second[2].startswith("[76.98 ✓]{.published ") and render.width(second[2]) == 7
    assert "{.published" not in render.for_github(table)
