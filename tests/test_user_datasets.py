"""Datasets of a user's own: used as they are, or one line that says what is wrong with them."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from prunekit import datasets, plugins
from prunekit.errors import UserError


@pytest.fixture
def register(monkeypatch):
    """Register a dataset "mine" of what is given, for one test."""
    monkeypatch.setattr(plugins, "_registered", {})

    def call(returned):
        @datasets.register("mine")
        def mine():
            if isinstance(returned, BaseException):
                raise returned
            return returned

    return call


def split(count=6, shape=(1, 4, 4), classes=3, **changes):
    images = np.arange(count * np.prod(shape), dtype=np.uint8).reshape(count, *shape)
    return tuple(({"images": images, "labels": np.arange(count) % classes} | changes).values())


def test_it_is_loaded_normalised_and_never_augmented(register):
    """Of the first channel half of the pixels are 0 and half 255, the second is the same everywhere."""
    images = np.zeros((4, 2, 2, 2), np.uint8)
    images[::2, 0], images[:, 1] = 255, 51
    labels = torch.tensor([0, 1, 1, 0], dtype=torch.int32)
    register(((torch.from_numpy(images), labels), (images[:3], [0, 1, 1])))
    data = datasets.load("mine")
    assert data.train.images.dtype == torch.uint8 and torch.equal(data.train.images, torch.from_numpy(images))
    assert data.train.labels.tolist() == [0, 1, 1, 0] and data.train.labels.dtype == torch.int64
    assert (data.classes, data.coarse_classes, data.image_shape) == (("0", "1"), (), (2, 2, 2))
    assert data.transform.mean == pytest.approx((0.5, 0.2), rel=1e-6)
    assert data.transform.std == pytest.approx((0.5, 1 / 255), rel=1e-6)
    assert not data.transform.augments


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (OSError("no such disk"), "raised OSError: no such disk"),
        (SystemExit("bye"), "raised SystemExit: bye"),
        (None, r"returned None; it must return \(images, labels\), \(test images, test labels\)"),
        (split(), "must return"),
        ((split(), split(), split()), "must return"),
        ((split(classes=1), split(classes=1)), "of one class"),
        ((split(labels=np.array([0, 1, 3, 0, 1, 3])), split()), "no training label is 2; they must run from 0 to 3"),
        ((split(labels=np.array([0, 1, -1, 0, 1, 2])), split()), "training labels hold -1"),
        ((split(classes=2), split(classes=3)), "a test label is 2, yet training has 0 to 1"),
        ((split(labels=np.arange(6.0)), split()), "training labels are float64"),
        ((split(labels=np.arange(5)), split()), "one for each of 6 images"),
        (
            (split(images=np.zeros((6, 1, 4, 4), np.float32)), split()),
            "training images are float32; they must be uint8",
        ),
        ((split(), split(images=np.zeros((6, 4, 4), np.uint8))), r"test images have the shape \[6, 4, 4\]"),
        ((split(), split(images=np.zeros((0, 1, 4, 4), np.uint8), labels=[])), r"test images have the shape \[0, "),
        ((split(shape=(32, 32, 3)), split(shape=(32, 32, 3))), "channels last; move them"),
        ((split(), split(shape=(1, 5, 4))), r"differ in shape \(1x4x4 and 1x5x4\)"),
        ((split(images=object()), split()), "training images are object"),
        ((split(images=[[1], [1, 2]]), split()), "images or labels cannot be an array"),
        ((split(labels=np.ma.masked_equal(np.arange(6) % 3, 2)), split()), "training images or labels are masked"),
        ((split(), split(images=np.ma.masked_less(split()[0], 9))), "test images or labels are masked"),
        (
            (split(labels=np.array([0, 1, -1, 0, 1, 2]).astype(np.uint32)), split()),
            "no training label is 3; .* 4294967295",
        ),
        ((split(labels=np.array([0, 1, -1, 0, 1, 2]).astype(np.uint64)), split()), "training labels hold -1"),
        ((split(), split(labels=np.array([0, 1, -1, 0, 1, 2]).astype(np.uint64))), "test labels hold -1"),
    ],
)
def test_what_cannot_be_used_is_one_line(register, returned, words):
    register(returned)
    with pytest.raises(UserError, match=words) as error:
        datasets.read("mine")
    assert str(error.value).startswith("dataset mine") and "\n" not in str(error.value)


def by_torch(n):
    return torch.randperm(n).numpy()


def by_python(n):
    return random.sample(range(n), n)


@pytest.mark.parametrize("draw", [np.random.permutation, by_torch, by_python])
def test_what_draws_from_a_global_generator_is_the_same_each_time(monkeypatch, draw):
    monkeypatch.setattr(plugins, "_registered", {})

    @datasets.register("mine")
    def mine():
        images, labels = split(60)
        order = draw(60)
        return (images[order[10:]], labels[order[10:]]), (images[order[:10]], labels[order[:10]])

    first, again = datasets.read("mine"), datasets.read("mine")
    assert np.array_equal(first.train.images, again.train.images)
    assert not np.array_equal(first.test.images, split(60)[0][:10])


@pytest.mark.parametrize("moves", ["the images", "a label", "their order"])
def test_what_is_not_the_same_each_time_is_refused(monkeypatch, moves):
    monkeypatch.setattr(plugins, "_registered", {})

    @datasets.register("mine")
    def mine():
        images, labels = split(60)
        own = np.random.default_rng()
        order = own.permutation(60) if moves == "their order" else np.arange(60)
        images[0] = own.integers(0, 256, (1, 4, 4)) if moves == "the images" else 0
        labels[6:12] = own.permutation(6) % 3 if moves == "a label" else 0
        return (images[order], labels[order]), split()

    with pytest.raises(UserError, match="dataset mine returns other data each time; seed what it draws"):
        for _ in range(9):
            datasets.read("mine")


@pytest.mark.filterwarnings("error")
def test_read_only_images_are_used_without_a_warning(register):
    images, labels = split()
    images.flags.writeable = False
    register(((images, labels), (np.broadcast_to(images[:1], (3, 1, 4, 4)), [0, 1, 2])))
    assert len(datasets.load("mine").test.images) == 3


def test_names():
    with pytest.raises(UserError, match="unknown dataset 'cifar'; did you mean cifar10"):
        plugins.check("dataset", "cifar")
    with pytest.raises(UserError, match="digits is a dataset of prunekit's own"):
        datasets.register("digits")


def test_data_are_read_in_a_process_that_lacks_their_source(tmp_path, monkeypatch):
    """As a worker's process lacks what was written in a notebook."""
    (tmp_path / "own_data.py").write_text(
        "import numpy as np\n\n\n"
        "def made():\n"
        "    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.arange(4) % 2\n"
        "    return (images, labels), (images, labels)\n"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packed").write_bytes(plugins.packed([("dataset", "own_data:made")]))
    (tmp_path / "own_data.py").unlink()
    reads = (
        "import pathlib; from prunekit import datasets, plugins; plugins.unpack(pathlib.Path('packed').read_bytes()); "
    )
    reads += "print(len(datasets.read('own_data:made').train.images))"
    done = subprocess.run([sys.executable, "-c", reads], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "4\n", done.stderr
