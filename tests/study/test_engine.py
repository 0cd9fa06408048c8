"""Running trials: the same anywhere, and a failure or a killed process costs no more than it must."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from conftest import FIGURES, TINY_TRIALS, command, share, tiny_params
from deadly import deadly

from prunekit import plugins
from prunekit.errors import UserError
from prunekit.study import engine, machine, runner
from prunekit.study.params import Params, load_params
from prunekit.study.store import Store
from prunekit.study.study import Study
from prunekit.study.trial import failed
from prunekit.study.work_units import grouped, size

KILLS, LATEST = share((100, 10), (1, 2))  # of a run, at random moments, so many seconds after it began at most
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


def tiny(runs=None, **changes):
    return Study(Params.model_validate(tiny_params(**changes)), runs)


def run(study_, **options):
    """Run what is missing; return the labels of the trials and their errors."""
    return engine.run(study_.trials.values(), study_.store, **{"device": "cpu", "workers": 1} | options)


def results(study_):
    """Return what must not depend on where and when a trial ran."""
    varying = {"where", "finished", "seconds", "peak_memory", "latency"}
    records = study_.store.load(study_.trials)
    rows = {id_: record.model_dump(exclude=varying) for id_, record in records.items()}
    for row in rows.values():
        for epoch in (*row["pre_curve"], *row["curve"]):
            del epoch["train_seconds"], epoch["test_seconds"]
    return rows


@pytest.mark.long
def test_workers_find_what_one_process_finds(tmp_path):
    here, spread = tiny(tmp_path / "here"), tiny(tmp_path / "sd")
    assert run(here) == {} and run(spread, workers=2) == {}
    assert len(results(here)) == TINY_TRIALS
    assert {row["status"] for row in results(here).values()} == {"ok"}
    ours, theirs = results(here), results(spread)
    assert ours == {id_: approximately(row) for id_, row in theirs.items()}
    (record, *_) = here.store.load(here.trials).values()
    assert record.where["device"] == "cpu" and record.where["workers"] == 1
    # Threads depend on the workers asked for: one trial that is left runs as it did among all, to the last bit.
    (spread.store.folder / f"{record.id}.json").unlink()
    assert run(spread, workers=2) == {} and results(spread) == theirs


def test_few_trials_get_all_cores(tmp_path, monkeypatch):
    """Those that share network and scores are one group: a second process would only take a core."""
    monkeypatch.setattr(machine, "cores", lambda: 2)
    study_ = tiny(tmp_path)
    together = max(grouped(study_.trials.values()), key=len)
    assert len(together) > 1 and len(grouped(together)) == 1
    assert engine.run(together, study_.store, device="cpu") == {}
    assert {record.where["workers"] for record in study_.store.load(study_.trials).values()} == {1}
    assert {record.where["threads"] for record in study_.store.load(study_.trials).values()} == {2}


@pytest.mark.long
def test_timed_trials_come_last_one_at_a_time_in_random_order(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    changes = {"model": "conv", "width": 0.02, "compression": [0.2, 0.5, 1.0, 2.0], "seeds": [0, 1]}
    study_ = tiny(tmp_path / "runs", alone=["timing"], **changes)
    assert run(study_, workers=2, alone=study_.alone) == {}
    records = study_.store.load(study_.trials)
    made = [record.trial for record in sorted(records.values(), key=lambda record: record.finished)]
    timed = [trial for trial in made if trial.id in study_.alone]
    assert len(timed) == len(study_.alone) == 16 and made[-16:] == timed
    for id_, record in records.items():
        alone = id_ in study_.alone
        assert (record.alone, record.where["threads"]) == (alone, 2 if alone else 1), record.where
        assert record.latency > 0
    seeds = [trial.seed for trial in timed]
    assert seeds in ([0] * 8 + [1] * 8, [1] * 8 + [0] * 8), "those that share images, in a row"
    in_order = [trial.id for trial in study_.sections["sweep"]]
    assert [trial.id for trial in timed] != in_order, "one in 8!^2 runs would have it so by chance"


def test_trials_of_lower_rank_begin_first(tmp_path, monkeypatch):
    """Of like rank the longest in several processes; those alike begin elsewhere in each run."""
    study_ = tiny(tmp_path / "runs", model="conv", seeds=[2, 0, 1], pruner=["synflow", "random", "snip"])
    groups, ranks = grouped(study_.trials.values()), study_.ranks

    def rank(group):
        return min(ranks[trial.id] for trial in group)

    expected = sorted(map(rank, groups))
    assert len(set(expected)) > 3
    places = [(rank(group), -size(group)) for group in engine.in_order(groups, ranks, longest_first=True)]
    assert places == sorted(places) and [place for place, _ in places] == expected
    firsts = {engine.in_order(groups, ranks, longest_first=False)[0] for _ in range(50)}
    assert len(firsts) > 1 and {rank(group) for group in firsts} == {0}
    asked = []
    monkeypatch.setattr(engine, "records", lambda group, place: asked.append(group) or iter(()))
    run(study_, workers=1, ranks=ranks)
    assert list(map(rank, asked)) == expected


def approximately(row):
    """Sums over more threads come in another order; all else is equal."""
    close = {"train_loss", "test_loss"}
    curve = [{k: pytest.approx(v, rel=1e-4) if k in close else v for k, v in epoch.items()} for epoch in row["curve"]]
    signals = {key: pytest.approx(row[key], rel=1e-4) for key in ("signal", "dense_signal")}
    return row | {"curve": curve} | signals


def test_nothing_to_run_is_nothing_done(tmp_path):
    assert engine.run([], Store(tmp_path / "none")) == {}
    assert not (tmp_path / "none").exists()


def test_trial_that_fails_costs_itself_and_is_run_again(tmp_path):
    wild = {"dataset": "digits", "model": "conv", "compression": 1.0, "learning_rate": 1e30}
    half = tiny(comparison=[wild], pruner=["random"])
    for _ in range(2):
        errors = run(half)
        assert [trial.model for trial in errors] == ["conv"], "the second time it alone is run again"
        (error,) = errors.values()
        assert ("\n" not in error and "nan" in error.lower()) or "finite" in error, error
        records = half.store.load(half.trials)
        assert sorted(record.status for record in records.values()) == ["failed", "ok", "ok"]
        assert error in {record.error for record in records.values()}


def test_any_exception_is_one_line_with_its_place(monkeypatch):
    def broken(*_, **__):
        raise KeyError("two\nlines")

    one = tiny(
        comparison=[{"dataset": "digits", "model": "fc", "compression": 1.0}], pruner=["random"], compression=[1.0]
    )
    monkeypatch.setattr("prunekit.study.runner.run_and_keep", broken)
    (error, *_) = run(one).values()
    assert error.startswith("KeyError: ") and "\n" not in error and "test_engine.py:" in error


def test_a_trial_without_memory_of_its_own_fails_alone(tmp_path, monkeypatch):
    def none(trial, *words):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(runner, "run_and_keep", none)
    study_ = tiny(tmp_path / "runs")
    assert set(run(study_).values()) == {f"OutOfMemoryError: CUDA out of memory (test_engine.py:{place(none)})"}


def place(function):
    return function.__code__.co_firstlineno + 1


def test_without_memory_fewer_processes_run(tmp_path, monkeypatch, capsys):
    """As on a GPU that holds one process and not two."""

    def starved(groups, place, store):
        assert place.workers == 2
        for group in groups:
            yield from (failed(one, "OutOfMemoryError: CUDA out of memory", {}) for one in group)

    monkeypatch.setattr(engine, "_in_processes", starved)
    study_ = tiny(tmp_path / "runs")
    assert run(study_, workers=2) == {}
    assert {record.where["workers"] for record in study_.store.load(study_.trials).values()} == {1}
    assert "prunekit: no room for 2 trials at once; going on with 1" in capsys.readouterr().err


def test_only_the_group_that_kills_its_process_twice_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "work", deadly)
    study_ = tiny(
        tmp_path / "runs", model="conv", comparison=[{"dataset": "digit-pairs", "model": "conv", "compression": 1.0}]
    )
    errors = run(study_, workers=2)
    assert {trial.pruner for trial in errors} == {"random"}
    (line,) = set(errors.values())
    assert line.startswith("the process of these trials was killed twice, perhaps for want of memory")
    records = study_.store.load(study_.trials).values()
    assert {(record.trial.pruner, record.status) for record in records} == {("random", "failed"), ("synflow", "ok")}
    assert len(records) == len(study_.trials)


def test_a_record_that_has_appeared_meanwhile_is_not_made_again(tmp_path, monkeypatch):
    """Another run in the folder does all the rest while this one is at its first trials."""
    study_, made = tiny(tmp_path / "runs"), []
    run_and_keep = runner.run_and_keep

    def counted(trial, *words):
        made.append(trial)
        if len(made) == 1:
            assert run(study_) == {}
        return run_and_keep(trial, *words)

    monkeypatch.setattr(runner, "run_and_keep", counted)
    assert run(study_) == {}
    assert len(made) == TINY_TRIALS + 1


def test_unavailable_dataset_fails_its_trials_alone(tmp_path, monkeypatch):
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    half = tiny(comparison=[{"dataset": "mnist", "model": "fc", "compression": 1.0}])
    errors = run(half, data_dir=tmp_path / "nothing")
    assert {trial.dataset for trial in errors} == {"mnist"} and len(errors) == 2
    statuses = {(r.trial.dataset, r.status) for r in half.store.load(half.trials).values()}
    assert statuses == {("digits", "ok"), ("mnist", "failed")}
    (line,) = engine.lines(errors)
    assert line.startswith("2 trials (first: mnist/fc synflow c=1 seed=0): mnist is not at hand")


def test_errors_are_grouped():
    one, two, three, *_ = tiny().trials.values()
    assert list(engine.lines({one: "no memory", two: "no data", three: "no memory"})) == [
        f"2 trials (first: {one.label}): no memory",
        f"{two.label}: no data",
    ]


@pytest.mark.parametrize(
    "device", ["gpu", "cuda:99", "", "cpu:99", "meta", "hpu", "xla", "mps:0", "CPU", "cpu\n", "x" * 999]
)
def test_unknown_device_is_one_line(device):
    with pytest.raises(UserError, match=r"--device .* is not here; choose from auto, cpu") as error:
        run(tiny(), device=device)
    assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_record_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    errors = run(tiny(tmp_path / "file"))
    assert len(errors) == TINY_TRIALS
    (line,) = engine.lines(errors)
    assert "cannot be written" in line and str(tmp_path / "file") in line


# Killed in mid-run: the real command line, two dozen trials of about a second


@pytest.fixture
def long_profile(tmp_path, tiny_profile):
    """A study that takes some seconds once its processes have started, which is long enough to be killed."""
    longer = {"seeds": range(share(103, 8)), "batch_size": 20} | share({"post_epochs": 2, "train_subset": 1000}, {})
    file = tmp_path / "long.yaml"
    file.write_text(json.dumps(tiny_params(**longer)))
    return file


def heed():
    """Ignore no signal: a shell has what it runs aside ignore Ctrl-C, nohup hangups."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start(profile, workers=2, **options):
    return subprocess.Popen(
        command("run", profile, "--workers", workers, "--device", "cpu"),
        cwd=profile.parent,
        stderr=subprocess.PIPE,
        text=True,
        **options,
        preexec_fn=heed,
    )


