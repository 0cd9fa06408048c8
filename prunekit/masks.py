"""Masks from scores, their health, and how they are applied to a network, as it trains too."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from . import connectivity, models
from .errors import UserError, exception_summary, shown
from .files import replace

Masks = dict[str, Tensor]
SCOPES = ("global", "local")
_SAMPLED = 1009  # one score in so many; a prime, so that no row of a weight is sampled in the same place


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


def from_scores(
    scores: dict[str, Tensor],
    density: float,
    scope: str = "global",
    within: Masks | None = None,
    ties: torch.Generator | None = None,
) -> Masks:
    """Return bool masks that keep the highest scores: exactly int((1 - density) * N) weights are removed.

    `scope` is "global" (one ranking of all N weights) or "local" (a ranking of each layer, N its own). Which of equal
    scores go is drawn from `ties`, a generator on the CPU; without one those at earlier positions go, which strips the
    first layers where many scores are zero. Weights outside the masks `within` are removed before all others, so a
    pruned weight never comes back. Raises ValueError for a density outside (0, 1], scores that are not finite, an
    unknown scope, or a density above that of `within`.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1], not {density}")
    flat = _flatten(scores)
    if not _finite(flat):
        name = next(name for name, score in scores.items() if not _finite(score))
        raise ValueError(f"the scores of {name} hold NaN or infinity; score a float64 network, or another one")
    if scope == "global":
        kept = _keep_highest(flat, density, None if within is None else _flatten(within), ties)
        parts = kept.split([score.numel() for score in scores.values()])
        return {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
    if scope == "local":
        return {
            name: _keep_highest(
                score.flatten(), density, None if within is None else within[name].flatten(), ties
            ).view(score.shape)
            for name, score in scores.items()
        }
    raise ValueError(f"unknown scope {scope!r}; choose from {', '.join(SCOPES)}")


@torch.no_grad()
def apply(net: nn.Module, masks: Masks) -> None:
    """Set the pruned weights of `net` to zero, in place; raises ValueError for masks of another network."""
    for name, weight in models.chosen(net, masks).items():
        weight.mul_(masks[name].to(weight.device))


def attach(net: nn.Module, masks: Masks, *optimizers: torch.optim.Optimizer) -> Attached:
    """Apply `masks` to `net` now and after each step of `optimizers`, until the returned handle's `remove()`.

    Whatever an optimiser adds, of momentum or weight decay, is gone after its step; a step that is skipped changes
    nothing. Call it where `net` is to be trained: on its device, unwrapped, before it is copied for a moving average.
    Raises ValueError for masks of another network and for a weight that none of `optimizers` changes.
    """
    weights = models.chosen(net, masks)
    held = {id(one): {id(p) for group in one.param_groups for p in group["params"]} for one in optimizers}
    if free := [name for name, weight in weights.items() if not any(id(weight) in theirs for theirs in held.values())]:
        raise ValueError(f"no optimizer that was given changes {free[0]}; give the one that has its weight")
    apply(net, masks)
    handles = []
    for one in optimizers:
        # In the weights' own layout: products of two layouts are slow.
        pairs = [
            (weight.detach(), torch.empty_like(weight).copy_(masks[name]).detach())
            for name, weight in weights.items()
            if id(weight) in held[id(one)]
        ]
        handles.append(one.register_step_post_hook(lambda *_, pairs=pairs: _multiply(pairs)))
    return Attached(handles)


class Attached:
    """Masks that optimisers apply after each of their steps; see `attach`."""

    def __init__(self, handles: list[RemovableHandle]):
        self._handles = handles

    def remove(self) -> None:
        """Let pruned weights change again."""
        for handle in self._handles:
            handle.remove()


def check(net: nn.Module, masks: Masks) -> None:
    """Raise ValueError, naming the layer, if a weight of `net` that `masks` prune is not 0, or they are another's."""
    for name, weight in models.chosen(net, masks).items():
        pruned = ~masks[name]
        if count := int((weight.detach()[pruned] != 0).sum()):
            raise ValueError(f"{count} of {int(pruned.sum())} pruned weights of {name} are not 0")


def sparsity(net: nn.Module) -> float:
    """Return the share of `net`'s weights that are 0, of those that can be pruned; raises ValueError as they do."""
    weights = models.prunable(net).values()
    if not weights:
        raise ValueError("the network has nothing to prune, neither a Conv2d nor a Linear")
    return 1 - sum(int(weight.count_nonzero()) for weight in weights) / sum(weight.numel() for weight in weights)


def save(file: Path | str, masks: Masks) -> None:
    """Write masks as safetensors, one bit per weight: of each the bytes of numpy.packbits, by its weight's name.

    Their shapes are in the metadata, as JSON under "masks". Raises OSError.
    """
    packed = {name: torch.from_numpy(np.packbits(mask.cpu().numpy())) for name, mask in masks.items()}
    shapes = json.dumps({name: list(mask.shape) for name, mask in masks.items()})
    replace(Path(file), safetensors.torch.save(packed, {"masks": shapes}))


def load(file: Path | str) -> Masks:
    """Return the masks that `save` wrote, on the CPU; raises UserError for another file, or one that is damaged."""
    try:
        with safetensors.safe_open(file, framework="numpy") as content:
            shapes = {name: tuple(shape) for name, shape in json.loads(content.metadata()["masks"]).items()}
            bits = {name: np.unpackbits(content.get_tensor(name)) for name in shapes}
        if any(not 0 <= len(bits[name]) - math.prod(shape) < 8 for name, shape in shapes.items()):
            raise ValueError("bits and shapes differ in number")
        return {
            name: torch.from_numpy(bits[name][: math.prod(shape)].reshape(shape).astype(bool))
            for name, shape in shapes.items()
        }
    except Exception as error:  # of damaged bytes come many kinds
        problem = exception_summary(error)
        raise UserError(f"{shown(file)} holds no masks that can be read ({problem}); write them again") from error


@torch.no_grad()
def _multiply(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for weight, mask in pairs:
        weight.mul_(mask)


def shuffled(masks: Masks, order: torch.Generator) -> Masks:
    """Return masks that keep as many weights of each layer, at places drawn from `order`, a generator on the CPU.

    The control of Frankle et al. 2021, arXiv:2009.08576, section 5: layers keep their densities.
    """
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=order).to(mask.device)].view(mask.shape)
        for name, mask in masks.items()
    }


