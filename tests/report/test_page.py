"""What a notebook's parameters are, and which trials its page runs."""

import json

import nbclient
import nbformat
import papermill
import pytest
from conftest import ROOT, TINY, TINY_TRIALS

from prunekit.errors import UserError
from prunekit.report import notebook, page
from prunekit.study import engine

OWN = """profile: str = "demo"  # whose records
seeds: list = [0, 1]  # repetitions
"""


def kernel(*cells, **names):
    return {"In": ["", *cells, "page = Page(globals())"], **names}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([OWN], {"profile": "demo", "seeds": [0, 1]}),
        ([OWN, "# Parameters\nseeds = [5]\n"], {"profile": "demo", "seeds": [5]}),
        ([OWN, "seeds = [5]"], {"profile": "demo", "seeds": [0, 1]}),
        ([OWN, "# Parameters\nsede = [5]", "x = 1", OWN], {"profile": "demo", "seeds": [0, 1]}),
        ([OWN, "%matplotlib inline", "dataset = 'x'", "def f(:"], {"profile": "demo", "seeds": [0, 1]}),
        ([OWN.replace("[0, 1]", "list(range(2))")], {"profile": "demo", "seeds": "as the kernel has it"}),
    ],
    ids=["own", "injected", "a helper", "run again", "other cells", "an expression"],
)
def test_parameters_are_what_their_cells_say(cells, expected):
    assert notebook.parameters(kernel(*cells, seeds="as the kernel has it")) == expected


@pytest.mark.parametrize("name", ["compresions", "zzz"])
def test_unknown_parameter_is_refused_however_unlike_a_known_one(name):
    with pytest.raises(UserError, match=f"unknown parameter {name}; (did you mean compressions|choose from out, )"):
        notebook.study(kernel(OWN, f"# Parameters\n{name} = 1"))


def test_no_parameters_cell_is_one_line():
    with pytest.raises(UserError, match="parameters cell has not been run"):
        notebook.study(kernel("x = 1"))


def test_what_a_notebook_does_not_take_is_as_in_its_profile():
    study, out = notebook.study(kernel(OWN.replace("demo", "cpu")))
    assert (study.params.seeds, study.params.datasets, out) == ([0, 1], ["cifar10", "cifar100"], "")


def test_page_runs_the_trials_of_its_sections_and_failed_ones_again(monkeypatch):
    asked = []

    def run(trials, store, done, timed, ranks):
        assert ranks.keys() == {trial.id for trial in trials}
        asked.append({trial.id for trial in trials} - set(done))
        return {}

    monkeypatch.setattr(engine, "run", run)
    shown = page.Page(TINY, "flops")
    assert asked == [{trial.id for trial in shown.study.sections["flops"]}]
    page.Page(TINY)
    assert asked[1] == shown.study.trials.keys()
    monkeypatch.setenv(page.ONLY_SHOW, "1")
    page.Page(TINY)
    assert len(asked) == 2


def test_missing_data_stop_a_page_with_a_line_for_notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(UserError, match="mnist is not at hand") as error:
        page.Page(TINY | {"datasets": ["mnist"]}, "sweep")
    (line,) = error.value._render_traceback_()
    assert line.startswith("prunekit: mnist") and "in a notebook: %env PRUNEKIT_DATA=FOLDER" in line


def test_a_page_that_only_shows_goes_without_images_and_says_what_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv(page.ONLY_SHOW, "1")
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    said = []
    monkeypatch.setattr(page.Page, "say", lambda _, text: said.append(text))
    shown = page.Page(TINY, "sweep")
    assert said == ["- **Table II:** none of its 4 trials has been run."] and not (tmp_path / "runs").exists()
    assert shown.images("digits") is not None and shown.images("mnist") is None
    assert said[1].startswith("Its images cannot be shown: `mnist is not at hand") and len(said) == 2


REGISTER = """
from prunekit import models, pruners

@pruners.register("mine")
def mine(net, batches, generator):
    return {name: weight.detach().abs() ** 2 for name, weight in models.prunable(net).items()}
"""
LOOK = """
import json
from prunekit.report import Page, figures, findings, tables
from prunekit.study import engine
from prunekit.report import notebook

study, _ = notebook.study(globals())
before = set(study.store.load(study.trials))
assert not engine.run(study.trials.values(), study.store, workers=1)
page = Page(globals())
sweep = page.frame("sweep")
found = [of(page.study, page.records) for of in (findings.top_five, findings.not_by_layer)]
shown = [tables.accuracy_by_compression(sweep), tables.flops(page.frame("flops")), tables.time(sweep)]
shown += [tables.layer_compression(page.frame("layers"), page.records), *(finding.table for finding in found)]
drawn = [figures.accuracy_by_compression(sweep)]
drawn += [figures.weights(page.frame("histograms"), page.records, "digits", "weights", "")]
lacking = [one.name for one in shown if "mine" not in one.wide.to_string()]
lacking += [one.name for one in drawn if "mine" not in one.alt or "mine" not in set(one.data.pruner)]
print(json.dumps([len(study.trials), len(before), lacking]))
"""


@pytest.mark.long
def test_a_pruner_of_a_notebook_is_in_tables_figures_and_findings(tmp_path):
    """That it runs in processes beside the kernel is shown by the notebook `extend`."""
    params = "\n".join(f"{key} = {value!r}" for key, value in (TINY | {"pruners": ["synflow", "mine"]}).items())
    cells = [params.replace("profile =", "profile: str ="), REGISTER, LOOK, REGISTER.replace("** 2", "** 3"), LOOK]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(nb, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second = (
        "".join(one["text"] for one in nb.cells[at].outputs if one.get("name") == "stdout") for at in (2, 4)
    )
    assert json.loads(first) == [TINY_TRIALS, 0, []]
    assert json.loads(second) == [TINY_TRIALS, TINY_TRIALS - 3, []], "its own alone run again"


@pytest.mark.long
def test_a_pruner_named_by_its_path_goes_through_papermill(tmp_path, brought):
    params = TINY | {"pruners": ["random", "brought:steep"], "out": "made"}
    papermill.execute_notebook(
        *(ROOT / "notebooks" / "02_compression_sweep.ipynb", tmp_path / "out.ipynb", params),
        **{"cwd": tmp_path, "kernel_name": "python3", "progress_bar": False},
    )
    table = (tmp_path / "made" / "tables" / "table2_accuracy_by_compression.md").read_text()
    assert "| steep" in table and "| Random" in table
