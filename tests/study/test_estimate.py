"""How long what is missing takes, by hand."""

from datetime import UTC, datetime

import pytest
from conftest import TINY, tiny_params

from prunekit.study import estimate, store
from prunekit.study import study as studies
from prunekit.study.params import Params
from prunekit.study.study import Study
from prunekit.study.trial import Record, Trial

SECONDS = {"score": 4.0, "train": 3.0}


def make(**changes):
    return Study(Params.model_validate(tiny_params(**changes)))


def ok(trial, **values):
    return Record(id=trial.id, trial=trial, status="ok", finished=datetime.now(UTC), **values)


def gpu(trial, **values):
    return ok(trial, seconds={"train": 60.0}, where={"workers": 6, "gpu": "H100"}, peak_memory={"train": 2}, **values)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setattr(estimate, "machine_device", lambda: "cpu")
    for module in (estimate, studies):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    return make(seeds=[0, 1], sections={name: [] for name in TINY["sections"] if name != "sweep"})


def test_time_left_is_that_of_like_trials(tiny):
    """Two compressions share scores of 4 s; each trains for 3 s beside another trial: (4 / 2 + 3) / 2 = 2.5 s."""
    assert estimate.time_left(tiny) is None, "nothing was measured"
    for trial in tiny.sections["sweep"]:
        if (trial.seed, trial.pruner) == (0, "synflow"):
            where = {"workers": 2, "cpu": "A", "cores": 2}
            tiny.store.save(ok(trial, seconds=SECONDS, where=where, peak_memory={"score": 5, "train": 7}))
    left = estimate.time_left(tiny)
    assert left == (pytest.approx(6 * 2.5), "A, 2 cores", 7, 1 / 3), "those of random take as long as all did"
    random = next(trial for trial in tiny.trials.values() if trial.pruner == "random")
    tiny.store.save(ok(random, seconds={"train": 20.0}, where={"workers": 1, "cpu": "A", "cores": 2}))
    assert estimate.time_left(tiny).seconds == pytest.approx(2 * 2.5 + 3 * 20)
    assert estimate.time_left(tiny, "cuda") is None, "no GPU has been seen"
    missing = [trial for trial in tiny.trials.values() if trial.seed == 1 and trial.pruner == "synflow"]
    like = estimate.time_left(tiny, among={missing[0].id})
    assert like.seconds == pytest.approx(2.5) and like.like == 1
    assert estimate.time_left(tiny, among={random.id}) is None, "it is done"
    for trial in tiny.trials.values():
        tiny.store.save(ok(trial, seconds=SECONDS))
    assert estimate.time_left(tiny) is None, "nothing is left"


def test_a_gpu_is_told_by_records_of_gpus_whatever_the_networks_size(tiny, tmp_path):
    """Published with another profile: VGG16 in batches of 256 takes 60 s, six at once; here are 8 in batches of 50."""
    other = Trial(dataset="digits", model="vgg16", pruner="random", compression=1.0, post_epochs=1, train_subset=100)
    cpu = ok(
        Trial(dataset="digits", model="vgg16", pruner="snip", compression=1.0), seconds=SECONDS, where={"cpu": "A"}
    )
    store.publish([gpu(other), cpu], tmp_path / "reports" / "other" / "trials.parquet")
    left = estimate.time_left(tiny, "cuda:1")
    assert left == (pytest.approx(8 * 10 * 256 / 50), "H100", 2, 0) and left.time == "7 minutes"
    assert estimate.time_left(tiny, "cpu").machines == "A, None cores"
    assert estimate.time_left(tiny) == estimate.time_left(tiny, "cpu"), "this machine has no GPU"
    store.publish([gpu(trial) for trial in tiny.trials.values()][:4], tiny.committed_file)
    assert estimate.time_left(tiny).machines == "A, None cores", "an H100 tells nothing of it, whatever the profile"


def test_a_trial_that_runs_alone_takes_a_gpu_to_itself(tiny):
    one, two, *_ = tiny.sections["sweep"]
    for trial in (one, two):
        tiny.store.save(gpu(trial))
    shared = estimate.time_left(tiny, "cuda").seconds
    alone = Study(tiny.params.model_copy(update={"one_at_a_time": ["sweep"]}), tiny.store.folder)
    assert estimate.time_left(alone, "cuda").seconds == pytest.approx(2 * shared)
