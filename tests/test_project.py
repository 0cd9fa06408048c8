"""What the repository promises about itself."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml

from prunekit.report import build
from prunekit.study import profile
from prunekit.study.params import Params, load_params

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))  # of the report
BESIDE = [ROOT / "notebooks" / f"{name}.ipynb" for name in ("explore", "extend")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(notebook):
    return nbformat.read(notebook, as_version=4)


def parameters(notebook):
    """Return the values of the notebook's parameters cell, in its order."""
    cells = [cell for cell in read(notebook).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) == 1
    return {line.target.id: ast.literal_eval(line.value) for line in ast.parse(cells[0].source).body}


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


def test_there_are_ten_notebooks_in_a_report_and_two_beside_it():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{i:02d}" for i in range(10)]
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS + BESIDE


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_parameters_are_the_demo_profile(notebook):
    demo = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text())
    own = parameters(notebook)
    assert {"out": "", **demo} | own == {"out": "", **demo}
    assert list(own)[:2] == ["profile", "out"] and own.keys() - {"out"} <= demo.keys() == Params.model_fields.keys()


ELSE = {"model": "conv", "schedule": "linear", "scope": "local", "optimizer": "sgd", "precision": "bf16-mixed"}
ELSE |= {
    "comparison": [{"dataset": "mnist", "model": "conv"}],
    "datasets": ["mnist"],
    "pruners": ["snip"],
    "seeds": [7],
    "timing_seeds": [7],
}
ELSE |= {name: [0.3] for name in Params.model_fields if name.endswith("compressions")}
ELSE |= {"labels_on": {"dataset": "cifar100", "model": "conv"}, "labels": ["3"], "step_counts": [7]}
ELSE |= {"controls_on": {"dataset": "mnist", "model": "conv"}}


@cache
def demo(changed=None):
    """The demo profile's study, in steps where it has one; with another value of one parameter."""
    params = load_params("demo").model_copy(update={"prune_steps": 2, "described_prune_steps": 9})
    if changed:
        value = getattr(params, changed)
        params = params.model_copy(update={changed: ELSE.get(changed) or (value * 2 if value else 1)})
    return profile.Study(params)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_takes_the_parameters_that_matter_to_it_and_no_others(notebook):
    """A parameter that it lacks changes none of its sections' trials; one that it has changes some of them."""
    call = next(
        node
        for cell in read(notebook).cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Page"
    )
    sections = [ast.literal_eval(argument) for argument in call.args[1:]]
    own = parameters(notebook)
    for name in Params.model_fields.keys() - {"profile"}:
        before, after = ([study.sections[s] for s in sections or study.sections] for study in (demo(), demo(name)))
        assert (before != after) == (name in own), name


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
def test_notebook_says_what_to_do_where_prunekit_is_not_installed(notebook, monkeypatch):
    """Before it imports anything of it, or what comes with it."""
    imports = next(cell.source for cell in read(notebook).cells if cell.cell_type == "code" and "import" in cell.source)
    guard = ast.Module(ast.parse(imports).body[:2], [])
    names = {}
    exec(compile(guard, notebook.name, "exec"), names)
    assert set(names) - {"__builtins__"} == {"find_spec"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"^no prunekit here: %pip install '\.\.\[report\]' .*run again$"):
        exec(compile(guard, notebook.name, "exec"), names)


@pytest.mark.parametrize("notebook", BESIDE, ids=lambda path: path.stem)
def test_what_is_computed_anew_is_not_compared(notebook):
    """Its last bits are the processor's; and what stands there is to be seen without running anything."""
    nb = read(notebook)
    shown = [cell for cell in nb.cells if cell.cell_type == "code" and cell.outputs]
    assert any("image/png" in output.data for cell in shown for output in cell.outputs)
    for cell in shown:
        known = [
            output.data["text/plain"] == "Menus and sliders: run this notebook to have them." for output in cell.outputs
        ]
        assert all(known) or "nbval-ignore-output" in cell.metadata.tags
    assert "widget-view" not in str(nb.cells)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_logic(notebook):
    banned = (ast.FunctionDef, ast.ClassDef, ast.While, ast.Try, ast.Lambda)
    for cell in read(notebook).cells:
        if cell.cell_type == "code":
            assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]


