"""Pruners, a network and data of a user's own, as a module of theirs would hold them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from prunekit import models

POWER = 2


def steep(net, batches, generator):
    return {name: weight.detach().abs() ** POWER for name, weight in models.prunable(net).items()}


def signs(net, batches, generator):
    """Equal for two weights of three."""
    weights = models.prunable(net)
    third = {name: (torch.arange(w.numel()).view(w.shape) % 3 == 0) for name, w in weights.items()}
    return {name: third[name] * w.detach().abs() + 1 for name, w in weights.items()}


def failing(net, batches, generator):
    raise KeyError("conv7")


class Around(nn.Module):
    """A convolution and a way round it."""

    def __init__(self, channels):
        super().__init__()
        self.inside, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, images):
        return images + F.relu(self.norm(self.inside(images)))


def around(input_shape, num_classes, width):
    pool = nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(Around(input_shape[0]), pool, nn.Flatten(), nn.Linear(16 * input_shape[0], num_classes))


def bright():
    """Noise that is bright in the upper half, in the lower, or in all of it."""
    random = np.random.default_rng(0)

    def split(count):
        labels = np.arange(count) % 3
        images = random.integers(0, 100, (count, 1, 8, 8), dtype=np.uint8)
        images[labels != 1, :, :4] += 100
        images[labels != 0, :, 4:] += 100
        return images, labels

    return split(90), split(30)


def floats():
    (images, labels), test = bright()
    return (images / 255, labels), test
