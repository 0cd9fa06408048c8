"""One trial from end to end: repeatable, undisturbed by what it shares, its streams apart."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from prunekit import models, plugins, pruners
from prunekit.batches import stream
from prunekit.names import BY_KIND
from prunekit.study import machine, runner
from prunekit.study.artifacts import Artifacts
from prunekit.study.trial import Trial, failed

SMALL = {
    "dataset": "digits",
    "model": "fc",
    "width": 0.1,
    "pruner": "snip",
    "compression": 1.0,
    "post_epochs": 1,
    "batch_size": 32,
    "scoring_images_per_class": 2,
    "train_subset": 100,
}


def trial(**fields):
    return Trial(**{**SMALL, **fields})


def facts(record):
    """A record without what it cost."""
    if isinstance(record, dict):
        times = ("seconds", "finished", "peak_memory", "latency")
        return {key: facts(value) for key, value in record.items() if not key.endswith(times)}
    return [facts(item) for item in record] if isinstance(record, list) else record


def run(one, shared=None):
    return facts(runner.run_trial(one, shared).model_dump())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pruner": "random"},
        {"pre_epochs": 1, "pruner": "magnitude"},
        {"pruner": "synflow", "prune_steps": 3},
        {"dataset": "digit-pairs", "model": "vgg11", "width": 0.05, "train_subset": 200},
        {"dataset": "digit-pairs", "labels": "7", "train_subset": 200},
        {"control": "shuffled"},
        {"control": "reinitialised", "pre_epochs": 1},
    ],
    ids=str,
)
def test_the_same_trial_twice_is_the_same_record(fields):
    one = run(trial(**fields))
    assert one == run(trial(**fields))
    assert one["status"] == "ok"


@pytest.mark.parametrize("pre_epochs", [0, 1])
@pytest.mark.parametrize("fields", [{"pruner": "snip"}, {"pruner": "random"}, {"pruner": "random", "prune_steps": 2}])
def test_sharing_changes_no_result(fields, pre_epochs):
    shared = Artifacts()
    for compression in (1.0, 0.1, 2.0, 1.0):
        one = trial(compression=compression, pre_epochs=pre_epochs, **fields)
        assert run(one, shared) == run(one)


def test_sharing_tells_trials_apart():
    """Every second trial differs from the first in one field that changes what is shared."""
    shared = Artifacts()
    changes = [
        {"seed": 1},
        {"width": 0.2},
        {"pruner": "grasp"},
        {"scoring_images_per_class": 3},
        {"scoring_batch_size": 7},
        {"train_subset": 50},
        {"pre_epochs": 1},
        {"dataset": "digit-pairs"},
        {"labels": "2"},
        {"labels": "3"},
        {"control": "shuffled"},
        {"control": "reinitialised"},
    ]
    for change in changes:
        run(trial(), shared)
        assert run(trial(**change), shared) == run(trial(**change)), change


def test_shared_work_is_done_once_and_charged_to_all():
    shared = Artifacts()
    one, two = (runner.run_trial(trial(compression=c, pre_epochs=1), shared) for c in (1.0, 2.0))
    assert one.seconds["pretrain"] == two.seconds["pretrain"] > 0
    assert one.seconds["data"] == two.seconds["data"] > 0


@pytest.mark.parametrize("pruner", pruners.NAMES)
def test_a_network_that_collapses_on_the_way_is_a_collapsed_record(pruner):
    record = run(trial(pruner=pruner, compression=10.0, prune_steps=5))
    assert record["status"] == "ok" and record["collapsed"]


def test_a_failing_stage_leaves_shared_sound(monkeypatch):
    shared = Artifacts()
    expected = run(trial())
    run(trial(compression=0.5), shared)
    with monkeypatch.context() as patch, pytest.raises(ArithmeticError):
        patch.setattr(pruners, "score", lambda *args: 1 / 0)
        run(trial(pruner="grasp"), shared)
    with pytest.raises(FloatingPointError):  # while pruned weights train
        run(trial(optimizer="sgd", learning_rate=1e30), shared)
    with pytest.raises(FloatingPointError):  # while the shared network trains
        run(trial(optimizer="sgd", learning_rate=1e30, pre_epochs=1), shared)
    assert run(trial(), shared) == expected


def test_the_pruner_none_keeps_all_weights_and_is_what_random_at_compression_0_was():
    """Compression, steps, scope and images cannot matter; the id is that of records written before it had a name."""
    words = {"dataset": "digits", "model": "fc", "post_epochs": 1, "width": 0.1}
    unpruned = Trial(pruner="none", compression=1.0, prune_steps=3, scope="local", scoring_batch_size=9, **words)
    assert unpruned == Trial(pruner="random", compression=0.0, **words) == Trial(pruner="none", **words)
    assert (unpruned.pruner, unpruned.compression, unpruned.density, unpruned.id) == (
        "none",
        0.0,
        1.0,
        "65fc4be79b58119e",
    )
    assert Trial.model_validate_json(unpruned.model_dump_json().replace('"none","comp', '"random","comp')) == unpruned
    record = runner.run_trial(unpruned)
    assert record.parameters_kept == record.parameters and not record.collapsed and record.tied_scores is None
    assert facts(record.model_dump())["curve"] == run(Trial(pruner="snip", compression=0.0, **words))["curve"]


def test_methods_share_weights_and_batches():
    """At compression 0 nothing is pruned, so all pruners, in any number of steps, train alike."""
    same = [run(trial(pruner=name, compression=0.0))["curve"] for name in pruners.NAMES]
    stepped = run(trial(pruner="random", compression=0.0, prune_steps=3, scoring_images_per_class=5))["curve"]
    assert same == [stepped] * len(same)
    assert run(trial(compression=0.0, seed=1))["curve"] != stepped


def test_a_device_without_bfloat16_computes_in_float32_and_says_so(monkeypatch):
    """As an old GPU; the trial's id stays, its record tells."""
    expected = run(trial(pre_epochs=1))
    monkeypatch.setattr(machine, "computes_in", lambda precision, device: precision == "float32")
    one = trial(pre_epochs=1, precision="bf16-mixed")
    record = runner.run_trial(one, where={"device": "here"})
    assert (record.id, record.where) == (one.id, {"device": "here", "precision": "float32"})
    found = facts(record.model_dump())
    assert {key: found[key] for key in ("curve", "pre_curve", "layers")} == {
        key: expected[key] for key in ("curve", "pre_curve", "layers")
    }


