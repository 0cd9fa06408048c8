"""What trials share, on disk: found again by other processes, made again where it is damaged."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import torch
from test_runner import facts, trial

from prunekit import pruners, training
from prunekit.study import cache, runner
from prunekit.study.artifacts import Artifacts

PRETRAINED = {"pre_epochs": 2, "model": "conv", "width": 0.1}


@pytest.fixture(autouse=True)
def everything_is_worthwhile(monkeypatch):
    monkeypatch.setattr(cache, "WORTHWHILE", 0.0)


def run(folder, **fields):
    """Run a trial as a fresh process does, with nothing but `folder` to share."""
    return runner.run_trial(trial(**PRETRAINED | fields), Artifacts(cache_dir=folder))


def same(one, other):
    return facts(one.model_dump()) == facts(other.model_dump())


def files(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("fields", [{}, {"pruner": "random"}, {"model": "fc"}], ids=str)
def test_what_is_found_is_what_was_made(tmp_path, monkeypatch, fields):
    """Not trained or scored again, the same record as without a cache, and at its first cost."""
    alone = run(None, **fields)
    first = run(tmp_path, **fields)
    assert len(files(tmp_path)) == 2
    epochs = training.epochs

    def after_pruning_only(net, kept, *words, **options):
        assert kept is not None
        return epochs(net, kept, *words, **options)

    monkeypatch.setattr(training, "epochs", after_pruning_only)
    monkeypatch.setattr(pruners, "score", None)
    second = run(tmp_path, **fields)
    other_compression = run(tmp_path, **fields, compression=0.5)
    assert same(alone, first) and same(alone, second)
    for later in (second, other_compression):
        assert later.seconds["pretrain"] == first.seconds["pretrain"]
        assert later.peak_memory["pretrain"] == first.peak_memory["pretrain"]
        assert later.pre_curve == first.pre_curve


def test_what_differs_lies_apart(tmp_path):
    changes = [{}, {"seed": 1}, {"pre_epochs": 1}, {"learning_rate": 0.01}, {"train_subset": 50}, {"width": 0.2}]
    for i, change in enumerate(changes, 1):
        assert same(run(tmp_path, **change), run(None, **change))
        assert len(files(tmp_path)) == 2 * i


@pytest.mark.parametrize("version", ["layout", "torch"])
def test_another_version_is_another_file(tmp_path, monkeypatch, version):
    run(tmp_path)
    if version == "layout":
        monkeypatch.setattr(cache, "_VERSION", 99)
    else:
        monkeypatch.setattr(torch, "__version__", "99")
    assert same(run(tmp_path), run(None))
    assert len(files(tmp_path)) == 4


def pickled(file):
    with np.load(file) as arrays:
        values = dict(arrays)
    np.savez(file, **values | {"about": np.array([{"key": "any"}], dtype=object)})


def renamed(file):
    other = next(path for path in files(file.parent) if path != file)
    file.write_bytes(other.read_bytes())


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_bytes(b"\x80\x04K\x01."),
        flipped,
        pickled,
        renamed,
    ],
    ids=["empty", "cut", "pickle", "flipped", "pickled", "renamed"],
)
def test_a_damaged_file_is_made_again_with_one_line(tmp_path, capsys, damage):
    first = run(tmp_path)
    for file in files(tmp_path):
        whole = file.read_bytes()
        damage(file)
        assert same(run(tmp_path), first)
        (line,) = capsys.readouterr().err.splitlines()
        assert str(file) in line and "is damaged" in line
        assert len(file.read_bytes()) == pytest.approx(len(whole), abs=64)  # its seconds differ
        assert same(run(tmp_path), first)
        assert not capsys.readouterr().err


def test_what_is_made_at_once_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "WORTHWHILE", 60.0)
    run(tmp_path / "cache")
    assert not files(tmp_path / "cache")


def test_a_folder_that_takes_no_file_costs_a_line(tmp_path, capsys):
    (tmp_path / "cache").touch()
    assert same(run(tmp_path / "cache"), run(None))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("going on without" in line for line in lines)


def test_processes_at_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        going = [pool.apply_async(run, (tmp_path,), {"compression": c}) for c in (1.0, 0.5, 1.0, 0.5)]
        records = [result.get(timeout=60) for result in going]
    assert all(same(record, run(None, compression=record.trial.compression)) for record in records)
    assert len(files(tmp_path)) == 2


def test_a_full_cache_forgets_what_was_used_least_lately(tmp_path, monkeypatch):
    """Room for two files: the first was read after the second was made, so the third replaces the second."""

    def once(name, make=lambda: ({"w": torch.ones(100_000)}, [])):
        made, _ = cache.once(tmp_path, name, "cpu", make)
        return made

    once("first")
    (first,) = files(tmp_path)
    monkeypatch.setattr(cache, "LARGEST", 2.5 * first.stat().st_size)
    once("second")
    (second,) = set(files(tmp_path)) - {first}
    for age, file in ((100, first), (50, second)):
        os.utime(file, ns=(0, time.time_ns() - age * 10**9))
    once("first", make=None)
    assert torch.equal(once("third")[0]["w"], torch.ones(100_000))
    assert first in files(tmp_path) and second not in files(tmp_path) and len(files(tmp_path)) == 2
    monkeypatch.setattr(cache, "LARGEST", 0)
    once("fourth")
    assert len(files(tmp_path)) == 1, "what is just made is kept, however large"
