"""Networks by name: `fc`, `conv` and the VGG family, without and with batch norm (`vgg16`, `vgg16_bn`).

VGG is the CIFAR variant of the study: 3x3 convolutions with bias and padding 1, a 2x2 average pool and one linear
layer, Kaiming-normal weights and zero biases. `fc` and `conv` keep torch's default initialisation.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

_VGG_WIDTHS: dict[str, list[int | str]] = {
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4],
}
NAMES = ("fc", "conv", *_VGG_WIDTHS, *(f"{name}_bn" for name in _VGG_WIDTHS))


def build(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    width: float = 1.0,
    generator: Generator | None = None,
) -> nn.Sequential:
    """Return the named network for images of `input_shape` (channels, height, width), initialised.

    `width` multiplies every hidden layer's number of units or channels (at least one is kept). `generator` draws the
    initial weights (torch's global one if None). Layers are named conv1, conv2, ... and fc, or fc1 to fc6.
    Raises ValueError for an unknown name, a width that is not positive, or images too small for the network.
    """
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    if not width > 0:
        raise ValueError(f"width must be positive, not {width}")
    with torch.device("meta"):  # shapes first, so that every random number comes from `generator`
        if name == "fc":
            layers = _fc(input_shape, num_classes, width)
        elif name == "conv":
            layers = _conv(input_shape, num_classes, width)
        else:
            layers = _vgg(name, input_shape, num_classes, width)
    net = nn.Sequential(OrderedDict(layers)).to_empty(device="cpu")
    _initialise(net, _kaiming_normal if name.startswith("vgg") else _torch_default, generator)
    return net


def prunable(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights that pruning may remove, by parameter name in definition order.

    Those are the weights of convolutions and linear layers, never biases or normalisation.
    """
    return {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, Linears))
    }


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


def _scaled(units: int, width: float) -> int:
    return max(1, round(units * width))


def _fc(input_shape: tuple[int, int, int], num_classes: int, width: float) -> list[tuple[str, nn.Module]]:
    channels, height, breadth = input_shape
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    units = channels * height * breadth
    for i in range(1, 6):
        hidden = _scaled(100, width)
        layers += [(f"fc{i}", nn.Linear(units, hidden)), (f"relu{i}", nn.ReLU(inplace=True))]
        units = hidden
    return [*layers, ("fc6", nn.Linear(units, num_classes))]


def _conv(input_shape: tuple[int, int, int], num_classes: int, width: float) -> list[tuple[str, nn.Module]]:
    channels, height, breadth = input_shape
    hidden = _scaled(32, width)
    return [
        ("conv1", nn.Conv2d(channels, hidden, 3, padding=1)),
        ("relu1", nn.ReLU(inplace=True)),
        ("conv2", nn.Conv2d(hidden, hidden, 3, padding=1)),
        ("relu2", nn.ReLU(inplace=True)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(hidden * height * breadth, num_classes)),
    ]


def _vgg(name: str, input_shape: tuple[int, int, int], num_classes: int, width: float) -> list[tuple[str, nn.Module]]:
    channels, height, breadth = input_shape
    if min(height, breadth) < 32:
        raise ValueError(f"{name} needs images of 32x32 or more, not {height}x{breadth}; use fc or conv")
    base = name.removesuffix("_bn")
    layers: list[tuple[str, nn.Module]] = []
    convs = pools = 0
    for item in _VGG_WIDTHS[base]:
        if isinstance(item, str):
            pools += 1
            layers.append((f"pool{pools}", nn.MaxPool2d(2)))
            continue
        convs += 1
        hidden = _scaled(item, width)
        layers.append((f"conv{convs}", nn.Conv2d(channels, hidden, 3, padding=1)))
        if name.endswith("_bn"):
            layers.append((f"bn{convs}", nn.BatchNorm2d(hidden)))
        layers.append((f"relu{convs}", nn.ReLU(inplace=True)))
        channels = hidden
    units = channels * (height // 32) * (breadth // 32)
    return [
        *layers,
        ("average", nn.AvgPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(units, num_classes)),
    ]


def _initialise(
    net: nn.Module, rule: Callable[[Tensor, Tensor, Generator | None], None], generator: Generator | None
) -> None:
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert module.bias is not None
            rule(module.weight, module.bias, generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _kaiming_normal(weight: Tensor, bias: Tensor, generator: Generator | None) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu", generator=generator)
    nn.init.zeros_(bias)


def _torch_default(weight: Tensor, bias: Tensor, generator: Generator | None) -> None:
    bound = weight[0].numel() ** -0.5  # torch's Linear and Conv2d: both uniform in +-1/sqrt(fan in)
    nn.init.uniform_(weight, -bound, bound, generator=generator)
    nn.init.uniform_(bias, -bound, bound, generator=generator)
