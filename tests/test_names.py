"""The catalogue agrees with what there is."""

import subprocess
import sys

import numpy as np
import pytest

from prunekit import datasets, models, names, pruners
from prunekit.datasets import Transform, sources


def test_what_is_named_is_there():
    assert set(datasets.TRANSFORMS) == set(names.DATASETS) and set(pruners._PRUNERS) == set(names.PRUNERS)
    for name in names.MODELS:
        assert models.prunable(models.build(name, (3, 32, 32), 10, 0.1)), name


@pytest.mark.parametrize("name", sources.EMBEDDED)
def test_datasets_are_as_they_are_described(name):
    data, about = datasets.read(name), names.DATASETS[name]
    assert data.train.images.shape == (about.train, *about.shape) and len(data.test.images) == about.test
    assert (data.classes, data.coarse_classes) == (about.classes, about.coarse_classes)
    assert set(data.train.labels) == set(range(len(about.classes)))
    counts = about.test_counts or (about.test // len(about.classes),) * len(about.classes)
    assert tuple(np.bincount(data.test.labels)) == counts, "how many test images each class has"
    pixels = data.train.images.swapaxes(0, 1).reshape(about.shape[0], -1) / 255
    found = Transform(tuple(pixels.mean(1)), tuple(pixels.std(1)))
    assert found.mean == pytest.approx(datasets.TRANSFORMS[name].mean, abs=0.01)
    assert found.std == pytest.approx(datasets.TRANSFORMS[name].std, abs=0.01)


def test_what_readers_see():
    assert [names.title("model", name) for name in ("fc", "vgg16_bn", "resnet20")] == [
        *("FC", "VGG16 with batch norm", "ResNet-20"),
    ]
    assert (names.title("dataset", "cifar10"), names.title("pruner", "grasp")) == ("CIFAR-10", "GraSP")
    assert names.title("pruner", "mine.pruners:steep") == "steep" and names.title("dataset", "mine:bright") == "bright"


def test_it_needs_no_torch():
    code = "import sys, prunekit.names; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_shares_are_written_in_digits():
    """Of compressions near 1, too, whose shares round to 10 %."""
    kept = {0.05: "89", 1.0: "10", 1.0044: "10", 1.02: "10", 1.03: "9", 2.0: "1", 2.5: "0.3"}
    assert {c: names.share(c) for c in kept} == kept
