"""Networks by name: their shapes, their initial weights, and what they refuse."""

import math

import pytest
import torch
from torch import Generator, nn
from torch.utils.checkpoint import checkpoint

from prunekit import models, plugins


def shapes(net):
    return {name: tuple(weight.shape) for name, weight in models.prunable(net).items()}


def seeded(seed=0):
    return Generator().manual_seed(seed)


def test_fc():
    assert shapes(models.build("fc", (1, 28, 28), 10)) == {
        "fc1.weight": (100, 784),
        **{f"fc{i}.weight": (100, 100) for i in range(2, 6)},
        "fc6.weight": (10, 100),
    }


def test_conv():
    assert shapes(models.build("conv", (3, 8, 6), 7)) == {
        "conv1.weight": (32, 3, 3, 3),
        "conv2.weight": (32, 32, 3, 3),
        "fc.weight": (7, 32 * 8 * 6),
    }


def test_vgg16():
    units = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    pairs = zip(units, [3, *units[:-1]], strict=True)
    assert shapes(models.build("vgg16", (3, 32, 32), 10)) == {
        **{f"conv{i}.weight": (out, in_, 3, 3) for i, (out, in_) in enumerate(pairs, 1)},
        "fc.weight": (10, 512),
    }


@pytest.mark.parametrize(("depth", "convs"), [(11, 8), (13, 10), (16, 13), (19, 16)])
@pytest.mark.parametrize("suffix", ["", "_bn"])
def test_vgg_depth(depth, convs, suffix):
    """As many convolutions as the name says, less the three linear layers of which the study keeps one."""
    net = models.build(f"vgg{depth}{suffix}", (3, 32, 32), 10, 1 / 64)
    count = {kind: sum(isinstance(m, kind) for m in net) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d)}
    assert count == {nn.Conv2d: convs, nn.BatchNorm2d: convs if suffix else 0, nn.MaxPool2d: 4}


@pytest.mark.parametrize(("name", "parameters"), [("resnet20", 272_474), ("resnet18", 11_173_962)])
def test_resnets_have_the_parameters_that_others_count(name, parameters):
    """As in other implementations for CIFAR-10 with a convolution on the shortcuts that change shape."""
    net = models.build(name, (3, 32, 32), 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    depth = int(name.removeprefix("resnet"))
    assert len([key for key in models.prunable(net) if "shortcut" not in key]) == depth


def test_a_block_adds_what_went_in():
    """With the second batch norm at zero a block passes on what came in, through ReLU."""
    block = models.build("resnet20", (3, 32, 32), 10, generator=seeded()).stage1_block2
    nn.init.zeros_(block.bn2.weight)
    images = torch.randn(2, 16, 5, 5, generator=seeded())
    assert torch.equal(block(images), images.relu())


@pytest.mark.parametrize(("width", "hidden"), [(0.5, 50), (2, 200), (0.254, 25), (1e-6, 1)])
def test_width_multiplies_hidden_units_alone(width, hidden):
    net = shapes(models.build("fc", (1, 4, 4), 10, width))
    assert net["fc1.weight"] == (hidden, 16)
    assert net["fc3.weight"] == (hidden, hidden)
    assert net["fc6.weight"] == (10, hidden)


@pytest.mark.parametrize("name", models.NAMES)
def test_forward(name):
    net = models.build(name, (3, 32, 32), 7, 1 / 16, seeded())
    logits = net(torch.randn(2, 3, 32, 32, generator=seeded()))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ["vgg11", "fc", "conv"])
def test_forward_of_other_image_shapes(name):
    shape = (1, 64, 96)
    assert models.build(name, shape, 3, 1 / 16)(torch.zeros(1, *shape)).shape == (1, 3)


