"""Each finding on synthetic records: borne out, not borne out, not testable here."""

import math

import pytest
from synthetic import layer, paper, recorded, records, with_records

from prunekit.report import findings, paper_values
from prunekit.report.statistics import signal_status

BORNE_OUT, NOT_BORNE_OUT, NOT_TESTABLE = "**Borne out.**", "**Not borne out.**", "**Not testable here**"


def millions(trial):
    value = paper_values.value("table4_flops", trial.dataset, trial.model, trial.compression, trial.pruner)
    return 100.0 if math.isnan(value) else value


def described(compressions):
    """Return the assignments by which what the paper describes is run at these compressions."""
    return [f"sections.{name}.compression={compressions}" for name in ("described", "described_flops")]


def one_shot(trial):
    """As the study ran it, but for the cell that is misprinted; 23 million after 100 steps, and alive."""
    stepped = trial.prune_steps == 100
    at_last = trial.compression == 2 and trial.pruner == "synflow"
    misprinted = (trial.dataset, trial.pruner, trial.compression) == ("cifar100", "synflow", 0.2)
    flops = 257.2 if misprinted else millions(trial)
    return {"flops_kept": round(1e6 * (flops * 0.4 if stepped else flops)), "collapsed": at_last and not stepped}


def test_one_shot_is_borne_out_where_it_is_nearer_and_collapses():
    study = paper(*described([1.0, 2.0]))
    found = findings.one_shot(recorded(study, one_shot))
    assert found.text.startswith(
        f"{BORNE_OUT} Of the 4 published cells where one shot and 100 steps differ by more than their intervals, 4 lie"
    )
    assert "6 of 6 networks pruned in one shot collapsed, and 0 of 6 in 100 steps." in found.text
    row = found.table.tidy.iloc[0]
    share = 100 * 143.3e6 / 313_478_154
    assert (row.published, row.one_shot, row.in_steps) == pytest.approx((share, share, 0.4 * share))


def test_one_shot_is_not_borne_out_where_steps_are_nearer():
    study = paper(*described([1.0, 2.0]))

    def swapped(trial):
        values = one_shot(trial)
        return values | {"flops_kept": round(1e6 * millions(trial) * (1 if trial.prune_steps == 100 else 0.4))}

    assert findings.one_shot(recorded(study, swapped)).text.startswith(NOT_BORNE_OUT)


def test_one_shot_ignores_the_misprint_and_cells_that_do_not_tell():
    """At 0.2 nothing but the misprint 9.3 differs; cells where steps change nothing do not count."""
    study = paper(*described([0.2, 2.0]))

    def values(trial):
        flops = 257.4 if trial.compression == 0.2 else one_shot(trial)["flops_kept"] / 1e6
        return one_shot(trial) | {"flops_kept": round(1e6 * flops)}

    found = findings.one_shot(recorded(study, values))
    assert found.text.startswith(f"{BORNE_OUT} Of the 2 published cells")
    alone = paper(*described([0.2]))
    assert findings.one_shot(recorded(alone, values)).text.startswith(NOT_TESTABLE)


def magnitude(shift):
    def values(trial):
        late = trial.pre_epochs > 0
        return {
            "flops_kept": round(1e6 * millions(trial) * (shift if late else 1)),
            "top1": {0: 11.35, 10: 97.5}.get(trial.pre_epochs, 97.9),
            "seconds": {"pretrain": 80.0 if late else 0.0, "train": 8.0},
        }

    return values


def test_magnitude_is_borne_out_by_flops_and_told_of_mnist():
    study = paper(*described([1.0]))
    found = findings.magnitude_untrained(recorded(study, magnitude(0.8)))
    assert found.text.startswith(
        f"{BORNE_OUT} The published FLOPs of magnitude pruning lie within 1% of those at initialisation in 12 of 12 "
        "cells. In 2 of 2 cells, training"
    )
    assert found.text.endswith(
        "On MNIST the fully connected net reaches 11.4 ± 0.0 % when pruned at initialisation, 97.5 ± 0.0 % when pruned "
        "after 10 epochs, 97.9 ± 0.0 % when pruned after 100 epochs; the paper prints 97.53 %, which is nearest to "
        "pruning after 10 epochs."
    )
    assert set(found.table.tidy.times) == {11.0}


