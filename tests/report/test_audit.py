"""Published numbers beside synthetic records: every verdict by hand."""

import math

import pandas as pd
import pytest
from synthetic import layer, paper, recorded, with_records

from prunekit.report import audit, paper_values
from prunekit.report.audit import CONTRADICTED, EXPLAINED, REPRODUCED, UNTESTED

FLOPS = paper_values.table("table4_flops").set_index(paper_values.KEYS).value.to_dict()


def in_print(trial):
    """The published millions of FLOPs of a trial, 100 where there are none, a little apart from seed to seed."""
    value = FLOPS.get((trial.dataset, trial.model, trial.compression, trial.pruner), 100.0)
    return (100.0 if math.isnan(value) else value) * (1 + (trial.seed - 1) / 1000)


def judged(values, table="IV", **changes):
    """The rows of one table of the paper, without the seconds that the others would take."""
    study = paper(**changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "PARTS", [part for part in audit.PARTS if part.number == table])
        rows = audit.cells(recorded(study, values))
    return rows.set_index(paper_values.KEYS[:1] + paper_values.KEYS[2:])


def test_a_study_that_gives_the_published_numbers_reproduces_them_all():
    rows = judged(lambda trial: {"flops_kept": round(1e6 * in_print(trial))})
    assert len(rows) == 59, "n/a is no number"
    assert set(rows.verdict) == {REPRODUCED}
    assert rows.loc[("cifar10", 0.05, "synflow"), "mean"] == pytest.approx(297.5)
    assert rows.loc[("cifar10", 0.05, "synflow"), "spread"] == pytest.approx(0.2975)


def test_a_misprint_is_contradicted_and_says_by_how_much():
    def values(trial):
        misprint = (trial.dataset, trial.pruner, trial.compression) == ("cifar100", "synflow", 0.2)
        return {"flops_kept": round(1e6 * (257.2 + trial.seed - 1 if misprint else in_print(trial)))}

    rows = judged(values)
    # the seeds 256.2, 257.2, 258.2 lie within 4.97 of their mean, more than a fifth of 9.3
    assert rows.loc[("cifar100", 0.2, "synflow"), "verdict"] == UNTESTED
    rows = judged(lambda trial: {"flops_kept": values(trial)["flops_kept"] if trial.seed == 1 else 257_300_000})
    assert rows.loc[("cifar100", 0.2, "synflow"), ["verdict", "why"]].tolist() == [CONTRADICTED, ""]
    assert rows.loc[("cifar100", 0.2, "synflow"), "difference"] == pytest.approx(257.2667 - 9.3, abs=1e-3)


def test_the_edge_of_the_interval_decides():
    """Seeds 142.3, 143.3, 144.3 and a shift: one more lies within 4.9683 + 0.05 of their mean."""
    for shift, verdict in [(5.01, REPRODUCED), (5.03, CONTRADICTED)]:
        rows = judged(lambda trial, by=shift: {"flops_kept": round(1e6 * (143.3 + by + trial.seed - 1))})
        assert rows.loc[("cifar10", 1.0, "synflow"), "verdict"] == verdict


def test_a_top_five_value_is_explained():
    printed = paper_values.table("table1_accuracy_by_dataset").set_index(paper_values.KEYS).value.to_dict()

    def values(trial):
        number = printed.get((trial.dataset, trial.model, trial.compression, trial.pruner), 70.0)
        return {"top1": 1.0 + trial.seed / 100, "top5": number + (trial.seed - 1) / 10}

    rows = judged(values, "I")
    assert set(rows.verdict) == {EXPLAINED}
    assert set(rows.why) == {"a top-5 value (Finding 4)"}


@pytest.mark.parametrize(
    ("pre_epochs", "verdict", "why"), [(100, REPRODUCED, ""), (0, EXPLAINED, "pruned at initialisation (Finding 2)")]
)
def test_magnitude_is_labelled_as_pruned_after_training(pre_epochs, verdict, why):
    def values(trial):
        match = trial.pre_epochs == pre_epochs and trial.pruner == "magnitude"
        return {
            "top1": (97.53 if match else 11.35) + trial.seed / 100,
            "flops_kept": round(1e6 * in_print(trial) * (1 if match else 0.5)),
        }

    row = judged(values, "I").loc[("mnist", 1.0, "magnitude")]
    assert (row.verdict, row.why) == (verdict, why)
    row = judged(values).loc[("cifar10", 2.0, "magnitude")]
    assert (row.verdict, row.why) == (verdict, why)


