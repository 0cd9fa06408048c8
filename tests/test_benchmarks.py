"""The baseline computes what prunekit computes, and the benchmarks say what they measured and what they did not."""

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from prunekit import datasets, masks, metrics, models, pruners, training
from prunekit.batches import Batches
from prunekit.datasets import Transform
from prunekit.study import runner
from prunekit.study.trial import Trial

sys.path.insert(0, str(ROOT / "benchmarks"))  # where the command finds its baseline
import baseline
import run

COMPRESSIONS = (0.05, 0.5, 2)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def twins(model, shape, classes):
    """Return our network and the baseline's with the same weights."""
    net = models.build(model, shape, classes, generator=seeded(1))
    twin = baseline.fc(math.prod(shape), classes) if model == "fc" else baseline.vgg16(classes)
    with torch.no_grad():
        for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
            theirs.copy_(ours)
    return net, twin


def images(count, shape, classes):
    return torch.randn(count, *shape, generator=seeded(2)), torch.arange(count) % classes


# The same mathematics


@pytest.mark.long
@pytest.mark.parametrize(("model", "shape", "steps"), [("fc", (3, 8, 8), 20), ("vgg16", (3, 32, 32), 2)])
def test_same_weights_after_training(model, shape, steps):
    """Masks multiplied in the forward pass, or after the step; either way the network that is used is the same.

    In float64: Adam divides gradients by their size, so in float32 the rounding of almost zero ones decides a step.
    """
    net, twin = twins(model, shape, 10)
    pixels = torch.randint(256, (8 * steps, *shape), dtype=torch.uint8, generator=seeded(3))
    batches = Batches(pixels, torch.arange(len(pixels)) % 10, Transform((0.5,) * 3, (0.25,) * 3))
    scores = pruners.score("magnitude", net, *images(1, shape, 10))
    kept = masks.from_scores(scores, 0.3)
    baseline.set_masks(twin, list(scores.values()), 0.3)
    masks.apply(net, kept)
    for one in (net, twin):
        one.double().register_forward_pre_hook(lambda _, inputs: inputs[0].double())
    before = [parameter.detach().clone() for parameter in net.parameters()]
    words = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 8, "order": seeded(4), "augmentation": seeded(5)}
    net.to(memory_format=torch.channels_last)
    (ours,) = training.epochs(net, kept, batches, batches, 1, **words)
    same_batches = list(batches.shuffled(8, seeded(4), seeded(5)))
    theirs = baseline.train(twin, same_batches, list(batches.in_order(8)), 1)
    for name in ("train_loss", "test_loss", "top1", "top5"):
        assert ours[name] == pytest.approx(theirs[0][name], rel=1e-6)
    for layer, mask in zip(baseline.masked_layers(twin), kept.values(), strict=True):
        assert torch.equal(layer.mask.bool(), mask)
        layer.weight.data.mul_(layer.mask)  # what its network uses
    for own, their, start in zip(net.parameters(), twin.parameters(), before, strict=True):
        assert (own - their).norm() < 1e-9 * (own - start).norm()


@pytest.mark.long
@pytest.mark.parametrize("pruner", ["magnitude", "snip", "grasp", "synflow"])
def test_same_cells_of_table_iv(pruner):
    """Kept weights a layer but for near ties, and FLOPs, of VGG16."""
    shape = (3, 32, 32)
    net, twin = twins("vgg16", shape, 10)
    batch = images(10, shape, 10)
    scores = pruners.score(pruner, net, *batch)
    for compression in COMPRESSIONS:
        density = 10**-compression
        kept = masks.from_scores(scores, density)
        if compression == COMPRESSIONS[0]:
            baseline.prune(twin, pruner, [batch], shape, density)
        else:  # from the same scores: that of a pruned network are others
            baseline.set_masks(twin, list(scores.values()), density)
        theirs = [int(layer.mask.sum()) for layer in baseline.masked_layers(twin)]
        assert sum(theirs) == sum(int(mask.sum()) for mask in kept.values())
        assert [int(mask.sum()) for mask in kept.values()] == pytest.approx(theirs, abs=20)
        ours = metrics.flops(net, kept, shape).flops_kept.sum()
        assert baseline.flops(twin, shape) == pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize("pruner", ["magnitude", "snip", "synflow"])
def test_same_masks_in_steps(pruner):
    shape = (1, 8, 8)
    net, twin = twins("fc", shape, 10)
    batch = images(20, shape, 10)
    kept = pruners.prune(pruner, net, *batch, 0.05, steps=5)
    baseline.prune(twin, pruner, [batch], shape, 0.05, steps=5)
    for layer, mask in zip(baseline.masked_layers(twin), kept.values(), strict=True):
        assert int((layer.mask.bool() != mask).sum()) <= 2


def test_ties_break_by_position_and_pruned_weights_stay_pruned():
    net, twin = twins("fc", (1, 1, 4), 2)
    names = models.prunable(net)
    kept = None
    for density in (0.5, 0.25):
        scores = {name: torch.ones_like(weight) for name, weight in names.items()}
        kept = masks.from_scores(scores, density, within=kept)
        baseline.set_masks(twin, list(scores.values()), density)
        for layer, mask in zip(baseline.masked_layers(twin), kept.values(), strict=True):
            assert torch.equal(layer.mask.bool(), mask)


