"""What is left takes what like trials took: by hand, on records that nobody ran."""

import pytest
import synthetic

from prunekit.study import forecast
from prunekit.study.trial import Trial, failed

SECONDS = {"data": 1.0, "score": 4.0, "train": 10.0, "test": 2.0, "measure": 1.0}


def trial(**changes):
    return Trial(**{"dataset": "cifar10", "model": "vgg16", "pruner": "snip", "compression": 1.0, "seed": 0} | changes)


def records(trials, workers=1, **changes):
    return [synthetic.record(one, seconds=SECONDS | changes, where={"workers": workers}) for one in trials]


def test_nothing_measured_nothing_known():
    assert forecast.seconds([trial()], []) is None
    assert forecast.seconds([trial()], [failed(trial(), "no memory", {})]) is None


def test_what_a_group_shares_counts_once():
    """Two compressions: data and scores once, 5 s; training, testing and measuring for each, 13 s."""
    pair = [trial(compression=1.0), trial(compression=2.0)]
    later = [one.model_copy(update={"seed": 5}) for one in pair]
    assert forecast.seconds(later, records(pair)) == pytest.approx(5 + 2 * 13)


def test_in_steps_nothing_is_shared():
    pair = [trial(compression=c, prune_steps=10) for c in (1.0, 2.0)]
    later = [one.model_copy(update={"seed": 5}) for one in pair]
    assert forecast.seconds(later, records(pair)) == pytest.approx(2 * 18)


def test_two_processes_do_twice_as_much():
    assert forecast.seconds([trial(seed=1)], records([trial()], workers=2)) == pytest.approx(18 / 2)


def test_the_median_of_like_ones_and_of_none_too_long():
    measured = [
        record
        for seed, train in ((0, 10.0), (1, 11.0), (2, 500.0))
        for record in records([trial(seed=seed)], train=train)
    ]
    assert forecast.seconds([trial(seed=3)], measured) == pytest.approx(19)


def test_what_is_like_nothing_goes_by_its_size():
    """Ten times the images, not quite ten times the seconds: pruning is no more work."""
    measured = records([trial(train_subset=1000)])
    assert 6 * 18 < forecast.seconds([trial(train_subset=10_000)], measured) < 10 * 18
