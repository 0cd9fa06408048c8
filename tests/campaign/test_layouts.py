"""Each file of a dataset damaged in each way: one line that names where, and nothing else."""

import shutil

import pytest
from conftest import FIGURES, share
from test_datasets import complaint, no_network, write_idx, write_snapshot  # noqa: F401 (a fixture)

from prunekit import datasets
from prunekit.datasets import sources
from prunekit.names import DATASETS


def link_to_nothing(file):
    file.unlink()
    file.symlink_to("../blobs/absent")


def link_to_itself(file):
    file.unlink()
    file.symlink_to(file.name)


def folder(file):
    file.unlink()
    file.mkdir()


def ends_flipped(file):
    """Both: of a parquet file the foot alone tells what is in it, of MNIST's the head."""
    first, *rest, last = file.read_bytes()
    file.write_bytes(bytes([first ^ 255, *rest, last ^ 255]))


DAMAGES = {
    "deleted": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "cut by a byte": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "a page": lambda file: file.write_bytes(b"<html>sign in</html>"),
    "a pointer": lambda file: file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "a link to nothing": link_to_nothing,
    "a link to itself": link_to_itself,
    "a folder": folder,
    "its ends": ends_flipped,
}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    root = tmp_path_factory.mktemp("layouts")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mnist", "cifar10", "cifar100"):
            counts = {"train_counts": (20,) * 10, "test_counts": (10,) * 10} if name == "mnist" else {}
            patch.setitem(DATASETS, name, DATASETS[name]._replace(train=200, test=100, **counts))
        write_snapshot(root / "a", "cifar10", train=200, test=100)
        write_snapshot(root / "b", "cifar100", train=200, test=100)
        write_idx(root / "c", train=200, test=100)
        yield {"cifar10": root / "a", "cifar100": root / "b", "mnist": root / "c"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_damaged_layouts(layouts, tmp_path, name):
    assert len(datasets.read(name, layouts[name]).train.images) == 200
    cases = [(file, damage) for file in sources.files(name, layouts[name]) for damage in DAMAGES]
    for i, (file, damage) in enumerate(cases[:: share(1, 5)]):
        root = tmp_path / str(i)
        shutil.copytree(layouts[name], root)
        DAMAGES[damage](root / file.relative_to(layouts[name]))
        assert complaint(name, root).isprintable(), damage
        FIGURES["damaged layouts"] += 1
