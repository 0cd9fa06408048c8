"""Page one: each sentence follows the numbers, and nothing is said of what was not run."""

import math

import pandas as pd
from synthetic import paper, recorded, with_records

from prunekit.paper import audit, beyond, page_one


def judged(**columns):
    """A row of `audit.numbers`, of Table II on CIFAR-10, which agrees."""
    base = {"table": "II", "dataset": "cifar10", "pruner": "snip", "compression": 1.0, "column": "top1"}
    base |= {"published": 80.0, "mean": 80.0, "verdict": audit.REPRODUCED, "by": ""}
    return pd.DataFrame([base | columns])


def numbers(*rows):
    return pd.concat(rows, ignore_index=True)


def sweep(**columns):
    """SynFlow has 81 and 83, SNIP 70 and a network that never started, of an unpruned 80."""
    base = {"dataset": "digits", "model": "vgg11", "width": 1.0, "compression": 1.0, "top5": 99.0}
    rows = [("synflow", 0, 81.0), ("synflow", 1, 83.0), ("snip", 0, 70.0), ("snip", 1, 10.0)]
    frame = pd.DataFrame([base | dict(zip(("pruner", "seed", "top1"), row, strict=True)) for row in rows])
    return frame.assign(**({"started": frame.top1 > 10} | columns))


UNPRUNED = sweep(pruner="random", compression=0.0, top1=80.0)[:1]
NONE = judged(verdict=audit.NOT_RUN)


def test_what_ran_is_said_of_what_ran():
    again = page_one.opening(sweep(), judged())
    assert again.endswith("We ran its protocol again with 2 seeds, an unpruned network beside it.")
    assert "with up to 2 seeds" in page_one.opening(sweep()[:3], judged())
    assert "again once, an" in page_one.opening(sweep()[:1], judged())
    some = page_one.opening(sweep(), numbers(NONE, judged(table="IV"), judged(table="V")))
    assert "judges numbers of its Tables IV and V." in some
    none = page_one.opening(sweep(), NONE)
    assert "Here SynFlow and SNIP prune VGG11 on Digits. That is not what the paper ran" in none
    many = pd.concat([sweep()[:1].assign(pruner=f"mine:{letter}") for letter in "abcdefg"])
    assert "Here 7 pruners prune VGG11" in page_one.opening(many, NONE)
    assert page_one.opening(sweep()[:0], NONE).endswith("so nothing of it is judged.")


def test_the_answer_counts_what_became_of_the_main_table():
    top5 = {"verdict": audit.EXPLAINED, "by": audit.READING, "dataset": "cifar100", "column": "top5"}
    rows = [judged()] * 17 + [judged(**top5)] * 20
    said = page_one.answer(sweep(), UNPRUNED, numbers(*rows))
    assert said == (
        "**Its accuracies come out again, but they are not what they are called.** Of 37 in its main table 37 agree "
        "with our runs. All 20 for CIFAR-100 are top-5 accuracies, printed as top-1."
    )
    failed = judged(verdict=audit.EXPLAINED, by=audit.FAILED_START)
    wrong = judged(verdict=audit.CONTRADICTED)
    said = page_one.answer(sweep(), UNPRUNED, numbers(*[judged()] * 20, failed, failed, wrong))
    assert said == (
        "**Its accuracies come out again.** Of 23 in its main table 20 agree with our runs, 2 match runs that never "
        "started and 1 lies outside our runs."
    )
    said = page_one.answer(sweep(), UNPRUNED, numbers(judged(), wrong, wrong))
    assert said.startswith("**Of 3 accuracies in its main table 2 do not come out again.**")


def test_where_nothing_is_judged_the_best_pruner_stands_beside_the_unpruned_network():
    best = "**On Digits at compression 1 (10 % kept) SynFlow does best: 82.0 % are right"
    assert page_one.answer(sweep(), UNPRUNED, NONE) == f"{best}, 80.0 % with the unpruned network.**"
    assert page_one.answer(sweep(), UNPRUNED.assign(started=False), NONE) == f"{best}.**"
    assert page_one.answer(sweep(), UNPRUNED.assign(width=0.5), NONE) == f"{best}.**", "another network"
    assert "no network started to learn" in page_one.answer(sweep(started=False), UNPRUNED, NONE)
    lost = sweep(started=False, top1=math.nan)
    assert "nothing was trained" in page_one.answer(lost, UNPRUNED, NONE), "failed is not measured"