@pytest.mark.parametrize(("crowd", "times"), [({"threads": 2}, 11.0), ({"threads": 1}, None)])
def test_how_many_times_as_long_is_said_of_trials_timed_alike_alone(crowd, times):
    """Ninety seconds and eight: eleven times, unless the one had two threads and the other one."""
    study = paper(*described([1.0]))

    def values(trial):
        where = {"cpu": "EPYC", "cores": 2, "workers": 1, "threads": 2}
        return magnitude(0.8)(trial) | {"where": where | (crowd if trial.pre_epochs else {})}

    tidy = findings.magnitude_untrained(recorded(study, values)).table.tidy
    assert set(tidy.times.dropna()) == ({times} if times else set())


def test_magnitude_is_not_borne_out_where_training_tells_nothing_or_print_differs():
    study = paper(*described([1.0]))
    alike = findings.magnitude_untrained(recorded(study, magnitude(1.0))).text
    assert alike.startswith(f"{NOT_TESTABLE} (no trial here shows that epochs before pruning would change FLOPs)")
    found = records(study, lambda trial: magnitude(0.8)(trial) | {"flops_kept": 50_000_000 * (1 + trial.pre_epochs)})
    assert findings.magnitude_untrained(with_records(study, found)).text.startswith(NOT_BORNE_OUT)


@pytest.mark.parametrize(
    ("ten", "hundred", "verdict"), [(10, 12, BORNE_OUT), (12, 12, NOT_BORNE_OUT), (10, 10, NOT_BORNE_OUT)]
)
def test_tied_zeros_are_counted_against_what_is_to_go(ten, hundred, verdict):
    """Compression 0.05 keeps 89 of 100 weights, so 11 go."""

    def values(trial):
        zeros = {"cifar10": ten, "cifar100": hundred}.get(trial.dataset, 0)
        return {"layers": [layer("first", 100, round(100 * trial.density), zero_scores=zeros)]}

    study = paper()
    found = findings.tied_zeros(recorded(study, values))
    assert found.text.startswith(verdict)
    tied = [3 if zeros == 12 else 0 for zeros in (ten, hundred)]
    assert f"CIFAR-10 {tied[0]} of 3, CIFAR-100 {tied[1]} of 3" in found.text
    assert found.table.wide.iloc[0]["Scores of zero, %"] == f"{ten}.00 ± 0.00"
    by_position = found.table.tidy.by_position.iloc[1]
    # 11 of 12 ties go from a layer of 100 weights and 100 FLOPs; without too many ties there is nothing to break
    assert by_position == pytest.approx((313_478_154 - 11) / 1e6) if hundred == 12 else math.isnan(by_position)


def test_zeros_that_were_not_counted_decide_nothing():
    study = paper()
    found = findings.tied_zeros(recorded(study, lambda trial: {"layers": [layer("first", 100, 89, None)]}))
    assert found.text.startswith(f"{NOT_TESTABLE} (zeros were not counted)")


def accuracies(top1_matches):
    def values(trial):
        table = "table1_accuracy_by_dataset" if trial.model == "fc" else "table2_accuracy_by_compression"
        number = paper_values.value(table, trial.dataset, trial.model, trial.compression, trial.pruner)
        near = (60.0 if math.isnan(number) else number) + trial.seed / 10
        return {"top1": near, "top5": 99.0} if top1_matches else {"top1": near / 4, "top5": near}

    return values


def test_top_five_rests_on_values_that_agree_as_nothing_else():
    study = paper()
    found = findings.top_five(recorded(study, accuracies(False)))
    assert found.text.startswith(f"{BORNE_OUT} CIFAR-100: ")
    assert "Random pruning on MNIST: 1 of 1 testable values agree" in found.text and "12 of the 29 values" in found.text
    assert findings.top_five(recorded(study, accuracies(True))).text.startswith(NOT_BORNE_OUT)
    assert findings.top_five(with_records(study, {})).text.startswith(NOT_TESTABLE)


