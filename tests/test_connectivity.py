"""Paths through operations of any kind: a weight is effective where a gradient can reach it, and nowhere else."""

import copy
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prunekit import compaction, connectivity, masks, metrics, models, pruners

SHAPE = (3, 8, 8)


class Op(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def _flat(x):
    return x.flatten(2).mT


OPERATIONS = {
    "in place": lambda x: x.clamp_(0).sub_(x.mean()),
    "glu": lambda x: F.interpolate(x, scale_factor=1) * torch.sigmoid(x),
    "square": lambda x: x.square() / 2 + 1,
    "one over": lambda x: 1 / (1 + torch.exp(-x)),
    "softmax of channels": lambda x: x.softmax(1),
    "softmax of places": lambda x: _flat(x).softmax(-2).mT.view_as(x),
    "attention": lambda x: (_flat(x) @ _flat(x).mT).softmax(-1).matmul(_flat(x)).mT.reshape(x.shape),
    "einsum": lambda x: torch.einsum("ncij,nc->ncij", x, x.mean((2, 3))),
    "group norm": nn.GroupNorm(4, 8),
    "instance norm": nn.InstanceNorm2d(8, affine=True),
    "layer norm": nn.LayerNorm([8, 8, 8]),
    "maximum": lambda x: torch.maximum(x, -x),
    "clamp": lambda x: torch.clamp(x, -0.5, 0.5),
    "softplus": nn.Softplus(),
    "cat": lambda x: torch.cat([x[:, :4], 2 * x[:, 4:]], 1),
    "glu of torch": lambda x: F.glu(torch.cat([x, x], 1), 1),
    "addcmul": lambda x: torch.addcmul(x, x, x.sigmoid(), value=2),
    "norms": lambda x: x * x.norm(p=2, dim=(2, 3), keepdim=True) + x.var(dim=1, keepdim=True),
    "padded with minus infinity": lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 1).relu(),
    "blur": lambda x: F.conv2d(x, torch.ones(8, 1, 3, 3).to(x), groups=8, padding=1),
    "masked attention": lambda x: F.scaled_dot_product_attention(*[_flat(x)] * 3, torch.zeros(1).to(x)).mT.view_as(x),
    "constants": lambda x: x * torch.full((), -2.0) - torch.ones(8, 1, 1),
}


def network(op):
    op = op if isinstance(op, nn.Module) else Op(op)
    head = [nn.Flatten(), nn.Linear(8 * 64, 4)]
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), op, nn.Conv2d(8, 8, 3, padding=1), copy.deepcopy(op), *head)


def reached(net, kept):
    """Which weights have a gradient for some weights and images, other than 0."""
    found = {name: torch.zeros_like(mask) for name, mask in kept.items()}
    for _ in range(12):
        one = copy.deepcopy(net).double()
        for parameter in one.parameters():
            parameter.data.normal_(0, 0.4)
        masks.apply(one, kept)
        weights = models.prunable(one)
        out = one(torch.randn(8, *SHAPE, dtype=torch.float64))
        slopes = torch.autograd.grad((out * torch.randn_like(out)).sum(), list(weights.values()))
        for name, slope in zip(weights, slopes, strict=True):
            found[name] |= (slope.abs() > 1e-12) & kept[name]
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_effective_are_weights_that_a_gradient_reaches(name):
    torch.manual_seed(0)
    net = network(OPERATIONS[name])
    noise = torch.Generator().manual_seed(0)
    kept = pruners.prune("random", net, torch.randn(4, *SHAPE), torch.arange(4), 0.4, generator=noise)
    health = masks.health(net, kept, SHAPE)
    assert {key: layer.effective for key, layer in health.layers.items()} == {
        key: int(found.sum()) for key, found in reached(net, kept).items()
    }


