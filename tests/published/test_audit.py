"""Published numbers beside synthetic records: every verdict by hand."""

import math

import pandas as pd
import pytest
from synthetic import layer, paper, recorded, with_records

from prunekit import published
from prunekit.published import audit
from prunekit.published.audit import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED
from prunekit.published.protocol import deviation
from prunekit.study.trial import Trial

SIGNAL = {"signal": 1.0, "dense_signal": 1.0}
INITS = "sections.init_seeds=[{dataset: mnist, model: fc, pruner: synflow, compression: 1, post_epochs: 0, "
INITS += f"precision: float32, seed: {list(range(30))}}}]"
GUESS = {"cifar10": (10.0, 50.0), "cifar100": (1.0, 5.0), "mnist": (11.35, 52.14)}


def in_print(trial, table="IV", without=100.0):
    """What the paper prints for a trial, `without` where it prints nothing, a little apart from seed to seed."""
    value = published.printed(table).get((trial.dataset, trial.model, trial.compression, trial.pruner), without)
    return (without if math.isnan(value) else value) * (1 + (trial.seed - 1) / 1000)


def judged(values, table="IV", *assignments, **changes):
    """The rows of one table of the paper, without the seconds that the others would take."""
    study = paper(*assignments, **changes)
    study = recorded(study, lambda trial: None if (found := values(trial)) is None else SIGNAL | found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "TABLES", [one for one in audit.TABLES if one.name == table])
        rows = audit.numbers(study)
    return rows.set_index(["dataset", "compression", "pruner"])


def told(row):
    return row.verdict, row.why


def test_runs_that_give_the_published_numbers_reproduce_them_all():
    rows = judged(lambda trial: {"flops_kept": round(1e6 * in_print(trial))})
    assert len(rows) == 59, "n/a is no number"
    assert set(rows.verdict) == {REPRODUCED} and set(rows.labelled) == {REPRODUCED}
    assert rows.loc[("cifar10", 0.05, "synflow"), "mean"] == pytest.approx(297.5)
    assert audit.by_chance(rows)["outside"] == 0


def test_a_misprint_is_contradicted():
    def values(trial):
        misprint = (trial.dataset, trial.pruner, trial.compression) == ("cifar100", "synflow", 0.2)
        return {"flops_kept": round(1e6 * (257.2 if misprint else in_print(trial)))}

    row = judged(values).loc[("cifar100", 0.2, "synflow")]
    assert told(row) == (CONTRADICTED, "") and row.tried == 1


def test_the_edge_of_the_interval_decides():
    """SynFlow at c = 1: seeds 1 apart on both CIFARs, which share them: 4 degrees of freedom, two of them effective.

    One more run lies within t(0.975, 2) x 1 x sqrt(4 / 3) + 0.05 = 4.9683 + 0.05 of the mean.
    A number outside, alone of 59, is what chance gives.
    """
    for shift, verdict in [(5.01, REPRODUCED), (5.03, UNDECIDED)]:
        rows = judged(lambda trial, by=shift: {"flops_kept": round(1e6 * (142.3 + by + trial.seed - 1))})
        row = rows.loc[("cifar100", 1.0, "synflow")]
        assert (row.verdict, row.s) == (verdict, pytest.approx(1)) and row.margin == pytest.approx(5.0183, abs=1e-4)


def test_one_run_of_a_cell_is_judged_by_how_others_vary():
    """As far as others tell; not where all cells have one."""

    def values(trial):
        return {"top1": 80.0 + trial.seed} if trial.seed == 0 or trial.compression < 2 else None

    row = judged(values, "II").loc[("cifar10", 2.0, "magnitude")]
    assert (row.runs, row.verdict) == (1, CONTRADICTED) and row.margin < 10
    row = judged(lambda trial: {"top1": 48.0}, "II", seeds=[0]).loc[("cifar10", 2.0, "magnitude")]
    assert told(row) == (UNDECIDED, "no cell of its kind has two runs")


def test_a_width_that_decides_nothing_is_undecided():
    row = judged(lambda trial: {"top1": 50.0 + 10 * trial.seed}, "II").loc[("cifar100", 0.1, "synflow")]
    assert row.verdict == UNDECIDED and row.why.startswith("one more run may lie anywhere within ±")


