import os
import shutil
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads, which the next test's have no core to wait on

import pytest
import torch
import yaml

from prunekit import cli

ROOT = Path(__file__).parent.parent
REAL_DATA = Path(os.environ.get("PRUNEKIT_DATA") or ROOT.parent / "shared" / "data").resolve()

TINY = {
    "profile": "tiny",
    "seeds": [0],
    "defaults": {
        "dataset": "digits",
        "model": "fc",
        "width": 0.05,
        "pruner": ["synflow", "random"],
        "compression": [0.5, 1.0],
        "train_subset": 100,
        "post_epochs": 1,
        "batch_size": 50,
        "scoring_images_per_class": 1,
    },
    "sections": {
        "comparison": [
            {"dataset": "digits", "model": "fc", "compression": 1.0},
            {"dataset": "digit-pairs", "model": "conv", "compression": 1.0},
        ],
        "sweep": [{}],
        "timing": [{}],
        "flops": [{}],
        "layers": [{"compression": 0.5}],
        "histograms": [{"compression": 0.5}],
        "as_described": [{"compression": 1.0, "pruner": "synflow", "prune_steps": 3}],
        "as_described_flops": [{"compression": 1.0, "pruner": "synflow", "prune_steps": 3}],
    },
}


def tiny_params(seeds=(0,), alone=(), comparison=None, sections=None, **defaults):
    """Return the parameters TINY with some of them changed; without SynFlow there is nothing to prune in steps."""
    changed = TINY["sections"] | ({} if comparison is None else {"comparison": comparison}) | (sections or {})
    if "synflow" not in defaults.get("pruner", ["synflow"]):
        changed = {name: grids for name, grids in changed.items() if not name.startswith("as_described")}
    whole = {
        "seeds": list(seeds),
        "one_at_a_time": list(alone),
        "defaults": TINY["defaults"] | defaults,
        "sections": changed,
    }
    return TINY | whole


TINY_TRIALS = 7  # four of the sweep, of which two are the comparison's digits; two of digit-pairs; SynFlow in steps

LONG = {"prunekit", "installed", "long_profile", "dask", "real_data"}  # fixtures

CAMPAIGN = bool(os.environ.get("PRUNEKIT_CAMPAIGN"))  # whether tests marked slow do all they can, or a slice of it
FIGURES = Counter()  # what these have done, by what it is called


def share(whole, some):
    """Return how much of a kind to try: all of it in a campaign."""
    return whole if CAMPAIGN else some


def pytest_collection_modifyitems(items):
    for item in items:
        if LONG.intersection(item.fixturenames):
            item.add_marker("long")


def pytest_terminal_summary(terminalreporter):
    if CAMPAIGN:
        said = ", ".join(f"{count:,} {what}" for what, count in FIGURES.items())
        terminalreporter.write_line(f"campaign of {date.today()}: {said or 'nothing was tried'}")


@pytest.fixture(autouse=True)
def by_itself(tmp_path, monkeypatch):
    """No test reads or writes the user's cache, runs or data, or leaves its threads to the next.

    Of these it has one: there are as many processes of tests as cores.
    """
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PRUNEKIT_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("PRUNEKIT_DATA", raising=False)


@pytest.fixture
def real_data(tmp_path_factory, monkeypatch):
    """The folder of the real data sets, as PRUNEKIT_DATA names it or beside the checkout, decoded once."""
    missing = [name for name in ("MNIST", "cifar10", "cifar100") if not (REAL_DATA / name).is_dir()]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in {REAL_DATA}: name the folder of the real data with PRUNEKIT_DATA")
    base = tmp_path_factory.getbasetemp()
    of_all = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    monkeypatch.setenv("XDG_CACHE_HOME", str(of_all / "real data"))
    return REAL_DATA


@pytest.fixture
def tiny_profile(tmp_path):
    """A params file whose trials take a second or two in all."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module with pruners of a user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Path(shutil.copy(ROOT / "tests" / "study" / "mine.py", tmp_path))


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder as `prunekit` does, but in this process, which need not start."""

    def call(*words, cwd=tmp_path, env=None):
        words = ["prunekit", *map(str, words)]
        capsys.readouterr()
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
            patch.setattr(cli, "_SIGNALS", [])  # which stay pytest's
            patch.setattr(sys, "argv", words)
            patch.chdir(cwd)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            cli.main()
        return subprocess.CompletedProcess(words, end.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def prunekit(tmp_path):
    """Run the command line in an empty folder, in a process of its own; `env` adds to the environment."""

    def call(*words, cwd=tmp_path, env=None):
        return subprocess.run(
            command(*words), cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=300
        )

    return call


def command(*words):
    return [str(Path(sys.executable).parent / "prunekit"), *map(str, words)]