def test_what_computes_in_bfloat16(monkeypatch):
    def supported(including_emulation):
        return including_emulation  # as a GPU of before 2020 says

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert machine.computes_in("float32", "cuda") and machine.computes_in("bf16-mixed", "cpu")
    assert not machine.computes_in("bf16-mixed", "cuda:0")


def test_streams_are_apart_and_repeatable():
    def draw(seed, name):
        return torch.rand(4, generator=stream(seed, name)).tolist()

    assert draw(0, "init") == draw(0, "init")
    assert len({tuple(draw(seed, name)) for seed in range(3) for name in ("init", "order", "pre order")}) == 9


def test_the_global_random_state_is_untouched():
    before = torch.get_rng_state()
    run(trial(pruner="random"))
    assert torch.equal(torch.get_rng_state(), before)


def test_record_adds_up():
    record = runner.run_trial(trial(post_epochs=2), where={"device": "here"})
    one = record.trial
    assert record.id == one.id
    assert record.where == {"device": "here"}
    assert [row.epoch for row in record.curve] == [1, 2]
    assert (record.top1, record.top5) == (record.curve[-1].top1, record.curve[-1].top5)
    total, kept = (sum(getattr(layer, key) for layer in record.layers) for key in ("total", "kept"))
    assert kept == total - int((1 - one.density) * total)
    assert record.density == pytest.approx(kept / total)
    assert record.effective_density == pytest.approx(sum(layer.effective for layer in record.layers) / total)
    biases = 5 * 10 + 10
    assert (record.parameters, record.parameters_kept) == (total + biases, kept + biases)
    assert (record.flops, record.flops_kept) == (total + biases, kept + biases)  # a linear net uses each weight once
    assert all(sum(layer.histogram) == layer.kept for layer in record.layers)
    assert all(layer.zero_scores is not None for layer in record.layers)


