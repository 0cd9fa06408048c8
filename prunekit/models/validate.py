"""Which networks can be pruned: those in which a zero in a weight is a zero in what the network computes."""

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized

PRUNABLE = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.RMSNorm)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
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
            if type(module).forward not in _FORWARDS or "forward" in vars(module) or _convolves_otherwise(module):
                return f"has a {kind} ({place}) with a forward of its own, which may use its weight in other ways"
        elif isinstance(module, _BATCH_NORMS) and module.running_mean is None:
            return (
                f"has a {kind} ({place}) that keeps no running statistics, so an image's output depends on the others"
            )
        elif own and not isinstance(module, _NORMS):
            return f"has a {kind} ({place}) with parameters; prunekit knows Conv2d, Linear and normalisations"
    found = weights(net).values()
    return "has layers that share a weight; give each its own" if len(set(map(id, found))) < len(found) else ""


def _convolves_otherwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and type(module)._conv_forward is not nn.Conv2d._conv_forward
