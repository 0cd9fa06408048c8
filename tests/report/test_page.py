"""What a notebook's parameters are, and which trials its page runs."""

import json

import nbclient
import nbformat
import papermill
import pytest
from conftest import ROOT, TINY, TINY_TRIALS, tiny_params

from prunekit.errors import UserError
from prunekit.report import Settings, notebook, page
from prunekit.study import engine
from prunekit.study.params import Params, load_params


def test_parameters_are_those_of_the_profile_where_none_is_given():
    results, out = notebook.opened({"profile": "cpu", "out": "", "seeds": None, "defaults": Settings()})
    assert (results.params, out) == (load_params("cpu"), "")


def test_settings_change_what_they_name_and_words_are_read_as_yaml():
    """Papermill's -p gives lists as words."""
    defaults, sections = Settings(), Settings()
    defaults.post_epochs = 1
    sections.sweep.compression = "[0.5, 2]"
    found, _ = notebook.opened({"profile": "demo", "seeds": (4,), "defaults": defaults, "sections": sections})
    words = ["seeds=[4]", "defaults.post_epochs=1", "sections.sweep.compression=[0.5, 2]"]
    assert found.params == load_params("demo", words)


def test_a_plain_mapping_of_defaults_changes_those_that_it_names():
    found, _ = notebook.opened({"profile": "demo", "defaults": {"post_epochs": 1}, "sections": Settings()})
    assert found.params == load_params("demo", ["defaults.post_epochs=1"])


def test_what_papermill_reads_from_a_file_stands_in_place_of_the_profile():
    found, _ = notebook.opened(TINY | {"alone": ["timing"]})
    assert found.params == Params.model_validate(TINY | {"alone": ["timing"]})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({}, "parameters cell has not been run"),
        ({"profile": "papr"}, "no profile 'papr'.* did you mean paper?"),
        ({"profile": "demo", "seeds": "[0"}, "seeds: line 1: "),
        ({"profile": "demo", "sections": Settings(swep=Settings(seed=1))}, "'swep'; did you mean sweep?"),
        ({"profile": "demo", "defaults": Settings(post_epoch=1)}, "unknown key post_epoch; did you mean post_epochs?"),
    ],
)
def test_a_wrong_parameter_is_one_line(names, words):
    with pytest.raises(UserError, match=words):
        notebook.opened(names)


def test_page_runs_the_trials_of_its_sections_and_failed_ones_again(monkeypatch):
    asked = []

    def run(trials, store, done, alone, ranks):
        assert ranks.keys() == {trial.id for trial in trials}
        asked.append({trial.id for trial in trials} - set(done))
        return {}

    monkeypatch.setattr(engine, "run", run)
    shown = page.Page(TINY, "flops")
    assert asked == [{trial.id for trial in shown.results.sections["flops"]}]
    page.Page(TINY)
    assert asked[1] == shown.results.trials.keys()
    monkeypatch.setenv(page.ONLY_SHOW, "1")
    page.Page(TINY)
    assert len(asked) == 2


def test_missing_data_stop_a_page_with_a_line_for_notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(UserError, match="mnist is not at hand") as error:
        page.Page(tiny_params(dataset="mnist"), "sweep")
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
from prunekit.report import Page, figures, tables
from prunekit.study import engine
from prunekit.report import notebook

study, _ = notebook.opened(globals())
before = set(study.store.load(study.trials))
assert not engine.run(study.trials.values(), study.store, workers=1)
page = Page(globals())
sweep = page.frame("sweep")
shown = [tables.accuracy_by_compression(sweep), tables.flops(page.frame("flops")), tables.time(sweep)]
shown += [tables.layer_compression(page.results.layers("layers"))]
drawn = [figures.accuracy_by_compression(sweep)]
drawn += [figures.weights(page.results.weights("histograms"), "digits", "weights", "")]
lacking = [one.name for one in shown if "mine" not in one.wide.to_string()]
lacking += [one.name for one in drawn if "mine" not in one.alt or "mine" not in set(one.data.pruner)]
print(json.dumps([len(study.trials), len(before), lacking]))
"""


@pytest.mark.long
def test_a_pruner_of_a_notebook_is_in_tables_and_figures(tmp_path):
    """That it runs in processes beside the kernel is shown by the notebook `extend`."""
    params = "\n".join(f"{key} = {value!r}" for key, value in tiny_params(pruner=["synflow", "mine"]).items())
    cells = [params, REGISTER, LOOK, REGISTER.replace("** 2", "** 3"), LOOK]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(nb, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second = (
        "".join(one["text"] for one in nb.cells[at].outputs if one.get("name") == "stdout") for at in (2, 4)
    )
    assert json.loads(first) == [TINY_TRIALS, 0, []]
    assert json.loads(second) == [TINY_TRIALS, TINY_TRIALS - 3, []], "its own alone run again"


@pytest.mark.long
def test_a_pruner_named_by_its_path_goes_through_papermill(tmp_path, mine):
    params = tiny_params(pruner=["random", "mine:steep"]) | {"out": "made"}
    papermill.execute_notebook(
        *(ROOT / "notebooks" / "02_compression_sweep.ipynb", tmp_path / "out.ipynb", params),
        **{"cwd": tmp_path, "kernel_name": "python3", "progress_bar": False},
    )
    table = (tmp_path / "made" / "tables" / "table2_accuracy_by_compression.md").read_text()
    assert "| steep" in table and "| Random" in table
