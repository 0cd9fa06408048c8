"""Params files and --set -> trials, or one line that says what is wrong."""

import re

import pytest
import yaml
from conftest import ROOT, TINY, TINY_TRIALS
from pydantic import ValidationError

from prunekit.errors import UserError
from prunekit.study import profile, store
from prunekit.study.params import Params, load_params
from prunekit.study.trial import failed

PROFILES = sorted(path.stem for path in (ROOT / "params").glob("*.yaml"))


def make(**changes):
    return profile.Study(Params.model_validate(TINY | changes))


@pytest.mark.parametrize(("name", "trials"), [("demo", 475), ("cpu", 825), ("paper", 954)])
def test_profiles_load_and_name_their_trials(name, trials):
    loaded = profile.Study(load_params(name))
    empty = {"demo": {"unpruned", "reaugmented", "arithmetic"}, "cpu": {"unpruned", "arithmetic"}, "paper": set()}
    assert {section for section, trials in loaded.sections.items() if not trials} == empty[name]
    p = loaded.params
    assert len(loaded.sections["comparison"]) == 3 * len(p.pruners) * len(p.seeds)
    assert len(loaded.sections["sweep"]) == len(p.datasets) * len(p.pruners) * len(p.compressions) * len(p.seeds)
    assert len(loaded.trials) == trials


def test_what_counts_most_runs_first_seed_by_seed():
    beyond = {"labels": ["2"], "labels_on": {"dataset": "digits", "model": "fc"}}
    study = make(seeds=[3, 1], timing_seeds=[1], unpruned=True, **beyond)
    ranks = [(rank, study.trials[id_]) for id_, rank in sorted(study.ranks.items(), key=lambda item: item[1])]
    assert [rank for rank, trial in ranks if trial in study.sections["sweep"]] == [0] * 4 + [1] * 4
    assert {rank for rank, trial in ranks if trial in study.sections["unpruned"]} == {0, 1}
    assert {rank for rank, trial in ranks if trial in study.sections["described_flops"]} == {2, 3}
    assert {rank for rank, trial in ranks if trial in study.sections["labels"]} == {4, 5}
    assert len(ranks) == len(study.trials)


def test_table_iii_has_trials_of_its_own_or_those_of_table_ii():
    shared, own = make(timed_alone=True), make(timing_seeds=[5])
    assert shared.sections["timing"] == shared.sections["sweep"] and len(shared.timed) == 4
    assert {(trial.seed, trial.timed) for trial in own.sections["timing"]} == {(5, True)}
    assert own.timed == {trial.id for trial in own.sections["timing"]} and not make().timed


def test_unpruned_networks_have_the_budget_of_what_they_stand_beside():
    study = make(unpruned=True, datasets=["digit-pairs"], model="conv", post_epochs=3)
    found = {(t.dataset, t.model, t.compression, t.density, t.post_epochs) for t in study.sections["unpruned"]}
    assert found == {("digit-pairs", "conv", 0, 1, 3), ("digits", "fc", 0, 1, 3)}


def test_trials_in_another_precision_are_shown_and_never_run():
    study = make(precision="bf16-mixed")
    beside = study.sections["arithmetic"]
    assert {trial.precision for trial in beside} == {"float32", "bfloat16"} and len(beside) == 8
    assert not study.trials.keys() & {trial.id for trial in beside}
    assert study.missing({}) == list(study.trials.values())
    study.store.save(record := failed(beside[0], "as it were", {}))
    assert study.records() == {beside[0].id: record}


def test_publishing_keeps_what_a_file_holds_of_other_trials(tmp_path):
    first, second = make(), make(seeds=[1])
    for study in (first, second):
        study.store.save(failed(next(iter(study.trials.values())), "as it were", {}))
        study.publish(tmp_path)
    kept = store.published(tmp_path / "trials.parquet")
    assert set(kept) == {next(iter(study.trials)) for study in (first, second)}
    (tmp_path / "trials.parquet").write_bytes(b"damaged")
    first.publish(tmp_path)
    assert len(store.published(tmp_path / "trials.parquet")) == 1


def test_no_profile_is_left_out_of_these_tests():
    assert PROFILES == ["cpu", "demo", "paper"]