def children(pid):
    """Return the processes that `pid` started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, read(task).split()):
            found += [child, *children(child)]
    return found


def read(file):
    """Return what a file of /proc says; nothing, of a process that has just ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def workers(pid):
    return [child for child in children(pid) if b"popen_loky" in read(Path(f"/proc/{child}/cmdline"))]


def wait_for(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return value


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def whole_records(runs):
    """Return the contents of the records by name; each is whole, and nothing lies there but what a kill cut short."""
    files = list(runs.iterdir()) if runs.is_dir() else []
    assert {file.suffix for file in files} <= {".json", ".tmp"}
    return {file.name: json.loads(file.read_bytes()) for file in files if file.suffix == ".json"}


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the worker processes in /proc")


def trials_of(file):
    return Study(load_params(str(file))).trials


def kill_at(moments, process, worker_first):
    """Kill a run at a random moment, if `worker_first` one of its workers before; return whether it ran yet."""
    wait_for(lambda: process.poll() is not None or len(workers(process.pid)) == 2)
    time.sleep(moments.uniform(0, LATEST))
    pool = workers(process.pid)
    if worker_first and pool:
        os.kill(moments.choice(pool), signal.SIGKILL)
        time.sleep(moments.uniform(0, LATEST))
        pool += workers(process.pid)
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(alive, pool)), seconds=10)
    return process.returncode == -signal.SIGKILL


