"""Networks that others wrote: which of their parameters may be pruned, stay whole, or make it refuse the network."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prunekit import masks, metrics, models, pruners

SHAPE = (3, 8, 8)
X, Y = torch.randn(8, *SHAPE), torch.arange(8) % 4


class Padded(nn.Conv2d):
    """As TensorFlow pads: more at the end than at the beginning."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class Cast(nn.Linear):
    def forward(self, x):
        return F.linear(x.to(self.weight.dtype), weight=self.weight, bias=self.bias)


class Named(nn.Sequential):
    """A weight that is given by name, before what it multiplies."""

    def forward(self, x):
        return F.linear(weight=self[1].weight, bias=self[1].bias, input=self[0](x))


class Patches(nn.Module):
    """4 patches of 8 values each, from 12 pixels' worth; what comes between it and the head of each network here."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.between(self.embed(x).flatten(2).mT).mean(1))


class Scale(Patches):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((8,), 0.1))

    def between(self, x):
        return x + self.gamma * x


class Token(Patches):
    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))

    def between(self, x):
        return torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position


class Biased(Patches):
    """Attention with a bias of relative positions, and one of queries and values but not of keys."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24, bias=False)
        self.query, self.value = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(8))
        self.register_buffer("zeros", torch.zeros(8))
        self.register_buffer("places", torch.arange(16).view(4, 4) % 7)
        self.table = nn.Parameter(torch.randn(7))

    def between(self, x):
        bias = torch.cat([self.query, self.zeros, self.value])
        q, k, v = F.linear(x, self.qkv.weight, bias).chunk(3, -1)
        return (q @ k.mT / 8**0.5 + self.table[self.places]).softmax(-1) @ v


class Fused(Biased):
    def between(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        mask = self.table[self.places].unsqueeze(0) + self.query.sum() + self.value.sum()
        return F.scaled_dot_product_attention(q, k, v, mask)


class Own(nn.Sequential):
    def __init__(self):
        super().__init__(Padded(3, 8, 4, 4), nn.ReLU(), nn.Flatten(), Cast(32, 4))


FLOPS = {  # of each parameter, by hand: 4 patches; 48 inputs of each of 8 filters; the head 32
    Scale: {"embed.weight": 4 * 8 * 48, "embed.bias": 32, "gamma": 32, "head.weight": 32, "head.bias": 4},
    Token: {
        "token": 0,
        "position": 40,
        "embed.weight": 4 * 8 * 48,
        "embed.bias": 32,
        "head.weight": 32,
        "head.bias": 4,
    },
    Biased: {
        **{"embed.weight": 4 * 8 * 48, "embed.bias": 32, "head.weight": 32, "head.bias": 4},
        **{"qkv.weight": 4 * 8 * 24, "query": 96, "value": 96, "table": 16},
    },
    Fused: {
        **{"embed.weight": 4 * 8 * 48, "embed.bias": 32, "head.weight": 32, "head.bias": 4},
        **{"qkv.weight": 4 * 8 * 24, "query": 0, "value": 0, "table": 0},
    },
    Named: {"1.weight": 768, "1.bias": 4},
    Own: {"0.weight": 4 * 8 * 48, "0.bias": 32, "3.weight": 128, "3.bias": 4},
}


@pytest.mark.parametrize("make", FLOPS)
def test_parameters_that_are_added_joined_or_scale_stay_whole_and_are_counted(make):
    torch.manual_seed(0)
    net = make() if make is not Named else Named(nn.Flatten(), nn.Linear(192, 4))
    table = metrics.flops(net, {}, SHAPE)
    assert dict(zip(table.name, table.flops, strict=True)) == FLOPS[make]
    assert set(models.prunable(net)) == {name for name in FLOPS[make] if name.endswith("weight")}
    for pruner in pruners.NAMES:
        kept = pruners.prune(pruner, net, X, Y, 0.5)
        assert sum(int(mask.sum()) for mask in kept.values()) == sum(m.numel() for m in kept.values()) / 2
    whole = {name: torch.ones_like(mask) for name, mask in kept.items()}
    assert masks.health(net, whole, SHAPE).effective_density == 1


class Projected(Patches):
    def __init__(self):
        super().__init__()
        self.mix = nn.Parameter(torch.randn(8, 8))

    def between(self, x):
        return x @ self.mix.T


class Standardised(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, self.weight - self.weight.mean(), self.bias)


class Experts(Patches):
    def __init__(self):
        super().__init__()
        self.experts = nn.Parameter(torch.randn(2, 8, 8))

    def between(self, x):
        return F.linear(x, self.experts.mean(0))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Projected(), "uses its parameter mix in matmul"),
        (Experts(), "makes the weight of a linear of its parameter experts"),
        (nn.Sequential(Standardised(3, 2, 8), nn.Flatten()), r"has a Standardised \(0\) with a forward of its own"),
    ],
)
def test_weights_that_pruning_would_overlook_are_refused_by_name(net, words):
    kept = {name: torch.ones_like(p, dtype=torch.bool) for name, p in net.named_parameters() if name == "embed.weight"}
    for call in (
        *(lambda name=name: pruners.score(name, net, X, Y) for name in pruners.NAMES),
        lambda: metrics.flops(net, {}, SHAPE),
        lambda: masks.health(net, kept, SHAPE),
    ):
        with pytest.raises(ValueError, match=f"^the network {words}"):
            call()