def test_same_pixels():
    """Without augmentation the same, with it one of the windows that a crop and a flip can take."""
    part = SimpleNamespace(
        images=np.random.default_rng(0).integers(256, size=(6, 3, 32, 32), dtype=np.uint8), labels=np.arange(6)
    )
    recipe = datasets.TRANSFORMS["cifar10"]
    data = baseline.data(SimpleNamespace(train=part, test=part, classes="abcdef"), recipe)
    (pixels, labels), *rest = Batches(torch.tensor(part.images), torch.tensor(part.labels), recipe).in_order(6)
    assert not rest and data.image_shape == (3, 32, 32) and data.num_classes == 6
    (theirs, targets), *rest = baseline.loader(data.test, "cpu")
    assert not rest and torch.equal(targets, labels)
    torch.testing.assert_close(theirs, pixels, rtol=1e-5, atol=1e-5)

    bordered = Batches(torch.tensor(np.pad(part.images, [(0, 0), (0, 0), (4, 4), (4, 4)])), labels, recipe)
    (bordered, _), *_ = bordered.in_order(6)
    found = set()
    for i in range(60):
        image, label = data.train[i % 6]
        windows = bordered[label].unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4)
        for flipped in (False, True):
            same = ((windows.flip(-1) if flipped else windows) - image).abs().amax((2, 3, 4)) < 1e-5
            found |= {(int(y), int(x), flipped) for y, x in same.nonzero()}
        assert len(found) > 0
    assert {flipped for _, _, flipped in found} == {False, True} and len(found) > 30


def test_grey_images():
    part = SimpleNamespace(images=np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 1, 28, 28), labels=np.arange(2))
    recipe = datasets.TRANSFORMS["mnist"]
    data = baseline.data(SimpleNamespace(train=part, test=part, classes="01"), recipe)
    (pixels, _), *_ = Batches(torch.tensor(part.images), torch.tensor(part.labels), recipe).in_order(2)
    torch.testing.assert_close(torch.stack([data.train[0][0], data.train[1][0]]), pixels, rtol=1e-5, atol=1e-5)


def test_same_trial_of_digits():
    trial = Trial(dataset="digits", model="fc", pruner="snip", compression=0.5, post_epochs=4, batch_size=256)
    record = runner.run_trial(trial)
    data = baseline.data(datasets.read("digits"), datasets.TRANSFORMS["digits"])
    theirs = baseline.run(data, "fc", "snip", trial.density, 4)
    assert sum(theirs["kept"]) + 510 == record.parameters_kept
    assert theirs["flops"] == record.flops_kept
    final = theirs["curve"][-1]
    assert len(theirs["curve"]) == 4 and 50 < final["top1"] < final["top5"] <= 100
    assert final["top1"] == pytest.approx(record.top1, abs=15)


# What is said of measurements


def test_operations_of_a_step():
    """By hand: VGG16's weights at their output positions; forward and two gradients, one for the first layer."""
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    sides = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]
    layers = [9 * a * b * s * s for a, b, s in zip(channels, channels[1:], sides, strict=False)] + [512 * 10]
    assert sum(layers) == 313_201_664
    assert run.step_operations(256) == 2 * 256 * (3 * sum(layers) - 9 * 3 * 64 * 32 * 32)


def test_medians_and_ratios():
    """Ours 1, 3 and 2 s, the baseline 12 s: six times as fast; shares have no ratio."""
    samples = [("a", "trial", "prunekit", seconds, "s") for seconds in (1, 3, 2)]
    samples += [
        ("a", "trial", "baseline", 12, "s"),
        ("a", "share", "prunekit", 50, "%"),
        ("a", "share", "baseline", 40, "%"),
    ]
    table = run.summary(pd.DataFrame(samples, columns=["row", "work", "who", "value", "unit"])).set_index("work")
    assert table.loc["trial"].tolist() == ["a", "2 s (1 to 3, n = 3)", "12 s (n = 1)", "6.00"]
    assert table.loc["share"].tolist() == ["a", "50 % (n = 1)", "40 % (n = 1)", ""]


def command(*words):
    line = [sys.executable, ROOT / "benchmarks" / "run.py", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_what_was_measured_before_on_such_a_machine_stays(tmp_path):
    columns = ["row", "work", "who", "value", "unit", "cpu", "gpu", "commit"]

    def measured(*rows):
        return pd.DataFrame(
            [(row, "trial", "prunekit", value, "s", *where) for row, value, *where in rows], columns=columns
        )

    here, there = ("a", None), ("b", None)
    file = tmp_path / "bench.csv"
    measured(("help", 1, *here, "old"), ("fc", 2, *here, "old"), ("report", 3, *there, "old")).to_csv(file, index=False)
    whole = run.with_earlier(measured(("help", 9, *here, "new")), file)
    assert whole[["row", "value", "commit"]].to_numpy().tolist() == [["fc", 2, "old"], ["help", 9, "new"]]
    assert run.summary(whole).prunekit.tolist() == ["2 s (n = 1)", "9 s (n = 1)"]


@pytest.mark.long
def test_command_measures_what_it_can_and_says_the_rest(tmp_path):
    done = command("threshold", "fc", "report", "epoch", "--quick", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text, table = (tmp_path / "out" / "bench.md").read_text(), pd.read_csv(tmp_path / "out" / "bench.csv")
    assert f"Not measured: fc: no mnist in {tmp_path}; report: left out by --quick; epoch: " in text
    assert table.who.tolist() == ["baseline", "prunekit"] and (table.value > 0).all() and table.cores.min() >= 1
    assert done.stdout.strip() in text


def test_a_wrong_row_is_refused(tmp_path):
    done = command("stpe", "--out", tmp_path / "out")
    assert done.returncode == 2 and "stpe" in done.stderr and not (tmp_path / "out").exists()
