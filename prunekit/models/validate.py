"""Which networks can be pruned: those in which a zero in a weight is a zero in what the network computes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

PRUNABLE = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.RMSNorm)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
LAYERS = {"linear", "conv2d"}  # the functions that use their weights
_FORWARDS = {nn.Conv2d.forward, nn.Linear.forward}
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def weights(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights of convolutions and linear layers by name, in definition order."""
    return {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in net.named_modules()
        if isinstance(module, PRUNABLE)
    }


def unknown(net: nn.Module) -> str:
    """Return why `net` cannot be pruned, or be counted, as it is; "" if it can."""
    if isinstance(net, _WRAPPERS):
        return f"is wrapped in {type(net).__name__}; give its .module"
    for name, module in net.named_modules():
        kind, place = type(module).__name__, name or "itself"
        own = dict(module.named_parameters(recurse=False))
        if any(isinstance(parameter, UninitializedParameter) for parameter in own.values()):
            return f"has a {kind} ({place}) without a shape yet; give it some images first"
        if isinstance(module, PRUNABLE):
            if "weight" not in own or is_parametrized(module):
                how = "as torch.nn.utils' prune, weight_norm and spectral_norm do, or a parametrization"
                return f"has a {kind} ({place}) whose weight is made anew in each pass, {how}; remove that first"
            if _has_its_own_forward(module) and not _uses_its_weight(module):
                return f"has a {kind} ({place}) with a forward of its own, which uses its weight in other ways"
        elif isinstance(module, _BATCH_NORMS) and module.running_mean is None:
            return (
                f"has a {kind} ({place}) that keeps no running statistics, so an image's output depends on the others"
            )
        elif own and type(module).__module__.startswith("torch.nn") and not isinstance(module, _NORMS):
            return f"has a {kind} ({place}) with parameters; prunekit knows Conv2d, Linear and normalisations"
    found = weights(net).values()
    return "has layers that share a weight; give each its own" if len(set(map(id, found))) < len(found) else ""


def is_norm(module: nn.Module) -> bool:
    """Return whether a module is one of torch's normalisations, or made of one."""
    return isinstance(module, _NORMS)


def others(net: nn.Module) -> bool:
    """Return whether `net` has parameters of modules of a user's own, which may use them in any way."""
    return any(
        not isinstance(module, (*PRUNABLE, *_NORMS)) and next(module.parameters(recurse=False), None) is not None
        for module in net.modules()
    )


def _has_its_own_forward(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d) and type(module)._conv_forward is not nn.Conv2d._conv_forward:
        return True
    return type(module).forward not in _FORWARDS or "forward" in vars(module)


class _Weight(TorchFunctionMode):
    """While on, notes for each use of a weight whether linear or conv2d took it as it is."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self._weight = weight
        self.as_it_is: list[bool] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = [*args, *(kwargs or {}).values()]
        if isinstance(result, Tensor) and result is not self._weight and any(one is self._weight for one in given):
            self.as_it_is.append(function.__name__ in LAYERS and given[1] is self._weight)
        return result


@torch.no_grad()
def _uses_its_weight(module: nn.Module) -> bool:
    """Return whether a layer with a forward of its own, tried on zeros, gives linear or conv2d its weight as it is."""
    weight: Any = module.weight
    size, channels = [], weight.shape[1]
    if isinstance(module, nn.Conv2d):
        size = [2 * side * apart for side, apart in zip(weight.shape[2:], module.dilation, strict=True)]
        channels = module.in_channels
    was_training, watched = module.training, _Weight(weight)
    try:
        with watched:
            module.eval()(torch.zeros(1, channels, *size, dtype=weight.dtype, device=weight.device))
    except Exception:  # whatever it asks for besides
        return False
    finally:
        module.train(was_training)
    return watched.as_it_is == [True]
