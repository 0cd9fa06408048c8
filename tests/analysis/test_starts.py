"""Who learned, on accuracies worked by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from prunekit import batches, datasets
from prunekit.analysis import starts


@pytest.mark.parametrize(
    ("dataset", "labels", "top", "share"),
    [
        ("cifar10", "fine", 1, 10),
        ("cifar10", "fine", 5, 50),
        ("cifar100", "fine", 5, 5),
        ("cifar100", "coarse", 1, 5),
        ("cifar100", "2", 1, 50),
        ("mnist", "fine", 1, 11.35),  # ones
        ("mnist", "fine", 5, 52.14),  # and sevens, threes, twos, nines
        ("cifar10", "3", 1, 40),  # groups of 4, 3 and 3 classes
    ],
)
def test_the_best_constant_output_has_the_share_of_its_labels(dataset, labels, top, share):
    assert starts.best_constant(dataset, labels, top) == pytest.approx(share)


def test_labels_at_random_are_those_of_the_seed():
    """Digits in three groups have 142, 111 and 107 of 360 test images with seed 0, and 144, 109 and 107 with seed 2."""
    shares = [starts.best_constant("digits", "3", top, seed) for seed in (0, 2) for top in (1, 2)]
    assert shares == pytest.approx([100 * part / 360 for part in (142, 253, 144, 253)])
    for seed in range(20):
        groups = batches.groups_of_seed(10, 3, seed)
        counts = groups[datasets.load("digits").test.labels].bincount()
        assert starts.best_constant("digits", "3", 1, seed) == pytest.approx(100 * int(counts.max()) / 360)
        assert all(starts.at_chance(100 * n / 360, 100.0, "digits", "3", seed) for n in counts.tolist())


def test_at_chance_is_within_three_standard_errors_of_it():
    """Of 10,000 images and ten classes one is 0.3, of top-5 0.5: up to 10.9, 51.5; of a hundred 1.2985, 5.6538."""
    assert starts.ceiling("cifar10") == pytest.approx(10.9) and starts.ceiling("cifar10", top=5) == pytest.approx(51.5)
    assert starts.at_chance(10.0, 51.0, "cifar10"), "not quite a constant output, and no better"
    assert starts.at_chance(10.89, 51.49, "cifar10") and starts.at_chance(9.3, 48.0, "cifar10"), "nor is what is below"
    assert not starts.at_chance(10.95, 50.0, "cifar10") and not starts.at_chance(10.0, 53.0, "cifar10")
    assert starts.at_chance(1.13, 5.6, "cifar100") and not starts.at_chance(1.13, 5.7, "cifar100")
    assert starts.at_chance(10.0, None, "cifar10") and starts.at_chance(10.0, math.nan, "cifar10")


def test_top5_of_five_labels_or_fewer_is_no_accuracy():
    assert starts.at_chance(51.0, 100.0, "cifar10", "2") and not starts.at_chance(60.0, 100.0, "cifar10", "2")
    assert starts.at_chance(39.44, 100.0, "digits", "3"), "the share of the largest group"


def test_the_classes_of_a_users_own_are_counted(monkeypatch):
    """Three of ten images and seven: 70 %, and three standard errors of 14.5 %."""
    own = SimpleNamespace(test=SimpleNamespace(labels=np.array([0] * 3 + [1] * 7)), classes=("a", "b"))
    monkeypatch.setattr(starts.datasets, "read", lambda name: own)
    monkeypatch.setattr(starts.plugins, "digest", lambda kind, name: "its source")
    assert starts.classes("mine:two") == 2 and starts.best_constant("mine:two") == 70
    assert starts.ceiling("mine:two") == pytest.approx(113.47, abs=0.01)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ((True, 1.0, 1.0), "severed"),
        ((False, 0.5e-4, 1.0), "vanished"),
        ((False, 2e-4, 1.0), "passes"),
        ((False, 101.0, 1.0), "exploded"),
        ((False, None, 1.0), "exploded"),
        ((False, None, None), ""),
    ],
)
def test_how_the_signal_fares_before_training(values, state):
    assert starts.at_init(*values) == state
