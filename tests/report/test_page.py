"""What a notebook's parameters are, and which trials its page runs."""

import pytest
from conftest import TINY

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

    def run(trials, store, done, timed):
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
