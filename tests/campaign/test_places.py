"""Disks without space, homes that cannot be written to."""

import subprocess

import pytest
from conftest import TINY_TRIALS, share


@pytest.fixture
def disk(tmp_path):
    """Return what mounts a small disk of its own."""
    mounted = []

    def mount(options):
        folder = tmp_path / "disk"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(words, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("no mount here")
        if done.returncode:
            pytest.skip(f"no small disk can be mounted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_from_the_start(called, tiny_profile, disk):
    result = called("run", tiny_profile, "--runs-dir", disk("size=512k") / "runs")
    assert result.returncode == 2
    assert result.stderr.endswith("cannot be written to (No space left on device); free space\n")


def test_a_disk_that_is_full_on_the_way(called, tiny_profile, disk):
    """It has room for a folder and two files at a time; what the last line says was written is there."""
    runs = disk("size=8m,nr_inodes=6") / "runs"
    result = called("run", tiny_profile, "--runs-dir", runs, "--workers", 1)
    written = len(list(runs.glob("*.json")))
    assert result.returncode == 1 and 0 < written < TINY_TRIALS, result.stderr
    assert "(No space left on device); free space, then run again" in result.stderr
    assert result.stderr.endswith(f"prunekit: {written} of {TINY_TRIALS} trials in {runs}\n")
    assert "Traceback" not in result.stderr and not list(runs.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("home", share(["/proc", "/nowhere/at/all"], ["/nowhere/at/all"]))
def test_a_home_that_cannot_be_written_to(prunekit, tiny_profile, home):
    result = prunekit("run", tiny_profile, "--workers", 1, env={"HOME": home, "XDG_CACHE_HOME": ""})
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"prunekit: {TINY_TRIALS} trials in ")
