"""Several small networks computed as one, which is faster than one by one."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Linears(nn.Module):
    """Linear layers of one shape side by side: [N, inputs], or [layers, inputs, N], -> [layers, outputs, N].

    With the examples last, what all layers see is multiplied once, and nothing is copied on the way.
    """

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            outputs = torch.addmm(self.bias.flatten()[:, None], self.weight.flatten(0, 1), x.t())
            return outputs.view(*self.bias.shape, -1)
        return torch.baddbmm(self.bias[..., None], self.weight, x)


class _ExamplesFirst(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT


def side_by_side(nets: Sequence[nn.Module]) -> nn.Sequential:
    """Return copies of several `fc` networks as one: images [N, ...] -> logits [networks, N, classes].

    Its parameters are theirs, of the same names, stacked. It computes what they compute, in a product a layer and not
    in many small ones; `tear_apart` gives their parameters back. Raises ValueError for layers of other kinds.
    """
    layers: dict[str, nn.Module] = {}
    for (name, first), *others in zip(*(net.named_children() for net in nets), strict=True):
        if isinstance(first, nn.Linear):
            layers[name] = Linears([first, *(layer for _, layer in others)])
        elif isinstance(first, (nn.Flatten, nn.ReLU)):
            layers[name] = first
        else:
            raise ValueError(f"{name} is of a kind that cannot be computed side by side: {type(first).__name__}")
    return nn.Sequential(OrderedDict(layers | {"examples_first": _ExamplesFirst()}))


def tear_apart(together: nn.Module, nets: Sequence[nn.Module]) -> None:
    """Set the parameters of `nets` to theirs among those of `together`, which `side_by_side` made."""
    for i, net in enumerate(nets):
        net.load_state_dict({name: stacked[i] for name, stacked in together.state_dict().items()})
