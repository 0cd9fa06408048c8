"""Which weights connect an input to an output, through any operations between them.

The network runs on an image of ones, with 0 and 1 for its weights. Each operation is replaced by one in which no
signal is lost, and what leaves a layer is cut to 0 or 1, as is the derivative that comes back to it: however deep the
network, nothing overflows. Then a derivative is positive where a path is, and 0 where none is. An unknown operation is
refused by its name, since calling a living network severed would be worse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .models import logits
from .models.uses import function_name, tensors
from .models.validate import LAYERS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# By name, without the _ of operations in place. What neither loses a signal nor changes its sign is run as it is.
_AS_IT_IS = _words(
    """
    relu sum mean nansum view view_as reshape reshape_as flatten unflatten ravel
    permute transpose swapaxes swapdims movedim moveaxis adjoint t squeeze unsqueeze expand expand_as
    broadcast_to repeat repeat_interleave tile flip fliplr flipud roll chunk split tensor_split unbind narrow
    select index_select getitem contiguous clone avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d interpolate upsample pixel_shuffle pixel_unshuffle
    channel_shuffle native_channel_shuffle unfold fold cumsum diagonal detach diag tril triu
    """
)
# A value of each: 0 for no signal, or whatever comes in.
_ZERO_AT_ZERO = _words(
    """
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
    leaky_relu elu selu celu gelu silu mish relu6 hardtanh hardswish tanh softsign tanhshrink hardshrink
    softshrink threshold rrelu clamp clip clamp_min clamp_max abs absolute neg negative positive sqrt square pow
    sin sinh tan atan arctan asin arcsin asinh atanh erf expm1 log1p nan_to_num
    """
)
_NOT_ZERO_AT_ZERO = _words(
    """
    sigmoid hardsigmoid softplus logsigmoid exp exp2 cos cosh acos erfc rsqrt reciprocal log log2 log10 logit
    log_sigmoid
    """
)
_SUMS = _words(
    """
    add sub subtract rsub iadd isub radd maximum minimum max min fmax fmin logaddexp hypot
    """
)
_JOINS = _words("cat concat concatenate stack hstack vstack dstack")
_PRODUCTS = _words(
    """
    mul multiply rmul imul div divide truediv true_divide itruediv matmul rmatmul mm bmm baddbmm dot
    """
)
_IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__"}  # besides those that end in _
_SPREADS = {"norm", "vector_norm", "var", "std"}  # each depends on all that it is taken over
_NEW = {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}
_CASTS = {"to", "type", "type_as", "float", "double", "margin", "bfloat16"}
_LIKE_SOFTMAX = {"softmax", "softmin", "log_softmax", "normalize"}
_SATURATING = _LIKE_SOFTMAX | _words(
    """
    log_sigmoid
    minimum group_norm layer_norm instance_norm rms_norm local_response_norm sigmoid hardsigmoid logsigmoid tanh
    softsign relu6 hardtanh clamp clip clamp_max erf atan arctan
    """
)


_RECOMPUTES = (
    "the network computes a block again in the backward pass (torch.utils.checkpoint), where it cannot be followed; "
    "call checkpoint only if self.training"
)


def with_values(net: nn.Module, values: dict[str, Tensor], images: Tensor) -> Tensor:
    """Return the output of `net` for `images` with other parameters and buffers, by name; a shared one is shared still.

    functional_call's own tie_weights does not restore a module that stands under two names. Raises ValueError for a
    network that computes some of it again in the backward pass.
    """
    of = {id(old): values[name] for name, old in [*net.named_parameters(), *net.named_buffers()] if name in values}
    every = {"recurse": False, "remove_duplicate": False}
    places = {
        f"{place}.{name}".lstrip("."): of[id(old)]
        for place, module in net.named_modules()
        for name, old in [*module.named_parameters(**every), *module.named_buffers(**every)]
        if id(old) in of
    }
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks(_RECOMPUTES):  # it would, with the net's own values
            output = functional_call(net, places, images, tie_weights=False)
    except RuntimeError as error:
        if _RECOMPUTES not in str(error):
            raise
        raise ValueError(_RECOMPUTES) from None
    return logits(output)


def flow(net: nn.Module, kept: dict[str, Tensor], image: Tensor) -> Tensor:
    """Return the summed output of `net` for an `image` of ones where nothing but `kept` stops a signal.

    `kept` are masks in float32, by name; all other parameters are whole. Raises ValueError, naming it, for an operation
    whose paths are not known.
    """
    whole = {name: torch.ones_like(p, dtype=torch.float32) for name, p in net.named_parameters() if name not in kept}
    values = {name: buffer.float() for name, buffer in net.named_buffers() if buffer.is_floating_point()} | kept | whole
    mode = _Paths(values)
    with mode:
        output = with_values(net, values, image.clone())
    if mode.products:  # a factor stops a signal where it is 0 itself: biases and the like keep it from that
        detached = {name: value.detach() for name, value in values.items()}
        levels = _Levels(detached)
        with levels:
            with_values(net, detached, image.clone())
        mode = _Paths(values, levels.found)
        with mode:
            output = with_values(net, values, image.clone())
    return output.sum()


class Unbounded(TorchFunctionMode):
    """While on, functions that saturate or normalise act as the identity; their scales and shifts still apply.

    A gate, which multiplies a signal, saturates as it is, or each would square the flow: x * sigmoid(x) is SiLU.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gates: dict[int, tuple[Tensor, Callable[[], Tensor]]] = {}  # by id: a result, and it as a gate

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(function)
        signals = list(tensors(args))
        if (name in _PRODUCTS or name == "einsum") and sum(one.requires_grad for one in signals) > 1:
            *before, last = args
            if id(last) not in self._gates:  # if both are gates, the first is the signal
                before = [self._as_gate(one)() for one in before]
            return function(*before, self._as_gate(last)(), **kwargs)
        if name in _SATURATING and signals and not any(one.requires_grad for one in signals[1:]):
            result = _scaled(name, signals[0], args, kwargs)
            if name not in _NORMALISING:
                self._note(result, lambda: function(signals[0].clone(), *args[1:], **kwargs))
            return result
        parts = [self._as_gate(one) for one in args]
        result = function(*args, **kwargs)
        if name not in LAYERS and any(id(one) in self._gates for one in signals) and isinstance(result, Tensor):
            self._note(result, lambda: function(*(one() for one in parts), **kwargs))
        return result

    def _note(self, result: Tensor, gate: Callable[[], Tensor]) -> None:
        self._gates[id(result)] = result, gate  # held, so that no other tensor gets its id

    def _as_gate(self, one: Any) -> Callable[[], Any]:
        return self._gates[id(one)][1] if id(one) in self._gates else lambda: one