def test_trials_that_sections_share_are_run_once():
    tiny = make()
    assert {name: len(trials) for name, trials in tiny.sections.items()} == {
        "comparison": 4,
        "sweep": 4,
        "unpruned": 0,
        "timing": 4,
        "flops": 4,
        "layers": 2,
        "histograms": 2,
        "described": 1,
        "described_flops": 1,
        "reaugmented": 0,
        **dict.fromkeys(profile.BEYOND, 0),
    }
    assert len(tiny.trials) == TINY_TRIALS
    assert all(id_ == trial.id for id_, trial in tiny.trials.items())


def test_trials_that_share_work_are_neighbours():
    keys = [(t.dataset, t.model, t.pruner, t.seed) for t in make(seeds=[0, 1]).sections["sweep"]]
    assert len(set(keys)) == sum(a != b for a, b in zip([None, *keys], keys, strict=False))


def test_only_magnitude_trains_before_pruning_if_asked():
    tiny = make(pruners=["magnitude", "snip"], magnitude_pre_epochs=7, described_pre_epochs=7, pre_epochs=2)
    assert {(t.pruner, t.pre_epochs) for t in tiny.trials.values()} == {("magnitude", 7), ("snip", 2)}


def test_a_row_of_table_i_may_have_epochs_before_magnitude_pruning_and_is_then_pruned_at_initialisation_too():
    row = {"dataset": "digits", "model": "fc", "magnitude_pre_epochs": 3, "described_pre_epochs": 9}
    tiny = make(comparison=[row], pruners=["magnitude", "snip"], described_compressions=[0.5])
    comparison = {(t.pruner, t.pre_epochs) for t in tiny.sections["comparison"]}
    assert comparison == {("magnitude", 3), ("snip", 0)}
    assert [(t.compression, t.pre_epochs) for t in tiny.sections["described"]] == [(1.0, 9), (1.0, 0), (0.5, 1)]
    with pytest.raises(ValueError, match="pre_epochs: must be at least 0, not -1"):
        make(comparison=[row | {"magnitude_pre_epochs": -1}])


def test_grasp_sees_images_augmented_anew_where_they_are_augmented():
    changes = {"datasets": ["digits", "cifar10"], "pruners": ["grasp", "snip"], "described_compressions": [0.5, 2.0]}
    for flops_width, width in ((None, 0.05), (1.0, 1.0)):
        trials = make(flops_width=flops_width, **changes).sections["reaugmented"]
        seen = [(t.dataset, t.pruner, t.compression, t.width, t.post_epochs, t.reaugmented) for t in trials]
        assert seen == [("cifar10", "grasp", c, width, 0, True) for c in (0.5, 2.0)]


def test_trials_of_table_iii_are_those_to_be_timed():
    assert make().timed == frozenset()
    timed = make(timed_alone=True)
    assert timed.timed == {trial.id for trial in timed.sections["sweep"]} < timed.trials.keys()


def test_what_the_study_describes_is_run_beside_what_it_ran():
    """Magnitude after training, for each row of Table I and each compression asked for; SynFlow in steps."""
    tiny = make(
        pruners=["magnitude", "synflow", "random"],
        described_compressions=[0.5, 2.0],
        described_pre_epochs=4,
        comparison=[
            {"dataset": "digits", "model": "conv", "described_pre_epochs": 9},
            {"dataset": "digits", "model": "fc"},
        ],
    )
    described = [
        (t.pruner, t.model, t.compression, t.pre_epochs, t.prune_steps, t.post_epochs)
        for t in tiny.sections["described"]
    ]
    assert described == [
        ("magnitude", "conv", 1.0, 9, 1, 1),
        ("magnitude", "fc", 1.0, 4, 1, 1),
        ("magnitude", "fc", 0.5, 4, 1, 1),
        ("magnitude", "fc", 2.0, 4, 1, 1),
        ("synflow", "fc", 0.5, 0, 3, 1),
        ("synflow", "fc", 2.0, 0, 3, 1),
    ]
    assert {t.pre_epochs for t in tiny.sections["comparison"]} == {0}
    wide = make(pruners=["magnitude", "synflow"], flops_width=1.0)
    assert {(t.pruner, t.width, t.prune_steps) for t in wide.sections["described_flops"]} == {("synflow", 1.0, 3)}
    with pytest.raises(ValueError, match="pre_epochs: must be at least 0, not -1"):
        make(comparison=[{"dataset": "digits", "model": "fc", "described_pre_epochs": -1}])


