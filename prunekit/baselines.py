"""Pruners to compare others with; no table shows them unless it is asked for `prunekit.baselines:erk_random`.

They are written as a user's own pruner would be. Two baselines need no code here: with `prune_steps`, SNIP is iterative
SNIP (de Jorge et al. 2021, arXiv:2006.09081); with epochs before pruning, magnitude is magnitude pruning after
training. Each function imports torch itself: a report reads ERK-random's source and runs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from .pruners import Batches, Scores

ROUNDS = 20  # of FORCE


def layerwise_random(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """Keep the same share of every layer, at random (Liu et al. 2022, arXiv:2202.02643: uniform)."""
    from . import models

    return {name: 1 - _places(weight, generator) for name, weight in models.prunable(net).items()}


def erk_random(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """Keep a share of a layer in proportion to (sum of its weight's sizes) / (their product), at random.

    That is Erdős-Rényi-Kernel (Evci et al. 2020, arXiv:1911.11134, section 3): all of a layer where the share would be
    above 1, and of the others so much more.
    """
    from . import models

    return {
        name: sum(weight.shape) / weight.numel() / _places(weight, generator)
        for name, weight in models.prunable(net).items()
    }


def force(net: nn.Module, batches: Batches, generator: Generator | None, density: float) -> Scores:
    """|w dL/dw|, dL/dw of the pruned network, pruned anew in ROUNDS rounds (de Jorge et al. 2021, arXiv:2006.09081).

    That is FORCE: unlike in iterative SNIP, all weights are scored in each round, so that a pruned one may come back.
    The share kept goes down exponentially to `density`; L is the sum of the batches' losses.
    """
    import torch
    from torch.nn import functional as F

    from . import masks, models

    weights = models.prunable(net)
    whole = {name: weight.detach().clone() for name, weight in weights.items()}
    scores: Scores = {}
    for number in range(ROUNDS):
        if scores:
            kept = masks.from_scores(scores, density ** (number / ROUNDS), ties=generator)
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(whole[name] * kept[name])
        loss = torch.stack([F.cross_entropy(net(images), labels) for images, labels in batches]).sum()
        slopes = torch.autograd.grad(loss, list(weights.values()))
        scores = {name: (w * slope).abs() for (name, w), slope in zip(whole.items(), slopes, strict=True)}
    return scores


def _places(weight: Tensor, generator: Generator | None) -> Tensor:
    """Return a random order of the layer's weights as shares of it: its n-th of N has (n - 1/2) / N, in float64."""
    import torch

    count = weight.numel()
    order = torch.randperm(count, generator=generator)
    return ((order.double() + 0.5) / count).view(weight.shape).to(weight.device)
