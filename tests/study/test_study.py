"""Trials and their records: which count, which lack, and the tidy frames made of them."""

import math
from datetime import UTC, datetime

import pytest
from conftest import ROOT, TINY, tiny_params

from prunekit.study import store
from prunekit.study import study as studies
from prunekit.study.params import Params
from prunekit.study.study import Study, learned
from prunekit.study.trial import HISTOGRAM_CENTRES, Layer, Record, failed


def make(**changes):
    return Study(Params.model_validate(tiny_params(**changes)))


def ok(trial, **values):
    return Record(id=trial.id, trial=trial, status="ok", finished=datetime.now(UTC), **values)


def layer(name, total, kept, histogram=None):
    counts = histogram or [0] * len(HISTOGRAM_CENTRES)
    base = {"effective": kept, "channels": 2, "dead_channels": 1, "flops": 9 * total, "flops_kept": 9 * kept}
    return Layer(name=f"{name}.weight", total=total, kept=kept, histogram=counts, **base)


LABELS = {"labels": [{"dataset": "digits", "model": "fc", "labels": 2}]}


def test_what_counts_most_runs_first_seed_by_seed():
    study = make(seeds=[3, 1], sections={"unpruned": [{"compression": 0, "pruner": "random"}], **LABELS})
    ranks = [(rank, study.trials[id_]) for id_, rank in sorted(study.ranks.items(), key=lambda item: item[1])]
    assert [rank for rank, trial in ranks if trial in study.sections["sweep"]] == [0] * 4 + [1] * 4
    assert {rank for rank, trial in ranks if trial in study.sections["unpruned"]} == {0, 1}
    assert {rank for rank, trial in ranks if trial in study.sections["as_described_flops"]} == {2, 3}
    assert {rank for rank, trial in ranks if trial in study.sections["labels"]} == {4, 5}
    assert len(ranks) == len(study.trials)


def test_those_run_alone_are_of_sections_that_are_named_timed_or_weigh_zeros():
    assert make().alone == frozenset()
    named = make(alone=["timing"])
    assert named.alone == {trial.id for trial in named.sections["sweep"]} < named.trials.keys()
    apart = make(sections={"timing": [{"timed": True}], "speedups": [{"measure_speedup": True}]})
    assert apart.alone == {trial.id for name in ("timing", "speedups") for trial in apart.sections[name]}


def test_trials_in_another_precision_are_shown_and_never_run():
    study = make(sections={"precision_check": [{"precision": ["bf16-mixed", "bfloat16"]}]})
    beside = study.sections["precision_check"]
    assert {trial.precision for trial in beside} == {"bf16-mixed", "bfloat16"} and len(beside) == 8
    assert not study.trials.keys() & {trial.id for trial in beside}
    assert study.missing({}) == list(study.trials.values())
    study.store.save(record := failed(beside[0], "as it were", {}))
    assert study.records == {beside[0].id: record}


def test_publishing_keeps_what_a_file_holds_of_other_trials(tmp_path):
    first, second = make(), make(seeds=[1])
    for study in (first, second):
        study.store.save(failed(next(iter(study.trials.values())), "as it were", {}))
        study.publish(tmp_path)
    there = store.committed_records(tmp_path / "trials.parquet")
    assert set(there) == {next(iter(study.trials)) for study in (first, second)}
    (tmp_path / "trials.parquet").write_bytes(b"damaged")
    first.publish(tmp_path)
    assert len(store.committed_records(tmp_path / "trials.parquet")) == 1


def test_missing_are_those_without_a_record_or_with_a_failure():
    tiny = make()
    one, two, *others = tiny.trials.values()
    assert tiny.missing({one.id: ok(one), two.id: failed(two, "out of memory", {})}) == [two, *others]


def test_runs_folder_is_the_argument_then_the_environment(tmp_path, monkeypatch):
    assert make().store.folder == tmp_path / "runs"
    params = Params.model_validate(TINY)
    assert Study(params, tmp_path / "mine").store.folder == tmp_path / "mine"
    monkeypatch.delenv("PRUNEKIT_RUNS")
    assert Study(params).store.folder == ROOT / "runs"


