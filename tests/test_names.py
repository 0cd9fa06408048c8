"""The catalogue agrees with what there is."""

import subprocess
import sys

import pytest

from prunekit import datasets, models, names, pruners


def test_what_is_named_is_there():
    assert set(datasets.TRANSFORMS) == set(names.DATASETS) and set(pruners._PRUNERS) == set(names.PRUNERS)
    for name in names.MODELS:
        assert models.prunable(models.build(name, (3, 32, 32), 10, 0.1)), name


@pytest.mark.parametrize("name", ["digits", "digit-pairs"])
def test_datasets_are_as_they_are_described(name):
    data, about = datasets.read(name), names.DATASETS[name]
    assert data.train.images.shape == (about.train, *about.shape) and len(data.test.images) == about.test
    assert (data.classes, data.coarse_classes) == (about.classes, about.coarse_classes)
    assert set(data.train.labels) == set(range(len(about.classes)))


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