def test_whole_trial_compares_a_trial_with_a_test():
    study = paper()
    found = findings.whole_trial(recorded(study))
    assert found.text.startswith(f"{BORNE_OUT} A trial of ours lasts as long as 100 and 100 passes of 10,000 images")
    assert set(found.table.tidy.times.round(6)) == {100.0}
    slow = findings.whole_trial(recorded(study, lambda trial: {"latency": 8e-4}))
    assert slow.text.startswith(NOT_BORNE_OUT)
    assert findings.whole_trial(with_records(study, {})).text.startswith(f"{NOT_TESTABLE} (no trial was timed)")


@pytest.mark.parametrize(("biases", "verdict"), [(True, BORNE_OUT), (False, NOT_BORNE_OUT)])
def test_density_of_all_parameters_is_the_printed_number(biases, verdict):
    """3,160 of 10,000 weights and 6 biases: 31.60 % and 31.64 %."""

    def values(trial):
        layers = [layer("first", 5000, 2000), layer("second", 4000, 1000), layer("third", 1000, 160)]
        extra = 6 if biases else 0
        return {"layers": layers, "parameters": 10_000 + extra, "parameters_kept": 3160 + extra}

    study = paper()
    found = findings.not_by_layer(recorded(study, values))
    assert found.text.startswith(verdict)
    assert "single layers keep from 16.0 % to 40.0 % of their weights" in found.text
    row = found.table.tidy.iloc[0]
    assert row.least_with_biases == pytest.approx(100 * 162 / 1002 if biases else 16)


