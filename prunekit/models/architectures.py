"""The networks that prunekit knows: `fc`, `conv`, the VGG family, without and with batch norm, and two ResNets.

VGG is the CIFAR variant of the study: 3x3 convolutions with bias and padding 1, a 2x2 average pool and one linear
layer, Kaiming-normal weights and zero biases. `fc` and `conv` keep torch's default initialisation. `resnet20` and
`resnet18` are those for 32x32 images (He et al. 2016, arXiv:1512.03385, sections 4.2 and 4.1, the latter without the
large first convolution and the pool behind it), with a 1x1 convolution and batch norm on the shortcuts that change
shape; Kaiming-normal weights.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

_VGG_WIDTHS: dict[str, list[int | str]] = {
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4],
}
_RESNETS = {"resnet18": ((64, 128, 256, 512), 2), "resnet20": ((16, 32, 64), 3)}  # widths of stages, blocks in each

_Layers = list[tuple[str, nn.Module]]


def make(
    name: str, input_shape: tuple[int, int, int], num_classes: int, width: float, generator: Generator | None
) -> nn.Sequential:
    """Return the network of that name; see `models.build`."""
    with torch.device("meta"):  # shapes first, so that every random number comes from `generator`
        if name == "fc":
            layers = _fc(input_shape, num_classes, width)
        elif name == "conv":
            layers = _conv(input_shape, num_classes, width)
        elif name in _RESNETS:
            layers = _resnet(name, input_shape, num_classes, width)
        else:
            layers = _vgg(name, input_shape, num_classes, width)
    net = nn.Sequential(OrderedDict(layers)).to_empty(device="cpu")
    _initialise(net, _torch_default if name in {"fc", "conv"} else _kaiming_normal, generator)
    return net


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and what went in added to what comes out."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _conv_bn(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = _conv_bn(outputs, outputs, 3, 1)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            conv, bn = _conv_bn(inputs, outputs, 1, stride)
            self.shortcut = nn.Sequential(OrderedDict(conv=conv, bn=bn))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


def _scaled(units: int, width: float) -> int:
    return max(1, round(units * width))


def _fc(input_shape: tuple[int, int, int], num_classes: int, width: float) -> _Layers:
    channels, height, breadth = input_shape
    layers: _Layers = [("flatten", nn.Flatten())]
    units = channels * height * breadth
    for i in range(1, 6):
        hidden = _scaled(100, width)
        layers += [(f"fc{i}", nn.Linear(units, hidden)), (f"relu{i}", nn.ReLU(inplace=True))]
        units = hidden
    return [*layers, ("fc6", nn.Linear(units, num_classes))]


def _conv(input_shape: tuple[int, int, int], num_classes: int, width: float) -> _Layers:
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


def _vgg(name: str, input_shape: tuple[int, int, int], num_classes: int, width: float) -> _Layers:
    channels, height, breadth = input_shape
    if min(height, breadth) < 32:
        raise ValueError(f"{name} needs images of 32x32 or more, not {height}x{breadth}; use fc or conv")
    base = name.removesuffix("_bn")
    layers: _Layers = []
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


def _resnet(name: str, input_shape: tuple[int, int, int], num_classes: int, width: float) -> _Layers:
    widths, blocks = _RESNETS[name]
    hidden = _scaled(widths[0], width)
    conv, bn = _conv_bn(input_shape[0], hidden, 3, 1)
    layers: _Layers = [("conv1", conv), ("bn1", bn), ("relu1", nn.ReLU(inplace=True))]
    for stage, units in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            layers.append((f"stage{stage}_block{block}", Block(hidden, _scaled(units, width), stride)))
            hidden = _scaled(units, width)
    return [
        *layers,
        ("average", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(hidden, num_classes)),
    ]


def _conv_bn(inputs: int, outputs: int, size: int, stride: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs)


def _initialise(
    net: nn.Module, rule: Callable[[Tensor, Tensor | None, Generator | None], None], generator: Generator | None
) -> None:
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            rule(module.weight, module.bias, generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _kaiming_normal(weight: Tensor, bias: Tensor | None, generator: Generator | None) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu", generator=generator)
    if bias is not None:
        nn.init.zeros_(bias)


def _torch_default(weight: Tensor, bias: Tensor | None, generator: Generator | None) -> None:
    bound = weight[0].numel() ** -0.5  # torch's Linear and Conv2d: both uniform in +-1/sqrt(fan in)
    nn.init.uniform_(weight, -bound, bound, generator=generator)
    if bias is not None:
        nn.init.uniform_(bias, -bound, bound, generator=generator)
