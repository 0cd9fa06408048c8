"""How much one run tells, by hand."""

import copy
import math

import pandas as pd
import pytest
from synthetic import paper, record, recorded, with_records

from prunekit.paper import audit, protocol, variation
from prunekit.study.params import load_params
from prunekit.study.results import Results

ORDER = {"synflow": 80.0, "magnitude": 79.0, "snip": 78.0, "grasp": 20.0, "random": 77.0}


def accuracies(change=lambda trial: 0.0):
    """Top-1 of CIFAR-10 and top-5 of CIFAR-100 by pruner, and what a trial has beside."""

    def values(trial):
        number = ORDER[trial.pruner] + change(trial)
        return {"top1": number if trial.dataset == "cifar10" else 30.0 + trial.seed, "top5": number}

    return recorded(paper(), values)


def test_other_seeds_are_pooled_within_cells():
    """Seeds at -1, 0 and 1: s = 1, whatever the cell's mean."""
    rows = variation.sources_of_spread(accuracies(lambda trial: trial.seed - 1)).set_index(["reason", "dataset"])
    assert rows.deviation["other seeds", "cifar10"] == pytest.approx(1)
    theirs = rows.loc[("the same seed elsewhere", "cifar10")]
    assert theirs.deviation == pytest.approx(0.66, abs=0.01) and theirs.runs == 165
    assert not [reason for reason, _ in rows.index if "seed here" in reason], "nothing stands beside"


def test_pairs_of_one_trial_in_two_precisions():
    """Differences of 1, -1 and 3: mean 1, s = 2; a single run varies by that over the root of two."""
    study = paper("sections.arithmetic=[{dataset: cifar10, precision: float32}]", "sections.sweep.dataset=cifar10")
    study = copy.copy(study)
    gaps = {0: 1.0, 1: -1.0, 2: 3.0}
    found = {one.id: record(one, top1=ORDER[one.pruner]) for one in study.sections["sweep"]}
    found |= {one.id: record(one, top1=ORDER[one.pruner] + gaps[one.seed]) for one in study.sections["arithmetic"]}
    results = with_records(study, found)
    pairs = variation.pairs(results)
    assert pairs.difference.mean() == pytest.approx(1) and set(pairs.precision) == {"float32"}
    alone = with_records(
        study, {id_: one for id_, one in found.items() if one.trial.pruner != "snip" or one.trial.seed == 0}
    )
    assert len(variation.pairs(alone)) < len(pairs)
    row = variation.sources_of_spread(results).set_index("reason").loc["the same seed here, in float32"]
    assert row.deviation == pytest.approx(pairs.query("pruner != 'grasp'").difference.std() / math.sqrt(2))


def test_a_start_that_failed_is_counted_in_a_pair():
    study = paper("sections.arithmetic=[{dataset: cifar10, precision: float32}]", "sections.sweep.dataset=cifar10")
    found = {one.id: record(one, top1=10.0) for one in study.sections["sweep"]}
    found |= {one.id: record(one, top1=60.0) for one in study.sections["arithmetic"]}
    assert set(variation.pairs(with_records(study, found)).failed) == {1}


def test_seeds_that_agree_and_those_that_do_not():
    """Ten settings of three pairs of seeds, four pruners: all agree; if seed 2 is reversed, a third of them do."""
    agree = variation.rankings(accuracies())
    assert agree == {"same_winner": 30, "settings": 30, "same_order": 180, "orders": 180}
    reverse = variation.rankings(accuracies(lambda trial: -2 * ORDER[trial.pruner] if trial.seed == 2 else 0))
    assert (reverse["same_winner"], reverse["same_order"]) == (10, 60)
    assert variation.rankings(with_records(paper(), {}))["settings"] == 0
    lost = accuracies(lambda trial: 10 - ORDER[trial.pruner] if trial.seed and trial.dataset == "cifar10" else 0)
    assert variation.rankings(lost)["settings"] == 15, "of networks that started"