@pytest.mark.parametrize("name", ["fc", "conv", "vgg11_bn", "resnet20"])
def test_seed_decides_the_weights(name):
    one, same, other = (
        models.build(name, (3, 32, 32), 10, 1 / 8, seeded(seed)).state_dict().values() for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", models.NAMES)
def test_global_random_state_is_untouched(name):
    before = torch.get_rng_state()
    models.build(name, (3, 32, 32), 10, 1 / 16, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_without_generator_the_global_seed_counts():
    torch.manual_seed(3)
    one = models.build("fc", (1, 4, 4), 10)
    assert torch.equal(one.fc1.weight, models.build("fc", (1, 4, 4), 10, generator=seeded(3)).fc1.weight)


def test_vgg_is_kaiming_normal_with_zero_biases():
    """Standard deviation sqrt(2 / fan in), fan in = 9 times the input channels; the tails are a normal's."""
    net = models.build("vgg13", (3, 32, 32), 10, 0.5, seeded())
    for name, weight in models.prunable(net).items():
        unit = weight.detach() * math.sqrt(weight[0].numel() / 2)
        spread = 5 / math.sqrt(unit.numel())  # five standard errors
        assert abs(unit.mean()) < spread, name
        assert abs(unit.std() - 1) < spread, name
    assert (unit.abs() > 3).float().mean() < 0.01
    assert all(not bias.any() for name, bias in net.named_parameters() if name.endswith("bias"))


def test_batch_norm_starts_as_the_identity():
    norm = models.build("vgg11_bn", (3, 32, 32), 10, 1 / 16).bn3
    assert torch.equal(norm.weight, torch.ones(16))
    for zero in (norm.bias, norm.running_mean, norm.running_var - 1):
        assert not zero.any()


@pytest.mark.parametrize("name", ["fc", "conv"])
def test_fc_and_conv_have_torch_default_bounds(name):
    """Uniform in +-1/sqrt(fan in), weights and biases: nearly reached, never passed, variance bound^2 / 3."""
    net = models.build(name, (3, 32, 32), 10, generator=seeded())
    for module in net:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = module.weight[0].numel() ** -0.5
            assert 0.98 * bound < module.weight.abs().max() <= bound
            assert 0.7 * bound < module.bias.abs().max() <= bound
            relative = (module.weight.var() / (bound**2 / 3)).item()
            assert relative == pytest.approx(1, abs=5 / math.sqrt(module.weight.numel()))


def test_prunable_are_weights_alone():
    net = models.build("vgg11_bn", (3, 32, 32), 10, 1 / 16)
    weights = models.prunable(net)
    assert list(weights) == [*(f"conv{i}.weight" for i in range(1, 9)), "fc.weight"]
    assert all(weights[name] is net.get_parameter(name) for name in weights)


def test_prunable_of_a_bare_layer_and_a_nested_net():
    assert list(models.prunable(nn.Linear(2, 1))) == ["weight"]
    assert list(models.prunable(nn.Sequential(nn.Sequential(nn.Linear(2, 1))))) == ["0.0.weight"]


@pytest.mark.parametrize(
    ("name", "shape", "width", "message"),
    [
        ("vgg12", (3, 32, 32), 1.0, "unknown model 'vgg12'; did you mean vgg1"),
        ("fc", (1, 28, 28), 0, "width must be positive, not 0"),
        ("fc", (1, 28, 28), -1.0, "width must be positive, not -1"),
        ("fc", (1, 28, 28), math.nan, "width must be positive, not nan"),
        ("vgg16", (1, 28, 28), 1.0, "vgg16 needs images of 32x32 or more, not 28x28"),
    ],
)
def test_errors(name, shape, width, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, shape, 10, width)


class Odd(nn.Module):
    """Three layers, of which `forward` need not use all."""

    def __init__(self, extra=None, forward=None):
        super().__init__()
        self.conv, self.fc, self.extra = nn.Conv2d(1, 2, 3), nn.Linear(8, 3), extra
        self.call = forward or (lambda net, x: net.fc(net.conv(x).flatten(1)))

    def forward(self, x):
        return self.call(self, x)


class Frozen(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.weight.requires_grad = False


class Mixed(nn.Module):
    """A parameter of its own, by which it multiplies matrices: a weight that pruning would overlook."""

    def __init__(self):
        super().__init__()
        self.mix, self.fc = nn.Parameter(torch.eye(16)), nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(x.flatten(1) @ self.mix.T)


def tied():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    net[2].weight = net[1].weight
    return net


def two_heads(net, x):
    logits = net.fc(net.conv(x).flatten(1))
    return (logits, logits) if net.training else logits


def reentrant(net, x):
    return net.fc(checkpoint(net.conv, x, use_reentrant=True).flatten(1))


@pytest.fixture
def register(monkeypatch):
    """Register a network "mine" that `make` makes, for one test."""
    monkeypatch.setattr(plugins, "_registered", {})
    return lambda make: models.register("mine")(make)


def test_a_network_of_a_users_own(register):
    """It gets what it asks for, draws from the generator alone, and is fit to train."""
    asked = []

    def make(*given):
        asked.append(given)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

    register(make)
    before = torch.get_rng_state()
    one, same, other = (models.build("mine", (1, 4, 4), 3, 0.5, seeded(seed)) for seed in (1, 1, 2))
    assert asked == [((1, 4, 4), 3, 0.5)] * 3
    assert torch.equal(one[1].weight, same[1].weight) and not torch.equal(one[1].weight, other[1].weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.training and not any(module._forward_hooks for module in one.modules())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda *_: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda *_: "vgg", "returned 'vgg'; it must return an nn.Module"),
        (lambda *_: nn.Linear(7, 3), "raised RuntimeError for images of 1x4x4: "),
        (lambda *_: nn.Flatten().double(), r"gives \[2, 16\] for two images; it must give logits \[2, 3\]"),
        (lambda *_: Odd(forward=lambda net, x: [net.fc(net.conv(x).flatten(1))]), "gives list for two images"),
        (lambda *_: nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(3)), "has nothing to prune"),
        (lambda *_: Odd(nn.PReLU()), r"has a PReLU \(extra\) with parameters; prunekit knows"),
        (lambda *_: Odd(nn.Conv1d(1, 1, 1)), r"has a Conv1d \(extra\) with parameters; prunekit knows"),
        (lambda *_: Odd(nn.ConvTranspose2d(1, 1, 1)), r"has a ConvTranspose2d \(extra\)"),
        (lambda *_: Mixed(), "uses its parameter mix in matmul"),
        (lambda *_: Odd(nn.Linear(2, 2)), "does not use its Linear extra"),
        (lambda *_: nn.Sequential(nn.Flatten(), Frozen(16, 3)), r"has a Frozen \(1\) without gradients"),
        (lambda *_: tied(), "has layers that share a weight"),
        (lambda *_: Odd(forward=two_heads), "gives tuple for two images while it trains; it must give logits"),
        (
            lambda *_: Odd(forward=lambda net, x: net.fc(net.conv(x).detach().flatten(1))),
            "gives conv.weight no gradient",
        ),
        (lambda *_: Odd(forward=reentrant), "gives conv.weight no gradient"),
        (
            lambda *_: nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            r"has a BatchNorm1d \(2\) that keeps no running statistics",
        ),
    ],
)
def test_a_network_that_cannot_be_pruned_is_one_line(register, make, words):
    register(make)
    with pytest.raises(ValueError, match=f"^model mine {words}") as error:
        models.build("mine", (1, 4, 4), 3)
    assert "\n" not in str(error.value)