def test_without_trials_as_labelled_others_are_shown_and_do_not_contradict():
    rows = judged(lambda trial: {"flops_kept": 100_000_000 + trial.seed}, described=[1.0])
    row = rows.loc[("cifar10", 2.0, "magnitude")]
    assert (row.verdict, row.why) == (UNTESTED, "no trial with 100 epochs before pruning was run")
    assert row["mean"] == pytest.approx(100)
    assert rows.loc[("cifar10", 1.0, "magnitude"), "verdict"] == CONTRADICTED


def test_a_width_of_seeds_that_decides_nothing_is_said():
    rows = judged(lambda trial: {"flops_kept": round(1e6 * (143.3 + 20 * (trial.seed - 1)))})
    row = rows.loc[("cifar10", 1.0, "synflow")]
    assert row.verdict == UNTESTED
    assert row.why == "seeds differ too much: one more would lie within ± 99.4"


def test_equal_accuracies_reproduce_their_value_and_contradict_no_other():
    """Networks that learn nothing all give 10.00; another seed might learn."""
    rows = judged(lambda trial: {"top1": 10.0, "top5": 50.0}, "II")
    assert rows.loc[("cifar10", 1.0, "random"), "verdict"] == REPRODUCED
    row = rows.loc[("cifar10", 1.0, "grasp")]
    assert (row.verdict, row.why) == (UNTESTED, "networks that no signal passes, as another seed may not give")


