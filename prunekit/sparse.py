"""A pruned network -> one whose layers skip their zeros, weight by weight: weights in compressed rows (CSR)."""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import masks, models
from .masks import Masks

_Pair = tuple[int, int]


def sparse(net: nn.Module, kept: Masks) -> nn.Module:
    """Return a copy of `net`, pruned by the masks `kept`, whose convolutions and linear layers hold CSR weights.

    It computes what the masked network does, to float precision; a convolution as the product of its weight
    [outputs, inputs x kernel] and the image's windows. It is for evaluation: its weights are no parameters. Raises
    ValueError for convolutions in groups, or with other padding than a number of zeros.
    """
    models.prunable(net)  # refuses what deepcopy would in words of its own
    pruned = copy.deepcopy(net).eval()
    masks.apply(pruned, kept)
    for name, layer in list(pruned.named_modules()):
        if isinstance(layer, nn.Conv2d) and (
            layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str)
        ):
            raise ValueError(f"no sparse product is known for the convolution {name}, with its groups or padding")
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and name:
            pruned.set_submodule(name, _Sparse(layer))
    return pruned


class _Sparse(nn.Module):
    """A convolution or linear layer with its weight in compressed rows."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Conv2d | nn.Linear):
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            self.register_buffer("weight", layer.weight.detach().flatten(1).to_sparse_csr())
        bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(len(layer.weight))
        self.register_buffer("bias", bias.detach()[:, None])
        self.window: tuple[_Pair, _Pair, _Pair, _Pair] | None = None
        if isinstance(layer, nn.Conv2d):
            self.window = cast(Any, (layer.kernel_size, layer.dilation, layer.padding, layer.stride))

    def forward(self, x: Tensor) -> Tensor:
        if self.window is None:
            return torch.addmm(self.bias, self.weight, x.t()).t()
        size, dilation, padding, stride = self.window
        places = [
            (length + 2 * p - d * (k - 1) - 1) // s + 1
            for length, k, d, p, s in zip(x.shape[2:], size, dilation, padding, stride, strict=True)
        ]
        windows = F.unfold(x, size, dilation, padding, stride).transpose(0, 1).flatten(1)
        return torch.addmm(self.bias, self.weight, windows).view(-1, len(x), *places).transpose(0, 1)
