"""Each sentence follows the numbers."""

import math

import pandas as pd
import pytest
from synthetic import layer, paper, record, recorded, with_records

from prunekit.paper import answers, audit, findings, numbers, page_one, sentences, variation


def test_collapses():
    study = paper()
    first, *others = study.trials.values()
    second = others.pop(next(i for i, trial in enumerate(others) if trial.dataset == "mnist"))
    records = {trial.id: record(trial) for trial in others}
    assert sentences.collapses(with_records(study, records)) == f"None of {len(others)} networks collapsed."
    records[first.id] = record(first, collapsed=True, layers=[layer("conv1", 9, 4), layer("conv2", 9, 0)])
    records[second.id] = record(second, collapsed=True, layers=[layer("conv1", 9, 4)])
    said = sentences.collapses(with_records(study, records))
    assert said.startswith(f"2 of {len(others) + 2} networks have no path of kept weights: SynFlow on ")
    within = dict(list(records.items())[:5])
    beyond = first.model_copy(update={"labels": "5"})
    more = within | {beyond.id: record(beyond, collapsed=True)}
    assert sentences.collapses(with_records(study, more)) == sentences.collapses(with_records(study, within))
    assert "(1; conv2 kept nothing)" in said and "(1; every layer keeps weights, but they do not connect)" in said


def test_answers_follow_what_ran():
    """Where a profile runs nothing of the kind nothing is said."""
    none = with_records(paper(), {})
    judged = audit.numbers(none)
    for kind in ("one_shot", "magnitude", "pretraining", "tied_zeros", "densities", "signals", "reaugmented"):
        assert getattr(answers, kind)(getattr(findings, kind)(none)) == "", kind
    assert answers.top5(judged) == ""
    assert "No number of the paper is judged" in sentences.chance(audit.by_chance(audit.once(judged)), judged)
    assert sentences.gains(variation.pruned_beside_unpruned(none)) == ""
    assert sentences.rankings(variation.rankings(none)) == ""


def rows(**columns):
    return pd.DataFrame([{"dataset": "cifar10", "compression": 1.0, "pruner": "snip"} | columns])


def test_one_shot_is_told_by_the_cells_that_tell():
    """Of two printed cells one differs between one step and a hundred, and lies nearer to one."""
    base = {"steps": 100, "one_collapsed": 3, "one_runs": 3, "many_collapsed": 0, "many_runs": 3, "published": 5.0}
    told = pd.concat([rows(**base, apart=True, nearer=True), rows(**base, apart=False, nearer=True)])
    said = answers.one_shot(told)
    assert said.startswith("## Table IV is of pruning in one step\n\n")
    assert "Of the 1 printed cells where one step and 100 differ by more than their intervals, 1 lie" in said
    assert "is of pruning in many steps" in answers.one_shot(told.assign(nearer=False))
    assert said.endswith("6 of 6 networks pruned in one step collapsed, and 0 of 6 in 100 steps.")
    assert "\n\nAt the highest compression" in answers.one_shot(told.assign(published=math.nan))


def test_magnitudes_flops_tell_when_it_was_pruned():
    cell = rows(ours=100.0, published=100.5, untrained=100.2, pretrained=112.0)
    said = answers.magnitude(pd.concat([cell, cell.assign(ours=90.0)]))
    assert "within 1 % of ours at initialisation in 1 of 2 cells" in said and "+12 to +12 million" in said


@pytest.mark.parametrize(("theirs", "ran"), [(100.1, True), (99.0, False)])
def test_whose_seed_grasp_ran_is_told_by_flops(theirs, ran):
    """Print has 100; ours anew 101; others' lie within half of that or not."""
    said = answers.reaugmented(rows(published=100.0, same=103.0, anew=101.0, moved=-2.0, others=theirs))
    assert "nearer to images augmented anew in 1 of 1 cells of CIFAR-10" in said
    assert ("had run with that seed" in said) == ran


def test_zeros_beside_the_weights_to_go():
    told = rows(machine="EPYC", zero=20.0, removed=10.9, more=2, runs=3)
    assert "20.0 % of SNIP's scores on CIFAR-10 are exactly zero, more than the 10.9 %" in answers.tied_zeros(told)
    fewer = answers.tied_zeros(told.assign(removed=30.0, more=0))
    assert "fewer than the 30.0 %" in fewer and "no more than that" in fewer
    assert "2 of 3 seeds" in answers.tied_zeros(told)


