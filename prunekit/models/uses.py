"""What a network does with its parameters as it computes: which functions use them, and in how many FLOPs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .validate import LAYERS, weights

_NORMS = {"batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm"}
_ARITHMETIC = {"add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "mul", "rmul", "imul", "multiply", "addcmul"}
_ARITHMETIC |= {"div", "rdiv", "idiv", "divide", "truediv", "rtruediv", "itruediv"}
_FREE = {"cat", "concat", "concatenate", "stack", "where", "maximum", "minimum", "pow", "expand_as", "type_as", "to"}
_FREE |= {"scaled_dot_product_attention", "copy"}  # whose products are of activations
_OF_LAYERS = ("input", "weight", "bias")  # of linear and conv2d
_WEIGHT = 1


def tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among arguments of a function, and in lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


def function_name(function: Any) -> str:
    """Return what a function is called, without the _ of operations in place and of operators."""
    return str(getattr(function, "__name__", function)).strip("_")


class Uses(TorchFunctionMode):
    """While on, counts the FLOPs of each parameter by its id, and notes the first use by which it is no longer whole.

    Weights that can be pruned are those of linear and conv2d, as they are. Others may be added, joined or multiplied
    element by element. What is made of parameters and constants alone costs nothing.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.flops: Counter[int] = Counter()
        self.seen: set[int] = set()
        self.problem = ""
        self._names = {id(parameter): name for name, parameter in net.named_parameters()}
        self._weights = set(map(id, weights(net).values()))
        # What comes from no image, by its id, held so that nothing else gets it: and the parameters that it is made of.
        self._constants: dict[int, tuple[Tensor, set[int]]] = {id(one): (one, set()) for one in net.buffers()}
        self._constants |= {id(one): (one, {id(one)}) for one in net.parameters()}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [*args, *(kwargs or {}).values()]
        result = function(*args, **(kwargs or {}))
        how = function_name(function)
        if how in LAYERS:  # in whatever order they were named
            by_name = dict(zip(_OF_LAYERS, args, strict=False)) | (kwargs or {})
            given = [by_name.get(one) for one in _OF_LAYERS]
        if isinstance(result, Tensor):  # not a size or the like
            self._note(how, given, result)
        return result

    def _note(self, how: str, given: list[Any], result: Tensor) -> None:
        used = list(tensors(given))
        parts = [(one, made) for one in used if (made := self._constants.get(id(one), (one, set()))[1])]
        self.seen |= {source for _, made in parts for source in made}
        if how in LAYERS:
            self._count_layer(how, given, result)
            return
        if how in _NORMS:
            self.flops.update({source: result.numel() for _, made in parts for source in made})
            return
        if any(result is one for one in used):
            return
        if whole := [id(one) for one, _ in parts if id(one) in self._weights]:
            self._refuse(f"uses the weight {self._names[whole[0]]} in {how}")
        elif all(id(one) in self._constants for one in used):
            self._constants[id(result)] = result, {source for _, made in parts for source in made}
        elif parts and how in _ARITHMETIC:
            self.flops.update({source: result.numel() for _, made in parts for source in made})
        elif parts and how not in _FREE:
            self._refuse(f"uses its parameter {self._names[min(parts[0][1])]} in {how}")

    def _count_layer(self, how: str, given: list[Any], result: Tensor) -> None:
        for place, one in enumerate(given):
            _, made = self._constants.get(id(one), (one, set())) if isinstance(one, Tensor) else (one, set())
            if place != _WEIGHT:
                self.flops.update(dict.fromkeys(made, result.numel() if place else 0))
            elif id(one) in self._weights:
                self.flops[id(one)] += result.numel() // len(one) * one.numel()
            elif made:
                name = self._names[next(iter(made))]
                self._refuse(f"makes the weight of a {how} of its parameter {name} in each pass")

    def _refuse(self, problem: str) -> None:
        self.problem = self.problem or f"{problem}; its weights must be those of Conv2d and Linear, as they are"


@torch.no_grad()
def look(net: nn.Module, image: Tensor) -> Uses:
    """Return what `net` does with its parameters for an `image` [1, C, H, W] in evaluation mode."""
    was_training = net.training
    uses = Uses(net)
    try:
        with uses:
            net.eval()(image.clone())
    finally:
        net.train(was_training)
    return uses
