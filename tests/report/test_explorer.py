"""What the explorer shows is what trials do; and its menus, moved as a hand would move them."""

import nbclient
import nbformat
import numpy as np
import pytest
from conftest import ROOT

from prunekit import models, plugins, pruners
from prunekit.errors import UserError
from prunekit.report.explorer import Explorer, _counts, prune
from prunekit.study import runner
from prunekit.study.artifacts import Artifacts
from prunekit.study.trial import Trial

SMALL = {"dataset": "digits", "model": "fc", "width": 0.2}


@pytest.mark.parametrize("pruner", ["grasp", "magnitude"])
def test_what_is_shown_of_a_pruner_is_what_a_trial_records(pruner):
    trial = Trial(**SMALL, pruner=pruner, compression=1.0, post_epochs=0)
    made, record = prune(trial, Artifacts()), runner.run_trial(trial)
    shown = made.rows.set_index("layer")
    assert list(shown.index) == [*(f"fc{i}" for i in range(1, 7)), "all"]
    for layer in record.layers:
        row = shown.loc[layer.name.removesuffix(".weight")]
        assert (row.weights, row.kept, row.dead, row.channels) == (
            *(layer.total, layer.kept),
            *(layer.dead_channels, layer.channels),
        )
        assert row.effective == pytest.approx(100 * layer.effective / layer.total)
    whole = shown.loc["all"]
    assert (whole.flops_kept, whole.kept) == (record.flops_kept, sum(layer.kept for layer in record.layers))
    assert whole.density == pytest.approx(100 * record.density)
    assert (made.scores >= made.threshold).mean() == pytest.approx(0.1, abs=0.001)


def test_every_score_but_zero_is_counted():
    for name in ("grasp", "synflow"):
        made = prune(Trial(**SMALL, pruner=name, compression=0.5, post_epochs=0), Artifacts())
        bins = _counts(made)
        few = 1 - bins.scores.sum() / np.count_nonzero(made.scores)
        assert 0 <= few < 0.002, "the smallest thousandth lies beside the bins"
        assert (bins["from"].to_numpy()[1:] == bins["to"].to_numpy()[:-1]).all()
        assert (bins["from"].min() < 0) == (name == "grasp")


def explorer(**changes):
    return Explorer(**SMALL | changes)


def test_moving_the_slider_shows_another_compression():
    made = explorer(compression=1)
    assert "compression 1)" in made.table().caption
    made.menus["compression"].value = 0.5
    assert "compression 0.5)" in made.table().caption
    assert made.table().tidy.set_index(["pruner", "layer"]).density["snip", "all"] == pytest.approx(31.6, abs=0.1)
    assert set(made.figure().data.pruner) == {"synflow", "snip"}
    made.menus["beside"].value = "synflow"
    assert set(made.table().tidy.pruner) == {"synflow"}, "one beside itself is shown once"
    assert made._repr_mimebundle_()["text/plain"] == "Menus and sliders: run this notebook to have them."


def test_what_is_asked_for_is_shown_beyond_the_sliders_usual_end():
    made = explorer(compression=4, seed=10**7)
    assert "compression 4), seed 10000000" in made.table().caption


def test_both_are_trained():
    data = explorer().train(2).data
    assert list(dict.fromkeys(data.pruner)) == ["not pruned", "SynFlow", "SNIP"] and len(data) == 6
    fields = {**SMALL, "compression": 1.0, "post_epochs": 2, "learning_rate": 3e-3, "batch_size": 32}
    trained = runner.run_trial(Trial(**fields, pruner="synflow"))
    assert data.query("pruner == 'SynFlow' and epoch == 2").top1.item() == trained.top1
    dense = runner.run_trial(Trial(**fields | {"compression": 0.0}, pruner="random"))
    assert data.query("pruner == 'not pruned' and epoch == 2").top1.item() == dense.top1


def test_a_pruner_of_ones_own_is_offered_and_what_is_wrong_with_it_said(monkeypatch):
    monkeypatch.setattr(plugins, "_registered", {})

    @pruners.register("mine")
    def mine(net, batches, generator):
        return {name: weight.detach() ** 2 for name, weight in models.prunable(net).items()}

    made = explorer()
    made.offer("mine")
    assert [one.trial.pruner for one in made._prune()] == ["synflow", "mine"]
    kept = made.table().tidy.set_index(["pruner", "layer"]).kept
    made.menus["pruner"].value = "magnitude"
    assert (kept["mine"] == made.table().tidy.set_index(["pruner", "layer"]).kept["magnitude"]).all()

    @pruners.register("mine")
    def edited(net, batches, generator):
        return {"fc1.weight": None}

    made.offer("mine")
    with pytest.raises(UserError, match=r"^pruner mine returned no scores for fc2.weight; it must score what"):
        made.table()
    for call, words in (
        (lambda: made.offer("yours"), "unknown pruner 'yours'"),
        (lambda: made.offer("mine", "prunner"), "'prunner' is no kind; choose from dataset, model, pruner"),
        (lambda: explorer(model="fcc"), "unknown model 'fcc'; did you mean fc"),
        (lambda: explorer(width=-1.0), "^width: must be greater than 0, not -1.0$"),
        (lambda: explorer(compression=11), "^compression: must be at most 10, not 11$"),
        (lambda: explorer(seed=-1), "^seed: must be at least 0, not -1$"),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_the_widgets_show_what_the_menus_say_and_what_cannot_be_had_is_chosen_by_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_DATA", str(tmp_path / "none"))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    made = explorer(compression=1)
    made._repr_mimebundle_()
    picture, caption, table = (one["data"] for one in made._output.outputs)
    assert "image/png" in picture and "SynFlow" in caption["text/plain"] and "compression 1)" in table["text/plain"]
    made.menus["compression"].value = 0.5
    assert "compression 0.5)" in made._output.outputs[-1]["data"]["text/plain"]
    made.menus["dataset"].value = "mnist"
    line, *rest = made._output.outputs
    assert line["data"]["text/plain"].startswith("prunekit: mnist is not at hand")
    assert made.menus["dataset"].value == "digits" and "for Digits" in rest[-1]["data"]["text/plain"]
    made.menus["beside"].value = "grasp"
    assert "GraSP" in made._output.outputs[-1]["data"]["text/plain"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["start", "explore", "extend"])
def test_the_notebook_runs(tmp_path, monkeypatch, name):
    """With fewer trials than it shows; what a reader would do with it, as well."""
    monkeypatch.chdir(tmp_path)
    nb = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    for cell in nb.cells:
        cell.source = cell.source.replace('"compression": [0.5, 1]', '"compression": 1')
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "\nseeds = [0]"
    if name == "explore":
        nb.cells.append(nbformat.v4.new_code_cell("explorer.menus['compression'].value = 2\nexplorer.table()"))
    nbclient.NotebookClient(nb, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data for cell in nb.cells for output in cell.get("outputs", ()) if "data" in output]
    assert sum("image/png" in data for data in shown) >= 1
    tables = [data["text/plain"] for data in shown if "text/html" in data]
    assert len(tables) >= (1 if name == "start" else 3 if name == "extend" else 2) and "levelled" in " ".join(tables)
    if name == "explore":
        assert "compression 2)" in tables[-1]
