"""Networks by name: those of `families`, and a user's own (`register`)."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from .. import plugins
from ..errors import UserError, exception_summary, safe_repr
from ..names import MODELS
from .architectures import make
from .uses import Uses, look
from .validate import PRUNABLE, is_norm, others, unknown, weights

__all__ = [
    "NAMES",
    "PRUNABLE",
    "build",
    "check_uses",
    "chosen",
    "is_norm",
    "logits",
    "prunable",
    "register",
    "slopes",
    "unknown",
]

NAMES = tuple(MODELS)
RANDOM = "computes something else each time in evaluation mode; give dropout training=self.training"


def register(name: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Return a decorator that makes a function known as the network `name`, here and in what is run from here.

    The function takes the shape of an image (channels, height, width), the number of classes and a width, by which it
    may multiply its layers'; and returns a network of convolutions, linear layers and normalisations on the CPU, whose
    output for images [N, C, H, W] is logits [N, classes]. What it draws from the global generators of torch, numpy and
    Python is a trial's own, and its source is part of a trial's id. Raises UserError for a name that is taken, and for
    what is not a function.
    """
    return plugins.register("model", name)  # type: ignore[return-value]


def build(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    width: float = 1.0,
    generator: Generator | None = None,
) -> nn.Module:
    """Return the named network for images of `input_shape` (channels, height, width), initialised.

    `width` multiplies every hidden layer's number of units or channels (at least one is kept). `generator` draws the
    initial weights (torch's global one if None). Layers are named conv1, conv2, ... and fc, or fc1 to fc6; those of
    ResNets lie in stage1_block1 and so on. Raises ValueError for an unknown name, a width that is not positive, images
    too small for the network, and if a function that was registered, or is named as package.module:function, fails or
    returns what cannot be pruned.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, not {width}")
    if name in NAMES:
        return make(name, input_shape, num_classes, width, generator)
    try:
        function = plugins.find("model", name)
    except UserError as error:
        raise ValueError(str(error)) from None
    return _built_by(name, function, input_shape, num_classes, width, generator)


def prunable(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights that pruning may remove, by parameter name in definition order.

    Those are the weights of convolutions and linear layers, never biases or normalisation. Raises ValueError for a
    network in which zeroing them would not prune it, or that has parameters of other layers.
    """
    if problem := unknown(net):
        raise ValueError(f"the network {problem}")
    return weights(net)


def chosen(net: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that have masks; raises ValueError as `prunable`, and for masks that do not fit them."""
    known = prunable(net)
    if strange := [name for name in masks if name not in known]:
        raise ValueError(f"the network has no weight {strange[0]} to prune; it has {', '.join(known)[:200]}")
    for name, mask in masks.items():
        if mask.shape != known[name].shape:
            raise ValueError(f"the mask of {name} has shape {list(mask.shape)}, its weight {list(known[name].shape)}")
        if mask.dtype != torch.bool:
            raise ValueError(f"the mask of {name} holds {mask.dtype}; give it as mask.bool()")
    return {name: known[name] for name in masks}


def logits(output: Any) -> Tensor:
    """Return the output of a network; raises ValueError if it is anything but one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(f"the network gives a {type(output).__name__}; it must give logits [N, classes]")
    return output


def slopes(value: Tensor, by: Mapping[str, Tensor], create_graph: bool = False) -> list[Tensor]:
    """Return the derivatives of `value` by tensors with names; raises ValueError, naming it, for one without any."""
    found = torch.autograd.grad(value, list(by.values()), create_graph=create_graph, allow_unused=True)
    if lost := [name for name, slope in zip(by, found, strict=True) if slope is None]:
        why = "it does not use it, or detach, no_grad or a reentrant checkpoint lies between"
        raise ValueError(f"the network gives {lost[0]} no gradient: {why}")
    return list(found)


def check_uses(net: nn.Module, image: Tensor) -> None:
    """Raise ValueError if `net`, for an `image` [1, C, H, W], uses other modules' parameters as weights of its own.

    Those may be added, joined or multiplied element by element, as embeddings of positions and scales are, and stay
    whole, as biases do; pruning would overlook weights among them.
    """
    if others(net) and (problem := unknown(net) or look(net, image).problem):
        raise ValueError(f"the network {problem}")


def _built_by(
    name: str,
    function: Callable[..., nn.Module],
    input_shape: tuple[int, int, int],
    num_classes: int,
    width: float,
    generator: Generator | None,
) -> nn.Module:
    """Return the network that a user's function makes, checked; raises ValueError with its name for what is wrong."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with plugins.drawing_from(seed), torch.inference_mode(False), torch.enable_grad():
        try:
            net = function(input_shape, num_classes, width)
        except Exception as error:
            raise ValueError(f"model {name} raised {type(error).__name__}: {exception_summary(error)}") from error
        if not isinstance(net, nn.Module):
            raise ValueError(f"model {name} returned {safe_repr(net)}; it must return an nn.Module")
        images = torch.zeros(2, *input_shape)
        try:
            with Uses(net.eval()) as uses:
                outputs = [net(images.clone())]
            outputs.append(net(images.clone()))
            unreached = _unreached(net, outputs[0])
            if not unknown(net):  # others cannot be copied
                outputs.append(copy.deepcopy(net).train()(torch.zeros(2, *input_shape)))
        except Exception as error:
            given = f"for images of {'x'.join(map(str, input_shape))}"
            raise ValueError(
                f"model {name} raised {type(error).__name__} {given}: {exception_summary(error)}"
            ) from error
    if problem := _wrong(net, uses, outputs, num_classes) or unreached:
        raise ValueError(f"model {name} {problem}")
    return net.train()


def _wrong(net: nn.Module, uses: Uses, outputs: list[Any], num_classes: int) -> str:
    """Return why `net` cannot be pruned: its `outputs` for two images, the last while it trains, and what it `uses`."""
    for output, when in zip(outputs, ("", "", " while it trains"), strict=False):
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        if shape != [2, num_classes]:
            return f"gives {shape} for two images{when}; it must give logits [2, {num_classes}]"
    if problem := unknown(net) or uses.problem:
        return problem
    for name, module in net.named_modules():
        kind, parameters = type(module).__name__, list(module.parameters(recurse=False))
        if parameters and uses.seen.isdisjoint(map(id, parameters)):
            return f"does not use its {kind} {name}; leave it out"
        if not all(parameter.requires_grad for parameter in parameters):
            return f"has a {kind} ({name}) without gradients; nothing may be frozen"
    if not weights(net):
        return "has nothing to prune, neither a Conv2d nor a Linear"
    if not torch.equal(outputs[0], outputs[1]):
        return RANDOM
    return ""


def _unreached(net: nn.Module, output: Any) -> str:
    """Return that some parameter of `net` cannot learn from its `output`, "" if all can."""
    named = dict(net.named_parameters())
    if not isinstance(output, Tensor) or not all(parameter.requires_grad for parameter in named.values()):
        return ""
    loss = output.sum()
    slopes = torch.autograd.grad(loss, list(named.values()), allow_unused=True) if loss.requires_grad else []
    reached = {name for name, slope in zip(named, slopes, strict=False) if slope is not None}
    lost = [name for name in named if name not in reached]
    return f"gives {lost[0]} no gradient, as detach, no_grad and a reentrant checkpoint do" if lost else ""
