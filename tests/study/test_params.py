"""Params files and --set -> trials, or one line that says what is wrong."""

import re

import pytest
import yaml
from conftest import ROOT, TINY, TINY_TRIALS, tiny_params
from pydantic import BaseModel, Field, ValidationError

from prunekit.errors import UserError, describe
from prunekit.study.params import Params, load_params
from prunekit.study.study import Study

PROFILES = sorted(path.stem for path in (ROOT / "params").glob("*.yaml"))


def make(**changes):
    return Study(Params.model_validate(tiny_params(**changes)))


def multiplied(grid, **changes):
    """Return the trials of a sweep of one grid."""
    return make(sections={"sweep": [grid]}, **changes).sections["sweep"]


@pytest.mark.parametrize(("name", "trials"), [("demo", 484), ("cpu", 620), ("paper", 984)])
def test_profiles_load_and_name_their_trials(name, trials):
    loaded = Study(load_params(name))
    empty = {
        "demo": {"grasp_reaugmented", "init_seeds", "precision_check"},
        "cpu": {"precision_check"},
        "paper": set(),
    }
    assert {section for section, trials in loaded.sections.items() if not trials} == empty[name]
    assert len(loaded.sections["comparison"]) == 3 * 5 * 3
    assert len(loaded.sections["sweep"]) == 2 * 5 * {"demo": 4, "cpu": 3, "paper": 6}[name] * 3
    assert len(loaded.trials) == trials


def test_no_profile_is_left_out_of_these_tests():
    assert PROFILES == ["cpu", "demo", "paper"]


def test_a_grid_is_multiplied_out_over_the_seeds():
    found = [(t.seed, t.pruner, t.compression) for t in multiplied({"compression": [0.5, 2]}, seeds=[0, 4])]
    pruned = [(pruner, c) for pruner in ("synflow", "random") for c in (0.5, 2.0)]
    assert found == [(seed, *one) for seed in (0, 4) for one in pruned]


def test_a_grid_comes_before_the_defaults_and_these_before_those_of_trials():
    (trial,) = multiplied({"pruner": "snip", "compression": 1, "post_epochs": 3, "seed": 7})
    assert (trial.post_epochs, trial.batch_size, trial.learning_rate, trial.seed) == (3, 50, 0.001, 7)


def test_a_value_may_depend_on_the_pruner():
    """What others take is the default: of the profile, where it has one."""
    grid = {"compression": 1, "pruner": ["magnitude", "snip"], "pre_epochs": {"magnitude": 7}}
    assert {t.pruner: t.pre_epochs for t in multiplied(grid)} == {"magnitude": 7, "snip": 0}
    assert {t.pruner: t.pre_epochs for t in multiplied(grid, pre_epochs=2)} == {"magnitude": 7, "snip": 2}


def test_a_value_by_pruner_may_be_a_default_and_a_list():
    grid = {"compression": 1, "pruner": ["magnitude", "snip"]}
    found = multiplied(grid, pre_epochs={"magnitude": 3}, post_epochs={"snip": 2})
    assert {t.pruner: (t.pre_epochs, t.post_epochs) for t in found} == {"magnitude": (3, 10), "snip": (0, 2)}
    seeds = multiplied(grid | {"seed": {"snip": [5, 6]}}, seeds=[1, 2])
    assert [(t.pruner, t.seed) for t in seeds] == [("magnitude", 1), ("magnitude", 2), ("snip", 5), ("snip", 6)]


def test_trials_that_tables_would_take_for_seeds_of_one_cell_are_refused():
    apart = {"prune_steps": [1, 5], "schedule": ["exponential", "linear"], "pruner": "snip", "compression": 1}
    assert len(make(sections={"steps": [apart]}).sections["steps"]) == 3
    for grid in ({"post_epochs": [1, 3]}, {"scope": ["global", "local"]}, apart):
        with pytest.raises(ValidationError, match=r"sections.sweep: trials differ in .*, which its tables do not tell"):
            multiplied(grid)


@pytest.mark.parametrize("section", ["init_seeds", "labels"])
@pytest.mark.parametrize("grid", [{"model": ["fc", "conv"]}, {"dataset": ["digits", "digit-pairs"]}])
def test_tables_of_one_network_refuse_several(section, grid):
    grid = {"dataset": "digits", "pruner": "snip", "compression": 1} | grid
    with pytest.raises(
        ValidationError, match=rf"sections.{section}: trials differ in (model|dataset), which its tables"
    ):
        make(sections={section: [grid]})


