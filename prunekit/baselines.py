"""Pruners that others are compared with, in no table unless asked for: `prunekit.baselines:erk_random`.

They come through the door that is open to a user's own, and are written as one of these would be. With the schedule of
`prune_steps`, SNIP is iterative SNIP (de Jorge et al. 2021, arXiv:2006.09081); with epochs before pruning, magnitude is
magnitude pruning after training.
"""

import torch
from torch import Generator, Tensor, nn

from . import models
from .pruners import Batches, Scores


def layerwise_random(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """Keep the same share of every layer, at random (Liu et al. 2022, arXiv:2202.02643: uniform)."""
    return {name: 1 - _places(weight, generator) for name, weight in models.prunable(net).items()}


def erk_random(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """Keep a share of a layer in proportion to (sum of its weight's sizes) / (their product), at random.

    That is Erdős-Rényi-Kernel (Evci et al. 2020, arXiv:1911.11134, section 3): all of a layer where the share would be
    above 1, and of the others so much more.
    """
    return {
        name: sum(weight.shape) / weight.numel() / _places(weight, generator)
        for name, weight in models.prunable(net).items()
    }


def _places(weight: Tensor, generator: Generator | None) -> Tensor:
    """Return a random order of the layer's weights as shares of it: its n-th of N has (n - 1/2) / N, in float64."""
    count = weight.numel()
    order = torch.randperm(count, generator=generator)
    return ((order.double() + 0.5) / count).view(weight.shape).to(weight.device)