def test_training_before_pruning_beside_print():
    told = pd.concat([rows(model="fc", epochs=n, top1=top1, published=97.53) for n, top1 in ((0, 11.35), (10, 97.5))])
    assert answers.pretraining(told) == (
        "## What training before magnitude pruning is worth\n\nOn CIFAR-10, FC: 11.3 % after 0 epochs before pruning "
        "at compression 1, 97.5 % after 10 epochs before pruning at compression 1; in print 97.53."
    )


def test_shared_images_are_counted_once():
    places = pd.DataFrame({"image": [1, 1, 2, 2], "dataset": ["cifar10", "cifar100"] * 2})
    assert "of CIFAR-10 and 59,974 of CIFAR-100, 2 are in both" in answers.same_images((60_000, 59_974), places)


def test_what_others_had_is_read_from_their_numbers():
    assert "the paper prints 269 to 666 s" in answers.whole_trials()
    later = numbers.elsewhere("top1", post_epochs=100).query("0 < compression <= 0.5 and model == 'vgg16'")
    assert sentences.a_hundred_epochs(later[:0]) == ""
    assert f"({later.source[later.pruner == 'grasp'].nunique()} groups)" in sentences.a_hundred_epochs(later)


def test_gains_are_told_where_they_exceed_their_interval():
    gain = {"pruned": 73.1, "pruned_runs": 3, "unpruned": 60.7, "unpruned_runs": 3}
    told = pd.concat([rows(gain=12.4, gain_interval=4.8, **gain), rows(gain=1.0, gain_interval=4.8, **gain)])
    assert sentences.gains(told).endswith("with a tenth of the weights SNIP 73.1 % (+12.4 ± 4.8 points).")


@pytest.mark.parametrize(
    ("told", "alike", "said"),
    [
        (0, 0, "None of them do the seeds"),
        (5, 5, "Of the 5 that the seeds of both tell apart all are"),
        (5, 4, "4 are"),
    ],
)
def test_a_reduced_run_is_told_beside_the_full_one(told, alike, said):
    rows = pd.DataFrame({"pairs": [10, 10], "alike": [9, 6], "told": [told, 0], "told_alike": [alike, 0]})
    text = sentences.reduced(rows)
    assert text.startswith("Of 20 pairs of pruners") and "15 are ordered here" in text and said in text
    assert sentences.reduced(rows[:0]) == sentences.reduced(rows * 0) == ""


def test_ours_and_another_groups_means_are_told_apart_from_grasps():
    """Two cells differ by 1 and -1: a root mean square of 1, a mean of 0; of one cell nothing is said."""
    base = {"least": 50.0, "most": 55.0, "ours": 40.0}
    two = pd.concat([rows(difference=1.0, **base), rows(difference=-1.0, **base)])
    said = sentences.laboratories(two, mixed=False)
    assert "by 1.0 points" in said and "is +0.0 in the mean" in said and "GraSP's differ" not in said
    grasp = rows(difference=12.0, **base).assign(pruner="grasp", compression=0.1)
    assert "reaches 50 to 55 % at compression 0.5 or less, ours 40 to 40." in sentences.laboratories(
        pd.concat([two, grasp]), mixed=False
    )
    assert "bfloat16" in sentences.laboratories(pd.concat([two, grasp]), mixed=True)
    assert sentences.laboratories(grasp, mixed=True) == ""


def test_sentences_of_a_whole_study_hold_no_nan():
    study = recorded(
        paper(),
        lambda trial: {"top1": 60.0 + 5 * (trial.seed % 3) + len(trial.pruner), "signal": 1.0, "dense_signal": 1.0},
    )
    judged = audit.numbers(study)
    told = [sentences.collapses(study), page_one.findings(study, judged)]
    told += [sentences.needed(variation.needed(study)), sentences.rankings(variation.rankings(study))]
    told += [page_one.answer(study.frame("sweep"), study.frame("unpruned"), judged), answers.top5(judged)]
    told += [answers.one_shot(findings.one_shot(study)), answers.magnitude(findings.magnitude(study))]
    told += [answers.densities(findings.densities(study)), answers.signals(findings.signals(study))]
    told += [sentences.chance(audit.by_chance(audit.once(judged)), judged), sentences.rounding(variation.pairs(study))]
    assert all(told[:-1]) and "nan" not in " ".join(told)
