"""A real scheduler and its workers on this machine: the records of a local run, whatever is lost on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import TINY_TRIALS, command, tiny_params
from test_engine import OFFLINE, results, run, tiny, wait_for, whole_records

from prunekit.study import cluster

distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'prunekit[cluster]'")


@pytest.fixture
def dask(tmp_path):
    """Start the dask command with `words` in an empty folder of its own; all that was started is killed in the end."""
    started = []

    def start(*words, env=None):
        folder = tmp_path / f"dask{len(started)}"
        folder.mkdir()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / "dask"), *map(str, words)],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(tmp_path, dask):
    """The file of a scheduler that has no workers yet."""
    file = tmp_path / "scheduler.json"
    dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file)
    wait_for(file.exists)
    return file


OWN = {"pruner": ["synflow", "mine:steep"], "dataset": ["mine:bright"], "model": "mine:around"}
OWN |= {"seeds": [0, 1], "post_epochs": 2, "train_subset": None}


def worker(dask, scheduler, *more, **options):
    words = ("--host", "127.0.0.1", "--nthreads", 1, "--no-dashboard", "--scheduler-file", scheduler)
    return dask("worker", "--no-nanny", *words, *more, **options)


def test_records_are_those_of_a_local_run_though_a_worker_is_killed(tmp_path, dask, scheduler, mine):
    """Two workers of one thread, as two local processes on two cores; no folder is shared, and no module of ours."""
    pool = [worker(dask, scheduler) for _ in range(2)]
    there, here = tiny(tmp_path / "there", **OWN), tiny(tmp_path / "here", **OWN)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(**OWN)))
    process = subprocess.Popen(
        command("run", tmp_path / "params.yaml", "--cluster", scheduler, "--runs-dir", tmp_path / "there"),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: any((tmp_path / "there").glob("*.json")))
    pool[0].send_signal(signal.SIGKILL)
    _, printed = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    assert run(here, workers=os.cpu_count()) == {}
    assert results(there) == results(here) and len(results(there)) == len(there.trials)
    assert {record.where["threads"] for record in there.store.load(there.trials).values()} == {1}


def test_gpu_trials_go_where_a_gpu_is_offered(dask, scheduler):
    """And trials for CPUs anywhere; no GPU is needed to offer one."""

    def slow_pid():  # not of a module: workers have none of ours
        time.sleep(0.2)
        return os.getpid()

    offering, other = worker(dask, scheduler, "--resources", "GPU=1"), worker(dask, scheduler)
    with distributed.Client(scheduler_file=scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    for device, expected in (("auto", {offering.pid}), ("cuda", {offering.pid}), ("cpu", {offering.pid, other.pid})):
        with cluster.connect(str(scheduler), device) as (executor, workers):
            assert workers == 2
            assert {future.result() for future in [executor.submit(slow_pid) for _ in range(8)]} == expected


@pytest.fixture
def on_cluster(called):
    """Run trials through the command line in this process, so that constants can be changed; status and words."""

    def call(*words):
        done = called("run", *words)
        return done.returncode, done.stderr

    return call


def last_line(printed):
    return [line for line in printed.splitlines() if line.startswith("prunekit: ")][-1]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:9", "--cluster tcp://127.0.0.1:9: no dask scheduler answers ("),
        ("htp://127.0.0.1:9", "--cluster htp://127.0.0.1:9: no dask scheduler answers ("),
        ("nowhere.json", "--cluster nowhere.json: no such scheduler file; write tcp://HOST:8786 for an address"),
    ],
)
def test_no_scheduler_is_one_line(monkeypatch, on_cluster, tiny_profile, address, words):
    monkeypatch.setattr(cluster, "_CONNECT", 1)
    status, printed = on_cluster(tiny_profile, "--cluster", address)
    assert status == 2 and words in last_line(printed) and "Traceback" not in printed


def test_a_damaged_scheduler_file_is_one_line(monkeypatch, on_cluster, tmp_path, tiny_profile):
    (tmp_path / "s.json").write_text("{")
    status, printed = on_cluster(tiny_profile, "--cluster", tmp_path / "s.json")
    assert status == 2 and "s.json is not a dask scheduler's file" in last_line(printed)


def test_without_the_extra_it_is_named(monkeypatch, on_cluster, tiny_profile):
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, printed = on_cluster(tiny_profile, "--cluster", "tcp://127.0.0.1:9")
    assert status == 2 and "install the extra: pip install 'prunekit[cluster]'" in last_line(printed)


def test_workers_are_not_asked_for_here_and_there(on_cluster, tiny_profile):
    words = ("--cluster", "tcp://127.0.0.1:9", "--workers", 2)
    status, printed = on_cluster(tiny_profile, *words)
    assert status == 2 and "start as many dask workers as are wanted" in last_line(printed)


def test_scheduler_without_workers_is_said_and_waited_for(monkeypatch, on_cluster, tiny_profile, scheduler):
    monkeypatch.setattr(cluster, "_JOIN", 1)
    status, printed = on_cluster(tiny_profile, "--cluster", scheduler)
    assert status == 2
    assert f"prunekit: no workers at {scheduler} yet; waiting 1 s for one" in printed
    assert f"no worker joined {scheduler} in 1 s" in last_line(printed)


def test_what_workers_lack_is_one_line(monkeypatch, on_cluster, tmp_path, dask, scheduler, tiny_profile):
    """Another version of prunekit, which stops the run before it begins; data, which fails their trials alone."""
    worker(dask, scheduler, env={**OFFLINE, "PRUNEKIT_DATA": str(tmp_path)})
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "__version__", "9.9")
        status, printed = on_cluster(tiny_profile, "--cluster", scheduler)
    assert status == 2 and "has prunekit 0.1.0, not 9.9; install that on it and run again" in last_line(printed)
    words = ("--set", "sections.comparison=[{dataset: mnist, compression: 1.0}]", "--cluster", scheduler)
    status, printed = on_cluster(tiny_profile, *words)
    (failure,) = [line for line in printed.splitlines() if line.startswith("prunekit: failed: ")]
    assert status == 1 and "2 trials (first: mnist/fc" in failure and "mnist is not at hand" in failure
    statuses = [record["status"] for record in whole_records(tmp_path / "runs").values()]
    assert sorted(statuses) == ["failed"] * 2 + ["ok"] * 5


def test_interrupted_run_keeps_what_was_done(tmp_path, dask, scheduler, tiny_profile):
    worker(dask, scheduler)
    sets = ("--set", "seeds=[0, 1, 2]", "--set", "defaults.post_epochs=20")
    process = subprocess.Popen(
        command("run", tiny_profile, "--cluster", scheduler, *sets),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: any((tmp_path / "runs").glob("*.json")))
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert printed.rstrip().endswith("prunekit: interrupted; run the same command again to go on"), printed
    assert "Traceback" not in printed
    kept = whole_records(tmp_path / "runs")
    time.sleep(2)
    assert 0 < len(kept) < 3 * TINY_TRIALS and whole_records(tmp_path / "runs") == kept
    assert {record["status"] for record in kept.values()} == {"ok"}


@pytest.mark.parametrize("maximum", [1, 2])
def test_an_adaptive_cluster_without_workers_is_asked_for_one(maximum):
    options = {"n_workers": 0, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as adaptive:
        adaptive.adapt(minimum=0, maximum=maximum, interval="100 ms", wait_count=1000)
        with cluster.connect(adaptive.scheduler_address, "cpu") as (executor, workers):
            assert workers >= 1 and executor.submit(pow, 2, 5).result(timeout=30) == 32
