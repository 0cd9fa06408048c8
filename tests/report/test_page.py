"""What a notebook opens, what it changes of a profile, and which trials it runs."""

import json

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import TINY, TINY_TRIALS, tiny_params
from matplotlib.figure import Figure

from prunekit.errors import UserError
from prunekit.report import page
from prunekit.study import engine
from prunekit.study.params import load_params


def params(*args, **changes):
    return page.open_page(*args, **changes).study.params


@pytest.fixture
def tiny(tmp_path):
    """Open the parameters TINY, or some like them, from a file."""

    def opened(out=None, values=TINY):
        file = tmp_path / "tiny.yaml"
        file.write_text(yaml.safe_dump(values))
        return page.open_page(str(file), out)

    return opened


@pytest.fixture
def said(monkeypatch):
    """What is said in Markdown."""
    texts = []
    monkeypatch.setattr(page.Page, "say", lambda _, text: texts.append(text))
    return texts


def test_what_is_none_stays_the_profiles():
    none = {"seeds": None, "defaults": {"post_epochs": None}, "sections": {"sweep": {"compression": None}}}
    assert params("cpu", **none) == params("cpu") == load_params("cpu")


def test_changes_stand_in_the_profiles_place_and_words_are_read_as_yaml():
    """Papermill's -p gives lists as words."""
    changes = {"defaults": {"post_epochs": 1}, "sections": {"sweep": {"compression": "[0.5, 2]"}}}
    words = ["seeds=[4]", "defaults.post_epochs=1", "sections.sweep.compression=[0.5, 2]"]
    assert params("demo", seeds=[4], **changes) == load_params("demo", words)
    changes["sections"]["sweep"]["compression"] = np.array([0.5, 2])
    assert params("demo", seeds=np.arange(4, 5), **changes) == load_params("demo", words), "arrays are lists"
    grids = [{"compression": 1}]
    assert params("demo", sections={"sweep": grids}) == load_params("demo", ["sections.sweep=[{compression: 1}]"])


@pytest.mark.parametrize(
    ("profile", "changes", "words"),
    [
        ("papr", {}, "no profile 'papr'.* did you mean paper?"),
        ("demo", {"seeds": "[0"}, "seeds: line 1: "),
        ("demo", {"sections": {"swep": {"seed": 1}}}, "unknown key swep; did you mean sweep?"),
        ("demo", {"defaults": {"post_epoch": 1}}, "unknown key post_epoch; did you mean post_epochs?"),
        ("demo", {"seed": [1]}, "unknown key seed; did you mean seeds?"),
        ("demo", {"compressions": [1]}, "unknown key compressions; did you mean defaults.compression?"),
        ("demo", {"seed": None}, "unknown key seed; did you mean seeds?"),
        ("demo", {"sections": {"sweep": {"prunner": None}}}, "unknown key prunner; did you mean pruner?"),
        ("demo", {"sections": {"sweep": {"compression": "high"}}}, "sections.sweep: compression: must be a"),
    ],
)
def test_a_wrong_profile_key_or_value_is_one_line(profile, changes, words):
    with pytest.raises(UserError, match=words) as error:
        page.open_page(profile, **changes)
    assert len(error.value._render_traceback_()) == 1


def test_a_section_there_is_none_of_is_one_line():
    with pytest.raises(UserError, match=r"^no section 'swep'; did you mean sweep\?$"):
        page.open_page("demo").frame("swep")


def test_only_the_trials_of_what_is_asked_for_run_and_failed_ones_again(tiny, monkeypatch):
    asked = []

    def run(trials, store, done, alone, ranks):
        assert ranks.keys() == {trial.id for trial in trials}
        asked.append({trial.id for trial in trials} - set(done))
        return {}

    monkeypatch.setattr(engine, "run", run)
    shown = tiny()
    study = shown.run("flops")
    assert asked == [{trial.id for trial in study.sections["flops"]}]
    shown.frame("flops")
    assert len(asked) == 1, "once, though they failed"
    assert tiny().run().trials.keys() == asked[1]
    monkeypatch.setenv("PRUNEKIT_NO_RUN", "1")
    tiny().run()
    assert len(asked) == 2
    monkeypatch.setenv("PRUNEKIT_NO_RUN", "0")
    tiny().run()
    assert len(asked) == 3