def test_equal_trials_are_one_within_a_section_and_run_once():
    tiny = make()
    assert {name: len(trials) for name, trials in tiny.sections.items() if trials} == {
        "comparison": 4,
        "sweep": 4,
        "timing": 4,
        "flops": 4,
        "layers": 2,
        "histograms": 2,
        "as_described": 1,
        "as_described_flops": 1,
    }
    assert len(tiny.trials) == TINY_TRIALS
    assert all(id_ == trial.id for id_, trial in tiny.trials.items())
    assert len(multiplied({"compression": [1, 1.0], "labels": [10, "fine"], "pruner": "snip"})) == 1


def test_trials_that_share_work_are_neighbours():
    keys = [(t.dataset, t.model, t.pruner, t.seed) for t in make(seeds=[0, 1]).sections["sweep"]]
    assert len(set(keys)) == sum(a != b for a, b in zip([None, *keys], keys, strict=False))


@pytest.mark.parametrize(
    ("assignment", "where", "value"),
    [
        ("seeds=[3, 4]", "seeds", [3, 4]),
        ("seeds= [3,4]", "seeds", [3, 4]),
        ("defaults.width=1", "width", 1.0),
        ("defaults.train_subset=null", "train_subset", None),
        ("defaults.train_subset=", "train_subset", None),
        ("defaults.learning_rate=1.0e-3", "learning_rate", 1e-3),
        ("defaults.learning_rate=1e-3", "learning_rate", 1e-3),
        ("defaults.learning_rate=+.5E-2", "learning_rate", 5e-3),
        ("defaults.batch_size=1e2", "batch_size", 100),
        ("defaults.batch_size=1.0e2", "batch_size", 100),
        ("sections.sweep.pruner=[snip]", "pruner", "snip"),
        ("sections.sweep=[{pruner: snip}]", "pruner", "snip"),
    ],
)
def test_set_names_a_place_by_dots_and_reads_yaml(tiny_profile, assignment, where, value):
    params = load_params(str(tiny_profile), [assignment])
    found = params.seeds if where == "seeds" else {getattr(t, where) for t in params.trials["sweep"]}
    assert found == (value if where == "seeds" else {value})


def test_set_changes_all_grids_of_a_section_and_no_other_section(tiny_profile):
    trials = load_params(str(tiny_profile), ["sections.comparison.post_epochs=5"]).trials
    assert {(t.model, t.post_epochs) for t in trials["comparison"]} == {("fc", 5), ("conv", 5)}
    assert {t.post_epochs for t in trials["sweep"]} == {1}


def test_later_assignment_wins(tiny_profile):
    assert load_params(str(tiny_profile), ["seeds=[1]", "seeds=[2]"]).seeds == [2]


class Late(BaseModel):
    """Its second field is not there to be complained of where the first is wrong."""

    first: int
    second: int = Field(default_factory=lambda fields: fields["first"])


