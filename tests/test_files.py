"""Files: whole or not at all, what was written or nothing, and no litter."""

import os
import subprocess
import sys

import pytest

from prunekit import files


def test_what_gone_processes_left_is_swept_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [f".a.json.{files.host()}.{os.getpid()}.tmp", f".a.json.elsewhere.{gone.pid}.tmp", "a.json", ".mine.tmp"]
    for name in (*kept, f".a.json.{files.host()}.{gone.pid}.tmp"):
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path, tmp_path / "absent", tmp_path / "a.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)


def test_a_writer_that_stops_leaves_the_old_file(tmp_path):
    def stops(sink):
        sink.write(b"half")
        raise KeyboardInterrupt

    files.replace(tmp_path / "x", b"whole")
    with pytest.raises(KeyboardInterrupt):
        files.replace(tmp_path / "x", stops)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"whole"]