def test_what_share_of_the_scores_is_equal_is_recorded():
    """Of a pruner that tells every third weight from the others; of one whose scores differ; of one in steps."""
    assert runner.run_trial(trial(pruner="mine:signs")).tied_scores == pytest.approx(2 / 3, abs=1e-3)
    assert runner.run_trial(trial(pruner="magnitude")).tied_scores < 1e-3
    assert runner.run_trial(trial(pruner="synflow", prune_steps=2)).tied_scores is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not tell a process's peak")
def test_peak_memory_of_each_stage():
    """A stage's own peak, in bytes: what another stage had and gave back does not count."""
    ballast = torch.ones(2**26)  # 256 MiB
    before = runner.run_trial(trial())
    del ballast
    after = runner.run_trial(trial())
    assert list(after.peak_memory) == ["data", "pretrain", "score", "train", "measure"]
    assert all(2**26 < peak < 2**36 for peak in after.peak_memory.values())
    for stage, peak in after.peak_memory.items():
        assert before.peak_memory[stage] - peak > 2**27, stage


def test_peak_memory_is_left_out_where_it_is_unknown(monkeypatch):
    monkeypatch.setattr(machine, "_reset_peak", lambda: False)
    assert runner.run_trial(trial()).peak_memory == {}


def test_a_collapsed_trial_is_a_result():
    """Without a path to the output the logits are the last biases: one class for all images."""
    record = runner.run_trial(trial(pruner="random", compression=4.0))
    assert (record.status, record.collapsed, record.effective_density) == ("ok", True, 0)
    assert len(record.curve) == 1
    assert 5 < record.top1 < 15
    assert record.signal == 0 < record.dense_signal


def test_an_unpruned_network_has_its_own_signal():
    record = runner.run_trial(trial(compression=0.0, post_epochs=0))
    assert record.signal == record.dense_signal > 0


def test_an_untrained_trial_has_no_accuracy():
    record = runner.run_trial(trial(post_epochs=0))
    assert (record.status, record.top1, record.top5, record.latency) == ("ok", None, None, None)
    assert (record.curve, record.pre_curve) == ([], [])


def test_a_trial_trained_before_pruning_alone_is_tested():
    record = runner.run_trial(trial(post_epochs=0, pre_epochs=2, compression=0.0))
    assert [row.epoch for row in record.pre_curve] == [1, 2]
    assert record.curve == []
    assert record.top1 == record.pre_curve[-1].top1


OTHER_VALUES = {
    "dataset": "mnist",
    "model": "conv",
    "width": 0.2,
    "pruner": "grasp",
    "compression": 2.0,
    "seed": 1,
    "pre_epochs": 1,
    "post_epochs": 2,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "batch_size": 64,
    "prune_steps": 2,
    "schedule": "linear",
    "scope": "local",
    "scoring_images_per_class": 3,
    "scoring_batch_size": 128,
    "train_subset": None,
    "precision": "bfloat16",
    "reaugmented": True,
    "labels": "5",
    "control": "shuffled",
    "weight_decay": 1e-4,
    "nesterov": True,
    "lr_drops": "60, 120",
    "lr_factor": 0.5,
    "warmup_epochs": 5,
    "measure_speedup": True,
    "timed": True,
    **{f"{kind}_source": "1" * 16 for kind in BY_KIND},
}
WHERE_IT_MATTERS = {"reaugmented": {"pruner": "grasp"}, "nesterov": {"optimizer": "sgd"}}
WHERE_IT_MATTERS |= {"lr_factor": {"lr_drops": "1"}}
WHERE_IT_MATTERS |= {f"{kind}_source": {kind: "mine", f"{kind}_source": "0" * 16} for kind in BY_KIND}