class Tower(nn.Module):
    """Residual blocks: each adds to 16 values a linear map of them, so that values grow 2^300 times and more."""

    def __init__(self, blocks=300):
        super().__init__()
        self.first, self.blocks, self.head = nn.Linear(192, 16), nn.ModuleList(), nn.Linear(16, 4)
        self.blocks.extend(nn.Linear(16, 16) for _ in range(blocks))

    def forward(self, x):
        x = self.first(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


@pytest.mark.parametrize("density", [0.5, 0.02])
def test_a_deep_network_is_reached_as_far_as_its_masks_connect_it(density):
    net, noise = Tower(), torch.Generator().manual_seed(0)
    kept = {key: torch.rand(w.shape, generator=noise) < density for key, w in models.prunable(net).items()}
    ways = [mask | torch.eye(16, dtype=torch.bool) for name, mask in kept.items() if "blocks" in name]
    there, back = [kept["first.weight"].any(1)], [kept["head.weight"].any(0)]
    for way in ways:
        there.append((way & there[-1]).any(1))
    for way in reversed(ways):
        back.insert(0, (way & back[0][:, None]).any(0))
    wanted = [kept["first.weight"] & back[0][:, None], kept["head.weight"] & there[-1]]
    wanted += [kept[f"blocks.{n}.weight"] & there[n] & back[n + 1][:, None] for n in range(len(ways))]
    health = masks.health(net, kept, SHAPE)
    total = sum(mask.numel() for mask in kept.values())
    assert health.effective_density == pytest.approx(sum(int(one.sum()) for one in wanted) / total, abs=1e-12)


def test_what_only_constants_feed_is_on_no_path_from_the_image():
    class Token(nn.Sequential):
        def forward(self, x):
            x = self[0](x)
            return self[1](torch.cat([torch.ones(len(x), 8), x], 1))

    net = Token(nn.Sequential(nn.Flatten(), nn.Linear(192, 8)), nn.Linear(16, 4))
    kept = {key: torch.ones_like(weight, dtype=torch.bool) for key, weight in models.prunable(net).items()}
    assert masks.health(net, kept, SHAPE).layers["1.weight"].effective == 8 * 4


class Latent(nn.Module):
    """Attention whose query is made by a layer of its own of a constant, and so of no image."""

    def __init__(self):
        super().__init__()
        self.key, self.query, self.head = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.latent = nn.Parameter(torch.ones(1, 1, 8))

    def forward(self, x):
        key = self.key(x.flatten(2).mT)
        query = self.query(self.latent).expand(len(x), -1, -1)
        return self.head(F.scaled_dot_product_attention(query, key, key * key)[:, 0])


def test_a_layer_that_only_constants_feed_is_on_no_path():
    net = Latent()
    kept = {key: torch.ones_like(weight, dtype=torch.bool) for key, weight in models.prunable(net).items()}
    layers = masks.health(net, kept, SHAPE).layers
    assert {name: layer.effective for name, layer in layers.items()} == {
        "key.weight": 24,
        "query.weight": 0,
        "head.weight": 32,
    }


class Gated(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.one, self.other = (nn.Conv2d(3, 8, 3, bias=bias is True) for _ in range(2))
        if bias == "of batch norm":
            self.other = nn.Sequential(self.other, nn.BatchNorm2d(8))
        elif bias == "of no batch norm":
            self.other = nn.Sequential(self.other, nn.BatchNorm2d(8, affine=False))
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc((self.one(x) * self.other(x)).mean((2, 3)))


@pytest.mark.parametrize("bias", [True, False, "of batch norm", "of no batch norm"])
def test_a_factor_of_zero_stops_a_signal_and_a_bias_keeps_it_from_that(bias):
    net = Gated(bias)
    kept = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}
    next(mask for name, mask in kept.items() if name.startswith("other"))[:] = False
    health, passes = masks.health(net, kept, SHAPE), bias in (True, "of batch norm")
    assert health.collapsed is not passes
    assert health.layers["one.weight"].effective == (kept["one.weight"].numel() if passes else 0)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: x.sort(1).values, "sort"),
        (lambda x: torch.where(x > 0, x, x.mean()), "where"),
        (lambda x: x * x.std(), "std"),
        (lambda x: torch.max(x, 1, keepdim=True).values.expand(-1, 8, -1, -1), "max"),
        (lambda x: F.conv2d(x, x.mean((0, 2, 3)).repeat(8, 1)[..., None, None]), "made in each pass"),
    ],
)
def test_an_operation_that_is_not_known_is_refused_by_name(function, word):
    net = network(function)
    kept = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}
    with pytest.raises(ValueError, match=word):
        masks.health(net, kept, SHAPE)


@pytest.mark.parametrize("left", ["0.weight", "4.weight"])
def test_a_layer_without_a_mask_is_whole(left):
    """Of conv 3 -> 2, GroupNorm, ReLU, pool, linear 2 -> 2 all is connected."""
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GroupNorm(1, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    kept = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}
    del kept[left]
    health = masks.health(net, kept, SHAPE)
    assert health.effective_density == 1 and not health.collapsed