def test_flops_width_asks_for_untrained_networks_on_all_data():
    tiny = make(flops_width=1.0, magnitude_pre_epochs=3, pruners=["magnitude", "random"])
    for section in ("flops", "layers"):
        for trial in tiny.sections[section]:
            assert (trial.width, trial.pre_epochs, trial.post_epochs, trial.train_subset) == (1.0, 0, 0, None)
    assert {trial.width for trial in tiny.sections["histograms"]} == {0.05}


def test_untrained_sweep_is_the_flops_section():
    tiny = make(flops_width=0.05, post_epochs=0)
    assert tiny.sections["sweep"] == tiny.sections["flops"]


def test_comparison_rows_may_change_the_budget():
    tiny = make(comparison=[{"dataset": "digits", "model": "fc", "width": 1, "train_subset": None, "post_epochs": 2}])
    (row,) = {(t.width, t.train_subset, t.post_epochs) for t in tiny.sections["comparison"]}
    assert row == (1.0, None, 2)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("seeds=[3, 4]", [3, 4]),
        ("seeds= [3,4]", [3, 4]),
        ("width=1", 1.0),
        ("train_subset=null", None),
        ("train_subset=", None),
        ("learning_rate=1.0e-3", 1e-3),
        ("pruners=[snip]", ["snip"]),
        ("comparison=[{dataset: mnist, model: fc, width: 1}]", [{"dataset": "mnist", "model": "fc", "width": 1}]),
    ],
)
def test_set_reads_yaml(tiny_profile, assignment, value):
    assert getattr(load_params(str(tiny_profile), [assignment]), assignment.split("=")[0]) == value


