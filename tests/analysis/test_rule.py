"""The rule by hand, on four to six numbers; and how often it is right under its own model."""

import math

import numpy as np
import pandas as pd
import pytest

from prunekit.analysis import rule


def runs(*cells, pool="all", clusters=None):
    """Rows for `rule.pooled`: cells as lists of values, each value a cluster of its own or as named."""
    rows = [(pool, str(cell), value) for cell, values in enumerate(cells) for value in values]
    frame = pd.DataFrame(rows, columns=["pool", "cell", "value"])
    return frame.assign(cluster=clusters or [str(row) for row in frame.index])


def test_squares_of_all_cells_are_pooled():
    """1, 3 lie 1 from their mean; 4, 6, 8 lie 2, 0, 2: the sum is 10 over 1 + 2 degrees of freedom."""
    found = rule.pooled(runs([1.0, 3.0], [4.0, 6.0, 8.0], [70.0])).loc["all"]
    assert found.s == pytest.approx(math.sqrt(10 / 3))
    assert (found.freedom, found.cells, found.effective) == (3, 2, 3), "a cell of one run tells nothing of spread"
    bartlett = (3 * math.log(10 / 3) - math.log(2) - 2 * math.log(4)) / (1 + (1 + 1 / 2 - 1 / 3) / 3)
    assert found.alike == pytest.approx(math.erfc(math.sqrt(bartlett / 2))), "chi squared of one degree of freedom"


def test_runs_that_share_a_seed_tell_less():
    """In two cells seeds 0 and 1 are 1 below and above: r = 1, m = 2, so two degrees of freedom are one."""
    found = rule.pooled(runs([9.0, 11.0], [29.0, 31.0], clusters=["0", "1", "0", "1"])).loc["all"]
    assert (found.freedom, found.effective) == (2, 1)
    apart = rule.pooled(runs([9.0, 11.0], [29.0, 31.0], clusters=[""] * 4)).loc["all"]
    assert apart.effective == 2, "what is apart shares nothing"
    against = rule.pooled(runs([9.0, 11.0], [31.0, 29.0], clusters=["0", "1", "0", "1"])).loc["all"]
    assert against.effective == 2, "no correlation below 0"


@pytest.mark.parametrize("values", [[[1.0], [2.0]], []])
def test_without_two_runs_of_a_cell_no_spread_is_known(values):
    assert rule.pooled(runs(*values)).empty
    assert math.isnan(rule.half_width(math.nan, 0.0, 1)) and math.isnan(rule.half_width(1.0, 5.0, 0))


def test_the_prediction_interval():
    """t(0.975, 2) = 4.3027; s = 1, n = 3: 4.3027 x sqrt(4 / 3) = 4.9683; half a digit widens it."""
    assert rule.half_width(1.0, 2.0, 3) == pytest.approx(4.9683, abs=1e-4)
    assert rule.half_width(1.0, 2.0, 3, 0.05) == pytest.approx(5.0183, abs=1e-4)
    assert rule.p_value(4.9683, 1.0, 2.0, 3) == pytest.approx(0.05, abs=1e-5)
    assert rule.p_value(-5.0183, 1.0, 2.0, 3, 0.05) == pytest.approx(0.05, abs=1e-5)
    assert rule.p_value(0.004, 0.0, 2.0, 3, 0.005) == 1 and rule.p_value(0.006, 0.0, 2.0, 3, 0.005) == 0


def test_rates_of_none_and_of_some():
    assert rule.jeffreys(0, 0) == (0, 1)
    assert rule.jeffreys(0, 3) == (0, pytest.approx(0.5356, abs=1e-4)), "Beta(1/2, 7/2)"
    assert rule.jeffreys(3, 3) == (pytest.approx(0.4644, abs=1e-4), 1)
    assert rule.predictive(0, 3) == 0.125 and rule.predictive(7, 115) == pytest.approx(7.5 / 116)


def test_one_more_run_lies_within_in_nineteen_of_twenty():
    """2,000 draws of four compressions, three pruners and three seeds, what a seed shares a third of the variance.

    So of 24 degrees of freedom 24 / (1 + 11 / 9) = 10.8 are effective.
    """
    random, draws, shared = np.random.default_rng(0), 2000, 1 / 3
    seeds = random.normal(0, math.sqrt(shared), (draws, 1, 1, 4))
    values = 70 + 1.4 * (seeds + random.normal(0, math.sqrt(1 - shared), (draws, 4, 3, 4)))
    grid = np.indices(values.shape).reshape(4, -1)
    frame = pd.DataFrame({"value": values.ravel(), **dict(zip(["draw", "c", "pruner", "seed"], grid, strict=True))})
    more, frame = frame[frame.seed == 3], frame[frame.seed < 3]
    frame["pool"] = frame.draw
    frame["cell"] = frame.draw * 100 + frame.c * 10 + frame.pruner
    frame["cluster"] = frame.seed.astype(str)
    found = rule.pooled(frame)
    assert found.freedom.eq(24).all()
    assert 10 < found.effective.iloc[0] < 15, "r is estimated a little low where each pool is small"
    halves = [rule.half_width(one.s, one.effective, 3) for one in found.itertuples()]
    means = frame.groupby(["draw", "c", "pruner"]).value.mean().to_numpy().reshape(draws, 12)
    inside = abs(more.value.to_numpy().reshape(draws, 12) - means) <= np.array(halves)[:, None]
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_the_rate_lies_within_in_nineteen_of_twenty():
    """2,000 rates at random, twelve runs each."""
    random = np.random.default_rng(0)
    rates = random.uniform(size=2000)
    within = [rule.jeffreys(int(random.binomial(12, rate)), 12) for rate in rates]
    assert np.mean([low <= rate <= high for (low, high), rate in zip(within, rates, strict=True)]) >= 0.94
