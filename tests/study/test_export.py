"""A trial's network in a file: through the command line, and as accurate as its record says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prunekit import datasets, metrics, models, saved
from prunekit.study import export as export_room
from prunekit.study import runner, store
from prunekit.study.artifacts import Artifacts
from prunekit.study.trial import Trial, failed

ROOT = Path(__file__).parents[2]
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
    row = metrics.evaluate(net, data.test.in_order(250))
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


APART = """
images, labels = torch.load("images.pt")
with torch.no_grad():
    right = net.eval()((images / 255 - mean) / std).argmax(1) == labels
import sys
print(100 * float(right.double().mean()), "prunekit" in sys.modules)
"""


@pytest.mark.parametrize("model", ["fc", "conv", "vgg11_bn"])
def test_a_file_is_loaded_by_ten_lines_of_torch(tmp_path, model):
    """Those of the documentation, in a process that never imports prunekit: the accuracy is the file's."""
    trial = Trial(model=model, **SMALL | {"width": 0.125})
    export_room.export(trial, None, tmp_path / "net.safetensors", Artifacts())
    data = datasets.load("digits").test
    torch.save((data.images, data.labels), tmp_path / "images.pt")
    (loader,) = re.findall(r"```python\n(import json\n.*?)```", (ROOT / "docs" / "running.md").read_text(), re.S)
    assert len(loader.split("from torch import nn\n")[1].strip().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-c", loader + APART], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    top1, imported = done.stdout.split()
    told = saved.read(tmp_path / "net.safetensors")[2]["top1"]
    assert float(top1) == pytest.approx(told, abs=1e-4) and told > 15 and imported == "False"  # an image is 0.3


def test_other_networks_have_no_layers_in_their_file():
    assert saved.layers(models.build("resnet20", (3, 32, 32), 10, 0.25)) is None
    assert saved.layers(nn.Linear(2, 2)) is None
    assert saved.layers(nn.Sequential(nn.Linear(2, 3, bias=False))) == [
        ("0", "Linear", {"in_features": 2, "out_features": 3, "bias": False})
    ]


def test_a_trial_is_singled_out_by_its_profile(tmp_path, tiny_profile, called):
    """Of the tiny profile's sweep: two pruners, two compressions; none has run."""
    file = tmp_path / "net.safetensors"
    for words, line in (
        ((), "4 trials of tiny in sweep are such; add --pruner synflow, --compression 0.5 or another"),
        (("--pruner", "snip"), "tiny has no pruner snip in sweep; it has synflow, random"),
        (("--only", "steps"), "--only steps: tiny has no trials there"),
    ):
        done = called("export", tiny_profile, *words, "--out", file)
        assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1, (words, done.stderr)
    done = called("export", tiny_profile, "--pruner", "random", "--compression", "0.5", "--out", file)
    assert done.returncode == 0 and re.search(r"random c=0.5 seed=0, top-1 [\d.]+ %, in ", done.stderr), done.stderr
    assert saved.read(file)[2]["trial"]["pruner"] == "random"


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
        (("../runs", "--out", "a.pt"), "'../runs' is neither a profile nor a trial's id"),
        (("0" * 16, "--out", "a.pt"), f"begins with {'0' * 16}; run its trial first"),
        ((bad.id[:4], "--out", "a.pt"), "2 records begin with"),
    ):
        code, printed = export(*words)
        assert code == 2 and line in printed and printed.count("\n") == 1, (words, printed)
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("defaults.learning_rate=1.0e+30", "failed: "),
        ("defaults.pruner=own:mine", "no luck"),
    ],
)
def test_what_fails_as_it_is_exported_says_why(tmp_path, tiny_profile, called, change, line):
    (tmp_path / "own.py").write_text("def mine(net, batches, generator):\n    raise RuntimeError('no luck')\n")
    pruner = ["--pruner", "snip"] if "own" not in change else []
    grid = "sections.sweep=[{compression: 1, seed: 0, pruner: " + ("snip" if pruner else "own:mine") + "}]"
    done = called("export", tiny_profile, "--set", change, "--set", grid, "--out", "net.safetensors")
    assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
