"""Smaller networks compute what masked ones do: by hand on a few weights, then on every network, images and slopes."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prunekit import batches, compaction, datasets, masks, metrics, models, pruners, training

IMAGE = (3, 32, 32)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def masked(net, kept):
    """A copy of `net` in evaluation mode whose pruned weights are zero."""
    pruned = copy.deepcopy(net).eval()
    masks.apply(pruned, kept)
    return pruned


def everything(net):
    return {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}


def lived_in(name):
    """A small network of doubles as it might stand after training: no bias, scale or mean is what it began as."""
    net = models.build(name, IMAGE, 10, 0.1, seeded()).double()
    noise = seeded(1)
    for tensor in [*net.parameters(), *net.buffers()]:
        if tensor.ndim == 1:
            tensor.data.add_(torch.rand(tensor.shape, generator=noise, dtype=tensor.dtype) - 0.3 * tensor.mean())
    return net


def pruned_by(pruner, net, density):
    images = torch.randn(10, *IMAGE, generator=seeded(2), dtype=torch.float64)
    scores = pruners.score(pruner, net, images, torch.arange(10), generator=seeded(3))
    return masks.from_scores(scores, density, ties=seeded(4))


def cost(net):
    return int(metrics.flops(net, {}, IMAGE).flops.sum())


@pytest.mark.parametrize("density", [0.3, 0.03])
@pytest.mark.parametrize("pruner", ["random", "snip"])
@pytest.mark.parametrize("name", models.NAMES)
def test_every_network_computes_the_same_without_its_dead_channels(name, pruner, density):
    net = lived_in(name)
    kept = pruned_by(pruner, net, density)
    before = copy.deepcopy(net.state_dict())
    full, small = masked(net, kept), compaction.compact(net, kept, IMAGE)
    assert cost(small.net) <= cost(net)
    images, labels = torch.randn(6, *IMAGE, generator=seeded(5), dtype=torch.float64), torch.arange(6)
    slopes = []
    for one in (full, small.net):
        outputs = one(images)
        weights = models.prunable(one)
        found = torch.autograd.grad(F.cross_entropy(outputs, labels), list(weights.values()))
        slopes.append(dict(zip(weights, found, strict=True)))
        slopes[-1]["outputs"] = outputs.detach()
    torch.testing.assert_close(slopes[1].pop("outputs"), slopes[0].pop("outputs"), rtol=1e-10, atol=1e-10)
    assert small.places.keys() == slopes[0].keys() == slopes[1].keys()
    for layer, (rows, columns) in small.places.items():
        mask = kept[layer][rows][:, columns]
        theirs = slopes[0][layer][rows][:, columns] * mask
        torch.testing.assert_close(slopes[1][layer] * mask, theirs, rtol=1e-8, atol=1e-12)
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())


def test_a_constant_channel_becomes_a_map_with_its_borders():
    """Channel 1 keeps no weight, so it is its bias, 3, everywhere; the next layer adds it up over its window."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1), nn.Flatten(), nn.Linear(9, 1))
    for weight in net.parameters():
        nn.init.ones_(weight)
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([0.0, 3.0]))
    kept = everything(net)
    kept["0.weight"][1] = False
    small = compaction.compact(net, kept, (1, 3, 3))
    assert small.net[2].shift[0].tolist() == [[12, 18, 12], [18, 27, 18], [12, 18, 12]]
    assert [list(models.prunable(small.net)[name].shape) for name in ("0.weight", "2.weight", "4.weight")] == [
        [1, 1, 1, 1],
        [1, 1, 3, 3],
        [1, 9],
    ]
    assert [places.tolist() for places in small.places["2.weight"]] == [[0], [0]]
    image = torch.rand(1, 1, 3, 3, generator=seeded())
    torch.testing.assert_close(small.net(image), masked(net, kept)(image))


def test_a_constant_unit_goes_into_the_next_bias():
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    kept = everything(net)
    kept["1.weight"][2] = False
    with torch.no_grad():
        net[1].bias[2], net[3].weight[:] = 2.0, torch.tensor([[1.0, 1.0, 10.0], [1.0, 1.0, -1.0]])
        net[3].bias.copy_(torch.tensor([0.5, 0.25]))
    small = compaction.compact(net, kept, (2, 1, 1))
    assert small.net[3].bias.tolist() == [20.5, -1.75]
    assert small.net[3].weight.tolist() == [[1, 1], [1, 1]]


