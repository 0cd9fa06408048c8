"""Claims by hand: cells, margins, verdicts; and whether the CIFARs share their images."""

import math

import pandas as pd
import pytest

from prunekit import datasets
from prunekit.analysis import rule
from prunekit.published import claims, images
from prunekit.published.verdict import CONTRADICTED, NOT_RUN, REPRODUCED, UNDECIDED


def runs(values, deviation=""):
    """Runs of CIFAR-10 at c = 1 by pruner; 10.0 is at chance."""
    rows = [
        {"dataset": "cifar10", "model": "vgg16", "compression": 1.0, "pruner": pruner, "pool": "all"}
        | {
            "cell": pruner,
            "cluster": "",
            "value": value,
            "learned": value != 10.0,
            "deviation": deviation,
        }
        for pruner, each in values.items()
        for value in each
    ]
    return pd.DataFrame(rows)


def cells(values):
    frame = runs(values)
    return claims.cells(frame, "value", rule.pooled(frame[frame.learned]))


def test_cells_are_means_with_the_pooled_half_width():
    """Gaps of 1, 1 and 2, 2: s^2 = 10 / 2; t(0.975, 2) = 4.3027, so a mean of two has 4.3027 sqrt(5 / 2)."""
    found = cells({"synflow": [79.0, 81.0], "snip": [68.0, 72.0, 10.0], "random": [10.0, 10.0]})
    assert found["mean"].tolist() == [80, 70, 10] and found.learned.tolist() == [2, 2, 0]
    half = 4.3027 * math.sqrt(5 / 2)
    assert found.margin.tolist() == [pytest.approx(half, abs=1e-3), pytest.approx(half, abs=1e-3), 0]
    assert found.index.names == ["dataset", "compression", "pruner"]
    other = runs({"snip": [70.0]}, "width: 0.5, not 1")
    assert claims.cells(other, "value", rule.pooled(other)).empty


def test_margins_are_differences_of_cells():
    found = cells({"synflow": [79.0, 81.0], "snip": [68.0, 72.0], "random": [50.0, 51.0]})
    ahead = claims.lead(found, "synflow")
    assert ahead["mean"].to_dict() == {("snip", "cifar10", 1.0): 10.0, ("random", "cifar10", 1.0): 29.5}
    assert ahead.margin.iloc[0] == pytest.approx(math.hypot(found.margin.iloc[0], found.margin.iloc[1]))
    assert claims.minus(found, 60)["mean"].tolist() == [20, 10, -9.5]
    assert claims.weakest(ahead).startswith("+10 ± ") and claims.weakest(ahead).endswith("(SNIP, CIFAR-10, 1)")
    both = pd.DataFrame({"mean": [-5.0, -3.0], "margin": [20.0, 0.0]}, index=["snip", "random"])
    assert claims.weakest(both) == "-3 (Random)", "which contradicts, however low the other may lie"


def margins(*rows):
    return pd.DataFrame(rows, columns=["mean", "margin"])


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([(2.0, 1.0), (5.0, 4.0)], REPRODUCED),
        ([(2.0, 1.0), (5.0, 6.0)], UNDECIDED),
        ([(2.0, 1.0), (-5.0, 4.0)], CONTRADICTED),
        ([(2.0, 1.0), (-5.0, 4.9)], UNDECIDED),  # of two points an interval of 97.5 %, 1.144 times as wide
        ([(-5.0, 4.9)], CONTRADICTED),
        ([(0.0, 0.0), (3.0, 0.0)], REPRODUCED),  # exact numbers, such as the printed
        ([(-0.1, 0.0), (3.0, 0.0)], CONTRADICTED),
        ([(5.0, math.nan)], UNDECIDED),  # no spread is known
        ([(math.nan, 1.0), (-5.0, 1.0)], NOT_RUN),
        ([], NOT_RUN),
    ],
)
def test_a_claim_holds_where_it_does_at_every_point(rows, verdict):
    assert claims.verdict(margins(*rows)) == verdict


def test_images_are_told_apart_by_their_pixels():
    digits, pairs = (images._distinct(datasets.read(name)) for name in ("digits", "digit-pairs"))
    assert len(digits) == 1797
    assert not digits.keys() & pairs.keys()
    split, position = next(iter(digits.values()))
    assert (split, position) == ("train", 0)


def test_cifar_sets_share_three_images(real_data, monkeypatch):
    """Test image 1,677 of CIFAR-10, a truck, is training image 43,244 of CIFAR-100, a pickup truck; and two more."""
    monkeypatch.setenv("PRUNEKIT_DATA", str(real_data))
    (first, second), shared = images.shared()
    assert (first, second) == (60_000, 59_974)
    assert shared[["image", "dataset", "split", "position"]].values.tolist() == [
        *([1, "cifar10", "train", 35_925], [1, "cifar100", "test", 9_294]),
        *([2, "cifar10", "test", 1_677], [2, "cifar100", "train", 43_244]),
        *([3, "cifar10", "test", 8_091], [3, "cifar100", "test", 6_864]),
    ]
    assert shared["class"].tolist()[2:4] == ["truck", "pickup truck"]
