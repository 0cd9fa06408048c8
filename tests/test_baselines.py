"""Pruners to compare with: what each layer keeps, worked out by hand."""

import itertools

import pytest
import torch
from torch import nn

from prunekit import baselines, masks, models, pruners

LABEL = torch.tensor([0])


def kept(name, net, density):
    generator = torch.Generator().manual_seed(1)
    scores = pruners.score(f"prunekit.baselines:{name}", net, torch.ones(1, 10), LABEL, generator=generator)
    return [int(mask.count_nonzero()) for mask in masks.from_scores(scores, density).values()]


def linear(*sizes):
    return nn.Sequential(*(nn.Linear(one, other) for one, other in itertools.pairwise(sizes)))


@pytest.mark.parametrize(("density", "expected"), [(0.5, [200, 20]), (0.1, [40, 4]), (1.0, [400, 40])])
def test_layerwise_random_keeps_the_same_share_of_each_layer(density, expected):
    assert kept("layerwise_random", linear(10, 40, 1), density) == expected


@pytest.mark.parametrize(
    ("density", "expected"),
    [
        # Layers of 10x40 and 40x10, then 10x10: sums of sizes 50, 50, 20, so kept 50 : 50 : 20 of 120 in all ...
        (120 / 900, [50, 50, 20]),
        (480 / 900, [200, 200, 80]),
        # ... until the last keeps all its 100 and the others share what is left.
        (700 / 900, [300, 300, 100]),
        (1.0, [400, 400, 100]),
    ],
)
def test_erk_keeps_by_the_sum_of_sizes(density, expected):
    assert kept("erk_random", linear(10, 40, 10, 10), density) == pytest.approx(expected, abs=1)


def test_erk_counts_the_kernel():
    """A 2x1x3x3 convolution has 2 + 1 + 3 + 3 = 9 for its 18 weights, a linear layer of 8x3 has 11 for 24."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    scores = pruners.score("prunekit.baselines:erk_random", net, torch.ones(1, 1, 4, 4), LABEL)
    assert [int(m.count_nonzero()) for m in masks.from_scores(scores, 20 / 42).values()] == pytest.approx(
        [9, 11], abs=1
    )


def pruned(name, density, steps=1):
    """Three classes, one image of the first: logits 2, 0.3 and -1; a class's score is |logit| |p - truth|."""
    net = nn.Linear(1, 3, bias=False)
    net.weight.data = torch.tensor([[2.0], [0.3], [-1.0]])
    made = pruners.prune(name, net, torch.ones(1, 1), LABEL, density, steps)
    return made["weight"].flatten().int().tolist()


def test_force_brings_a_weight_back():
    """p is as e^logit, and e^0 of a pruned one: of the last two first -1 goes, 1 e^-1 = 0.37 to 0.3 e^0.3 = 0.40.

    Without it, it would have 1, and comes back for the other, which then has 0.3.
    """
    assert pruned("snip", 0.5) == pruned("snip", 0.5, steps=baselines.ROUNDS) == [1, 1, 0], "iterative SNIP as well"
    assert pruned("prunekit.baselines:force", 0.5) == [1, 0, 1]
    assert pruned("prunekit.baselines:force", 0.3) == [1, 0, 0]


def test_force_of_one_round_is_snip(monkeypatch):
    monkeypatch.setattr(baselines, "ROUNDS", 1)
    net, images, labels = linear(4, 6, 3), torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    force = pruners.score("prunekit.baselines:force", net, images, labels, batch_size=2, density=0.1)
    snip = pruners.score("snip", net, images, labels, batch_size=2)
    total = sum(score.sum() for score in force.values())
    for name, score in snip.items():
        torch.testing.assert_close(score, force[name] / total)


def test_a_pruner_that_takes_a_density_must_be_given_one():
    with pytest.raises(ValueError, match="force takes a density; give one"):
        pruners.score("prunekit.baselines:force", nn.Linear(1, 3), torch.ones(1, 1), LABEL)


def test_which_are_kept_is_random():
    net = linear(10, 40, 10)
    for name in ("erk_random", "layerwise_random"):
        first, second = (
            pruners.score(
                f"prunekit.baselines:{name}",
                net,
                torch.ones(1, 10),
                LABEL,
                generator=torch.Generator().manual_seed(seed),
            )
            for seed in (1, 2)
        )
        assert first.keys() == models.prunable(net).keys()
        assert not torch.equal(first["0.weight"], second["0.weight"])
        assert torch.equal(first["0.weight"].flatten().sort().values, second["0.weight"].flatten().sort().values)
