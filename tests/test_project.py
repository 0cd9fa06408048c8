"""What the repository promises about itself."""

import ast
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from prunekit import report, study

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(notebook):
    return nbformat.read(notebook, as_version=4)


def parameters(notebook):
    """Return the values of the notebook's parameters cell, in its order."""
    cells = [cell for cell in read(notebook).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) == 1
    return {line.target.id: ast.literal_eval(line.value) for line in ast.parse(cells[0].source).body}


def test_conda_names_what_pyproject_names():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    named = set(next(item["pip"] for item in conda if isinstance(item, dict)))
    project = PROJECT["project"]
    dev = [item for item in PROJECT["dependency-groups"]["dev"] if not item.startswith("prunekit")]
    assert named == {*project["dependencies"], *project["optional-dependencies"]["report"], *dev}
    assert f"python{project['requires-python']}" in conda


def test_there_are_seven_notebooks():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{i:02d}" for i in range(7)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_parameters_are_the_demo_profile(notebook):
    demo = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text())
    assert parameters(notebook) == {"profile": "demo", "out": "", **demo}
    assert set(demo) == set(study.Params.model_fields)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_executed_and_clean(notebook):
    """nbval skips a cell without an execution count without a word, so there must be none."""
    nb = read(notebook)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code)
    assert "papermill" not in str(nb.metadata) + str([cell.metadata for cell in nb.cells])
    assert not [output for cell in code for output in cell.outputs if output.output_type in {"error", "stream"}]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_logic(notebook):
    banned = (ast.FunctionDef, ast.ClassDef, ast.While, ast.Try, ast.Lambda)
    for cell in read(notebook).cells:
        if cell.cell_type == "code":
            assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]


def test_check_of_notebooks_accepts_ours_and_names_what_is_wrong(tmp_path, monkeypatch):
    report.check_notebooks()
    nb = read(NOTEBOOKS[0])
    cell = next(cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("compressions:", "compresions:")
    nbformat.write(nb, tmp_path / "00_overview.ipynb")
    monkeypatch.setattr(report, "notebooks", lambda: [tmp_path / "00_overview.ipynb"])
    with pytest.raises(report.UserError, match="lacks compressions"):
        report.check_notebooks()


def test_modules_stay_small():
    long = {path.name: n for path in ROOT.glob("prunekit/**/*.py") if (n := len(path.read_text().splitlines())) > 310}
    assert not long


def test_imports_go_one_way():
    """A room knows the rooms above it and none below."""
    rooms = ["errors", "datasets", "batches", "models", "masks", "pruners", "metrics", "training"]
    rooms += ["trial", "store", "machine", "cache", "runner", "progress", "engine", "study"]
    rooms += ["published", "words", "tables", "figures", "audit", "claims", "findings", "page", "report"]
    rooms += ["bench", "cli"]
    for place, room in enumerate(rooms):
        file = ROOT / "prunekit" / f"{room}.py"
        sources = [file] if file.exists() else sorted((ROOT / "prunekit" / room).glob("*.py"))
        for source in sources:
            for node in ast.walk(ast.parse(source.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == (1 if file.exists() else 2):
                    named = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                    known = [name for name in named if name in rooms]
                    assert all(rooms.index(name) < place for name in known), f"{room} imports {known}"


def test_readme_tells_the_counts_of_the_audit():
    """The audit of the committed report on real data, row by row."""
    table = (ROOT / "reports" / "cpu" / "tables" / "audit_counts.md").read_text().splitlines()
    rows = [" ".join(line.split()) for line in table if line.startswith("| ")]
    readme = [" ".join(line.split()) for line in (ROOT / "README.md").read_text().splitlines()]
    assert len(rows) == 8
    assert [row for row in rows if row not in readme] == []