def health(net: nn.Module, masks: Masks, input_shape: tuple[int, int, int]) -> Health:
    """Return the health of `masks` on `net` for images of `input_shape` (channels, height, width).

    A weight is effective if some path of kept weights leads from an input through it to an output: in the network
    whose weights are the masks, its derivative of the summed output is then positive. Masks are collapsed when no
    signal reaches the output: nothing kept connects it to the input. A layer that keeps nothing may do that, but not
    where a shortcut leads around it. An output channel is dead when none of its weights is effective. A layer without
    a mask is whole. Raises ValueError for a network that cannot be pruned, masks of another, and, naming it, an
    operation whose paths are not known.
    """
    models.chosen(net, masks)
    first = next(net.parameters())
    models.check_uses(net, torch.ones(1, *input_shape, dtype=first.dtype, device=first.device))
    kept = {name: _floats(mask).requires_grad_() for name, mask in masks.items()}
    image = _floats(torch.ones(1, *input_shape, device=next(net.parameters()).device)).requires_grad_()
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            flow = connectivity.flow(net, kept, image)
            slopes = torch.autograd.grad(flow, list(kept.values()), allow_unused=True)
    finally:
        net.train(was_training)
    layers = {}
    for (name, mask), slope in zip(masks.items(), slopes, strict=True):
        slope = torch.zeros_like(mask) if slope is None else slope  # of a layer on no path at all
        live = ((slope > 0) & mask).count_nonzero(tuple(range(1, mask.ndim)))  # an output channel
        dead = len(live) - int(live.count_nonzero())
        layers[name] = LayerHealth(mask.numel(), int(mask.count_nonzero()), int(live.sum()), mask.shape[0], dead)
    total = sum(layer.total for layer in layers.values())
    effective = sum(layer.effective for layer in layers.values()) / total
    return Health(sum(layer.kept for layer in layers.values()) / total, effective, effective == 0, layers)


def _flatten(tensors: dict[str, Tensor]) -> Tensor:
    first = next(iter(tensors.values()))
    alike = all(tensor.dtype == first.dtype for tensor in tensors.values())
    kind = first.dtype if alike else torch.float64  # the widest of torch's
    flat = first.new_empty(sum(tensor.numel() for tensor in tensors.values()), dtype=kind)
    parts = flat.split([tensor.numel() for tensor in tensors.values()])
    for part, tensor in zip(parts, tensors.values(), strict=True):
        part.view(tensor.shape).copy_(tensor)  # in as many threads as there are, which torch.cat does not
    return flat


def _finite(tensor: Tensor) -> bool:
    return all(map(math.isfinite, torch.stack(torch.aminmax(tensor)).tolist()))


def _keep_highest(flat: Tensor, density: float, within: Tensor | None, ties: torch.Generator | None) -> Tensor:
    """Return which of `flat` to keep. Only what may lie at the threshold is ranked, since ranking all takes long."""
    removed = int((1 - density) * flat.numel())
    outside = 0 if within is None else flat.numel() - int(within.count_nonzero())
    if removed < outside:
        raise ValueError(f"density {density:g} is above that of the masks to stay within")
    if removed == outside:
        return torch.ones_like(flat, dtype=torch.bool) if within is None else within.clone()
    for low, high in (_bounds(flat, within, removed - outside), (-torch.inf, torch.inf)):
        kept, near = flat > high, flat >= low
        if within is not None:
            kept &= within
            near &= within
        near ^= kept
        missing = flat.numel() - removed - int(kept.count_nonzero())  # how many of those near it to keep
        if 0 <= missing < int(near.count_nonzero()):
            break
    places = near.nonzero().squeeze(1)
    scores = flat[places]
    threshold = scores.kthvalue(len(scores) - missing).values
    above = scores > threshold
    kept[places[above]] = True
    if missing := missing - int(above.count_nonzero()):
        equal = places[scores == threshold]
        if ties is not None:
            equal = equal[torch.randperm(len(equal), generator=ties).to(equal.device)]
        kept[equal[len(equal) - missing :]] = True
    return kept


def _bounds(flat: Tensor, within: Tensor | None, k: int) -> tuple[Tensor | float, Tensor | float]:
    """Return two scores that enclose the k-th lowest of those `within` all but surely, by where it lies in a sample.

    See Floyd and Rivest 1975, doi:10.1145/360680.360691.
    """
    sample, total = flat[::_SAMPLED], len(flat)
    if within is not None:
        sample, total = sample[within[::_SAMPLED]], int(within.count_nonzero())
    sample = sample.sort().values
    count, share = len(sample), k / total
    place, margin = share * count, 5 * math.sqrt(share * (1 - share) * count) + 1  # five standard errors
    low = sample[int(place - margin)] if place > margin else -torch.inf
    high = sample[int(place + margin)] if place + margin < count else torch.inf
    return low, high


def _floats(tensor: Tensor) -> Tensor:
    """A convolution's weights or images go into the layout that CPUs convolve fastest."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
    return tensor.to(torch.float32, memory_format=layout)