class Shared(nn.Module):
    """Its layers stand under two names each; their bias is one."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(192, 6), nn.Linear(6, 6)
        self.fc2.bias = self.fc1.bias
        self.layers = nn.ModuleList([self.fc1, self.fc2])

    def forward(self, x):
        return self.layers[1](self.layers[0](x.flatten(1)).relu())


def test_a_value_goes_wherever_its_parameter_stands_and_the_parameter_comes_back():
    """In two layers, as Shared's bias; and under two names of one: zeros for scale and shift leave nothing."""
    net = Shared()
    output = connectivity.with_values(
        net, {"fc1.bias": torch.zeros(6), "fc2.weight": torch.zeros(6, 6)}, torch.rand(2, *SHAPE)
    )
    assert not output.any() and net.fc2.bias is net.fc1.bias and net.fc1.bias.any()
    norm = nn.LayerNorm(4)
    norm.bias = norm.weight
    assert not connectivity.with_values(norm, {"weight": torch.zeros(4)}, torch.rand(3, 4)).any()
    assert norm.bias is norm.weight and norm.weight.all()


@pytest.mark.parametrize("make", [Shared, lambda: network(nn.BatchNorm2d(8)), lambda: network(nn.GroupNorm(2, 8))])
def test_nothing_that_looks_changes_what_it_looks_at(make):
    net = make()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: (tensor, tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    x, y = torch.randn(8, *SHAPE), torch.arange(8) % 4
    kept = {}
    for name in pruners.NAMES:
        pruners.score(name, net, x, y)
        kept = pruners.prune(name, net, x, y, 0.5, steps=2)
    masks.health(net, kept, SHAPE)
    masks.shuffled(kept, torch.Generator())
    metrics.flops(net, kept, SHAPE)
    metrics.histograms(net, kept)
    with suppress(ValueError):  # of a network that it does not know
        compaction.compact(net, kept, SHAPE)
    assert net.training
    for name, tensor in net.state_dict(keep_vars=True).items():
        old, value = before[name]
        assert tensor is old and tensor.dtype == value.dtype and torch.equal(tensor, value)
    assert all(bool((parameter.grad == 1).all()) for parameter in net.parameters())


BOUNDED = [nn.ReLU6, nn.Tanh, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign, lambda: nn.Softmin(1), lambda: nn.Softmax(1)]
BOUNDED += [lambda: Op(lambda x: x.clip(0, 1)), lambda: Op(lambda x: torch.minimum(x, torch.ones(())))]
BOUNDED += [lambda: nn.GroupNorm(2, 8), lambda: nn.LayerNorm([8, 8, 8]), lambda: Op(lambda x: F.normalize(x, dim=1))]


@pytest.mark.parametrize("make", BOUNDED)
def test_synflow_goes_through_what_saturates_or_normalises(make):
    """Such a network's scores are those of the same network without it."""
    torch.manual_seed(0)
    x, y = torch.randn(4, *SHAPE), torch.arange(4)
    parts = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    scores = [
        pruners.score("synflow", nn.Sequential(parts[0], middle, *parts[1:], *last), x, y)
        for middle, last in ((make(), [nn.LogSoftmax(1)]), (nn.Identity(), []))
    ]
    for one, other in zip(*(some.values() for some in scores), strict=True):
        torch.testing.assert_close(one, other)


def _attention(x):
    """As one writes it, with dropout that does nothing here."""
    return (F.dropout((_flat(x) @ _flat(x).mT / 8**0.5).softmax(-1), training=False) @ _flat(x)).mT.view_as(x)


SAME = {
    "SiLU": (nn.SiLU(), lambda x: x * torch.sigmoid(x)),
    "SiLU in place": (nn.SiLU(), lambda x: x.mul_(x.sigmoid())),
    "SiLU, gate first": (nn.SiLU(), lambda x: x.sigmoid() * x),
    "Hardswish": (nn.Hardswish(), lambda x: x * F.relu6(x + 3) / 6),
    "Hardswish in place": (nn.Hardswish(), lambda x: x.mul(F.relu6(x + 3, inplace=True).div_(6))),
    "Hardswish, clamped": (nn.Hardswish(), lambda x: x * ((x + 3).clamp(0, 6).div(6))),
    "Mish": (nn.Mish(), lambda x: x * torch.tanh(F.softplus(x))),
    "GLU": (lambda x: F.glu(torch.cat([x, 2 * x], 1), 1), lambda x: x * torch.sigmoid(2 * x)),
    "einsum": (lambda x: x * x.sigmoid(), lambda x: torch.einsum("ncij,ncij->ncij", x, x.sigmoid())),
    "attention": (lambda x: F.scaled_dot_product_attention(*[_flat(x)] * 3).mT.view_as(x), _attention),
}


@pytest.mark.parametrize("name", SAME)
def test_synflow_does_not_depend_on_how_a_function_is_written(name):
    scores = []
    for function in SAME[name]:
        torch.manual_seed(0)
        images = torch.randn(4, *SHAPE, dtype=torch.float64)
        scores.append(pruners.score("synflow", network(function).double(), images, torch.arange(4)))
    one, other = scores
    torch.testing.assert_close(one, other)
    assert all(bool(score.any()) for score in one.values())


class Excited(nn.Module):
    """Squeeze and excitation, as in EfficientNets: each block multiplies by a gate."""

    def __init__(self, gate):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(24))
        self.gates = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 1), gate()) for _ in range(24))

    def forward(self, x):
        for conv, gate in zip(self.convs, self.gates, strict=True):
            x = conv(x)
            x = gate(x.mean((2, 3), keepdim=True)) * x
        return x