@needs_proc
@pytest.mark.slow
def test_kills_at_random_moments_change_no_result(tmp_path, long_profile):
    """Of the run and of its workers, in turn; each time it goes on, and what was done is left as it was.

    One run is killed so, a hundred in a campaign.
    """
    runs, moments = tmp_path / "runs", random.Random(1)
    killed = 0
    for kill in range(share(150, 1)):
        if killed == KILLS:
            break
        before = whole_records(runs)
        killed += kill_at(moments, start(long_profile), kill % 2 == 0)
        assert before.items() <= whole_records(runs).items()
    assert killed
    FIGURES["kills survived"] += killed
    last = start(long_profile)  # a worker that is killed costs it nothing
    wait_for(lambda: last.poll() is not None or len(workers(last.pid)) == 2)
    time.sleep(moments.uniform(0, LATEST))
    for worker in workers(last.pid)[:1]:  # none, if the runs before have come to the end on a busy machine
        os.kill(worker, signal.SIGKILL)
    _, printed = last.communicate(timeout=300)
    assert last.returncode == 0 and "Traceback" not in printed, printed
    params = load_params(str(long_profile))
    disturbed, undisturbed = (Study(params, folder) for folder in (runs, tmp_path / "other"))
    assert run(undisturbed, workers=2) == {}  # of as many threads each, which round alike
    ours, theirs = results(disturbed), results(undisturbed)
    assert len(ours) == len(trials_of(long_profile)) and ours == theirs


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "status", "early"),
    [
        pytest.param([signal.SIGINT, signal.SIGINT], 130, False, id="Ctrl-C twice"),
        pytest.param([signal.SIGHUP, signal.SIGTERM], 129, True, id="hangup"),
        *share([pytest.param([signal.SIGINT], 130, True, id="Ctrl-C")], []),
        *share([pytest.param([signal.SIGTERM], 143, False, id="end")], []),
    ],
)
def test_signals_end_a_run_in_one_line(tmp_path, long_profile, signals, status, early):
    """Sent to all its processes, as a terminal does: when workers have just been started, and when they have worked."""
    runs = tmp_path / "runs"
    run = start(long_profile, start_new_session=True)
    wait_for(lambda: workers(run.pid) if early else any(runs.glob("*.json")))
    family = children(run.pid)
    for number in signals:
        os.killpg(run.pid, number)
        time.sleep(0.05)
    _, printed = run.communicate(timeout=60)
    *progress, line = printed.splitlines()
    assert run.returncode == status
    assert line == "prunekit: interrupted; run the same command again to go on"
    assert all(re.match(r"\[\d+/\d+\] .*: done|prunekit: \d+ trials", other) for other in progress), printed
    wait_for(lambda: not any(map(alive, family)), seconds=10)
    assert whole_records(runs) or early
    assert not list(runs.glob(".*.tmp"))


