"""How much one run tells, by hand."""

import pandas as pd
import pytest
from scipy import stats

from prunekit.analysis import variation

MEANS = {"synflow": 80.0, "magnitude": 79.0, "snip": 78.0, "random": 77.0}


def runs(change=lambda pruner, seed: 0.0, compressions=(0.5, 1.0)):
    """Accuracies of four pruners with three seeds on one dataset; 10 is at chance."""
    rows = [
        {"dataset": "cifar10", "model": "vgg16", "compression": c, "pruner": pruner, "seed": seed}
        | {"value": mean + change(pruner, seed)}
        for c in compressions
        for pruner, mean in MEANS.items()
        for seed in range(3)
    ]
    return pd.DataFrame(rows).assign(learned=lambda frame: frame.value > 10)


def test_other_seeds_are_pooled_within_cells():
    """Seeds at -1, 0 and 1: s = 1, whatever the cell's mean; what they share cancels in pairs."""
    frame = runs(lambda pruner, seed: seed - 1)
    assert variation.seed_spread(frame) == pytest.approx(1) and variation.paired_spread(frame) == 0
    assert pd.isna(variation.seed_spread(frame[frame.seed == 0])) and pd.isna(variation.paired_spread(frame[:0]))


def test_seeds_that_tell_a_point_apart():
    """By the power of t tests: with n of each, and s = 1, 17 (16 by the normal quantiles); paired, d^2 = 12 / 6, 18."""
    frame = runs(lambda pruner, seed: (seed - 1) * (1 if pruner == "snip" else -1))
    assert variation.needed(frame) == (17, 18), "SNIP differs from three others by 2, these from each other by nothing"
    apart, _ = variation.needed(frame, gap=2.0)
    assert apart == 6
    power = {n: stats.nct.sf(stats.t.ppf(0.975, 2 * n - 2), 2 * n - 2, 2 * (n / 2) ** 0.5) for n in (5, 6)}
    assert power[5] < 0.8 <= power[6]
    assert variation.needed(frame[frame.seed == 0]) is None


def test_seeds_that_agree_and_those_that_do_not():
    """Two settings of three pairs of seeds, four pruners: all agree; if seed 2 is reversed, a third of them do."""
    found = variation.rankings(runs()).sum(numeric_only=True)
    assert found[["settings", "same_winner", "orders", "same_order"]].tolist() == [6, 6, 36, 36]
    assert found.expected == 1.5, "one in four"
    turned = variation.rankings(runs(lambda pruner, seed: -2 * MEANS[pruner] + 200 if seed == 2 else 0))
    assert turned.sum(numeric_only=True)[["same_winner", "same_order"]].tolist() == [2, 12]
    lost = variation.rankings(runs(lambda pruner, seed: 10 - MEANS[pruner] if seed else 0))
    assert lost.settings.sum() == 0, "of networks that learned"
    assert variation.rankings(runs()[:0]).empty