@pytest.mark.parametrize("field", Trial.model_fields)
def test_every_field_is_part_of_the_id(field):
    where_it_matters = {"prune_steps": 5} | WHERE_IT_MATTERS.get(field, {})
    assert trial(**where_it_matters | {field: OTHER_VALUES[field]}).id != trial(**where_it_matters).id


def test_scores_that_depend_on_the_density_serve_one_compression():
    """The same records together as alone, though others' scores serve all compressions."""
    shared, name = Artifacts(), "prunekit.baselines:force"
    together = [runner.run_trial(trial(pruner=name, compression=c), shared) for c in (0.5, 1.5, 0.5)]
    alone = runner.run_trial(trial(pruner=name, compression=1.5))
    kept = [[layer.kept for layer in record.layers] for record in (*together, alone)]
    assert kept[0] == kept[2] and kept[1] == kept[3]
    assert together[1].top1 == alone.top1


def test_what_a_user_brought_is_told_by_its_source(mine):
    made = trial(dataset="mine:bright", model="mine:around", pruner="mine:steep")
    assert list(made.sources) == [
        ("dataset", "mine:bright"),
        ("model", "mine:around"),
        ("pruner", "mine:steep"),
    ]
    assert made.sources == {(kind, name): plugins.digest(kind, name) for kind, name in made.sources}
    assert len(set(made.sources.values())) == 3 and not trial().sources
    with pytest.raises(ValueError, match="unknown model 'arond'"):
        trial(model="arond")
    with pytest.raises(ValueError, match="lacks the source of its model"):
        Trial.model_validate_json(made.model_dump_json().replace(made.model_source, ""))


def test_networks_and_data_of_a_users_own_run(mine):
    """And pruners share what does not depend on them: the network is made once."""
    shared = Artifacts()
    asked = {"dataset": "mine:bright", "model": "mine:around", "width": 1.0, "train_subset": None}
    records = [runner.run_trial(trial(**asked, pruner=name, post_epochs=20), shared) for name in ("snip", "mine:steep")]
    for record in records:
        assert [layer.name for layer in record.layers] == ["0.inside.weight", "3.weight"]
        assert record.parameters == 9 + 1 + 2 + 48 + 3 and record.top5 == 100
        assert record.flops == 64 * 10 + 64 * 2 + 48 + 3
    keys = {shared._network_key(record.trial) for record in records}
    assert len(keys) == 1


def test_a_field_at_its_default_is_not_part_of_the_id():
    """So a new field changes no id: these are for ever."""
    wordy = {"dataset": "mnist", "model": "fc", "pruner": "snip", "compression": 1.0}
    spelled_out = json.dumps(wordy, sort_keys=True).encode()
    assert Trial(**wordy).id == hashlib.sha256(spelled_out).hexdigest()[:16] == "8fcab43da456c712"
    in_bfloat16 = Trial(dataset="cifar10", model="vgg16", pruner="grasp", compression=0.05, precision="bf16-mixed")
    assert in_bfloat16.id == "c6d73a5541e1ab56"
    defaults = {name: field.default for name, field in Trial.model_fields.items() if not field.is_required()}
    assert Trial(**wordy | defaults).id == Trial(**wordy).id


@pytest.mark.parametrize(
    ("of", "fields"),
    [
        ({"post_epochs": 0}, {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 7, "precision": "bfloat16"}),
        ({"post_epochs": 0}, {"train_subset": 500}),
        ({"pruner": "synflow"}, {"scoring_images_per_class": 3, "scoring_batch_size": 7}),
        ({"prune_steps": 1}, {"schedule": "linear"}),
        ({"post_epochs": 0}, {"weight_decay": 0.1, "lr_drops": "1", "warmup_epochs": 1}),
        ({"optimizer": "adam"}, {"nesterov": True}),
        ({"lr_drops": ""}, {"lr_factor": 0.5}),
    ],
)
def test_what_cannot_matter_is_not_part_of_the_id(of, fields):
    """And does not: the records of such trials are equal."""
    plain, other = trial(**of), trial(**of | fields)
    assert plain == other and plain.id == other.id
    other_of = {"post_epochs": 1, "pruner": "snip", "prune_steps": 2, "optimizer": "sgd", "lr_drops": "2"}
    assert trial(**other_of).id != trial(**other_of | fields).id, "there it matters"
    with pytest.raises(ValueError, match="learning_rate"):
        trial(**of, learning_rate=-1.0)


