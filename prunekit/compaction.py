"""A pruned network -> a smaller dense one that computes the same: channels that no live path uses are removed.

A channel is live if it changes with the image and if the output depends on it. One that does not change holds the same
values for every image: they are folded into the biases of the layers that read it. Where these values differ from place
to place, as at the borders of a padded convolution, what they add is a map of the layer's output, which is added whole.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from . import masks, models
from .masks import Masks

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
# Layers and functions that treat every channel by itself.
_ALIKE = {nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Hardswish}
_ALIKE |= {nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Hardtanh, nn.ReLU6, nn.Identity, nn.Dropout, nn.Dropout2d, *_NORMS}
_ALIKE |= {nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d}
_ALIKE_FUNCTIONS = {"relu", "tanh", "sigmoid", torch.relu, torch.tanh, F.tanh, torch.sigmoid, F.sigmoid, F.dropout}
_ALIKE_FUNCTIONS |= {F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.softplus, F.hardswish, F.hardtanh}
_ALIKE_FUNCTIONS |= {F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d}
_FLATTEN = {torch.flatten, "flatten"}
_ADD = {operator.add, operator.iadd, torch.add, "add", "add_"}


@dataclass(frozen=True)
class Compacted:
    """The smaller network, and which rows (outputs) and columns (inputs) of each weight that can be pruned it has."""

    net: nn.Module
    places: dict[str, tuple[Tensor, Tensor]]

    def masks(self, kept: Masks) -> Masks:
        """Return what the masks `kept` of the whole network keep of the smaller one."""
        places = {name: self.places[name] for name in kept}
        return {name: kept[name][rows][:, columns] for name, (rows, columns) in places.items()}


def compact(net: nn.Module, kept: Masks, input_shape: tuple[int, int, int]) -> Compacted:
    """Return `net`, pruned by the masks `kept`, without its dead channels, for images [N, *input_shape].

    In evaluation mode its output is that of the masked network to float precision, and so are the slopes of what is
    left. So it trains as the masked network does where all it folds is zero behind a ReLU, as in VGG and ResNets at
    initialisation; a bias that is folded elsewhere no longer learns. `input_shape` is (channels, height, width); `net`
    is unchanged. Raises ValueError for a layer or an operation that compaction does not know, or whose use it cannot
    follow.
    """
    models.prunable(net)  # refuses what deepcopy would in words of its own
    pruned = copy.deepcopy(net).eval()
    masks.apply(pruned, kept)
    nodes = _followed(pruned, kept, input_shape)
    _mark_used(nodes)
    live = _live(nodes)
    places = {}
    for node in nodes.values():
        if node.layer is None:
            continue
        rows, columns = live[node.space], live[node.inputs[0].space] if node.inputs else live[node.space]
        if isinstance(node.layer, (nn.Conv2d, nn.Linear)):
            smaller, where = _smaller(node, rows.nonzero()[:, 0], columns)
            places[f"{node.name}.weight" if node.name else "weight"] = where
        else:
            smaller = _smaller_norm(node.layer, rows)
        if not node.name:
            return Compacted(smaller, places)
        pruned.set_submodule(node.name, smaller)
    return Compacted(pruned, places)


@dataclass
class _Node:
    """A step of the network: what it computes for a black image [C, ...], and of its channels which change and count.

    `repeat` values stand for a channel one after the other once it is flattened. Steps of one `space` have the same
    channels, so that they lose the same ones.
    """

    name: str
    value: Tensor
    space: int
    changes: Tensor
    inputs: tuple[_Node, ...] = ()
    layer: nn.Module | None = None
    mask: Tensor | None = None
    repeat: int = 1
    fixed: bool = False
    used: Tensor | None = None

    def links(self) -> Tensor:
        """Which channel of the input [columns] each output [rows] keeps a weight from."""
        assert self.mask is not None
        rows, repeat = len(self.mask), self.inputs[0].repeat
        return self.mask.reshape(rows, -1, repeat if self.mask.ndim == 2 else self.mask[0, 0].numel()).any(2)


class _Values(fx.Interpreter):
    """Runs a network step by step and keeps what each computes, before a later one writes over it."""

    def __init__(self, traced: fx.GraphModule):
        super().__init__(traced)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.values[n] = result.clone() if isinstance(result, Tensor) else result
        return result


@torch.no_grad()
def _followed(net: nn.Module, kept: Masks, input_shape: tuple[int, int, int]) -> dict[fx.Node, _Node]:
    """Return the steps of `net` in order, and which channels of each change with the image."""
    try:
        traced = fx.symbolic_trace(net if list(net.children()) else nn.Sequential(net))
    except Exception as error:  # of code that cannot be traced any kind comes
        raise ValueError(f"compaction cannot follow this network ({type(error).__name__})") from error
    bare = not list(net.children())
    parameter = next(net.parameters())
    run = _Values(traced)
    state = torch.get_rng_state()
    run.run(torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device))
    if not torch.equal(state, torch.get_rng_state()):
        raise ValueError(f"the network {models.RANDOM}")
    nodes: dict[fx.Node, _Node] = {}
    for place, node in enumerate(traced.graph.nodes):
        inputs = tuple(nodes[one] for one in node.all_input_nodes if one in nodes)
        if node.op == "placeholder":
            value = run.values[node][0]
            changes = torch.ones(len(value), dtype=torch.bool, device=value.device)
            nodes[node] = _Node("", value, place, changes, fixed=True)
        elif node.op == "output":
            if len(inputs) != 1 or inputs[0].value.ndim != 1 or inputs[0].repeat != 1:
                raise ValueError("compaction cannot follow this network's output")
            inputs[0].fixed = True
        else:
            layer = traced.get_submodule(node.target) if node.op == "call_module" else None
            what = type(layer).__name__ if layer else getattr(node.target, "__name__", str(node.target))
            made = _step(node, layer, inputs, run.values[node], place, kept, "" if bare else str(node.target))
            if made is None or (layer and any(one.layer is layer for one in nodes.values())):
                problem = "more than one use of" if made else "what is done by"
                raise ValueError(f"compaction does not know {problem} {what} ({node.target})")
            nodes[node] = made
            if len(inputs) == 2:
                _merge(nodes, inputs[1].space, inputs[0].space)
    return nodes


def _step(
    node: fx.Node, layer: nn.Module | None, inputs: tuple[_Node, ...], value: Any, place: int, kept: Masks, name: str
) -> _Node | None:
    """Return a step of the network, None for one that is not known."""
    if not inputs or not isinstance(value, Tensor):
        return None
    first, value = inputs[0], value[0]
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        if isinstance(layer, nn.Conv2d) and (layer.groups != 1 or layer.padding_mode != "zeros"):
            return None
        if first.value.ndim != (3 if isinstance(layer, nn.Conv2d) else 1):
            return None
        weight = f"{name}.weight" if name else "weight"
        mask = kept.get(weight, torch.ones_like(layer.weight, dtype=torch.bool)).to(layer.weight.device)
        made = _Node(name, value, place, first.changes, inputs, layer, mask)
        made.changes = (made.links() & first.changes).any(1)
        return made
    known = node.target in _ALIKE_FUNCTIONS if layer is None else type(layer) in _ALIKE
    if known and len(inputs) == 1 and len(value) == len(first.value):
        norm = layer if isinstance(layer, _NORMS) else None
        return _Node(name, value, first.space, first.changes, inputs, norm, repeat=first.repeat)
    flattens = type(layer) is nn.Flatten or (layer is None and node.target in _FLATTEN)
    if flattens and value.ndim == 1:
        return _Node(name, value, first.space, first.changes, inputs, repeat=len(value) // len(first.changes))
    if layer is None and node.target in _ADD and len(inputs) == 2 and not node.kwargs:
        second = inputs[1]
        if first.value.shape == second.value.shape == value.shape and first.repeat == second.repeat:
            return _Node(name, value, first.space, first.changes | second.changes, inputs, repeat=first.repeat)
    return None


def _merge(nodes: dict[fx.Node, _Node], old: int, new: int) -> None:
    for node in nodes.values():
        if node.space == old:
            node.space = new


def _mark_used(nodes: dict[fx.Node, _Node]) -> None:
    """Note of every channel whether the output depends on it."""
    for node in nodes.values():
        node.used = torch.zeros_like(node.changes)
    *_, last = nodes.values()
    last.used = torch.ones_like(last.changes)
    for node in reversed(nodes.values()):
        used = node.used
        assert used is not None
        if node.mask is not None:
            used = (node.links() & used[:, None]).any(0)
        for one in node.inputs:
            assert one.used is not None
            one.used = one.used | used


def _live(nodes: dict[fx.Node, _Node]) -> dict[int, Tensor]:
    """Return which channels of each space are kept: live ones, and those that a user of the network sees.

    Every layer keeps one channel at least, the first.
    """
    spaces: dict[int, list[_Node]] = {}
    for node in nodes.values():
        spaces.setdefault(node.space, []).append(node)
    live = {}
    for space, members in spaces.items():
        changes, used = (torch.stack([getattr(one, key) for one in members]).any(0) for key in ("changes", "used"))
        live[space] = changes & used | any(one.fixed for one in members)
        live[space][0] |= not live[space].any()
    return live


@torch.no_grad()
def _smaller(node: _Node, rows: Tensor, live: Tensor) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return a convolution or linear layer with the outputs `rows`, that reads `live` channels; and its places."""
    layer, read = node.layer, node.inputs[0]
    assert isinstance(layer, (nn.Conv2d, nn.Linear))
    live = live.repeat_interleave(read.repeat)
    columns = live.nonzero()[:, 0]
    weight = layer.weight[rows][:, columns]
    constant = read.value.masked_fill(live.view(-1, *[1] * (read.value.ndim - 1)), 0)
    shift = _apply(layer, layer.weight[rows], constant[None])[0]
    flat = shift.flatten(1) if shift.ndim > 1 else shift[:, None]
    uniform = bool((flat == flat[:, :1]).all())
    bias = layer.bias[rows] if layer.bias is not None else None
    if uniform and flat.any():
        bias = flat[:, 0] if bias is None else bias + flat[:, 0]
    new: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Linear):
        new = nn.Linear(len(columns), len(rows), bias is not None)
    else:
        shape: tuple[Any, Any, Any, Any] = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        new = nn.Conv2d(len(columns), len(rows), *shape, bias=bias is not None)
    _put(new, "weight", weight)
    if bias is not None:
        _put(new, "bias", bias)
    if not uniform:
        new.register_buffer("shift", shift.clone())
        new.register_forward_hook(_add_shift)
    return new.train(layer.training), (rows, columns)


def _add_shift(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
    """A hook after a convolution, that adds a map, the same for every image."""
    return output + layer.get_buffer("shift")


def _apply(layer: nn.Conv2d | nn.Linear, weight: Tensor, x: Tensor) -> Tensor:
    """Return what `layer` makes of `x` with that weight and no bias."""
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight)
    return F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)


def _smaller_norm(layer: nn.Module, rows: Tensor) -> nn.Module:
    """Return a batch norm of the channels `rows` (bool)."""
    smaller = copy.deepcopy(layer)
    smaller.num_features = int(rows.sum())  # type: ignore[assignment]
    for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
        if tensor.ndim:
            _put(smaller, name, tensor[rows])
    return smaller


def _put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Set a parameter or a buffer to a copy of `tensor`, in the layout that it comes in."""
    tensor = tensor.detach().clone(memory_format=torch.preserve_format)
    if tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    setattr(module, name, nn.Parameter(tensor) if name in dict(module.named_parameters()) else tensor)