def test_another_reading_explains_and_contradicts_too():
    """All as top-5 agree; none as top-1, nor as either; a reading for which nothing was run decides nothing."""

    def values(trial, shift=0):
        number = in_print(trial, "I", 70)
        return {"top1": 30.0 + trial.seed / 100, "top5": number + shift}

    rows = judged(values, "I", described=[1.0])
    assert set(rows.verdict) == {EXPLAINED} and {"a top-5 value"} <= set(rows.why)
    rows = judged(lambda trial: values(trial, 9), "I")
    # as top-1 GraSP's 11.18 is neither 30.0 of ours nor of three others; of SynFlow too but for how far it lies
    assert told(rows.loc[("cifar10", 1.0, "synflow")]) == (CONTRADICTED, "elsewhere 98.54 to 99.07 (3 groups)")
    assert rows.loc[("cifar10", 1.0, "synflow"), "tried"] == 2
    assert rows.loc[("cifar10", 1.0, "synflow"), "reading"] == "a top-5 value", "which comes nearest"
    assert rows.loc[("cifar10", 1.0, "magnitude"), "tried"] == 4, "top-1 and top-5, after 100 epochs and none"


@pytest.mark.parametrize(
    ("pre_epochs", "verdict", "why"), [(100, REPRODUCED, ""), (0, EXPLAINED, "pruned at initialisation")]
)
def test_magnitude_is_labelled_as_pruned_after_training(pre_epochs, verdict, why):
    def values(trial):
        match = trial.pre_epochs == pre_epochs and trial.pruner == "magnitude"
        return {"flops_kept": round(1e6 * in_print(trial) * (1 if match else 0.5))}

    row = judged(values).loc[("cifar10", 2.0, "magnitude")]
    assert told(row) == (verdict, why) and row.tried == 2


def failing(pruner, seeds, compression=0.1):
    """Values of networks of which those of a pruner, dataset CIFAR-100, never start with these seeds."""

    def values(trial):
        fails = (trial.dataset, trial.pruner, trial.compression) == ("cifar100", pruner, compression)
        if fails and trial.seed in seeds:
            return dict(zip(("top1", "top5"), GUESS[trial.dataset], strict=True))
        number = in_print(trial, "II", 60)
        return {"top1": number / 2 if trial.dataset == "cifar100" else number, "top5": number + trial.seed}

    return values


def test_a_number_at_chance_is_judged_by_how_many_start():
    """SNIP on CIFAR-100 at c = 0.1 is printed as 5.00, and as top-5 that is chance."""
    cell = ("cifar100", 0.1, "snip")
    row = judged(failing("snip", [0, 1, 2]), "II").loc[cell]
    assert (row.verdict, row.runs, row.learned) == (EXPLAINED, 3, 0) and row.why == "a top-5 value"

    # of SNIP at c = 0.1 none fails; of the networks of CIFAR-100 whose signal passes GraSP's and random's do
    def values(trial):
        lost = trial.dataset == "cifar100" and trial.pruner in ("grasp", "random") and trial.compression != 0.1
        number = in_print(trial, "II", 60)
        number = 62.0 + trial.seed if number < 6 else number + trial.seed
        return {"top1": 1.0, "top5": 5.0} if lost else {"top1": number / 2, "top5": number}

    row = judged(values, "II").loc[cell]
    assert row.verdict == EXPLAINED and row.why.startswith("a run that stayed at chance, as ")
    row = judged(lambda trial: {"top1": 40.0 + trial.seed, "top5": 62.0 + trial.seed}, "II").loc[cell]
    assert row.verdict == CONTRADICTED, "none of some ninety networks stayed at chance"


def test_a_number_above_chance_of_networks_that_never_start():
    """SynFlow on MNIST, 70.59: another initialisation may leave a path, until thirty left none."""
    values = lambda trial: {"top1": 11.35, "top5": 52.14, "collapsed": trial.pruner == "synflow"}  # noqa: E731
    cell = ("mnist", 1.0, "synflow")
    row = judged(values, "I", INITS).loc[cell]
    why = "no path of weights is left in 30 of 30 initialisations; elsewhere 11.35 (5 groups)"
    assert told(row) == (CONTRADICTED, why)
    row = judged(lambda trial: values(trial) | {"collapsed": trial.seed < 15}, "I", INITS).loc[cell]
    assert row.verdict == UNDECIDED
    row = judged(values, "I").loc[cell]
    assert told(row) == (UNDECIDED, "none of our 3 runs learned, and another one may; elsewhere 11.35 (5 groups)")


def test_a_number_outside_may_be_reproduced_elsewhere():
    """GraSP's 30.16 on CIFAR-10 at c = 0.1: ours have 12, seven runs of others 25.4 to 30.3."""
    rows = judged(lambda trial: {"top1": 12.0 + trial.seed / 10, "top5": 99.0}, "II")
    verdict, why = told(rows.loc[("cifar10", 0.1, "grasp")])
    assert verdict == EXPLAINED and why == "reproduced elsewhere (G4: 25.41 to 30.31, 7 runs), not by our runs"
    assert told(rows.loc[("cifar10", 0.1, "synflow")])[0] == EXPLAINED, "79.25 lies in 78.4 to 79.9"
    assert told(rows.loc[("cifar10", 0.05, "snip")]) == (CONTRADICTED, ""), "their runs quit there"
    assert told(rows.loc[("cifar100", 0.2, "snip")]) == (CONTRADICTED, ""), "nobody else ran CIFAR-100"