def test_record_run_here_comes_before_the_published_one_and_that_before_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "project_root", lambda: tmp_path)
    tiny = make()
    one, two, three, *_ = tiny.trials.values()
    for trial in (one, two, three):
        tiny.store.save(ok(trial, error="published"))
    tiny.publish(tiny.committed_file.parent)
    tiny.store.save(ok(one, error="run here"))
    (tiny.store.folder / f"{two.id}.json").unlink()
    tiny.store.save(failed(three, "no memory", {}))
    tiny.reread()
    assert [(id_, record.error) for id_, record in tiny.records.items()] == [
        (one.id, "run here"),
        (two.id, "published"),
        (three.id, "published"),
    ], "in the order of the trials"


def test_records_are_read_once_until_asked_anew():
    tiny = make()
    assert tiny.records == {}
    one, *_ = tiny.trials.values()
    tiny.store.save(ok(one))
    assert tiny.records == {}
    tiny.reread()
    assert list(tiny.records) == [one.id]


def test_a_frame_has_a_row_a_trial_with_a_record():
    tiny = make()
    first, second, third, _ = tiny.sections["sweep"]
    tiny.store.save(ok(first, top1=60.0, collapsed=False, seconds={"score": 1.0, "train": 2.0, "measure": 5.0}))
    tiny.store.save(ok(second, top1=10.0, collapsed=False, latency_by_form={"masked": 0.1}, where={"workers": 1}))
    tiny.store.save(failed(third, "it broke", {}))
    frame = tiny.frame("sweep")
    assert list(frame.columns[:8]) == [
        *("dataset", "model", "pruner", "compression", "seed"),
        *("top1", "top5", "learned"),
    ]
    assert frame.id.tolist() == [first.id, second.id, third.id] and frame.status.tolist() == ["ok", "ok", "failed"]
    assert frame.learned.tolist() == [True, False, False] and frame.alone.tolist() == [False, True, False]
    assert frame.seconds.tolist()[0] == 3.0 and math.isnan(frame.seconds.tolist()[2])
    assert frame.score_seconds.tolist()[0] == 1.0 and frame.masked_latency.tolist()[1] == 0.1
    assert frame.post_epochs.tolist() == [1, 1, 1], "and every field of a trial"
    assert tiny.frame("labels").empty and "top1" in tiny.frame("labels")


def test_frames_of_layers_and_of_weights_have_a_row_a_layer_and_a_bin():
    tiny = make()
    one, *_ = tiny.sections["layers"]
    counts = [0] * 75 + [4] + [0] * 74
    tiny.store.save(ok(one, layers=[layer("fc1", 90, 9), layer("fc2", 10, 4, counts)]))
    layers = tiny.layers("layers")
    assert layers.layer.tolist() == ["fc1", "fc2"] and layers.layer_kept.tolist() == [9, 4]
    assert layers.layer_flops_kept.tolist() == [81, 36] and set(layers.pruner) == {"synflow"}
    weights = tiny.weights("layers")
    assert len(weights) == 2 * len(HISTOGRAM_CENTRES)
    (bin_,) = weights[weights["count"] > 0].to_dict("records")
    assert (bin_["layer"], bin_["count"], bin_["weight"]) == ("fc2", 4, 0.01)
    assert tiny.layers("labels").empty and tiny.weights("labels").empty


@pytest.mark.parametrize(
    ("top1", "collapsed", "expected"),
    [(10.0, False, False), (15.0, False, False), (15.1, False, True), (50.0, True, False), (None, None, False)],
)
def test_a_network_learned_where_it_was_trained_whole_and_is_not_at_chance(top1, collapsed, expected):
    """Of the digits' 360 test images 37 are threes: 10.28 %, and three standard errors of 1.6."""
    trial, *_ = make().trials.values()
    assert learned(ok(trial, top1=top1, collapsed=collapsed)) is expected


def test_chance_is_of_the_labels_that_were_learnt():
    trial = next(iter(make(sections={"labels": [{"labels": 2, "dataset": "digit-pairs"}]}).sections["labels"]))
    assert not learned(ok(trial, top1=50.0, collapsed=False)) and learned(ok(trial, top1=60.0, collapsed=False))
