"""What the repository promises about itself."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from prunekit.report import build

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))  # of the report
BESIDE = [ROOT / "notebooks" / f"{name}.ipynb" for name in ("explore", "extend", "start")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(notebook):
    return nbformat.read(notebook, as_version=4)


CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}  # its names for what PyPI has
CONDA |= {"typst": "typst-py", "pypandoc_binary": "pypandoc"}


def test_conda_names_what_pyproject_names():
    def listed(file):
        return set(yaml.safe_load((ROOT / file).read_text())["dependencies"])

    def named(requirements):
        return {re.sub(r"^\w+", lambda name: CONDA.get(name[0], name[0]), one) for one in requirements}

    project = PROJECT["project"]
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    dev = [item for item in PROJECT["dependency-groups"]["dev"] if not item.startswith("prunekit")]
    python = f"python{project['requires-python']}"
    assert listed("environment.yml") == named([*project["dependencies"], *extras]) | {python, "pip", "pandoc"}
    assert listed("environment-dev.yml") == named(dev)


def test_the_notebooks_are_those_of_a_report_and_three_beside_it():
    assert [path.stem for path in NOTEBOOKS] == sorted(build.PAGES + build.AUDIT)
    paper = yaml.safe_load((ROOT / "params" / "paper.yaml").read_text())["pages"]
    assert set(build.AUDIT) < set(paper) < set(build.PAGES + build.AUDIT), "all but the plain overview"
    for profile in ("demo", "cpu"):
        assert "pages" not in yaml.safe_load((ROOT / "params" / f"{profile}.yaml").read_text())
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS + BESIDE


def code(notebook):
    return [cell for cell in read(notebook).cells if cell.cell_type == "code"]


def knobs(notebook):
    cells = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    return {line.targets[0].id: ast.unparse(line.value) for cell in cells for line in ast.parse(cell.source).body}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_takes_a_profile_and_four_knobs_at_most_which_count(notebook):
    found = knobs(notebook)
    profile = "'paper'" if notebook.stem in build.AUDIT else "'demo'"
    assert {"profile": profile, "out": "None"}.items() <= found.items() and len(found) <= 6
    assert {value for name, value in found.items() if name != "profile"} == {"None"}
    used = {
        node.id
        for cell in code(notebook)[1:]
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Name)
    }
    assert found.keys() <= used


@pytest.mark.parametrize("notebook", NOTEBOOKS + BESIDE, ids=lambda path: path.stem)
def test_notebook_is_short(notebook):
    lines = [line for cell in code(notebook) for line in cell.source.splitlines() if line.strip()]
    assert len(lines) <= 150 or notebook.stem in build.AUDIT, "whose cells are many, and short"
    assert max(len(cell.source.splitlines()) for cell in code(notebook)) <= 60


def test_the_readmes_snippet_is_the_first_cell():
    (snippet,) = re.findall(r"## As a library\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (_, first) = code(ROOT / "notebooks" / "start.ipynb")[0].source.split("\n", 1)
    assert snippet.strip() == first.strip()


@pytest.mark.parametrize("notebook", NOTEBOOKS + BESIDE, ids=lambda path: path.stem)
def test_notebook_is_committed_executed_and_clean(notebook):
    """nbval skips a cell without an execution count without a word, so there must be none."""
    nb = read(notebook)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code)
    assert "papermill" not in str(nb.metadata) + str([cell.metadata for cell in nb.cells])
    assert not [output for cell in code for output in cell.outputs if output.output_type in {"error", "stream"}]


@pytest.mark.parametrize("notebook", NOTEBOOKS + BESIDE, ids=lambda path: path.stem)
def test_notebook_says_what_to_do_where_prunekit_is_not_installed(notebook):
    """In the line above the import that fails, which a traceback shows."""
    imports = next(cell.source for cell in code(notebook) if "import" in cell.source)
    assert re.match(r"# no module prunekit\? %pip install '\.\.\[report\]' .*\n", imports)


@pytest.mark.parametrize("notebook", BESIDE, ids=lambda path: path.stem)
def test_what_is_computed_anew_is_not_compared(notebook):
    """Its last bits are the processor's; and what stands there is to be seen without running anything."""
    nb = read(notebook)
    shown = [cell for cell in nb.cells if cell.cell_type == "code" and cell.outputs]
    assert any("image/png" in output.data for cell in shown for output in cell.outputs)
    assert all("nbval-ignore-output" in cell.metadata.tags for cell in shown)
    assert "widget-view" not in str(nb.cells)


def test_check_of_notebooks_accepts_ours_and_names_what_is_wrong(tmp_path, monkeypatch):
    build.check_notebooks()
    nb = read(NOTEBOOKS[0])
    cell = next(cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("profile =", "profil =")
    nbformat.write(nb, tmp_path / "00_overview.ipynb")
    monkeypatch.setattr(build, "notebooks", lambda names: [tmp_path / "00_overview.ipynb"])
    with pytest.raises(build.UserError, match="its parameters cell lacks profile"):
        build.check_notebooks()


def test_pages_are_a_reports_notebooks_in_order_and_a_wrong_one_is_a_line():
    assert [path.stem for path in build.notebooks(["11_runs", "04_flops"])] == ["11_runs", "04_flops"]
    with pytest.raises(build.UserError, match=r"^pages: no notebook 04_flop in .*; did you mean 04_flops"):
        build.notebooks(["04_flop"])


def test_readme_says_what_the_published_report_of_the_paper_says():
    """The answer, what to use and what to remember of its page one, word for word but for links."""
    readme = (ROOT / "README.md").read_text()
    page = (ROOT / "reports" / "paper" / "report.md").read_text().split("\n# ")[0]
    told = re.findall(r"^(?:\*\*On the CIFARs|- \*\*|\d\. ).*", page, re.M)
    assert len(told) == 9
    plain = [re.sub(r" \[[^]]*\]\(#[^)]*\)$", "", one) for one in told]
    assert [one for one in plain if one not in " ".join(readme.split())] == []
    assert len(readme.splitlines()) < 170 and len(readme.split()) < 1650


def test_no_link_of_the_readme_or_the_docs_leads_nowhere():
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = re.sub(r"```.*?```", "", file.read_text(), flags=re.S)
        for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text):
            assert (file.parent / target).exists(), (file.name, target)


def test_every_module_has_tests_that_make_check_finds(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    touched_tests = importlib.import_module("touched_tests")
    for module in sorted((ROOT / "prunekit").rglob("*.py")):
        found = touched_tests.tests_of(module.relative_to(ROOT))
        assert found and all((ROOT / file).exists() for file in found), module