def _scaled(name: str, signal: Tensor, args: Any, kwargs: Any) -> Tensor:
    """Return what a function that normalises does to a signal besides that: its scales and shifts."""
    image, given = signal, _given(name, args, kwargs)
    for word, change in (("weight", Tensor.mul), ("bias", Tensor.add)):
        if (parameter := given.get(word)) is not None:
            image = change(image, parameter if name in _TRAILING else parameter.view(-1, *[1] * (image.ndim - 2)))
    return image.clone() if image is signal else image


_TRAILING = {"layer_norm", "rms_norm"}  # whose parameters are of the last dimensions, not of the channels
_NORMALISING = {"layer_norm", "rms_norm", "group_norm", "instance_norm"}
_PARAMETERS = {  # of functions, in their order
    "linear": ("input", "weight", "bias"),
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias"),
    "glu": ("input", "dim"),
    "pad": ("input", "pad", "mode", "value"),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias"),
    "rms_norm": ("input", "normalized_shape", "weight"),
    "group_norm": ("input", "num_groups", "weight", "bias"),
    "instance_norm": ("input", "running_mean", "running_var", "weight", "bias"),
    "normalize": ("input", "p", "dim"),
    "softmax": ("input", "dim"),
    "softmin": ("input", "dim"),
    "log_softmax": ("input", "dim"),
}


def _given(name: str, args: Any, kwargs: Any) -> dict[str, Any]:
    return dict(zip(_PARAMETERS.get(name, ()), args, strict=False)) | kwargs


class _Cut(torch.autograd.Function):
    """1 where there is a signal, 0 where there is none; the derivative likewise."""

    @staticmethod
    def forward(_: Any, signal: Tensor) -> Tensor:
        return (signal != 0).to(signal.dtype)

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        return (slope != 0).to(slope.dtype)