def test_the_printed_layer_compression_is_the_density_of_all_parameters():
    def values(trial):
        layers = [layer("first", 5000, 2000), layer("second", 5000, 1160)]
        return {"layers": layers, "parameters": 10_006, "parameters_kept": 3166}

    rows = judged(values, "V")
    assert set(rows.verdict) == {EXPLAINED} and set(rows.why) == {"the density of all parameters"}
    assert set(rows["mean"].round(4)) == {31.641} and set(rows.labelled) == {CONTRADICTED}


def test_seconds_are_judged_by_their_ratios():
    """All of ours twice the paper's: no second is right and every ratio; the trial that quit took 5 % of the others."""
    where = {"where": {"workers": 1}}
    rows = judged(lambda trial: where | {"seconds": {"train": 2 * in_print(trial, "III")}}, "III")
    assert len(rows) == 60 and set(rows.verdict) == {REPRODUCED, EXPLAINED}
    assert set(rows[rows.verdict == EXPLAINED].why) == {"pruned at initialisation"}
    crowded = judged(lambda trial: {"seconds": {"train": 2 * in_print(trial, "III")}}, "III")
    assert set(crowded.verdict) == {NOT_RUN} and "timed beside other trials" in set(crowded.why)
    same = judged(lambda trial: where | {"seconds": {"train": 300.0 + trial.seed}}, "III")
    assert told(same.loc[("cifar100", 0.05, "snip")])[0] == CONTRADICTED
    assert told(same.loc[("cifar10", 0.05, "random")])[0] == CONTRADICTED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"width": 0.5}, "width: 0.5, not 1"),
        ({"scope": "local"}, "scope: local, not global"),
        ({"scoring_images_per_class": 5}, "scoring images a class: 5, not 10"),
        ({"pre_epochs": 3}, ""),
        ({"prune_steps": 20}, "prune steps: 20, not 1"),
        ({"dataset": ["digits"], "model": "vgg11"}, ""),
    ],
)
def test_other_trials_than_the_papers_are_not_run(changes, why):
    rows = judged(lambda trial: {"flops_kept": round(1e6 * in_print(trial))}, **changes)
    rows = rows[rows.index.get_level_values("pruner").isin(["snip", "grasp"])]
    assert set(rows.verdict) == {NOT_RUN} and why in set(rows.why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"post_epochs": 3}, "epochs after pruning: 3, not 10"),
        ({"train_subset": 5000}, "training images: 5,000, not all"),
        ({"learning_rate": 0.01}, "learning rate: 0.01, not 0.001"),
    ],
)
def test_another_budget_decides_nothing_on_accuracy_but_on_flops(changes, why):
    rows = audit.numbers(recorded(paper(**changes), lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    assert set(rows[(rows.table == "II") & (rows.pruner != "magnitude")].why) == {why}
    assert set(rows[(rows.table == "IV") & (rows.pruner != "magnitude")].verdict) == {REPRODUCED}


@pytest.mark.parametrize("field", [field for field in Trial.model_fields if field != "pre_epochs"])  # a reading
def test_a_trial_with_another_value_of_a_field_is_not_the_papers(field):
    """But for what tells cells and readings apart, and fields that change no accuracy; a schedule is of many steps."""
    frame = pd.DataFrame([Trial(dataset="cifar10", model="vgg16", pruner="snip", compression=1.0).model_dump()])
    found = deviation(frame.assign(status="ok", **{field: "another"}), True).item()
    apart = {"dataset", "model", "pruner", "compression", "seed", "schedule", "measure_speedup", "timed"}
    apart |= {"lr_factor"}  # which matters where there are drops
    assert (found == "") == (field in apart or field.endswith("_source")), found


def test_products_in_bfloat16_are_like_float32_and_a_loss_in_it_is_not():
    rows = [
        Trial(dataset="cifar10", model="vgg16", pruner="snip", compression=1.0, precision=one).model_dump()
        for one in ("float32", "bf16-mixed", "bfloat16")
    ]
    frame = pd.DataFrame(rows).assign(status="ok")
    assert deviation(frame, True).tolist() == ["", "", "precision: bfloat16, not float32"]
    assert deviation(frame, False).tolist() == ["", "", ""]
    assert deviation(frame[:0], True).empty and set(deviation(frame.assign(status="failed"), True)) == {
        "the trial failed"
    }


def test_failed_and_missing_trials_are_no_runs():
    values = lambda trial: {"flops_kept": round(1e6 * in_print(trial))}  # noqa: E731
    study = paper()
    found = recorded(study, lambda trial: None if (trial.pruner, trial.seed) == ("grasp", 2) else values(trial))
    rows = audit.numbers(found).query("table == 'IV' and pruner == 'grasp'")
    assert set(rows.verdict) == {REPRODUCED} and set(rows.runs) == {2}
    nothing = audit.numbers(with_records(study, {}))
    assert set(nothing.verdict) == {NOT_RUN} and len(nothing) == 203
    counted = audit.counts(nothing).set_index("published")
    assert counted[NOT_RUN].tolist() == counted.numbers.tolist() == [15, 59, 60, 59, 10]
    assert audit.by_chance(nothing) == {"judged": 0, "expected": 0, "outside": 0, "stay": 0}


def test_a_study_without_the_described_trials_is_judged():
    study = paper("sections.as_described=[]", pruner=["grasp", "random"])
    rows = audit.numbers(recorded(study, lambda trial: {"flops_kept": round(1e6 * in_print(trial))}))
    assert set(rows[(rows.table == "IV") & (rows.pruner == "random")].verdict) == {REPRODUCED}
    assert set(rows[rows.pruner == "magnitude"].verdict) == {NOT_RUN}


def test_numbers_that_stand_twice_count_once():
    rows = audit.numbers(with_records(paper(), {}))
    assert (len(rows), len(audit.drop_repeats(rows))) == (203, 193), "ten of Table I stand in Table II too"


def test_networks_at_chance_by_hand():
    """Two of three whose signal passes; one of one that is severed; one that was not trained counts for nothing."""
    frame = pd.DataFrame({"dataset": "cifar10", "status": "ok", "learned": [True, False, False, False, False]})
    frame = frame.assign(at_init=["passes"] * 3 + ["severed", "passes"], top1=[80.0, 10.0, 10.0, 10.0, math.nan])
    rows = audit.at_chance(frame).set_index("at_init")
    assert rows.loc["passes", ["runs", "stayed"]].tolist() == [3, 2] and rows.rate["severed"] == 1
    assert rows.low["passes"] < 2 / 3 < rows.high["passes"]
    assert audit.at_chance(frame[:0]).empty


def test_what_lies_outside_as_one_in_twenty_does_by_chance_is_undecided():
    """A misprint of 9.3 stays among 59; one number just outside its interval does not, and alone would."""

    def values(trial, off=0.0):
        cell = (trial.dataset, trial.pruner, trial.compression)
        misprint = 248.0 if cell == ("cifar100", "synflow", 0.2) else 0.0
        return {"flops_kept": round(1e6 * (in_print(trial) + misprint + off * (cell == ("cifar10", "snip", 0.1))))}

    near = judged(lambda trial: values(trial, off=2.0))
    assert near.verdict[("cifar100", 0.2, "synflow")] == CONTRADICTED
    row = near.loc[("cifar10", 0.1, "snip")]
    assert 0.002 < row.p < 0.05 and row.verdict == UNDECIDED
    assert audit.by_chance(near) == {"judged": 59, "expected": pytest.approx(2.95), "outside": 2, "stay": 1}


def test_a_number_stands_below_the_accuracy_by_which_it_was_judged():
    """CIFAR-100's as top-5; MNIST's random pruning, too, but its top-5 has no row."""

    def values(trial):
        number = in_print(trial, "I", 70)
        top1 = {"cifar100": 30.0}.get(trial.dataset, 94.0 if trial.pruner == "random" else number)
        as_top5 = trial.dataset == "cifar100" or (trial.dataset, trial.pruner) == ("mnist", "random")
        return SIGNAL | {"top1": top1 + trial.seed / 100, "top5": (number if as_top5 else 90.0) + trial.seed / 100}

    rows = audit.beside(recorded(paper(described=[1.0]), values), "I").set_index(["dataset", "pruner"])
    assert rows.loc[("cifar100", "synflow"), ["accuracy", "text"]].tolist() == ["top-5", "72.61 (✓)"]
    assert rows.loc[("mnist", "random"), ["accuracy", "text"]].tolist() == ["top-1", "99.87 as top-5 (✓)"]
    assert rows.loc[("cifar10", "snip"), ["accuracy", "text"]].tolist() == ["top-1", "76.98 ✓"]
    assert audit.beside(with_records(paper(), {}), "I").empty