def test_later_assignment_wins(tiny_profile):
    assert load_params(str(tiny_profile), ["seeds=[1]", "seeds=[2]"]).seeds == [2]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("compresions=[1]", ["compresions", "did you mean compressions?"]),
        ("zzz=1", ["zzz", "choose from profile, comparison"]),
        ("seeds", ["--set seeds", "key=value"]),
        ("seeds=[1", ["seeds=[1", "not YAML"]),
        ("pruners=[snap]", ["pruners", "'snap'", "did you mean snip?", "package.module:function"]),
        ("datasets=[cifar11]", ["datasets", "'cifar11'", "did you mean cifar10?"]),
        ("model=vgg12", ["model", "'vgg12'", "did you mean vgg1"]),
        ("learning_rate=1e-3", ["learning_rate", "'1e-3'", "1.0e-3"]),
        ("batch_size=many", ["batch_size", "'many'", "integer"]),
        ("batch_size=0", ["batch_size", "0", "at least 1"]),
        ("batch_size=1.5", ["batch_size", "1.5", "integer"]),
        ("batch_size=true", ["batch_size", "True", "integer"]),
        ("compressions=[-1]", ["compressions", "-1", "at least 0"]),
        ("compressions=[.nan]", ["compressions", "nan", "finite"]),
        ("compressions=[.inf]", ["compressions", "inf"]),
        ("compressions=[11]", ["compressions", "11", "10"]),
        ("compressions=0.5", ["compressions", "0.5", "list"]),
        ("layer_compression=.nan", ["layer_compression", "nan"]),
        ("compressions=[]", ["compressions", "empty"]),
        ("comparison=[]", ["comparison", "empty"]),
        ("seeds=[]", ["seeds", "empty"]),
        ("seeds=[-1]", ["seeds", "-1", "at least 0"]),
        ("seeds=[0, 0]", ["seeds", "twice", "[0, 0]"]),
        ("pruners=[snip, snip]", ["pruners", "twice"]),
        ("pruners=['prunekit.pruners:snip', snip]", ["pruners", "look alike", "rename one"]),
        ("width=0", ["width", "0", "greater than 0"]),
        ("learning_rate=-1", ["learning_rate", "-1", "greater than 0"]),
        ("train_subset=0", ["train_subset", "0", "at least 1"]),
        ("post_epochs=null", ["post_epochs", "None", "integer"]),
        ("schedule=cosine", ["schedule", "'cosine'", "'linear'"]),
        ("precision=float16", ["precision", "'float16'", "'bf16-mixed'"]),
        ("comparison=[{dataset: digits}]", ["comparison", "lacks model"]),
        ("comparison=[{dataset: digits, model: fc, widht: 1}]", ["comparison", "widht", "did you mean width?"]),
        ("comparison=[{dataset: digits, model: vgg12}]", ["comparison", "'vgg12'", "did you mean vgg1"]),
        ("comparison=[{dataset: digits, model: fc, seed: 1}]", ["comparison", "seed"]),
        ("comparison=[digits]", ["comparison", "'digits'", "dictionary"]),
        ("comparison=digits", ["comparison", "'digits'", "list"]),
        ("seeds=!!python/object/apply:os.system [false]", ["seeds", "not YAML"]),
    ],
)
def test_wrong_value_is_one_line_with_key_value_and_what_is_allowed(tiny_profile, assignment, words):
    with pytest.raises(UserError) as error:
        load_params(str(tiny_profile), [assignment])
    line = str(error.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seeds: [1", "cannot be read"),
        ("- 1\n- 2", "does not hold `key: value` lines"),
        ("", "does not hold `key: value` lines"),
        ("seeds: !!python/object/apply:os.mkdir [executed]", "cannot be read"),
        ("seeds: [0]", "comparison is missing"),
        ("seed: [0]\n1: 2", "unknown key seed; did you mean seeds?"),
        (b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_broken_params_file_is_one_line_that_names_it(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(words)) as error:
        load_params("broken.yaml")
    assert str(error.value).startswith("broken.yaml") and "\n" not in str(error.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("dmo", "did you mean demo?"), ("zzz", "choose from cpu, demo, paper"), ("a.yaml", "a.yaml")]
)
def test_unknown_profile_is_one_line(name, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        load_params(name)
    assert repr(name) in str(error.value)


def test_tuples_are_lists_and_whole_floats_integers():
    loose = {"seeds": (0.0, 1), "compressions": (0.5, 1), "post_epochs": 1.0, "train_subset": 100.0}
    row = {"dataset": "digits", "model": "fc", "post_epochs": 2.0}
    assert (
        make(**loose, comparison=(row,)).trials
        == make(seeds=[0, 1], compressions=[0.5, 1.0], comparison=[row | {"post_epochs": 2}]).trials
    )
    with pytest.raises(ValidationError):
        make(post_epochs=1.5)


def test_only_a_profile_as_it_stands_has_its_folder(tiny_profile):
    """A changed one and a user's file get folders of their own; the same one each time."""
    demo, changed, again = (
        profile.Study(load_params("demo", sets)).folder for sets in ([], ["seeds=[0]"], ["seeds=[0]"])
    )
    assert demo == ROOT / "reports" / "demo"
    assert changed == again and changed.parent == ROOT / "reports" / "custom" and changed.name.startswith("demo-")
    users = profile.Study(load_params(str(tiny_profile)))
    assert users.folder.parent == ROOT / "reports" / "custom" and users.folder.name.startswith("tiny-")


@pytest.mark.parametrize("name", ["../demo", "", "a/b", ".."])
def test_profile_is_named_by_a_plain_word(name):
    with pytest.raises(ValidationError):
        make(profile=name)


def test_missing_are_those_without_a_record_or_with_a_failure():
    tiny = make()
    one, two, *others = tiny.trials.values()
    done = failed(one, "", {}).model_copy(update={"status": "ok"})
    assert tiny.missing({one.id: done, two.id: failed(two, "out of memory", {})}) == [two, *others]


def test_runs_folder_is_the_argument_then_the_environment(tmp_path, monkeypatch):
    assert make().store.folder == tmp_path / "runs"
    params = Params.model_validate(TINY)
    assert profile.Study(params, tmp_path / "mine").store.folder == tmp_path / "mine"
    monkeypatch.delenv("PRUNEKIT_RUNS")
    assert profile.Study(params).store.folder == ROOT / "runs"


def test_record_run_here_comes_before_the_published_one(tmp_path, monkeypatch):
    monkeypatch.setattr(profile, "project_root", lambda: tmp_path)
    tiny = make()
    one, two, *_ = tiny.trials.values()

    def save(trial, error):
        tiny.store.save(failed(trial, error, {}).model_copy(update={"status": "ok"}))

    save(one, "published")
    save(two, "published")
    tiny.publish(tiny.published_file.parent)
    save(one, "run here")
    (tiny.store.folder / f"{two.id}.json").unlink()
    assert [(id_, record.error) for id_, record in tiny.records().items()] == [
        (one.id, "run here"),
        (two.id, "published"),
    ], "in the order of the trials"


def test_published_record_comes_before_a_failure_here(tmp_path, monkeypatch):
    monkeypatch.setattr(profile, "project_root", lambda: tmp_path)
    tiny = make()
    one, *_ = tiny.trials.values()
    tiny.store.save(failed(one, "", {}).model_copy(update={"status": "ok"}))
    tiny.publish(tiny.published_file.parent)
    tiny.store.save(failed(one, "no memory", {}))
    assert tiny.records()[one.id].status == "ok"


def with_the_rest(text, *keys):
    """Return a params file of `text`, which gives `keys`, and of TINY's other values."""
    return text + "\n" + yaml.safe_dump({key: value for key, value in TINY.items() if key not in keys})


ALIASES = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds: 2020-13-45", "line 1: '2020-13-45' cannot be read as timestamp"),
        ("width: !!int x", "line 1: 'x' cannot be read as int"),
        ("width: !!bool x", "line 1: 'x' cannot be read as bool"),
        ("width: !!timestamp x", "line 1: 'x' cannot be read as timestamp"),
        ("width: " + "9" * 5000, "cannot be read as int"),
        ("width: 0x" + "f" * 9000, "width: must be a valid number, not so long a int"),
        ("width: " + "[" * 5000, "it is nested too deeply"),
        ("width: 1\nwidth: 2", "line 2: the key width stands there twice"),
        ("comparison: [{model: fc, 'model': fc}]", "line 1: the key model stands there twice"),
        (ALIASES, "its aliases make it longer than 100,000 bytes"),
        ("a: &a [*a]", "its aliases make it longer than 100,000 bytes"),
        ("#" * 100_001, "it is longer than 100,000 bytes"),
        ("width: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [a]\n: 2", "unhashable key"),
        ("1: 2", "1: Keys should be strings, not 1"),
        (
            "comparison: [{1: 2, dataset: mnist, model: fc, b: c}]",
            "comparison.0.1.[key]: must be a valid string, not 1",
        ),
        ('"\\e[31m\\n": "' + "x" * 999 + '"', r"unknown key \x1b[31m\n"),
        ("width: " + "x" * 999, "width: must be a valid number"),
        ("- 1", "does not hold `key: value` lines"),
        ("profile: ../demo", "'../demo' cannot name a profile"),
        ("profile: " + "x" * 65, "cannot name a profile"),
        ("profile: custom", "'custom' cannot name a profile"),
    ],
)
def test_yaml_of_any_kind_is_one_short_line(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text if text.startswith(("-", "#")) else with_the_rest(text, text.split(":")[0]))
    with pytest.raises(UserError) as error:
        load_params(str(file))
    assert words in str(error.value), str(error.value)[:500]
    assert str(error.value).isprintable() and len(str(error.value).replace(str(file), "")) < 700


def test_aliases_that_repeat_little_are_read(tmp_path):
    file = tmp_path / "mine.yaml"
    rows = "comparison: [&row {dataset: digits, model: fc}, {<<: *row, model: conv}]"
    file.write_text(with_the_rest(rows, "comparison"))
    assert [row["model"] for row in load_params(str(file)).comparison] == ["fc", "conv"]


@pytest.mark.parametrize("name", ["../demo", "", ".", "..", "a/b", "x" * 300, "de\nmo"])
def test_odd_names_of_profiles_are_refused(name):
    with pytest.raises(UserError, match="no profile '") as error:
        load_params(name)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", [".yaml", "..yaml", " .yaml", "bench.yaml"])
def test_files_whose_names_cannot_name_a_profile_are_refused(tmp_path, name):
    (tmp_path / name).write_text(with_the_rest("", "profile"))
    with pytest.raises(UserError, match="cannot name a profile"):
        load_params(str(tmp_path / name))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 1e300},
        {"train_subset": 10**30},
        {"scoring_batch_size": 1e30},
        {"batch_size": 10**7},
        {"post_epochs": 10**9},
        {"prune_steps": 2**63},
        {"seeds": [2**63]},
        {"comparison": [{"dataset": "digits", "model": "fc", "width": 1e300}]},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_meant_are_refused(changes):
    with pytest.raises(ValidationError, match=r"less than|at most"):
        make(**changes)