def test_two_runs_at_once_in_one_folder(tmp_path, long_profile, called):
    """One of them in this process, which begins when the other has."""
    other = start(long_profile, workers=1)
    wait_for(lambda: any((tmp_path / "runs").glob("*.json")))
    ours = called("run", long_profile, "--workers", 1, "--device", "cpu")
    _, printed = other.communicate(timeout=300)
    assert (ours.returncode, other.returncode) == (0, 0), ours.stderr + printed
    assert len(whole_records(tmp_path / "runs")) == len(trials_of(long_profile))


def test_what_users_bring_runs_in_workers_and_again_only_when_edited(tmp_path, mine, prunekit):
    own = {"pruner": ["random", "mine:steep"], "dataset": "mine:bright", "model": "mine:around", "train_subset": None}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(tiny_params(**own)))
    what = (tmp_path / "own.yaml", "--runs-dir", "runs")
    first = prunekit("run", *what, "--workers", 2)
    assert first.returncode == 0 and "8 trials, 0 done, 8 to run" in first.stderr, first.stderr
    before = whole_records(tmp_path / "runs")
    mine.write_text(mine.read_text().replace("POWER = 2", "POWER = 3"))
    second = prunekit("run", *what, "--workers", 1)
    assert second.returncode == 0 and "8 trials, 4 done, 4 to run" in second.stderr, second.stderr
    after = whole_records(tmp_path / "runs")
    assert before.items() < after.items() and len(after) == 12
    mine.write_text(mine.read_text().replace("POWER = 3", "POWER = 2"))
    assert "8 done, 0 missing" in prunekit("status", *what).stdout, "what was is known again"
    for old, new in (("range(count) ", "range(count)[::1] "), ("F.relu(", "F.silu(")):
        mine.write_text(mine.read_text().replace(old, new))
        assert "4 done, 4 missing" in prunekit("status", *what).stdout, "all with that data, or that network"


