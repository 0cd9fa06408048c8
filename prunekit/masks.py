"""Masks from scores, their health, and how they are applied to a network."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import models

Masks = dict[str, Tensor]
SCOPES = ("global", "local")


@dataclass(frozen=True)
class LayerHealth:
    """What a mask leaves of one layer: weights in all, kept, on a live path; output channels in all and dead."""

    total: int
    kept: int
    effective: int
    channels: int
    dead_channels: int


@dataclass(frozen=True)
class Health:
    """What masks leave of a network: density, effective density (both 0 to 1), collapse, and each layer."""

    density: float
    effective_density: float
    collapsed: bool
    layers: dict[str, LayerHealth]


def from_scores(scores: dict[str, Tensor], density: float, scope: str = "global", within: Masks | None = None) -> Masks:
    """Return bool masks that keep the highest scores: exactly int((1 - density) * N) weights are removed.

    `scope` is "global" (one ranking of all N weights) or "local" (a ranking of each layer, N its own). Among equal
    scores the earlier position goes first. Weights outside the masks `within` are removed before all others, so a
    pruned weight never comes back. Raises ValueError for a density outside (0, 1], scores that are not finite, an
    unknown scope, or a density above that of `within`.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1], not {density}")
    for name, score in scores.items():
        if not torch.isfinite(score).all():
            raise ValueError(f"the scores of {name} hold NaN or infinity; score a float64 network, or another one")
    if scope == "global":
        kept = _keep_highest(_flatten(scores), density, None if within is None else _flatten(within))
        parts = kept.split([score.numel() for score in scores.values()])
        return {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
    if scope == "local":
        return {
            name: _keep_highest(score.flatten(), density, None if within is None else within[name].flatten()).view(
                score.shape
            )
            for name, score in scores.items()
        }
    raise ValueError(f"unknown scope {scope!r}; choose from {', '.join(SCOPES)}")


def density_of(masks: Masks) -> float:
    """Return kept / total over all masks, from 0 to 1."""
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


@torch.no_grad()
def apply(net: nn.Module, masks: Masks) -> None:
    """Set the pruned weights of `net` to zero, in place."""
    weights = models.prunable(net)
    for name, mask in masks.items():
        weights[name].mul_(mask)


def health(net: nn.Module, masks: Masks, input_shape: tuple[int, int, int]) -> Health:
    """Return the health of `masks` on `net` for images of `input_shape` (channels, height, width).

    A weight is effective if some path of kept weights leads from an input through it to an output: in the network
    whose weights are the masks, its derivative of the summed output is then positive. Masks are collapsed when no
    signal reaches the output: some layer keeps nothing, or nothing kept connects input and output. An output channel is
    dead when none of its weights is effective.
    """
    paths = _path_network(net, masks)
    device = next(net.parameters()).device
    total_paths = paths(torch.ones(1, *input_shape, dtype=torch.float64, device=device)).sum()
    weights = models.prunable(paths)
    slopes = torch.autograd.grad(total_paths, list(weights.values()))
    layers = {}
    for (name, mask), slope in zip(masks.items(), slopes, strict=True):
        live = (slope > 0) & mask
        dead = ~live.flatten(1).any(1)
        layers[name] = LayerHealth(mask.numel(), int(mask.sum()), int(live.sum()), mask.shape[0], int(dead.sum()))
    total = sum(layer.total for layer in layers.values())
    effective = sum(layer.effective for layer in layers.values()) / total
    empty = any(layer.kept == 0 for layer in layers.values())
    return Health(sum(layer.kept for layer in layers.values()) / total, effective, empty or effective == 0, layers)


def _flatten(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def _keep_highest(flat: Tensor, density: float, within: Tensor | None) -> Tensor:
    removed = int((1 - density) * flat.numel())
    if within is not None:
        if removed < int((~within).sum()):
            raise ValueError(f"density {density:g} is above that of the masks to stay within")
        flat = flat.masked_fill(~within, -torch.inf)
    if removed == 0:
        return torch.ones_like(flat, dtype=torch.bool)
    threshold = flat.kthvalue(removed).values
    kept = flat > threshold
    ties = (flat == threshold).nonzero().squeeze(1)
    below = flat.numel() - int(kept.sum()) - len(ties)
    kept[ties[removed - below :]] = True
    return kept


def _path_network(net: nn.Module, masks: Masks) -> nn.Module:
    """Return a float64 copy of `net` that counts paths: kept weights are one, all else passes a signal on unchanged."""
    paths = copy.deepcopy(net).double().eval()
    for parent in list(paths.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):  # a maximum hides the paths that it does not choose
                average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(parent, name, average)
            elif isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for name, parameter in paths.named_parameters():
            if name in masks:
                parameter.copy_(masks[name])
            else:
                parameter.zero_()
    return paths
