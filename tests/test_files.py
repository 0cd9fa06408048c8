"""Files: whole or not at all, what was written or nothing, and no litter."""

import os
import subprocess
import sys

import numpy as np
import pytest

from prunekit import files

ARRAYS = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "of text": np.array("é"), "none": np.zeros((0, 4))}


def test_arrays_come_back(tmp_path):
    files.save_arrays(tmp_path / "x.npz", ARRAYS)
    found = files.load_arrays(tmp_path / "x.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)
    assert files.load_arrays(tmp_path / "y.npz") is None


@pytest.mark.parametrize(
    "other",
    [
        ARRAYS | {"a": ARRAYS["a"] + 1},
        ARRAYS | {"a": ARRAYS["a"].astype(np.int32)},
        {"b": ARRAYS["a"]},
        ARRAYS | {"b": 1},
    ],
    ids=["value", "kind", "name", "one more"],
)
def test_other_arrays_than_were_written_are_refused(tmp_path, other):
    files.save_arrays(tmp_path / "x.npz", ARRAYS)
    with np.load(tmp_path / "x.npz") as stored:
        digest = stored["checksum"]
    np.savez(tmp_path / "x.npz", **other | {"checksum": digest})
    with pytest.raises(ValueError, match="its checksum does not fit"):
        files.load_arrays(tmp_path / "x.npz")


def test_files_of_another_kind_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["a"])
    np.savez(tmp_path / "y.npz", **ARRAYS)
    for file in ("x.npy", "y.npz"):
        with pytest.raises(ValueError):
            files.load_arrays(tmp_path / file)


def test_what_gone_processes_left_is_swept_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [f".a.json.{files._HOST}.{os.getpid()}.tmp", f".a.json.elsewhere.{gone.pid}.tmp", "a.json", ".mine.tmp"]
    for name in (*kept, f".a.json.{files._HOST}.{gone.pid}.tmp"):
        (tmp_path / name).touch()
    files.sweep(tmp_path, tmp_path / "absent", tmp_path / "a.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)


def test_a_writer_that_stops_leaves_the_old_file(tmp_path):
    def stops(sink):
        sink.write(b"half")
        raise KeyboardInterrupt

    files.replace(tmp_path / "x", b"whole")
    with pytest.raises(KeyboardInterrupt):
        files.replace(tmp_path / "x", stops)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"whole"]