def test_pruning_helped_where_its_gain_exceeds_its_interval():
    row = {"dataset": "cifar100", "pruner": "synflow", "pruned": 73.1, "unpruned": 60.7, "unpruned_runs": 1}
    gains = pd.DataFrame([row | {"gain": 12.4, "gain_interval": 4.8}, row | {"gain": 1.0, "gain_interval": 4.8}])
    said = page_one.pruning_helped(gains)
    assert (
        "SynFlow with a tenth of the weights reaches 73.1 %, the unpruned network 60.7 % (top-5, +12.4 ± 4.8; one run"
        in said
    )
    assert page_one.pruning_helped(gains[1:]) == page_one.pruning_helped(gains[:0]) == ""


def test_networks_that_never_start_are_counted_among_those_that_a_signal_passes():
    starts = pd.DataFrame({"at_init": ["passes", "passes", "severed"], "runs": [63, 52, 5], "failed": [1, 6, 5]})
    printed = judged(by=audit.FAILED_START)
    said = page_one.never_started(starts, numbers(printed, printed))
    assert "7 of 115 networks whose signal passes" in said and "2 printed numbers are" in said
    assert "printed numbers" not in page_one.never_started(starts, NONE)
    assert page_one.never_started(starts.assign(failed=0), NONE) == ""


def test_flops_that_are_wrong_are_named_and_what_they_show_is_said():
    early = judged(table="IV", pruner="magnitude", verdict=audit.EXPLAINED, by=audit.READING)
    wrong = judged(table="IV", pruner="synflow", compression=0.2, published=9.3, mean=257.2, verdict=audit.CONTRADICTED)
    said = page_one.flops(numbers(early, wrong, judged(table="IV")))
    assert "but for 1 of 3.** SynFlow's 9.3 million on CIFAR-10 at compression 0.2 should read 257.2." in said
    assert "came before training" in said and "came before training" not in page_one.flops(wrong)
    assert page_one.flops(judged(table="IV")).startswith("**FLOPs come out again.** So do all 1")
    assert page_one.flops(NONE) == page_one.inference(NONE) == ""


def test_what_goes_beyond_the_paper_is_told_in_numbers():
    slopes = {"doubling": [-2.0, 0.5], "doubling_interval": [1.0, 1.0], "doubling_seeds": [3, 3]}
    doubling = pd.DataFrame(slopes | {"peak": [False, False]})
    said = page_one.labels(doubling, pd.DataFrame({"count": [2, 100]}))
    assert "No number of labels is best" in said and "Of 2 pairs" in said and "in 1 each doubling" in said
    assert "Some numbers" in page_one.labels(doubling.assign(peak=[True, False]), pd.DataFrame({"count": [2, 100]}))
    rows = pd.DataFrame({"chooses": [beyond.WEIGHTS, beyond.WEIGHTS, beyond.SIZES]})
    assert page_one.controls(rows).startswith("**Pruners choose weights.** Of 3")
    assert "do not tell" in page_one.controls(rows[1:])
    cells = pd.DataFrame({"steps": [1, 100], "collapsed": [3, 0], "seeds": [9, 9]})
    assert "In one step 3 of 9 collapse, in 100 steps 0 of 9." in page_one.steps(cells)
    assert page_one.steps(cells.assign(collapsed=0)) == ""
    zero = {"dataset": "digits", "pruner": "snip", "compression": 2.0, "collapsed": False, "paper": 4.0}
    zeros = pd.DataFrame([zero | {"compacted_time": 44.0, "csr_time": t} for t in (90.0, 110.0, math.nan)])
    said = page_one.zeros(zeros)
    assert "SNIP leaves 4.0 % of the FLOPs on paper, and 44 % of the time" in said and "in 1 of 2 networks" in said


def test_five_findings_at_most_and_none_of_what_was_not_run():
    study = recorded(
        paper(),
        lambda trial: {"top1": 60.0 + 5 * (trial.seed % 3) + len(trial.pruner), "signal": 1.0, "dense_signal": 1.0},
    )
    heading, _, *lines = page_one.findings(study, audit.numbers(study)).splitlines()
    assert heading == "## What to remember" and 1 <= len(lines) <= 5 and lines[0].startswith("1. **")
    none = with_records(paper(), {})
    assert page_one.findings(none, audit.numbers(none)) == ""