def test_check_of_notebooks_accepts_ours_and_names_what_is_wrong(tmp_path, monkeypatch):
    build.check_notebooks()
    nb = read(NOTEBOOKS[0])
    cell = next(cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("compressions:", "compresions:")
    nbformat.write(nb, tmp_path / "00_findings.ipynb")
    monkeypatch.setattr(build, "notebooks", lambda: [tmp_path / "00_findings.ipynb"])
    with pytest.raises(build.UserError, match=r"unknown compresions; did you mean compressions\?"):
        build.check_notebooks()


def test_modules_stay_small():
    long = {path.name: n for path in ROOT.glob("prunekit/**/*.py") if (n := len(path.read_text().splitlines())) > 300}
    assert not long


STOREYS = {  # of each, its rooms in order; "" is the method, which lies in prunekit/ itself
    "": [
        "errors",
        "files",
        "own",
        "datasets",
        "batches",
        "models",
        "masks",
        "pruners",
        "baselines",
        "metrics",
        "training",
        "compaction",
        "sparse",
        "saved",
    ],
    "study": [
        "trial",
        "plain_yaml",
        "params",
        "store",
        "machine",
        "cache",
        "shared",
        "passes",
        "runner",
        "progress",
        "groups",
        "forecast",
        "cluster",
        "worker",
        "engine",
        "profile",
        "export",
        "merge",
    ],
    "report": [
        "published",
        "words",
        "statistics",
        "table",
        "tables",
        "figures",
        "pictures",
        "health",
        "audit",
        "arithmetic",
        "claims",
        "findings",
        "beyond",
        "summary",
        "look",
        "explorer",
        "notebook",
        "page",
        "render",
        "build",
    ],
    "bench": ["measure", "report", "work", "rows"],
    "cli": ["places", "running"],
}


def test_every_module_has_its_room():
    """And each test of a storey's room lies in that storey."""
    for storey in ("study", "report", "bench", "cli"):
        inside = {path.stem for path in (ROOT / "prunekit" / storey).iterdir() if path.suffix == ".py" or path.is_dir()}
        assert inside - {"__init__", "__pycache__", "templates"} == set(STOREYS[storey])
    outside = {path.stem for path in (ROOT / "prunekit").iterdir()} - {"__init__", "__pycache__"}
    assert outside == {*STOREYS[""], *filter(None, STOREYS)}
    for storey in ("study", "report"):
        tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / storey).glob("test_*.py")}
        assert tested <= set(STOREYS[storey])


def test_imports_go_one_way():
    """The method <- study <- report <- bench <- cli; within a storey a room knows those before it and none after."""
    order = [(storey, room) for storey, rooms in STOREYS.items() for room in rooms or [""]]
    place = {key: number for number, key in enumerate(order)}
    checked = 0
    for source in (ROOT / "prunekit").rglob("*.py"):
        here = room_of(source.relative_to(ROOT).with_suffix("").parts)
        for target in imports(source):
            there = room_of(target)
            if there in place and here in place and there != here:
                checked += 1
                assert place[there] < place[here], f"{source.relative_to(ROOT)} imports {'.'.join(target)}"
            if here[0] != there[0] and here[0] in STOREYS and there[0] in STOREYS:
                assert list(STOREYS).index(there[0]) < list(STOREYS).index(here[0]), f"{source} imports {target}"
    assert checked > 50


def room_of(parts):
    """Return (storey, room) of the module whose path is `parts`; a storey's own __init__ has no room."""
    inside = [part for part in parts[1:] if part != "__init__"]
    storey = inside[0] if inside and inside[0] in STOREYS else ""
    return storey, (inside[1:] if storey else inside)[0] if len(inside) > bool(storey) else ""


def imports(source):
    """Yield the path of each module of prunekit that `source` imports, prunekit first."""
    package = source.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            folder = ROOT.joinpath(*base)
            for alias in node.names:
                own = folder.is_dir() and ((folder / alias.name).is_dir() or (folder / f"{alias.name}.py").exists())
                yield (*base, alias.name) if own else tuple(base)


def test_readme_tells_the_counts_of_the_audit():
    """The audit of the committed report at the paper's protocol, row by row."""
    table = (ROOT / "reports" / "paper" / "tables" / "audit_counts.md").read_text().splitlines()
    rows = [" ".join(line.split()) for line in table if line.startswith("| ")]
    readme = [" ".join(line.split()) for line in (ROOT / "README.md").read_text().splitlines()]
    assert len(rows) == 8
    assert [row for row in rows if row not in readme] == []