def test_seeds_that_tell_a_point_apart():
    """2 (1.95996 + 0.84162)^2 = 15.7 times s^2 over the gap's; paired, 7.85 times that of the differences."""
    results = accuracies(lambda trial: trial.seed - 1)
    found = variation.needed(results)
    assert found.apart.to_dict() == {"cifar10": 16, "cifar100": 16}
    assert found.paired.tolist() == [0, 0], "what seeds share cancels"
    assert variation.needed(results, gap=2.0).apart["cifar10"] == 4
    own = accuracies(lambda trial: (trial.seed - 1) * (1 if trial.pruner == "snip" else -1))
    # SNIP differs from three others by 2 (s = 2), these among each other by nothing: s^2 = 12 / 6
    assert variation.needed(own).paired["cifar10"] == 16
    assert variation.needed(with_records(paper(), {})).empty


def test_a_users_own_pruner_changes_nothing_of_it(mine):
    """However wild it is."""
    own = 'defaults.pruner=["synflow", "magnitude", "snip", "grasp", "random", "mine:steep"]'
    change = lambda trial: 30.0 * trial.seed if ":" in trial.pruner else float(trial.seed)  # noqa: E731
    values = lambda trial: {"top1": ORDER.get(trial.pruner, 50.0) + change(trial), "top5": 90.0 + trial.seed}  # noqa: E731
    ours, more = (recorded(paper(*words), values) for words in ((), (own,)))
    assert len(more.trials) > len(ours.trials)
    pd.testing.assert_frame_equal(variation.sources_of_spread(ours), variation.sources_of_spread(more))
    pd.testing.assert_frame_equal(audit.numbers(ours), audit.numbers(more))


def test_pruned_beside_unpruned():
    """Pruners rise by 10 points a unit of c; the unpruned network is random's at c = 0: 77."""
    rows = variation.pruned_beside_unpruned(accuracies(lambda trial: 10 * trial.compression + (trial.seed - 1) / 10))
    row = rows[(rows.dataset == "cifar10") & (rows.pruner == "synflow")].iloc[0]
    assert (row.pruned, row.unpruned, row.gain, row.slope) == pytest.approx((90, 77, 13, 10))
    assert (row.pruned_runs, row.unpruned_runs) == (3, 3)
    half = row.gain_interval / math.sqrt(2 / 3)  # t s
    around = [c - 0.37 for c in (0.05, 0.1, 0.2, 0.5, 1.0)]
    assert row.slope_interval == pytest.approx(half / math.sqrt(3 * sum(one**2 for one in around)))
    lost = accuracies(lambda trial: -67.0 if trial.compression == 0 and trial.dataset == "cifar10" else trial.seed / 10)
    assert "cifar10" not in set(variation.pruned_beside_unpruned(lost).dataset), "no unpruned network started"
    assert variation.pruned_beside_unpruned(with_records(paper(), {})).empty


def test_ours_beside_another_groups():
    rows = variation.beside_others(accuracies()).set_index(["compression", "pruner"])
    row = rows.loc[(0.1, "grasp")]
    assert (row.ours, row.ours_runs, row.least, row.most, row.theirs_runs) == (20.0, 3, 25.41, 30.31, 7)
    assert row.difference == pytest.approx(row.theirs - 20)
    assert set(rows.dataset) == {"cifar10"} and variation.beside_others(with_records(paper(), {})).empty


def test_another_protocol_tells_nothing():
    other = recorded(paper(post_epochs=3))
    assert variation.accuracies(other).empty and variation.beside_others(other).empty
    assert isinstance(variation.sources_of_spread(other), pd.DataFrame)


def test_the_full_protocol_stands_beside_others_alone(monkeypatch):
    mine = Results(load_params("demo"))
    full = protocol.in_full(mine, "sweep")
    assert set(full.model) == {"vgg16"} and full.post_epochs.eq(10).all() and full.seed.nunique() == 3
    assert protocol.in_full(Results(load_params("paper")), "sweep").empty, "not beside itself"
    monkeypatch.setattr(protocol, "standing", lambda name: None)
    assert protocol.in_full(mine, "sweep").empty and list(full) == list(protocol.in_full(mine, "sweep"))
