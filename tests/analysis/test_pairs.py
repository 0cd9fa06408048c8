"""Pruners in pairs, by hand."""

import math

import pandas as pd
import pytest
from synthetic import trials

from prunekit.analysis import pairs


def test_pairs_are_of_seeds_with_which_both_learned():
    """SynFlow 80 and 84, SNIP 78 and 83: 2 and 1, so 1.5 with t(0.975, 1) = 12.7062 times 0.7071 / sqrt(2)."""
    rows = pairs.pairs(trials({"synflow": [80.0, 84.0, 10.0], "snip": [78.0, 83.0, 70.0], "random": [10.0] * 3}))
    assert rows[["first", "second", "seeds"]].values.tolist() == [
        ["synflow", "snip", 2],
        ["synflow", "random", 0],
        ["snip", "random", 0],
    ]
    assert (rows["mean"][0], rows.interval[0]) == (1.5, pytest.approx(6.3531, abs=1e-4))
    assert pairs.pairs(trials({"snip": [1.0]})).empty and pairs.pairs(trials({"snip": [1.0]})[:0]).empty


def test_the_spread_of_a_pair_is_pooled_over_its_compressions():
    """Differences of 1, 3 and, at c = 2, of 6 alone: s = sqrt(2) of one degree of freedom, also for the one run.

    With 4, 0 at a third compression, s^2 = (2 + 8) / 2; seeds go apart, so none is shared: t(0.975, 2) = 4.3027.
    """
    parts = [
        trials({"synflow": [71.0, 73.0], "snip": [70.0, 70.0]}, compression=1.0),
        trials({"snip": [50.0], "synflow": [56.0]}, compression=2.0),
    ]
    rows = pairs.pairs(pd.concat(parts)).set_index("compression")
    assert rows.interval[1.0] == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), abs=1e-3)
    assert rows.interval[2.0] == pytest.approx(12.7062 * math.sqrt(2), abs=1e-3)
    assert rows.loc[2.0, ["first", "mean"]].tolist() == ["snip", -6.0], "the first is the first of its cell"
    more = trials({"synflow": [74.0, 70.0], "snip": [70.0, 70.0]}, compression=3.0)
    rows = pairs.pairs(pd.concat([*parts, more])).set_index("compression")
    assert rows.interval[3.0] == pytest.approx(4.3027 * math.sqrt(5) / math.sqrt(2), abs=1e-3)


def leaders(cells):
    frames = [trials(cell, compression=c) for c, cell in cells.items()]
    return pairs.leaders(pd.concat(frames)).set_index("compression")


def test_leaders_are_those_of_the_highest_mean_of_networks_that_learned():
    """SynFlow leads by 10 each time; by -1, 3, -1 it leads by a third: pooled, s^2 = 32/3 / 4."""
    found = leaders(
        {
            0.5: {"synflow": [80.0, 81.0, 82.0], "magnitude": [70.0, 71.0, 72.0], "random": [60.0, 10.0, 60.0]},
            1.0: {"synflow": [40.0, 44.0, 40.0], "magnitude": [41.0, 41.0, 41.0]},
            2.0: {"snip": [50.0, 10.0, 10.0], "random": [10.0, 10.0, 10.0]},
            3.0: {"snip": [10.0, 10.0, 10.0]},
        }
    )
    assert found["first"].tolist() == ["synflow", "synflow", "snip"]
    assert found.second.tolist() == ["magnitude", "magnitude", "–"]
    assert found.lead.tolist()[:2] == [10.0, pytest.approx(1 / 3)] and math.isnan(found.lead[2.0])
    assert found.distinguishable.tolist() == [True, False, False] and found.seeds.tolist() == [3, 3, 0]
    assert leaders({1.0: {"snip": [10.0], "random": [10.0]}}).empty


def test_a_mean_of_more_seeds_does_not_lead_against_the_seeds_that_both_have():
    """SynFlow's one start, 63, exceeds the mean of 64 and 60; with that very seed magnitude is ahead."""
    found = leaders({1.0: {"synflow": [63.0, 10.0], "magnitude": [64.0, 60.0]}})
    assert (found["first"][1.0], found.second[1.0], found.lead[1.0]) == ("magnitude", "synflow", 1.0)
    assert not found.distinguishable[1.0], "of one seed no interval is known"


def test_two_studies_order_pruners_alike_or_not():
    """Both see SNIP above random at each seed; GraSP, at chance here, is the best in full, by less than its spread."""
    here = trials({"snip": [40.0, 41.0, 42.0], "grasp": [10.0] * 3, "random": [30.0, 31.5, 31.0], "erk": [50.0] * 3})
    full = trials({"random": [70.0, 71.0, 70.0], "snip": [80.0, 81.5, 81.0], "grasp": [60.0, 99.0, 99.0]})
    full = pd.concat([full, trials({"snip": [1.0]}, compression=2.0)])
    (row,) = pairs.orders(here, full).to_dict("records")
    assert (row["dataset"], row["compression"]) == ("cifar10", 1.0)
    assert (row["here"], row["in_full"]) == (["snip", "random", "grasp"], ["grasp", "snip", "random"])
    assert (row["pairs"], row["alike"], row["distinguishable"], row["distinguishable_alike"]) == (3, 1, 1, 1)
    turned = pairs.orders(here.assign(top1=100 - here.top1), full).iloc[0]
    assert (turned.distinguishable, turned.distinguishable_alike) == (1, 0)
    assert pairs.orders(here, full[:0]).empty
    two = pd.concat([here.assign(model="vgg11"), here.assign(model="fc")])
    assert pairs.orders(two, full).model.tolist() == ["vgg11", "fc"]