def test_the_printed_layer_compression_is_the_density_of_all_parameters():
    def values(trial):
        layers = [layer("first", 5000, 2000), layer("second", 5000, 1160)]
        return {"layers": layers, "parameters": 10_006, "parameters_kept": 3166}

    rows = judged(values, "V")
    assert set(rows.verdict) == {EXPLAINED}
    assert set(rows.why) == {"the density of all parameters, biases included (Finding 6)"}
    assert set(rows["mean"].round(4)) == {31.641}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seeds": [0]}, "one seed"),
        ({"width": 0.5}, "width: 0.5, not 1"),
        ({"scope": "local"}, "scope: local, not global"),
        ({"scoring_images_per_class": 5}, "scoring images a class: 5, not 10"),
        ({"pre_epochs": 3}, "epochs before pruning: 3, not 0"),
        ({"prune_steps": 20}, "prune steps: 20, not 1"),
        ({"dataset": ["digits"], "model": "vgg11"}, "stand-in: Digits, VGG11"),
    ],
)
def test_other_trials_than_the_papers_decide_nothing(changes, why):
    rows = judged(lambda trial: {"flops_kept": round(1e6 * in_print(trial))}, **changes)
    rows = rows[rows.index.get_level_values("pruner").isin(["snip", "grasp"])]
    assert set(rows.verdict) == {UNTESTED}
    assert set(rows.why) <= {why, "no such trial was run"} and why in set(rows.why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"post_epochs": 3}, "epochs after pruning: 3, not 10"),
        ({"train_subset": 5000}, "training images: 5,000, not all"),
        ({"learning_rate": 0.01}, "learning rate: 0.01, not 0.001"),
    ],
)
def test_another_budget_decides_nothing_on_accuracy_but_on_flops(changes, why):
    study = paper(**changes)
    rows = audit.cells(recorded(study, lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    assert set(rows[rows.table == "II"].why) == {why}
    assert set(rows[(rows.table == "IV") & (rows.pruner != "magnitude")].verdict) == {REPRODUCED}


def test_trials_of_another_network_are_not_mixed_with_the_papers():
    rows = [
        {"dataset": "cifar10", "model": "vgg16", "compression": 1},
        {"dataset": "cifar10", "model": "vgg11", "compression": 1},
    ]
    found = judged(
        lambda trial: {"top1": (10.0 if trial.model == "vgg11" else 81.39) + trial.seed}, "I", comparison=rows
    )
    row = found.loc[("cifar10", 1.0, "synflow")]
    assert (row["mean"], row.seeds, row.ours) == (pytest.approx(82.39), 3, "cifar10/vgg16")


def test_what_bfloat16_does_to_grasp_is_open():
    """A number of GraSP's is reproduced with products in bfloat16, or left open; in float32 it is contradicted, too."""

    def values(trial):
        return {"top1": 20.0 + trial.seed * (trial.pruner == "grasp") / 10}

    mixed, exact = (judged(values, "II", precision=precision) for precision in ("bf16-mixed", "float32"))
    cell = ("cifar10", 0.5, "grasp")  # 23.18 in print
    assert mixed.loc[cell, "why"] == "products in bfloat16: whether that matters to GraSP is open"
    assert (mixed.loc[cell, "verdict"], exact.loc[cell, "verdict"]) == (UNTESTED, CONTRADICTED)


def test_times_of_another_machine_decide_nothing():
    assert set(judged(lambda trial: {}, "III").why) == {"seconds of another machine"}


def test_failed_and_missing_trials_decide_nothing():
    def values(trial):
        return None if (trial.pruner, trial.seed) == ("grasp", 2) else {"flops_kept": round(1e6 * in_print(trial))}

    rows = judged(values)
    grasp = rows[rows.index.get_level_values("pruner") == "grasp"]
    assert set(grasp.why) == {"1 of 3 trials failed"} and set(grasp.verdict) == {UNTESTED}
    assert set(grasp.seeds) == {2}
    study = paper()
    nothing = audit.cells(with_records(study, {}))
    assert set(nothing.verdict) == {UNTESTED} and len(nothing) == 203


def test_a_record_without_the_value_decides_nothing():
    rows = judged(lambda trial: {"flops_kept": None if trial.seed else 143_300_000})
    row = rows.loc[("cifar10", 1.0, "synflow")]
    assert (row.verdict, row.why, row.seeds) == (UNTESTED, "2 of 3 trials have no such value", 1)


def test_published_numbers_without_a_trial_are_listed():
    rows = judged(lambda trial: {"flops_kept": round(1e6 * in_print(trial))}, compression=[1.0, 7.0])
    assert len(rows) == 59
    assert rows.loc[("cifar10", 2.0, "snip"), "why"] == "no such trial was run"
    study = paper(
        *(
            f"sections.{name}.compression=7"
            for name in ("comparison", "sweep", "timing", "flops", "layers", "described")
        )
    )
    nothing = audit.cells(recorded(study))
    assert set(nothing.verdict) == {UNTESTED} and len(audit.table(nothing).wide) < 20


def test_a_study_without_the_described_trials_is_judged():
    study = paper("sections.described=[]", pruner=["grasp", "random"])
    assert study.sections["described"] == []
    rows = audit.cells(recorded(study, lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    assert set(rows[(rows.table == "IV") & (rows.pruner == "random")].verdict) == {REPRODUCED}
    assert set(rows[rows.pruner == "magnitude"].verdict) == {UNTESTED}


def test_the_table_begins_with_what_is_contradicted():
    study = paper()
    rows = audit.cells(recorded(study, lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    wide = audit.table(rows).wide
    verdicts = [verdict for verdict in wide.Verdict if verdict in (CONTRADICTED, EXPLAINED, REPRODUCED)]
    assert verdicts == sorted(verdicts, key=[CONTRADICTED, EXPLAINED, REPRODUCED].index)
    line = wide[(wide.Table == "IV") & (wide.c == "1") & (wide.Pruner == "SynFlow")].iloc[0]
    assert (line.Data, line.Published, line.Ours, line.Difference) == ("CIFAR-10", "143.3", "143.30 ± 0.36", "+0.00")


def test_counts_add_up():
    study = paper()
    rows = audit.cells(recorded(study, lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    tidy = audit.counts(rows, pd.Series([REPRODUCED, UNTESTED])).tidy.set_index("of")
    assert tidy.loc["Numbers of Table IV", REPRODUCED] == 59
    assert tidy.loc[[f"Numbers of Table {number}" for number in ("I", "II", "III", "IV", "V")]].sum().sum() == 203
    assert tidy.loc["All numbers"].sum() == 193, "ten of Table I stand in Table II too"
    assert tidy.loc["Claims"].tolist() == [1, 0, 0, 1]