def _cut(signal: Tensor) -> Tensor:
    cut: Tensor = _Cut.apply(signal)
    return cut


class _Paths(TorchFunctionMode):
    """While on, a signal stops only at weights of 0 and, once the `levels` of products are known, at factors of 0."""

    def __init__(self, weights: dict[str, Tensor], levels: list[tuple[Tensor, Tensor]] | None = None):
        super().__init__()
        self._weights = set(map(id, weights.values()))
        self._levels = None if levels is None else iter(levels)
        self._constants: dict[int, Tensor] = {}  # made of weights, but of no image; held, so that no other gets its id
        self.products = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function_name(function)
        if name == "get" or not self._of_signals(args, kwargs):  # an attribute, or nothing that comes from the image
            result = function(*args, **kwargs)
            self._constants |= {id(one): one for one in tensors([result]) if name != "get"}
            return result
        result = self._result(name, function, args, kwargs)
        in_place = function.__name__ in _IN_PLACE or re.fullmatch("[^_].*_", function.__name__)
        return args[0].copy_(result) if in_place and isinstance(result, Tensor) else result

    def _of_signals(self, args: Any, kwargs: Any) -> bool:
        return any(self._is_signal(one) for one in tensors([*args, *kwargs.values()]))

    def _is_signal(self, one: Tensor) -> bool:
        return one.requires_grad and id(one) not in self._weights and id(one) not in self._constants

    def _constant(self, value: Any) -> Any:
        """What is added and does not come from the image adds nothing to a path; it may widen it."""
        return torch.zeros_like(value) if isinstance(value, Tensor) else 0

    def _bias(self, _: Tensor | None) -> Tensor | None:
        return None

    def _lifted(self, signal: Tensor) -> Tensor:
        return signal.clone()

    def _result(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        first = next(tensors([*args, *kwargs.values()]))
        if name in LAYERS:
            return self._layer(name, function, _given(name, args, kwargs))
        if name in _JOINS:
            parts = [part if self._is_signal(part) else self._constant(part) for part in args[0]]
            return function(parts, *args[1:], **kwargs)
        if name in _AS_IT_IS:
            return function(*args, **kwargs)
        if name in _CASTS:
            return first
        if name == "batch_norm":  # of the trained means: each channel by itself
            return first.clone() if _given(name, args, kwargs).get("bias") is None else self._lifted(first)
        if name in _ZERO_AT_ZERO and not self._of_signals(args[1:], kwargs):
            return first.clone()
        if name in _NOT_ZERO_AT_ZERO:
            return self._lifted(first)
        if name in _LIKE_SOFTMAX or name in _NORMALISING:
            return self._mixed(name, first, args, kwargs)
        if name in _SUMS and len(args) == 2 and (name not in {"max", "min"} or isinstance(args[1], Tensor)):
            one, other = (part if self._of_signals([part], {}) else self._constant(part) for part in args)
            return one + other
        if name in _PRODUCTS and len(args) == 2:
            return self._product(name, function, *args)
        if name == "einsum" and len(args) == 3:
            return self._product(name, partial(function, args[0]), *args[1:])
        if name in {"rtruediv", "rdiv"} or (name == "rpow" and len(args) == 2):
            return self._lifted(first)
        if name == "addcmul":
            return self._result("add", torch.add, (args[0], self._product("mul", torch.mul, *args[1:])), {})
        if name == "glu":
            signal, gate = first.chunk(2, _given(name, args, kwargs).get("dim", -1))
            return self._product("mul", torch.mul, signal, self._lifted(gate))
        if name == "pad":  # with zeros, whatever with: it is infinity before some maxima
            return F.pad(first, args[1], _given(name, args, kwargs).get("mode", "constant"))
        if name == "scaled_dot_product_attention":
            query, key, value = args[:3]
            likeness = self._product("matmul", torch.matmul, query, key.mT)
            if (mask := _given(name, args, kwargs).get("attn_mask")) is not None and self._is_signal(mask):
                likeness = likeness + mask
            return self._product("matmul", torch.matmul, self._mixed("softmax", likeness, (likeness, -1), {}), value)
        if name in _SPREADS and "dim" in kwargs:
            return first.sum(kwargs["dim"], keepdim=kwargs.get("keepdim", False))
        if name in _NEW:  # of its size and kind alone
            return function(first.detach(), *args[1:], **kwargs)
        if name in _POOLS:
            return _POOLS[name](*args, **kwargs)
        result = function(*args, **kwargs)
        if next(tensors([result]), None) is None or not any(one.is_floating_point() for one in tensors([result])):
            return result  # a size, or a comparison
        raise ValueError(f"paths through {name} are not known, so what masks leave of this network cannot be told")

    def _layer(self, name: str, function: Any, given: dict[str, Any]) -> Tensor:
        weight = given.pop("weight")
        if id(weight) not in self._weights and weight.requires_grad:
            raise ValueError(f"paths through {name} with a weight that is made in each pass are not known")
        given["bias"] = self._bias(given.get("bias"))
        return _cut(function(weight=weight if weight.requires_grad else weight.abs(), **given))

    def _mixed(self, name: str, signal: Tensor, args: Any, kwargs: Any) -> Tensor:
        """What normalises: each value depends on all those it is normalised with."""
        given = _given(name, args, kwargs)
        if name in _TRAILING:
            return self._lifted(signal + signal.mean(tuple(range(-len(given["normalized_shape"]), 0)), keepdim=True))
        if name == "instance_norm":
            return self._lifted(signal + signal.mean(tuple(range(2, signal.ndim)), keepdim=True))
        if name == "group_norm":
            groups = signal.reshape(len(signal), given["num_groups"], -1)
            return self._lifted((groups + groups.mean(2, keepdim=True)).view(signal.shape))
        dim = given.get("dim", 1 if name == "normalize" else -1)
        mixed = signal + signal.mean(-1 if dim is None else dim, keepdim=True)
        return mixed if name == "normalize" else self._lifted(mixed)

    def _product(self, name: str, function: Callable[..., Tensor], one: Any, other: Any) -> Any:
        if "div" in name:
            function = torch.mul
        signals = [isinstance(factor, Tensor) and self._is_signal(factor) for factor in (one, other)]
        if not all(signals):
            signal, constant = (one, other) if signals[0] else (other, one)
            if not isinstance(constant, Tensor):
                return signal * 1
            there = torch.ones_like(constant) if "div" in name else (constant != 0).to(signal.dtype)
            return function(signal, there) if signals[0] else function(there, signal)
        return self._of_two(function, one, other)

    def _of_two(self, function: Callable[..., Tensor], one: Tensor, other: Tensor) -> Tensor:
        self.products += 1
        if self._levels is None:
            return _cut(function(one, other))
        level, other_level = next(self._levels)
        return _cut(function(one, other_level) + function(level, other))


class _Levels(_Paths):
    """The same with what does not come from the image too: notes for each product which factors are not 0."""

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__(weights)
        self.found: list[tuple[Tensor, Tensor]] = []

    def _constant(self, value: Any) -> Any:
        return (value != 0).to(torch.get_default_dtype()) if isinstance(value, Tensor) else float(value != 0)

    def _bias(self, bias: Tensor | None) -> Tensor | None:
        return bias

    def _lifted(self, signal: Tensor) -> Tensor:
        return signal + 1

    def _of_two(self, function: Callable[..., Tensor], one: Tensor, other: Tensor) -> Tensor:
        self.found.append(((one != 0).to(one.dtype), (other != 0).to(other.dtype)))
        return _cut(function(one, other))


def _average_pool(
    image: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """A maximum hides the paths that it does not choose; a mean hides none."""
    if dilation not in (1, (1, 1), [1, 1]):
        raise ValueError("paths through a max pool with dilation are not known; use one without")
    return F.avg_pool2d(image, kernel_size, stride, padding, ceil_mode)


_POOLS: dict[str, Callable[..., Tensor]] = {
    "max_pool2d": _average_pool,
    "max_pool2d_with_indices": _average_pool,
    "adaptive_max_pool2d": lambda image, output_size, *_, **__: F.adaptive_avg_pool2d(image, output_size),
    "amax": lambda image, dim=(), keepdim=False: image.sum(dim, keepdim),
}