PAIRS = {"dataset": "digit-pairs", "model": "fc"}


def test_labels_vary_beside_an_unpruned_network_of_each():
    tiny = make(labels_on=PAIRS | {"post_epochs": 3}, labels=[2, "coarse", 100, "fine"], label_compressions=[0.5, 1])
    trials = tiny.sections["labels"]
    assert {(t.dataset, t.model, t.post_epochs, t.width) for t in trials} == {("digit-pairs", "fc", 3, TINY["width"])}
    for labels in ("2", "coarse", "fine"):
        found = [(t.pruner, t.compression) for t in trials if t.labels == labels]
        assert found == [(profile.DENSE, 0), *((pruner, c) for pruner in TINY["pruners"] for c in (0.5, 1.0))]


def test_controls_are_of_every_pruner_and_erk_random_beside_them():
    tiny = make(controls_on=PAIRS, control_compressions=[0.5])
    found = [(t.pruner, t.control) for t in tiny.sections["controls"]]
    controls = ("none", "shuffled", "reinitialised")
    assert found == [*((pruner, control) for pruner in TINY["pruners"] for control in controls), (profile.ERK, "none")]


def test_no_section_has_a_trial_twice():
    """Where a number of labels is that of the classes, a pruner prunes nothing, or is the one that controls have."""
    tiny = make(
        **{"labels_on": PAIRS, "labels": [2, 100, "fine"], "label_compressions": [0, 1]},
        **{"controls_on": PAIRS, "control_compressions": [1], "pruners": ["random", profile.ERK]},
    )
    for section, trials in tiny.sections.items():
        assert len(trials) == len(set(trials)), section


