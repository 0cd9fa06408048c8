"""A trial's network in a file: through the command line, and as accurate as its record says."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prunekit import metrics, models, saved
from prunekit.study import runner, store
from prunekit.study.artifacts import Artifacts
from prunekit.study.trial import Trial, failed

SMALL = {
    "dataset": "digits",
    "width": 0.25,
    "pruner": "snip",
    "compression": 0.5,
    "post_epochs": 2,
    "batch_size": 32,
    "train_subset": 200,
}


def top1(net, trial):
    data, _ = Artifacts().data(trial)
    (row,) = metrics.evaluate(net, data.test.in_order(250))
    return row["top1"]


@pytest.fixture
def export(tmp_path, called):
    """Run `prunekit export` in a folder that holds a project; return its exit status and line."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "demo.yaml").touch()

    def call(*words):
        done = called("export", *words, "--device", "cpu")
        return done.returncode, done.stderr

    return call


def test_a_network_that_is_loaded_back_is_as_accurate(tmp_path, prunekit, export):
    """From the folder of records, or a report's; as safetensors, or for torch.nn.utils.prune."""
    records = [runner.run_trial(Trial(model=name, **SMALL)) for name in ("fc", "conv")]
    runs = store.Store(tmp_path / "runs")
    runs.save(records[0])
    store.publish(records, tmp_path / "reports" / "mine" / "trials.parquet")

    def told(record, file):
        top1 = f"top-1 {record.top1:.2f} % (its record: {record.top1:.2f} %)"
        return f"prunekit: {record.trial.label}, {top1}, in {file}\n"

    result = prunekit("export", f"runs/{records[0].id}.json", "--out", "net.safetensors", "--device", "cpu")
    assert (result.returncode, result.stderr) == (0, told(records[0], "net.safetensors"))
    assert export(records[1].id[:6], "--out", "net.pt") == (0, told(records[1], "net.pt"))
    net, kept, about = saved.read(tmp_path / "net.safetensors")
    assert top1(net, records[0].trial) == about["top1"] == records[0].top1 > 20
    assert [int(mask.count_nonzero()) for mask in kept.values()] == [layer.kept for layer in records[0].layers]
    assert Trial.model_validate(about["trial"]) == records[0].trial
    net = models.build("conv", (3, 32, 32), 10, 0.25)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            prune.identity(module, "weight")
    net.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert top1(net, records[1].trial) == records[1].top1


def test_what_cannot_be_exported_is_one_line(tmp_path, export):
    begun = {}  # by how an id begins, until two begin alike
    for seed in range(2000):
        bad = failed(Trial(model="fc", **SMALL, seed=seed), "no luck", {})
        if other := begun.get(bad.id[:4]):
            break
        begun[bad.id[:4]] = bad
    runs = store.Store(tmp_path / "runs")
    runs.save(bad)
    runs.save(other)
    (tmp_path / "file").touch()
    for words, line in (
        ((bad.id, "--out", "a.safetensors"), f"trial {bad.id} failed: no luck"),
        ((bad.id, "--out", "a.onnx"), "a.onnx: name it *.safetensors or *.pt"),
        ((bad.id, "--out", "file/a.pt"), "--out file cannot be written to"),
        (("../runs", "--out", "a.pt"), "'../runs' is no trial's id"),
        (("0" * 16, "--out", "a.pt"), f"begins with {'0' * 16}; run its trial first"),
        ((bad.id[:4], "--out", "a.pt"), "2 records begin with"),
    ):
        code, printed = export(*words)
        assert code == 2 and line in printed and printed.count("\n") == 1, (words, printed)
    assert not list(tmp_path.glob("a.*"))