def test_a_complaint_of_what_was_never_given_names_no_value():
    with pytest.raises(ValidationError) as problem:
        Late.model_validate({})
    line = describe(problem.value, ["first", "second"])
    assert line.startswith("second: ") and "Undefined" not in line


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("compressions=[1]", ["compressions", "did you mean defaults.compression?"]),
        ("pruners=[snip]", ["pruners", "did you mean defaults.pruner?"]),
        ("zzz=1", ["zzz", "choose from profile, seeds"]),
        ("seeds", ["--set seeds", "key=value"]),
        ("seeds=[1", ["seeds=[1", "not YAML"]),
        ("seeds=[]", ["seeds", "empty"]),
        ("seeds=[-1]", ["seeds", "-1", "at least 0"]),
        ("seeds=[1.5]", ["seeds", "1.5", "integer"]),
        ("sections.swep.compression=[1]", ["sections", "'swep'", "did you mean sweep?"]),
        ("alone=[timing]", ["unknown key alone", "one_at_a_time"]),
        ("sections.passes=[{}]", ["'passes'", "speedups"]),
        ("sections.described=[{}]", ["'described'", "as_described"]),
        ("defaults.passes=true", ["unknown key passes", "measure_speedup"]),
        ("one_at_a_time=[timings]", ["one_at_a_time", "'timings'", "did you mean timing?"]),
        ("sections.sweep=digits", ["sections.sweep", "'digits'", "list"]),
        ("sections.sweep=[digits]", ["sections.sweep", "'digits'", "dictionary"]),
        ("sections.sweep.compresion=[1]", ["sections.sweep", "compresion", "did you mean compression?"]),
        ("sections.sweep.model_source=[1]", ["sections.sweep", "unknown key model_source"]),
        ("sections.sweep.pre_epochs={snap: 1}", ["sections.sweep", "pre_epochs", "'snap'", "did you mean snip?"]),
        ("sections.sweep.pre_epochs={1: 1}", ["sections.sweep", "pre_epochs", "unknown pruner '1'"]),
        ("sections.sweep.pre_epochs=[0, {magnitude: 5}]", ["sections.sweep", "pre_epochs", "{'magnitude': 5}"]),
        ("defaults.pruner={snip: grasp}", ["pruner", "a name or a list of them"]),
        ("defaults.width.x=1", ["--set defaults.width.x=1", "0.05 has no x"]),
        ("seeds.x=1", ["--set seeds.x=1", "0 has no x"]),
        ("sections.labels.compression=[1]", ["section labels has no grid to change"]),
        ("sections={}", ["sections", "no trials"]),
        ("defaults.seed=1", ["seed", "write seeds"]),
        ('seeds=["3"]', ["seeds", "'3'", "integer"]),
        ("sections.labels=[{labels: coarse}]", ["sections.labels", "digits has no coarse classes"]),
        ("sections.labels=[{labels: [2, 11]}]", ["sections.labels", "digits has 10 classes, which make no 11 groups"]),
        ("sections.labels=[{labels: 1}]", ["must be fine, coarse, or a number of groups from 2 on, not '1'"]),
        ("sections.sweep.control=shuffeld", ["sections.sweep", "'shuffeld'", "did you mean shuffled?"]),
        ("defaults={}", ["sections.comparison", "pruner is missing"]),
        ("defaults.pruner=[snap]", ["pruner", "'snap'", "did you mean snip?", "package.module:function"]),
        ("defaults.dataset=[cifar11]", ["dataset", "'cifar11'", "did you mean cifar10?"]),
        ("defaults.model=vgg12", ["model", "'vgg12'", "did you mean vgg1"]),
        ("defaults.learning_rate=-1", ["learning_rate", "-1", "greater than 0"]),
        ("defaults.batch_size=many", ["batch_size", "'many'", "integer"]),
        ("defaults.batch_size=0", ["batch_size", "0", "at least 1"]),
        ("defaults.batch_size=1.5", ["batch_size", "1.5", "integer"]),
        ("defaults.batch_size=true", ["batch_size", "True", "integer"]),
        ("defaults.compression=[-1]", ["compression", "-1", "at least 0"]),
        ("defaults.compression=[.nan]", ["compression", "nan", "finite"]),
        ("defaults.compression=[.inf]", ["compression", "inf"]),
        ("defaults.compression=[11]", ["compression", "11", "10"]),
        ("defaults.compression=[]", ["compression", "empty"]),
        ("defaults.width=0", ["width", "0", "greater than 0"]),
        ("defaults.width=1.0e+300", ["width", "1e+300", "at most 100"]),
        ("defaults.batch_size=10000000", ["batch_size", "10000000", "at most 1000000"]),
        ("defaults.post_epochs=null", ["post_epochs", "None", "integer"]),
        ("defaults.schedule=cosine", ["schedule", "'cosine'", "choose from exponential, linear"]),
        ("defaults.precision=float16", ["precision", "'float16'", "did you mean bfloat16?"]),
        ("defaults.precision=bfloat16", ["precision", "'bfloat16'", "'bf16-mixed'"]),
        ("defaults.pruner=['prunekit.pruners:snip', snip]", ["pruner", "look alike", "rename one"]),
        ("seeds=[1, 010]", ["seeds", "010 is no plain number"]),
        ("seeds=[-0_7]", ["seeds", "-0_7 is no plain number"]),
        ("defaults.post_epochs=1:30", ["post_epochs", "1:30 is no plain number"]),
        ("defaults.compression=00.5", ["compression", "00.5 is no plain number"]),
        ("seeds=!!python/object/apply:os.system [false]", ["seeds", "not YAML"]),
    ],
)
def test_wrong_place_or_value_is_one_line_with_the_nearest_right_one(tiny_profile, assignment, words):
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
        ("seeds: [0]", "sections is missing"),
        ("seed: [0]\n1: 2", "unknown key seed; did you mean seeds?"),
        (b"\xff\xfe\xff", "cannot be read"),
        ("seeds: [1]\nseeds: [2]", "line 2: the key seeds stands there twice"),
        ("seeds: [0]\nsections: {sweep: [{width: 1, 'width': 2}]}", "line 2: the key width stands there twice"),
        ("seeds: 2020-13-45", "cannot be read"),
        ("profile: ../demo\nseeds: [0]\nsections: {}", "'../demo' cannot name a profile"),
        ("profile: own\nseeds: [0]\nsections: {}", "'own' cannot name a profile"),
        ('"\\e[31m\\n": "' + "x" * 999 + '"', r"unknown key \x1b[31m\n"),
    ],
)
def test_broken_params_file_is_one_line_that_names_it(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(words)) as error:
        load_params("broken.yaml")
    assert str(error.value).startswith("broken.yaml") and str(error.value).isprintable()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dmo", "did you mean demo?"),
        ("zzz", "choose from cpu, demo, paper"),
        ("a.yaml", "a.yaml"),
        *((odd, "no profile") for odd in ("../demo", "", "..", "a/b", "de\nmo")),
    ],
)
def test_unknown_profile_is_one_line(name, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        load_params(name)
    assert repr(name) in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("sections", ["", "[]", "{sweep: }", "3"])
def test_a_place_in_no_sections_is_one_line(tmp_path, sections):
    (tmp_path / "mine.yaml").write_text(f"seeds: [0]\nsections: {sections}")
    with pytest.raises(UserError, match="section sweep has no grid to change"):
        load_params(str(tmp_path / "mine.yaml"), ["sections.sweep.compression=1"])


def test_aliases_and_merged_grids_are_read(tmp_path):
    file = tmp_path / "mine.yaml"
    row = "{dataset: digits, pruner: snip, compression: 1, model: fc}"
    file.write_text(f"seeds: [0]\nsections: {{sweep: [&row {row}, {{<<: *row, model: conv}}]}}")
    params = load_params(str(file))
    assert [trial.model for trial in params.trials["sweep"]] == ["fc", "conv"] and params.profile == "mine"


def test_tuples_are_lists_and_whole_floats_integers():
    loose = make(seeds=(0.0, 1), compression=(0.5, 1), post_epochs=1.0, train_subset=100.0)
    assert loose.trials == make(seeds=[0, 1], compression=[0.5, 1.0]).trials
    with pytest.raises(ValidationError):
        make(post_epochs=1.5)


def test_only_a_profile_as_it_stands_has_its_folder(tiny_profile):
    """A changed one and a user's file get folders of their own; the same one each time."""
    demo, changed, again = (Study(load_params("demo", sets)).folder for sets in ([], ["seeds=[0]"], ["seeds=[0]"]))
    assert demo == ROOT / "reports" / "own" / "demo"
    assert changed == again and changed.parent == ROOT / "reports" / "own" and changed.name.startswith("demo-")
    users = Study(load_params(str(tiny_profile)))
    assert users.folder.parent == ROOT / "reports" / "own" and users.folder.name.startswith("tiny-")


def test_profiles_say_what_they_ran_in_the_words_of_their_first_tables():
    """Spot checks against the study: what is easily lost in a grid."""
    paper = load_params("paper").trials
    mnist = {t.pruner: t.pre_epochs for t in paper["comparison"] if t.dataset == "mnist"}
    assert mnist == {"synflow": 0, "magnitude": 10, "snip": 0, "grasp": 0, "random": 0}
    assert {(t.pruner, t.pre_epochs, t.prune_steps) for t in paper["as_described"] if t.dataset != "mnist"} == {
        ("magnitude", 100, 1),
        ("synflow", 0, 100),
    }
    assert {t.post_epochs for t in paper["sweep"]} == {10} and {t.post_epochs for t in paper["speedups"]} == {0}
    assert all(t.timed for t in paper["timing"]) and {t.density for t in paper["unpruned"]} == {1.0}
    cpu = load_params("cpu").trials
    assert {(t.width, t.train_subset) for t in cpu["sweep"]} == {(0.1875, 14_000)}
    assert {(t.width, t.train_subset, t.post_epochs) for t in cpu["flops"]} == {(1.0, None, 0)}
    labels = {t.labels for t in cpu["labels"] if t.compression == 0}
    assert labels == {"2", "10", "coarse", "fine"} == {t.labels for t in cpu["labels"] if t.compression}
    assert {(t.pruner, t.prune_steps, t.schedule) for t in load_params("demo").trials["steps"]} == {
        (pruner, *steps)
        for pruner in ("synflow", "snip", "grasp")
        for steps in [(1, "exponential"), *((n, s) for n in (5, 100) for s in ("exponential", "linear"))]
    }


def test_tiny_is_what_other_tests_take_it_for():
    assert {**tiny_params(), "one_at_a_time": []} == {**TINY, "one_at_a_time": []}


@pytest.mark.parametrize("key", ["width", "post_epochs", "batch_size"])
def test_what_is_written_to_yaml_comes_back(tmp_path, key):
    changed = tiny_params(**{key: 2})
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(changed))
    assert load_params(str(tmp_path / "tiny.yaml")) == Params.model_validate(changed)
