"""A pruned network on disk: weights and masks as safetensors, or the state that torch.nn.utils.prune makes."""

from __future__ import annotations

import copy
import inspect
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from . import models
from .errors import UserError, exception_summary, shown
from .files import replace
from .masks import Masks

SUFFIXES = (".safetensors", ".pt")
_MASK = "_mask"  # after a weight's name, as torch has it


def check(file: Path) -> None:
    """Raise UserError for a file whose name ends in none of SUFFIXES."""
    if file.suffix not in SUFFIXES:
        raise UserError(f"{shown(file)}: name it {' or '.join(f'*{suffix}' for suffix in SUFFIXES)}")


def write(file: Path, net: nn.Module, masks: Masks, about: Mapping[str, Any]) -> None:
    """Write a pruned network, and to safetensors also its masks and what is to be said `about` it, plain values.

    `about` must hold what `read` is to build the network from: "model", "input_shape", "num_classes" and "width"; and
    "layers" and "transform" where it is to be loaded without prunekit (docs/running.md). In
    safetensors each weight has its own name, and its mask that name and "_mask"; a .pt file has weights, as
    "weight_orig", and masks as torch.nn.utils.prune has them. Raises UserError for other names of files, and for a
    network that has something by such a name itself; OSError.
    """
    check(file)
    for name in [f"{name}{end}" for name in masks for end in (_MASK, "_orig")]:
        if name in net.state_dict():
            raise UserError(f"{shown(name)} is the network's own, and what a mask is called in the file; rename it")
    if file.suffix == ".pt":
        content = io.BytesIO()
        torch.save(_plain(as_torch(copy.deepcopy(net), masks).state_dict()), content)
        replace(file, content.getvalue())
        return
    tensors = _plain(net.state_dict() | {f"{name}{_MASK}": mask for name, mask in masks.items()})
    replace(file, safetensors.torch.save(tensors, {"prunekit": json.dumps(about)}))


def read(file: Path | str, net: nn.Module | None = None) -> tuple[nn.Module, Masks, dict[str, Any]]:
    """Return the network in a safetensors file that `write` wrote, its masks, and what is said about it.

    The network is built by its name, or is `net`, whose weights are set; one of a user's own must be given so: a file
    names no code to run. Raises UserError for a file that is another's, damaged, or of another network.
    """
    try:
        with safetensors.safe_open(file, framework="pt") as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            about = json.loads((content.metadata() or {})["prunekit"])
        if net is None:
            if about["model"] not in models.NAMES:
                raise UserError(f"{shown(file)}: its model {shown(about['model'])} is a user's own; give it as net=")
            net = models.build(about["model"], tuple(about["input_shape"]), about["num_classes"], about["width"])
        names = {f"{name}{_MASK}": name for name in models.prunable(net)}
        masks = {name: tensors.pop(key) for key, name in names.items()}
        place = next(net.parameters()).device
        # Assigned, not copied: a float64 or float16 network comes back as one.
        net.load_state_dict({name: tensor.to(place) for name, tensor in tensors.items()}, assign=True)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{shown(file)} lacks {shown(error.args[0])}: not of this network, or not prunekit's") from None
    except Exception as error:  # of damaged bytes come many kinds
        raise UserError(f"{shown(file)} cannot be read ({exception_summary(error)}); export it again") from error
    return net, masks, about


def layers(net: nn.Module) -> list[tuple[str, str, dict[str, Any]]] | None:
    """Return the layers of a Sequential of torch's own: of each its name, class and arguments; None of other networks.

    `nn.Sequential` of `getattr(nn, class)(**arguments)` under these names is the network again, without prunekit.
    """
    if type(net) is not nn.Sequential:
        return None
    found = []
    for name, layer in net.named_children():
        kind = type(layer)
        if kind is not getattr(nn, kind.__name__, None) or list(layer.children()):
            return None
        names = [one for one in inspect.signature(kind).parameters if hasattr(layer, one)]
        values = {one: getattr(layer, one) for one in names}
        plain = {one: value is not None if one == "bias" else value for one, value in values.items()}
        found.append((name, kind.__name__, plain))
    return found


def as_torch(net: nn.Module, masks: Masks) -> nn.Module:
    """Return `net`, changed in place to what torch.nn.utils.prune makes: each weight its "orig" times its "mask"."""
    for name, mask in masks.items():
        layer, _, parameter = name.rpartition(".")
        prune.custom_from_mask(net.get_submodule(layer), parameter, mask)
    return net


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Cloned, since safetensors refuses tensors that share memory, as tied weights do.
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
