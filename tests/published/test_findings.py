"""The evidence by hand, on synthetic records."""

import math

import pytest
from synthetic import layer, paper, recorded, records, with_records

from prunekit.published import findings, printed


def millions(trial):
    value = printed("IV").get((trial.dataset, trial.model, trial.compression, trial.pruner), math.nan)
    return 100.0 if math.isnan(value) else value


def described(compressions):
    """Return the assignments by which what the paper describes is run at these compressions."""
    return [f"sections.{name}.compression={compressions}" for name in ("as_described", "as_described_flops")]


def test_one_step_is_nearer_to_print_and_collapses():
    """As printed in one step, 40 % of that in 100; at c = 2 one step collapses."""

    def values(trial):
        many = trial.prune_steps == 100
        collapsed = trial.compression == 2 and trial.pruner == "synflow" and not many
        return {"flops_kept": round(1e6 * millions(trial) * (0.4 if many else 1)), "collapsed": collapsed}

    rows = findings.one_shot(recorded(paper(*described([1.0, 2.0])), values))
    assert len(rows) == 4 and rows.apart.all() and rows.nearer.all() and set(rows.steps) == {100}
    share = 100 * 143.3e6 / 313_478_154
    first = rows.iloc[0]
    assert (first.published, first.one, first.many) == pytest.approx((share, share, 0.4 * share))
    top = rows[rows.compression == 2]
    assert top.one_collapsed.tolist() == [3, 3] and top.many_collapsed.tolist() == [0, 0] and set(top.one_runs) == {3}
    assert (first.one_top1, first.one_top1_seeds) == (50.0, 3)


def test_magnitude_stands_beside_others_who_trained_first_and_not():
    rows = findings.magnitude(recorded(paper(), lambda trial: {"flops_kept": round(1e6 * millions(trial))}))
    assert len(rows) == 12 and rows.ours.tolist() == pytest.approx(rows.published.tolist())
    half = rows[(rows.dataset == "cifar10") & (rows.compression == 0.5)].iloc[0]
    assert half.untrained == pytest.approx(145.38, abs=0.01) and half.pretrained == pytest.approx(180.7, abs=0.1)
    assert rows[rows.dataset == "cifar100"].untrained.isna().all(), "nobody else ran it"


@pytest.mark.parametrize(("zeros", "more"), [(10, 0), (12, 3)])
def test_tied_zeros_are_counted_against_what_is_to_go_by_machine(zeros, more):
    """Compression 0.05 keeps 89 of 100 weights, so 11 go; of 12 ties by position 11, a FLOP each."""

    def values(trial):
        layers = [layer("first", 100, round(100 * trial.density), zero_scores=zeros)]
        return {"layers": layers, "where": {"gpu": "H100"} if trial.dataset == "cifar10" else {"cpu": "A", "cores": 2}}

    rows = findings.tied_zeros(recorded(paper(), values))
    assert rows.machine.tolist() == ["H100", "A, 2 cores"] and rows.more.tolist() == [more, more]
    assert (rows.zero[0], rows.removed[0], rows.published[0]) == (zeros, 11, 301.1)
    assert rows.by_position[0] == pytest.approx((313_478_154 - 11) / 1e6) if more else rows.by_position.isna().all()


def test_zeros_that_were_not_counted_are_not_zero():
    rows = findings.tied_zeros(recorded(paper(), lambda trial: {"layers": [layer("first", 100, 89, None)]}))
    assert rows.empty


def test_images_augmented_anew_move_flops_by_seed():
    """By 5, 6 and 7 % of the printed FLOPs."""

    def values(trial):
        share = (1.05 + trial.seed / 100) if trial.reaugmented else 1
        return {"flops_kept": round(1e6 * millions(trial) * share)} if trial.pruner == "grasp" else {}

    rows = findings.reaugmented(recorded(paper(), values))
    first = rows.iloc[0]
    assert (first.published, first.same) == (257.1, 257.1) and first.moved == pytest.approx(0.06 * 257.1)
    assert (first.moved_seeds, first.others) == (3, pytest.approx(256.8, abs=0.1))


@pytest.mark.parametrize("name", ["one_shot", "tied_zeros"])
def test_the_paper_stands_beside_its_own_protocol_alone(name):
    """A narrower network's numbers have none of the paper's beside them."""
    rows = getattr(findings, name)(recorded(paper(width=0.5)))
    assert len(rows) and rows.published.isna().all()


def test_flops_of_narrower_networks_are_not_compared():
    assert findings.magnitude(recorded(paper(width=0.5))).empty


@pytest.mark.parametrize("name", ["one_shot", "magnitude", "tied_zeros", "reaugmented"])
@pytest.mark.parametrize("changes", [{}, {"pruner": ["grasp", "random"]}, {"width": 0.5}])
def test_without_records_there_are_no_rows(name, changes):
    study = paper(**changes)
    rows = getattr(findings, name)(with_records(study, {}))
    assert rows.empty and list(rows)[:2] == ["dataset", "model"], "a header, which a CSV wants"
    found = getattr(findings, name)(with_records(study, records(study, lambda trial: None)))
    assert found.empty or found.filter(like="_seeds").eq(0).all(axis=None)