@pytest.mark.parametrize("gate", [nn.Sigmoid, nn.Hardsigmoid])
def test_synflow_of_many_gates_is_that_of_a_network_whose_gates_are_open(gate):
    """The flow at them is great, so that they let it through whole; squared 24 times it was infinite."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 1), Excited(gate), nn.Flatten(), nn.Linear(512, 4))
    images, labels = torch.randn(4, *SHAPE), torch.arange(4)
    for conv in net[1].gates:
        nn.init.constant_(conv[0].bias, 50)
    scores = pruners.score("synflow", net, images, labels)
    opened = nn.Sequential(net[0], *net[1].convs, *net[2:])
    wanted = pruners.score("synflow", opened, images, labels)
    places = ["0.weight", *(f"1.convs.{n}.weight" for n in range(24)), "3.weight"]
    for key, one in zip(places, wanted.values(), strict=True):
        torch.testing.assert_close(scores[key], one, check_dtype=False)


def test_synflow_leaves_other_buffers_alone():
    """R of the image of ones is (1 - 3) w, so the score is |-2 w|; a mean of pixels is not batch norm's."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 2, bias=False)
            self.register_buffer("mean", torch.tensor(3.0))
            self.register_buffer("there", torch.tensor([True, False]))
            self.register_buffer("running_mean", torch.tensor(0))

        def forward(self, x):
            return self.fc(x.flatten(1) - self.mean)

    net = Net()
    scores = pruners.score("synflow", net, torch.ones(2, 1, 1, 1), torch.tensor([0, 1]))
    torch.testing.assert_close(scores["fc.weight"], 2 * net.fc.weight.detach().abs())
    assert net.mean == 3 and net.there.dtype == torch.bool


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow", "magnitude"])
def test_all_scores_alike_are_refused(name):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    nn.init.constant_(net[1].weight, 0.5)
    if name in ("snip", "grasp"):
        net.append(Op(lambda x: 0 * x))  # no gradient at all
    with pytest.raises(ValueError, match=f"{name} gives the same score for every weight"):
        pruners.score(name, net, torch.randn(4, *SHAPE), torch.arange(4))


@pytest.mark.parametrize("name", ["snip", "synflow"])
def test_a_head_that_starts_at_zero_is_refused_and_a_collapsed_network_is_not(name):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Linear(8, 4))
    nn.init.zeros_(net[2].weight)
    with pytest.raises(ValueError, match=f"{name} gives the same score for every weight, 0"):
        pruners.score(name, net, torch.randn(4, *SHAPE), torch.arange(4))
    nn.init.zeros_(net[1].weight[1:])
    net[1].bias.data.zero_()
    scores = pruners.score(name, net, torch.randn(4, *SHAPE), torch.arange(4))
    assert not any(bool(score.any()) for score in scores.values())
