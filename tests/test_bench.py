"""The baseline computes what prunekit computes, and the bench says what it measured and what it did not."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from prunekit import bench, datasets, masks, metrics, models, pruners, training
from prunekit.batches import Batches
from prunekit.bench import report
from prunekit.bench.measure import Goal, Measured, in_turn, product_rate, step_operations
from prunekit.bench.rows import ROWS
from prunekit.bench.work import projected
from prunekit.datasets import Transform
from prunekit.study import runner
from prunekit.study.trial import Trial

baseline = bench.load_baseline()
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
    ((ours,),) = training.epochs(net, kept, batches, batches, 1, **words)
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
    assert step_operations(256) == 2 * 256 * (3 * sum(layers) - 9 * 3 * 64 * 32 * 32)


def test_medians_ratios_and_verdicts():
    measured = Measured([1.0, 4.0, 2.0], [9.0, 11.0, 30.0, 10.0])
    assert report.spread(measured.ours) == (2.0, 1.0, 4.0)
    assert measured.ratio() == 10.5 / 2
    assert [measured.verdict(Goal("", ratio=ratio)) for ratio in (5.25, 5.26)] == ["met", "missed"]
    assert [measured.verdict(Goal("", most=most)) for most in (2, 1.9)] == ["met", "missed"]
    assert [measured.verdict(Goal("", "%", least=least)) for least in (2, 2.1)] == ["met", "missed"]
    assert measured.verdict(Goal("", ratio=5, most=1)) == measured.verdict(Goal("", ratio=6, most=3)) == "missed"
    assert measured.verdict(Goal("")) == ""
    assert Measured([1.0]).verdict(Goal("", ratio=0.1)) == "missed", "a ratio to nothing is not met"
    assert Measured(note="no GPU").verdict(Goal("", ratio=1)) == "not measured"
    assert Goal("", "s", ratio=20, most=600).target() == "20 times the baseline, at most 600 s"
    assert Goal("", "%", least=60).target() == "at least 60 %" and Goal("").target() == ""


def test_measured_in_turn():
    calls = []

    def side(name):
        return lambda: calls.append(name) or float(len(calls))

    measured = in_turn(2, side("ours"), side("baseline"))
    assert calls == ["baseline", "ours", "baseline", "ours"]
    assert (measured.ours, measured.baseline) == ([2.0, 4.0], [1.0, 3.0])


def test_projected_seconds():
    words = {"pruner": "random", "compression": 1.0}
    trials = [
        Trial(dataset="mnist", model="fc", post_epochs=10, **words),
        Trial(dataset="cifar10", model="vgg16", pre_epochs=100, post_epochs=10, **words),
        Trial(dataset="cifar10", model="vgg16", post_epochs=0, **words),
    ]
    assert projected(trials, {("mnist", "fc"): 2.0, ("cifar10", "vgg16"): 3.0}) == 20 + 330


def test_report_says_what_was_measured(tmp_path):
    lines = [
        ("fc", Goal("trial", ratio=5), Measured([1.0, 3.0, 2.0], [12.0])),
        ("step", Goal("share", "%", least=60), Measured([50.0], [40.0])),
        ("epoch", Goal("epoch", most=0.6), Measured(note="no GPU")),
    ]
    report.write(lines, tmp_path)
    text = (tmp_path / "bench.md").read_text()
    assert "| fc | trial | 2 s (1–3, n = 3) | 12 s (n = 1) | 6.00 | 5 times the baseline | met |" in text
    assert "| step | share | 50 % (n = 1) | 40 % (n = 1) |  | at least 60 % | missed |" in text
    assert "| epoch | epoch | not measured: no GPU |  |  | at most 0.6 s |  |" in text
    table = pd.read_csv(tmp_path / "bench.csv")
    assert list(table.row) == ["fc", "step", "epoch"]
    assert list(table.verdict) == ["met", "missed", "not measured"]
    assert table.loc[0, ["ours", "ours_low", "ours_high", "ours_n", "baseline", "ratio"]].tolist() == [
        2,
        1,
        3,
        3,
        12,
        6,
    ]
    assert table.loc[0, ["ratio_low", "ratio_high", "target_ratio"]].tolist() == [4, 12, 5]
    drawn = pd.read_csv(tmp_path / "ratios.csv")
    assert drawn.work.tolist() == ["trial"] and drawn.ratio.tolist() == [6]
    assert "![Bars: trial: 6.0 times as fast as the baseline](ratios.svg)" in text
    assert (tmp_path / "ratios.svg").stat().st_size > 1000
    assert {"date", "cpu", "cores", "threads", "gpu", "system", "python", "torch", "torchvision"} <= set(table)
    assert table.cores.min() >= 1 and str(table.date[0]) in text and table.torch[0] in text


def test_no_ratio_no_figure(tmp_path):
    report.write([("epoch", Goal("epoch"), Measured(note="no GPU"))], tmp_path)
    assert "ratios" not in (tmp_path / "bench.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.csv", "bench.md"]


def test_rate_of_products(monkeypatch):
    """Of the order that processors have, with matrices that are quickly multiplied."""
    monkeypatch.setattr("prunekit.bench.measure._SIDE", 1024)
    assert 1 < product_rate("cpu", torch.float32) < 1e5


# The command


def test_command_measures_what_it_can_and_says_the_rest(called, tmp_path):
    result = called("bench", "help", "fc", "paper", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    assert result.stdout == (tmp_path / "out" / "bench.md").read_text() + "\n"
    table = pd.read_csv(tmp_path / "out" / "bench.csv").set_index("work")
    assert [(row, work) for work, row in table.row.items()] == [(n, g.work) for n, r in ROWS.items() for g in r.goals]
    assert (table.ours_n > 0).to_dict() == {work: row == "help" for work, row in table.row.items()}
    assert 0 < table.ours["`prunekit --help`"] < 30
    assert table.verdict["what it imports of torch"] == "met"
    notes = table.groupby("row").note.unique()
    assert notes["step"].tolist() == ["not asked for"]
    assert notes["fc"].tolist() == [f"no mnist in {tmp_path}"]
    lacks = f"no mnist, cifar10, cifar100 in {tmp_path}" if torch.cuda.is_available() else "no GPU"
    assert notes["paper"].tolist() == [lacks]


def test_quick_leaves_out_what_takes_minutes(called, tmp_path):
    result = called("bench", "threshold", "report", "--quick", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "bench.csv").set_index("row")
    assert table.ours_n["threshold"] == table.baseline_n["threshold"] == 1
    assert table.ours["threshold"] > 0 < table.baseline["threshold"]
    assert set(table.note["report"]) == {"left out by --quick"}


def test_help_names_the_rows(called):
    printed = called("bench", "--help").stdout
    assert [name for name in ROWS if name not in printed] == [] and "[default: reports/bench]" in printed


def test_row_that_fails_costs_no_other(called, tmp_path):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"no images")
    result = called("bench", "fc", "help", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "prunekit: failed: fc: UserError: mnist" in result.stderr
    table = pd.read_csv(tmp_path / "out" / "bench.csv").set_index("row")
    assert set(table.note["fc"]) == {"failed"} and set(table.verdict["fc"]) == {"not measured"}
    assert (table.ours_n["help"] > 0).all()


def test_wrong_row_and_no_checkout_are_one_line(called, tmp_path):
    result = called("bench", "stpe", "--out", tmp_path / "out")
    assert (result.returncode, result.stderr) == (2, "prunekit: unknown row 'stpe'; did you mean step?\n")
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "demo.yaml").write_text((ROOT / "params" / "demo.yaml").read_text())
    result = called("bench", "--out", tmp_path / "out")
    assert result.returncode == 2 and "inside a checkout" in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