def test_id_of_equal_trials():
    """However a number is written, and whether a default is spelled out."""
    assert trial(compression=1, width=1).id == trial(compression=1.0, width=1.0).id
    assert trial(seed=0, scope="global").id == trial().id
    assert Trial.model_validate_json(trial().model_dump_json()).id == trial().id


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": "imagenet"},
        {"width": 0.0},
        {"compression": -0.1},
        {"compression": float("nan")},
        {"post_epochs": -1},
        {"batch_size": 0},
        {"seed": "1"},
        {"prune_steps": 1.5},
        {"lr_drops": "60; 120"},
        {"lr_drops": "120, 60"},
        {"lr_drops": "0"},
        {"lr_drops": "60, 60"},
        {"lr_drops": [60, 120]},
        {"lr_factor": 1.0, "lr_drops": "1"},
        {"weight_decay": -1e-4},
        {"colour": "red"},
    ],
    ids=str,
)
def test_trials_are_validated(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        trial(**fields)


def test_failed_record():
    record = failed(trial(), "no luck", {"device": "here"})
    assert (record.id, record.status, record.error, record.top1) == (trial().id, "failed", "no luck", None)
    assert record.trial_seconds == 0


def test_a_published_recipe_runs_as_it_is_written():
    """SGD at 0.1 with Nesterov's momentum, weight decay and drops by tens, of VGG16 with batch norm; two epochs."""
    recipe = {"optimizer": "sgd", "learning_rate": 0.1, "nesterov": True, "weight_decay": 1e-4, "batch_size": 64}
    one = trial(model="vgg16_bn", width=0.1, post_epochs=2, lr_drops="60,120", train_subset=200, **recipe)
    assert one.lr_drops == "60, 120" and trial(lr_drops=60).lr_drops == "60"
    record = runner.run_trial(one)
    assert record.status == "ok" and len(record.curve) == 2 and record.trial == one
    dropped = runner.run_trial(one.model_copy(update={"lr_drops": "1", "lr_factor": 1e-6}))
    assert dropped.curve[0].train_loss == record.curve[0].train_loss
    assert dropped.curve[1].train_loss != record.curve[1].train_loss


def test_other_labels_are_of_the_same_images():
    """Trained on, tested on and scored on; of as many groups as were asked for, each seed's its own."""
    pairs = {"dataset": "digit-pairs", "train_subset": 300}
    shared = Artifacts()
    fine, _ = shared.data(trial(**pairs))
    _, images, truth = shared.examples(trial(**pairs))
    maps = {}
    for labels, count in (("2", 2), ("coarse", 10), ("30", 30)):
        one = trial(**pairs, labels=labels)
        data, _ = shared.data(one)
        assert data.num_classes == count == shared.network(one)[0][0].fc6.out_features
        for split in ("train", "test"):
            (x, y), (same, group) = (next(getattr(d, split).in_order(5000)) for d in (fine, data))
            assert torch.equal(x, same)
            of = dict(zip(y.tolist(), group.tolist(), strict=True))
            assert [of[label] for label in y.tolist()] == group.tolist()  # a class lies in one group
            assert set(of.values()) == set(range(count))
            maps.setdefault(labels, of)
            assert maps[labels] == of
        _, again, groups = shared.examples(one)
        assert torch.equal(images, again)
        assert [maps[labels][label] for label in truth.tolist()] == groups.tolist()
    assert maps["coarse"] == {label: label // 10 for label in range(100)}
    other, _ = shared.data(trial(**pairs, labels="2", seed=1))
    assert not torch.equal(next(other.test.in_order(1000))[1], torch.tensor([maps["2"][i % 100] for i in range(1000)]))


@pytest.mark.parametrize("pruner", ["snip", "random"])
def test_a_shuffled_mask_keeps_the_layers_densities_and_not_the_choice(pruner):
    shared = Artifacts()
    plain, control = trial(pruner=pruner, compression=0.5), trial(pruner=pruner, compression=0.5, control="shuffled")
    (first, _), _ = runner.prune(plain, shared)
    (second, _), _ = runner.prune(control, shared)
    assert all(first[name].sum() == second[name].sum() for name in first)
    assert not any(torch.equal(first[name], second[name]) for name in first)
    one, two = (runner.run_and_keep(t, shared) for t in (plain, control))
    assert all(torch.equal(two[2][name], second[name]) for name in second)
    assert one[0].flops_kept == two[0].flops_kept and one[0].curve != two[0].curve


def test_a_reinitialised_network_has_the_mask_and_other_weights():
    shared = Artifacts()
    plain, control = (trial(post_epochs=0, pre_epochs=1, control=name) for name in ("none", "reinitialised"))
    one, two = (runner.run_and_keep(t, shared) for t in (plain, control))
    for name, mask in one[2].items():
        assert torch.equal(mask, two[2][name])
        first, second = (models.prunable(net)[name] for net in (one[1], two[1]))
        assert not torch.equal(first, second) and not second[~mask].any()
        assert abs(second[mask]).max() <= second[0].numel() ** -0.5  # of torch's default, and no epoch


@pytest.mark.parametrize("control", ["shuffled", "reinitialised"])
def test_a_control_of_a_collapsed_mask_is_refused(control):
    with pytest.raises(ValueError, match=r"its own mask is collapsed.*lower the compression"):
        runner.run_trial(trial(compression=10.0, control=control))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"labels": "coarse"}, "digits has no coarse classes; choose fine"),
        ({"labels": "11"}, "digits has 10 classes, which make no 11 groups"),
        ({"labels": "1"}, "labels"),
        ({"labels": "many"}, "labels"),
        ({"control": "none at all"}, "control"),
    ],
    ids=str,
)
def test_labels_and_controls_that_cannot_be_are_refused(fields, problem):
    with pytest.raises(ValueError, match=problem):
        trial(**fields)