def test_what_fails_of_a_users_own_costs_its_own_trials(tmp_path, mine):
    study_ = tiny(tmp_path / "runs", pruner=["random", "mine:failing"], dataset=["digits", "mine:floats"])
    failures = sorted(engine.lines(run(study_)), key=len)
    assert failures[0].endswith("): pruner mine:failing raised KeyError: 'conv7'")
    assert failures[1].endswith("): dataset mine:floats: the training images are float64; they must be uint8, 0 to 255")
    assert failures[1].startswith("4 trials (first: mine:floats/fc ") and len(failures) == 2
    good = study_.store.good(study_.trials).values()
    assert len(good) == 3 and {record.trial.pruner for record in good} == {"random"}


def test_a_pruner_edited_after_its_trials_were_made_runs_under_no_old_name(tmp_path, mine, monkeypatch):
    study_ = tiny(tmp_path / "runs", pruner=["mine:steep"])
    assert {trial.pruner_source for trial in study_.trials.values()} == {plugins.digest("pruner", "mine:steep")}
    monkeypatch.setattr(sys.modules["mine"], "POWER", 3)
    with pytest.raises(UserError, match="mine:steep was edited after its trials were made"):
        run(study_)
    assert not (tmp_path / "runs").exists()


def test_a_record_of_a_users_pruner_is_read_without_the_pruner(tmp_path, mine):
    study_ = tiny(tmp_path / "runs", pruner=["mine:steep"])
    trial = next(iter(study_.trials.values()))
    study_.store.save(failed(trial, "nothing", {}))
    sealed = (study_.store.folder / f"{trial.id}.json").read_text()
    code = (
        f"import sys; from prunekit.study.store import Store; print(*Store('runs').load(['{trial.id}'])); "
        "assert not {'mine', 'torch'} & sys.modules.keys()"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.strip() == trial.id, result.stderr
    bare = sealed.replace(trial.pruner_source, "")
    (study_.store.folder / f"{trial.id}.json").write_text(bare)
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stdout.strip() and "lacks the source" in result.stderr