def test_steps_are_of_pruners_that_see_what_they_pruned():
    tiny = make(controls_on=PAIRS, step_counts=[1, 5], step_compressions=[2], pruners=["synflow", "random", "snip"])
    found = [(t.pruner, t.prune_steps, t.schedule) for t in tiny.sections["steps"]]
    each = [(1, "exponential"), (5, "exponential"), (5, "linear")]
    assert found == [(pruner, *one) for pruner in ("synflow", "snip") for one in each]
    assert {t.post_epochs for t in tiny.sections["steps"]} == {0}


def test_passes_are_timed_alone_for_one_seed():
    tiny = make(pass_compressions=[1], seeds=[3, 4])
    passes = tiny.sections["passes"]
    assert [(t.pruner, t.seed, t.passes, t.post_epochs) for t in passes] == [
        (pruner, 3, True, 0) for pruner in TINY["pruners"]
    ]
    assert tiny.timed == {t.id for t in passes}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels_on": PAIRS, "labels": [2, 101]}, "labels_on.*digit-pairs has 100 classes, which make no 101 groups"),
        ({"labels_on": PAIRS | {"dataset": "digits"}, "labels": ["coarse"]}, "digits has no coarse classes"),
        ({"labels": [2]}, "labels_on: row .* lacks dataset and model"),
        ({"labels_on": PAIRS, "labels": [1]}, "must be fine, coarse, or a number of groups from 2 on, not '1'"),
        ({"control_compressions": [1]}, "controls_on: row .* lacks dataset and model"),
        ({"controls_on": PAIRS | {"epochs": 3}, "step_compressions": [1]}, "controls_on.* unknown key epochs"),
        ({"controls_on": PAIRS | {"control": "shuffled"}}, "controls_on.* unknown key control"),
        ({"step_counts": [5, 5]}, "names a value twice"),
    ],
    ids=str,
)
def test_what_goes_beyond_the_study_is_checked(changes, problem):
    with pytest.raises(ValueError, match=problem):
        make(**changes)