def test_images_that_both_data_sets_have_are_shown(real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNEKIT_DATA", str(real_data))
    figure = findings.disjoint_images(paper()).figure
    said = figure.data["class"].tolist()
    assert said == ["dog", "cattle", "truck", "pickup truck", "automobile", "bus"]
    assert "what each calls them: dog and cattle; truck and pickup truck; automobile and bus." in figure.caption
    figure.save(tmp_path)
    assert (tmp_path / "finding7_shared_images.png").stat().st_size > 10_000


def grasp(same, anew):
    """Millions of FLOPs of GraSP by seed, as shares of the published: with the same images, and augmented anew."""

    def values(trial):
        shares = anew if trial.reaugmented else same
        return {"flops_kept": round(1e6 * millions(trial) * shares[trial.seed])} if trial.pruner == "grasp" else {}

    return values


@pytest.mark.parametrize(
    ("same", "anew", "verdict", "within"),
    [
        ((1.05, 1.06, 1.07), (0.99, 1.00, 1.01), BORNE_OUT, "in 0 of 12 cells with the same images, in 12 with"),
        ((0.99, 1.00, 1.01), (1.05, 1.06, 1.07), NOT_BORNE_OUT, "in 12 of 12 cells with the same images, in 0 with"),
        ((0.99, 1.00, 1.01), (1.01, 1.00, 0.99), NOT_TESTABLE, "in 12 of 12 cells with the same images, in 12 with"),
    ],
)
def test_images_augmented_anew_are_told_from_the_same_ones(same, anew, verdict, within):
    study = paper()
    found = findings.reaugmented(recorded(study, grasp(same, anew)))
    assert found.text.startswith(verdict) and within in found.text
    assert f"in {0 if verdict == NOT_TESTABLE else 12} of 12 cells, of which" in found.text


def test_images_that_are_never_augmented_tell_nothing():
    study = paper("sections.reaugmented=[]", dataset=["digits"])
    found = findings.reaugmented(recorded(study))
    assert found.text.startswith(f"{NOT_TESTABLE} (no image is augmented in this profile)")
    assert "Augmented anew" not in found.table.wide


def test_images_need_both_data_sets():
    found = findings.disjoint_images(paper("sections.comparison.dataset=cifar10", dataset=["cifar10"]))
    assert found.text.startswith(f"{NOT_TESTABLE} (this profile does not use CIFAR-10 and CIFAR-100)")


def test_images_of_the_two_data_sets(real_data, monkeypatch):
    monkeypatch.setenv("PRUNEKIT_DATA", str(real_data))
    found = findings.disjoint_images(paper())
    assert found.text == f"{BORNE_OUT} Of 60,000 images of CIFAR-10, 3 are also in CIFAR-100."


@pytest.mark.parametrize(
    "finding",
    [
        findings.one_shot,
        findings.magnitude_untrained,
        findings.tied_zeros,
        findings.top_five,
        findings.not_by_layer,
        findings.reaugmented,
    ],
)
@pytest.mark.parametrize("changes", [{}, {"pruner": ["grasp", "random"]}, {"width": 0.5}])
def test_without_records_nothing_is_decided_and_nothing_breaks(finding, changes):
    study = paper(**changes)
    assert finding(with_records(study, {})).text.startswith(NOT_TESTABLE)
    broken = records(study, lambda trial: None)
    assert finding(with_records(study, broken)).text.startswith(NOT_TESTABLE)
    assert finding(with_records(study, broken)).table.markdown()


def signal(trial):
    """As the study's accuracies have it: severed, vanished and exploded networks stand at chance, or below a third."""
    if (trial.pruner, trial.compression) == ("synflow", 2):
        return {"signal": 0.0, "dense_signal": 0.1, "collapsed": True, "top1": 1.0}
    lost = trial.pruner == "random" and trial.compression >= 1
    fate = 1e-8 if lost else 1e10 if trial.pruner == "grasp" else 0.05
    return {"signal": fate, "dense_signal": 0.1, "top1": 1.0 if lost else 50.0}


def test_lost_signals_are_borne_out_where_each_number_at_chance_has_one():
    study = paper()
    found = findings.signals(recorded(study, signal))
    assert found.text.startswith(f"{BORNE_OUT} Of 15 published accuracies at chance, 12 are of networks whose signal")
    assert "; not so Magnitude, CIFAR-100, c = 2; SNIP, CIFAR-100, c = 0.1; SNIP, CIFAR-100, c = 2." in found.text
    assert "GraSP, CIFAR-10, c = 0.05: 29.97 %" in found.text
    assert found.text.endswith(
        "Of 54 networks of ours whose signal was severed, vanished or exploded, 18 did not train (top-1 at most twice "
        "chance); of the 126 others, 0 did not."
    )
    row = found.table.tidy[(found.table.tidy.pruner == "random") & (found.table.tidy.compression == 1)].iloc[0]
    assert (row.share, row.fate, row.published) == ("1e-07", "vanished 3", 10.0)
    assert "magnitude" not in set(found.table.tidy.pruner)


def test_signals_stand_beside_accuracies_of_the_same_networks_alone():
    """Where Table IV's networks are wider than those that train, and are not trained, no accuracy stands there."""
    study = paper("sections.flops=[{width: 1, post_epochs: 0}]", width=0.25, compression=[2.0])
    seeds = {0: 0.0, 1: 1e-8, 2: 1e-7}

    def values(trial):
        trained = {"top1": 50.0} if trial.post_epochs else {"top1": None, "top5": None}
        return signal(trial) | {"signal": seeds[trial.seed], "collapsed": False} | trained

    found = findings.signals(recorded(study, values))
    assert "Our top-1" not in found.table.wide
    assert set(found.table.tidy.share) == {"1e-07"}, "the median over seeds"


def test_lost_signals_are_not_borne_out_where_a_number_at_chance_has_none():
    study = paper()
    kept = records(study, lambda trial: signal(trial) | ({"signal": 0.05} if trial.pruner == "random" else {}))
    assert findings.signals(with_records(study, kept)).text.startswith(NOT_BORNE_OUT)


def test_signals_that_were_not_recorded_or_are_of_other_data_decide_nothing():
    study = paper()
    assert findings.signals(recorded(study)).text.startswith(f"{NOT_TESTABLE} (no network's signal")
    stand_in = paper("sections.reaugmented=[]", dataset=["digits"])
    assert findings.signals(recorded(stand_in, signal)).text.startswith(f"{NOT_TESTABLE} (stand-in")


@pytest.mark.parametrize(
    ("signal", "dense", "collapsed", "fate"),
    [
        (0.0, 0.1, True, "severed"),
        (0.0, 0.1, False, "vanished"),
        (0.9e-5, 0.1, False, "vanished"),
        (1.1e-5, 0.1, False, "passes"),
        (9.9, 0.1, False, "passes"),
        (10.1, 0.1, False, "exploded"),
        (None, 0.1, False, "exploded"),
        (None, None, False, ""),
    ],
)
def test_fate_of_a_signal(signal, dense, collapsed, fate):
    study = paper()
    (one, *_) = records(study, lambda trial: {"signal": signal, "dense_signal": dense, "collapsed": collapsed}).values()
    assert signal_status(one) == fate