def test_missing_data_stop_a_section_with_a_line_for_notebooks(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(UserError, match="mnist is not at hand") as error:
        tiny(values=tiny_params(dataset="mnist")).frame("sweep")
    (line,) = error.value._render_traceback_()
    assert line.startswith("prunekit: mnist") and "in a notebook: %env PRUNEKIT_DATA=FOLDER" in line


def test_a_report_goes_without_images(tiny, said, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_NO_RUN", "1")
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    shown = tiny()
    assert shown.frame("sweep").empty and shown.frame("sweep").empty
    assert not [text for text in said if text]
    assert not (tmp_path / "runs").exists()
    assert shown.images("digits") is not None and shown.images("mnist") is None
    assert said[-1].startswith("Its images cannot be shown: `mnist is not at hand")


def test_what_is_shown_is_written(tiny, tmp_path):
    shown = tiny(tmp_path / "out")
    wide = pd.DataFrame({"snip": [1.0]}, index=pd.Index(["cifar10"], name="dataset")).rename_axis(columns="pruner")
    shown.table(wide[:0], "none", "Table 0", "A caption.")  # nothing to show, nothing to write
    shown.table(wide[:0], "tidy", "Table 0", "A caption.", data=wide)
    shown.table(wide, "one", "Table 1", "A caption.", data=wide)
    shown.table(wide[:0], "neither", "Table 0", "A caption.", data=pd.DataFrame())  # whose CSV nobody could read
    shown.figure(Figure(), "two", "Figure 2", "A caption.", data=wide)
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("*/*"))
    assert files == [
        *("figures/two.csv", "figures/two.pdf", "figures/two.png", "figures/two.svg"),
        *("tables/one.csv", "tables/one.md", "tables/one.tex"),
        *("tables/tidy.csv", "tables/tidy.md", "tables/tidy.tex"),
    ]
    assert (tmp_path / "out" / "tables" / "one.csv").read_text() == "snip\n1.0\n"
    assert "| CIFAR-10  | 1      |" in (tmp_path / "out" / "tables" / "one.md").read_text()


def test_signs_that_no_font_has_are_named(tiny, said, tmp_path):
    for number, (title, ticks) in enumerate({"SNIP ± 1 −": "α", "x\uf8ff": "y\uf8fe\uf8ff"}.items()):
        figure = Figure(layout="constrained")
        figure.subplots(subplot_kw={"title": title}).set_yticks([0.5], [ticks])
        tiny(tmp_path / "out").figure(figure, "one", f"Figure {number}", "A caption.", data=pd.DataFrame())
    (line,) = said
    assert line.startswith("Figure 1") and "`\uf8fe \uf8ff`" in line


REGISTER = """
from prunekit import models, pruners

@pruners.register("mine")
def mine(net, batches, generator):
    return {name: weight.detach().abs() ** 2 for name, weight in models.prunable(net).items()}
"""
LOOK = """
import json
from prunekit.report import page

shown = page.open_page("tiny.yaml")
before = set(shown.study.store.load(shown.study.trials))
frames = [shown.frame("sweep"), shown.frame("flops"), shown.layers("layers"), shown.weights("histograms")]
assert all(set(frame.pruner) == {"synflow", "mine"} for frame in frames)
print(json.dumps([len(shown.run().trials), len(before)]))
"""


@pytest.mark.long
def test_a_pruner_of_a_notebook_runs_and_is_in_every_frame(tmp_path, monkeypatch):
    """Edited, its own trials alone run again. In worker processes, tables and figures: the notebook `extend`."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start worker processes takes longer than these trials
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_params(pruner=["synflow", "mine"])))
    cells = [REGISTER, LOOK, REGISTER.replace("** 2", "** 3"), LOOK]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(nb, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second = (
        "".join(one["text"] for one in nb.cells[at].outputs if one.get("name") == "stdout") for at in (1, 3)
    )
    assert json.loads(first) == [TINY_TRIALS, 0]
    assert json.loads(second) == [TINY_TRIALS, TINY_TRIALS - 3], "its own alone run again"


def test_a_users_own_name_makes_a_file_that_windows_can_hold(tiny, tmp_path):
    shown = tiny(out=tmp_path / "out")
    frame = pd.DataFrame({"a": [1]})
    shown.table(frame, "paired_own:data", "Table 1", "What it holds.")
    assert (tmp_path / "out" / "tables" / "paired_own-data.csv").exists()
    assert not list((tmp_path / "out").glob("**/*:*"))