def test_a_group_a_class_is_the_classes_themselves():
    assert trial(labels="10") == trial(labels=10) == trial()
    assert trial(labels=5).labels == "5" and trial(labels=5).id != trial().id


@pytest.mark.parametrize("model", ["fc", "vgg11"])
def test_a_trial_of_passes_has_its_network_s_forms(model):
    record = runner.run_trial(trial(model=model, compression=2.0, post_epochs=0, measure_speedup=True))
    assert set(record.latency_by_form) == {"masked", "compacted"} and min(record.latency_by_form.values()) > 0
    assert record.flops_kept <= record.flops_compacted < record.flops
    dense = runner.run_trial(trial(model=model, compression=0.0, post_epochs=0, measure_speedup=True))
    assert dense.flops_compacted == dense.flops
    assert (runner.run_trial(trial(post_epochs=0)).latency_by_form, record.latency) == ({}, None)


@pytest.mark.parametrize("subset", [105, 99, 5, 5000, 1437])
def test_no_other_number_of_images_is_used_than_is_recorded(subset):
    with pytest.raises(ValueError, match=f"train_subset {subset:,}: it is of as many of each of 10 classes"):
        runner.run_trial(trial(train_subset=subset))


@pytest.mark.parametrize("setting", ["set_default_dtype(torch.float64)", "set_grad_enabled(False)"])
def test_what_a_notebook_sets_of_torch_changes_no_trial(setting):
    usual = run(trial())
    with plugins.torch_defaults_kept():
        exec(f"torch.{setting}")
        assert run(trial()) == usual