def test_what_the_output_does_not_depend_on_goes_too():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(2, 2))
    kept = everything(net)
    kept["2.weight"][:, 1:3] = False
    small = compaction.compact(net, kept, (1, 3, 3))
    assert [places.tolist() for places in small.places["0.weight"]] == [[0, 3], [0]]
    assert small.net[0].bias.tolist() == net[0].bias[[0, 3]].tolist()


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn", "resnet20"])
def test_at_initialisation_the_smaller_network_trains_as_the_masked_one(name):
    """The same losses, predictions and weights after every step: what was removed is zero, and no slope reaches it."""
    net = models.build(name, IMAGE, 10, 0.25, seeded()).double()
    kept = pruned_by("snip", net, 0.01)
    small = compaction.compact(net, kept, IMAGE)
    assert cost(small.net) < 0.6 * cost(net)
    pixels = torch.randint(256, (96, *IMAGE), dtype=torch.uint8, generator=seeded(5))
    data = batches.Batches(pixels, torch.arange(96) % 10, datasets.TRANSFORMS["cifar10"])
    trained, curves = masked(net, kept), []
    for one, left in ((trained, kept), (small.net, small.masks(kept))):
        one.register_forward_pre_hook(lambda _, inputs: inputs[0].double())
        words = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 16}
        rows = training.epochs(one, left, data, data, 3, order=seeded(6), augmentation=seeded(7), **words)
        curves.append([[row[key] for key in ("train_loss", "test_loss", "top1", "top5")] for row in rows])
    torch.testing.assert_close(curves[1], curves[0], rtol=1e-7, atol=1e-9)
    assert curves[0][0] != curves[0][-1]
    weights = models.prunable(trained)
    for layer, (rows, columns) in small.places.items():
        theirs = weights[layer][rows][:, columns]
        torch.testing.assert_close(models.prunable(small.net)[layer], theirs, rtol=1e-6, atol=1e-8)


def test_a_collapsed_network_gives_its_one_answer():
    net = lived_in("vgg11")
    kept = everything(net)
    kept["conv4.weight"][:] = False
    small = compaction.compact(net, kept, IMAGE)
    images = torch.randn(3, *IMAGE, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(small.net(images), masked(net, kept)(images))
    assert cost(small.net) < cost(net) / 20


class Odd(nn.Module):
    """A convolution, and then what `tail` does."""

    def __init__(self, tail, *layers):
        super().__init__()
        self.conv, self.layers, self.tail = nn.Conv2d(3, 4, 3, padding=1), nn.ModuleList(layers), tail
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.tail(self, torch.relu(self.conv(x))), 1).flatten(1))


@pytest.mark.parametrize(
    ("net", "problem"),
    [
        (Odd(lambda net, x: net.layers[0](x), nn.GroupNorm(2, 4)), "what is done by GroupNorm (layers.0)"),
        (Odd(lambda net, x: net.layers[0](x), nn.Conv2d(4, 4, 1, groups=2)), "what is done by Conv2d (layers.0)"),
        (Odd(lambda net, x: x * 2), "what is done by mul"),
        (Odd(lambda net, x: F.dropout(x, 0.5)), "computes something else each time in evaluation mode"),
        (Odd(lambda net, x: F.dropout2d(x, 0.5)), "dropout"),
        (Odd(lambda net, x: x + 1), "what is done by add"),
        (Odd(lambda net, x: torch.cat([x[:, :2], x[:, 2:]], 1)), "what is done by getitem"),
        (Odd(lambda net, x: net.layers[0](net.layers[0](x)), nn.Conv2d(4, 4, 1)), "more than one use of Conv2d"),
        (Odd(lambda net, x: x if x.sum() > 0 else -x), "cannot follow this network (TraceError)"),
    ],
)
def test_what_compaction_does_not_know_is_refused_in_a_line(net, problem):
    with pytest.raises(ValueError, match=re.escape(problem)) as raised:
        compaction.compact(net, everything(net), (3, 8, 8))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("tail", [lambda net, x: x, lambda net, x: torch.add(x, F.max_pool2d(x, 3, 1, 1))])
def test_functions_between_layers_are_followed(tail):
    net = Odd(tail)
    kept = everything(net)
    kept["conv.weight"][1] = False
    small = compaction.compact(net, kept, (3, 8, 8))
    assert small.places["conv.weight"][0].tolist() == [0, 2, 3]
    images = torch.randn(2, 3, 8, 8, generator=seeded())
    torch.testing.assert_close(small.net(images), masked(net, kept)(images))


@pytest.mark.parametrize(
    ("pruner", "compression", "share"),
    [("snip", 2.0, 0.41), ("random", 2.0, 0.85), ("magnitude", 2.0, 1.0), ("snip", 0.5, 0.95)],
)
def test_dense_hardware_can_skip_little_of_the_study_s_network(pruner, compression, share, real_data):
    """Full-width VGG16 on CIFAR-10, pruned in one shot: on paper, 1 % of the weights cost 1 to 8 % of the FLOPs."""
    data = datasets.load("cifar10", real_data)
    images, labels = batches.Batches(data.train.images, data.train.labels, data.transform).sample(
        10, seeded(), seeded(1)
    )
    net = models.build("vgg16", IMAGE, 10, 1.0, seeded())
    kept = masks.from_scores(
        pruners.score(pruner, net, images, labels, generator=seeded(2)), 10**-compression, ties=seeded(3)
    )
    small = compaction.compact(net, kept, IMAGE)
    assert cost(small.net) / cost(net) == pytest.approx(share, abs=0.1 if pruner == "snip" else 0.02)
    few = images[:2]
    with torch.no_grad():
        torch.testing.assert_close(small.net(few), masked(net, kept)(few), rtol=1e-3, atol=1e-6)
