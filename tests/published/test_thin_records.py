"""Records that tell little: the rule says so in words, and divides by nothing."""

import warnings

import pandas as pd
import pytest
from synthetic import paper, record, recorded, records, with_records

from prunekit.analysis import controls, labels, pairs, variation
from prunekit.published import audit, claims, findings
from prunekit.study.params import load_params
from prunekit.study.study import Study
from prunekit.study.trial import failed

EVERYTHING = [getattr(findings, name) for name in ("one_shot", "magnitude", "tied_zeros", "reaugmented")]
LOST = {"signal": 0.0, "dense_signal": 1.0}


def one_seed():
    return recorded(paper(seeds=[0]))


def none_started():
    guess = {"cifar10": 10.0, "cifar100": 1.0, "mnist": 11.35}
    return recorded(paper(), lambda trial: LOST | {"top1": guess[trial.dataset], "top5": 5.0})


def all_collapsed():
    return recorded(paper(), lambda trial: LOST | {"collapsed": True, "top1": 1.0, "top5": 5.0, "flops_kept": 0})


def without_a_pruner():
    return recorded(paper(pruner=["synflow", "snip"]))


def someone_elses():
    return recorded(paper("sections.grasp_reaugmented=[]", dataset=["digits"], model="vgg11", pruner=["snip"]))


def nothing_measured():
    bare = dict.fromkeys(("top1", "top5", "flops", "flops_kept", "density", "effective_density", "latency"))
    return recorded(paper(), lambda trial: bare | {"layers": [], "seconds": {}})


def a_single_run():
    study = paper()
    one = next(iter(study.trials.values()))
    return with_records(study, {one.id: record(one)})


@pytest.mark.parametrize(
    "made",
    [one_seed, none_started, all_collapsed, without_a_pruner, someone_elses, nothing_measured, a_single_run],
)
def test_what_tells_little_is_said_and_breaks_nothing(made):
    results = made()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = audit.numbers(results)
        for table in audit.TABLES:
            runs = audit.runs(results, table)
            for column in table.readings:
                claims.cells(runs, column, audit.pooled_sd(runs, column, table))
        for one in EVERYTHING:
            one(results)
    assert len(rows) == 203 and set(rows.verdict) <= set(audit.VERDICTS)
    assert (rows[rows.verdict == audit.UNDECIDED].why != "").all()
    if made in (one_seed, a_single_run):
        by_interval = rows[rows.margin.notna() & (rows.table != "V")]
        assert by_interval.empty, "no cell has two runs"


def evidence(results):
    """All frames that notebooks make their words of."""
    tables = [one(results) for one in EVERYTHING] + [audit.numbers(results)]
    for name in ("sweep", "comparison"):
        frame = results.frame(name)
        tables += [pairs.pairs(frame), pairs.leaders(frame), variation.rankings(frame.assign(value=frame.top1))]
    kept = labels.accuracy_retained(results.frame("labels")).dropna(subset="kept")
    return [
        *tables,
        labels.slope_per_doubling(kept),
        *(getattr(controls, one)(results.frame(one)) for one in ("controls", "steps")),
    ]


@pytest.mark.parametrize("profile", ["paper", "demo"])
@pytest.mark.parametrize("lost", [lambda trial: trial.seed > 0, lambda trial: trial.pruner in ("snip", "synflow")])
def test_a_failed_trial_says_no_more_than_a_missing_one(profile, lost):
    """Of some seeds, and of whole cells."""
    study = Study(load_params(profile))

    def values(trial):
        same = {"top1": 30.0 + 9 * trial.compression + trial.seed, "signal": 0.05, "dense_signal": 0.1}
        return same | {"collapsed": trial.compression > 1.5 and trial.prune_steps == 1}

    found = records(study, values)
    failing = {id_: failed(one.trial, "it broke", {}) if lost(one.trial) else one for id_, one in found.items()}
    missing = {id_: one for id_, one in found.items() if not lost(one.trial)}
    for table, other in zip(*(evidence(with_records(study, one)) for one in (failing, missing)), strict=True):
        why = [column for column in ("why",) if column in table]  # which may say that they failed
        table = table[table.seeds > 0] if "mean" in table and "seeds" in table else table
        other = other[other.seeds > 0] if "mean" in other and "seeds" in other else other
        pd.testing.assert_frame_equal(
            table.drop(columns=why).reset_index(drop=True),
            other.drop(columns=why).reset_index(drop=True),
            check_dtype=False,
        )


def test_two_runs_of_a_seed_count_as_one():
    """The same cell in two precisions, both like the paper's: the first is taken."""
    study = paper("sections.comparison.precision=float32", dataset=["cifar10", "cifar100"])
    results = recorded(study, lambda trial: {"top1": 70.0 + trial.seed, "top5": 90.0})
    rows = audit.numbers(results)
    cell = rows[(rows.table == "II") & (rows.dataset == "cifar10") & (rows.compression == 1) & (rows.pruner == "snip")]
    assert cell.runs.tolist() == [3]


def test_sections_may_lack():
    for words in (["sections.sweep=[]"], ["sections.sweep.compression=[1]"], ["sections.unpruned=[]"]):
        results = recorded(paper(*words))
        assert len(audit.numbers(results)) == 203
        for one in EVERYTHING:
            one(results)
