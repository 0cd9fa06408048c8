"""Accuracy, FLOPs and histograms, on cases where the answer is known."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from prunekit import metrics, models, pruners


@pytest.mark.parametrize("classes", [10, 100])
def test_accuracy_of_a_perfect_and_of_a_hopeless_model(classes):
    labels = torch.arange(classes)
    right = F.one_hot(labels).float()
    assert metrics.accuracy(right, labels) == (100, 100)
    assert metrics.accuracy(-right, labels) == (0, 0)


@pytest.mark.parametrize("classes", [10, 100])
def test_accuracy_of_a_constant_model_is_chance(classes):
    """Equal logits count in class order: class 0 is the prediction, classes 0 to 4 are the first five."""
    labels = torch.arange(classes).repeat(3)
    assert metrics.accuracy(torch.zeros(3 * classes, classes), labels) == pytest.approx((100 / classes, 500 / classes))


@pytest.mark.parametrize(("label", "hits"), [(0, [0, 1]), (1, [1, 1]), (2, [0, 1]), (5, [0, 1]), (6, [0, 0])])
def test_ties_go_by_class_order(label, hits):
    """Ranks: class 1, 2 (equal, first of all), then 0, 3, 5 (equal), then 4, 6."""
    logits = torch.tensor([[1.0, 2.0, 2.0, 1.0, 0.0, 1.0, 0.0]])
    assert metrics.top_hits(logits, torch.tensor([label])).tolist() == hits


@pytest.mark.parametrize("label", range(6))
def test_nan_is_never_correct(label):
    labels = torch.tensor([label])
    assert metrics.accuracy(torch.full((1, 6), math.nan), labels) == (0, 0)
    one_nan = torch.zeros(1, 6).index_fill(1, labels, math.nan)
    assert metrics.accuracy(one_nan, labels) == (0, 0)


def test_a_nan_elsewhere_counts_as_before():
    logits = torch.tensor([[1.0, math.nan, 3.0]])
    assert metrics.top_hits(logits, torch.tensor([2])).tolist() == [0, 1]


def test_top5_with_fewer_classes_than_five():
    assert metrics.accuracy(torch.tensor([[1.0, 2.0]]), torch.tensor([0])) == (0, 100)


def test_accuracy_agrees_with_topk():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(500, 20, generator=generator), torch.randint(20, (500,), generator=generator)
    found = logits.topk(5).indices == labels[:, None]
    expected = 100 * found[:, 0].float().mean(), 100 * found.any(1).float().mean()
    assert metrics.accuracy(logits, labels) == pytest.approx(tuple(map(float, expected)))


def test_accuracy_of_nothing():
    with pytest.raises(ValueError, match="no images"):
        metrics.accuracy(torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="no images"):
        metrics.evaluate(nn.Linear(2, 2), [])


def all_kept(net):
    return {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}


@pytest.mark.parametrize("name", ["fc", "conv", "vgg16", "vgg11_bn", "resnet20", "resnet18"])
def test_flops_agree_with_torch(name):
    """torch's counter knows products alone, and counts two for each multiply-add."""
    net = models.build(name, (3, 32, 32), 10)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.zeros(1, 3, 32, 32))
    table = metrics.flops(net, all_kept(net), (3, 32, 32))
    assert table[table.kind == "weight"].flops.sum() * 2 == counter.get_total_flops()
    assert (table.flops == table.flops_kept).all()


def test_flops_of_dense_vgg16():
    """The paper's count, biases included."""
    net = models.build("vgg16", (3, 32, 32), 10)
    assert metrics.flops(net, all_kept(net), (3, 32, 32)).flops.sum() == 313_478_154


def test_flops_by_hand():
    """A 3x3 convolution on 4x4 pixels uses each kept weight 16 times, the linear layer once; biases stay."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3)).train()
    kept = {name: torch.zeros_like(mask) for name, mask in all_kept(net).items()}
    kept["0.weight"][0, 0, :2] = True  # six weights
    kept["3.weight"][:, 5] = True  # three weights
    statistics = net[1].running_mean.clone()
    table = metrics.flops(net, kept, (1, 4, 4))
    assert table.values.tolist() == [
        ["0.weight", "weight", 18, 6, 288, 96],
        ["0.bias", "bias", 2, 2, 32, 32],
        ["1.weight", "norm", 2, 2, 32, 32],
        ["1.bias", "norm", 2, 2, 32, 32],
        ["3.weight", "weight", 96, 3, 96, 3],
        ["3.bias", "bias", 3, 3, 3, 3],
    ]
    assert net.training
    assert torch.equal(net[1].running_mean, statistics)
    assert not any(module._forward_hooks for module in net)


def test_flops_of_a_layer_that_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Linear(16, 2)

        def forward(self, images):
            return self.fc(self.conv(self.conv(images)).flatten(1))

    net = Twice()
    assert metrics.flops(net, all_kept(net), (1, 4, 4)).flops.tolist() == [2 * 9 * 16, 32, 2]


def test_flops_of_a_linear_layer_that_sees_each_row():
    net = nn.Linear(4, 3)
    assert metrics.flops(net, all_kept(net), (5, 4)).flops.tolist() == [5 * 12, 5 * 3]


def test_histograms_count_every_kept_weight_once():
    """The first bin starts at -1.5, each is 0.02 wide, and what lies outside counts in the end bins."""
    net = nn.Linear(4, 2)
    net.weight.data = torch.tensor([[-9.0, -1.495, 0.01, 0.03], [1.5, 7.0, 0.01, 0.01]])
    kept = torch.tensor([[True, True, True, True], [True, True, True, False]])
    counts = metrics.histograms(net, {"weight": kept})["weight"]
    assert {i: n for i, n in enumerate(counts) if n} == {0: 2, 75: 2, 76: 1, 149: 2}
    assert len(counts) == 150 == len(metrics.HISTOGRAM_EDGES) - 1


def test_histograms_of_a_pruned_net():
    net = models.build("fc", (1, 8, 8), 10)
    kept = pruners.prune("magnitude", net, torch.zeros(1, 1, 8, 8), torch.tensor([0]), density=0.3)
    counts = metrics.histograms(net, kept)
    assert {name: sum(values) for name, values in counts.items()} == {name: int(m.sum()) for name, m in kept.items()}


@pytest.mark.parametrize("size", [1, 7, 100])
def test_evaluate_is_accuracy_whatever_the_batches(size):
    net = nn.Sequential(nn.Linear(5, 10), nn.Dropout(0.5)).train()
    images, labels = torch.randn(100, 5), torch.randint(10, (100,))
    result = metrics.evaluate(net, zip(images.split(size), labels.split(size), strict=True))
    logits = net.eval()(images)
    assert (result["top1"], result["top5"]) == pytest.approx(metrics.accuracy(logits, labels))
    assert result["test_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert result["test_seconds"] > 0


def test_histograms_count_kept_weights_on_the_side_of_the_edge_that_torch_does():
    """Every edge, its neighbours in float32, what lies beyond, and what is no number; every second weight is kept."""
    edges = torch.tensor(metrics.HISTOGRAM_EDGES).float()
    far = torch.tensor([-9.0, 9.0, -math.inf, math.inf, math.nan, math.nan])
    values = torch.cat([edges, edges.nextafter(far[:1]), edges.nextafter(far[1:2]), torch.zeros(40), far])
    values = values.repeat_interleave(2)
    kept = torch.arange(len(values)) % 2 == 0
    net = nn.Linear(len(values), 1)
    net.weight.data[0] = values
    counts = metrics.histograms(net, {"weight": kept[None]})["weight"]
    assert counts == torch.histc(values[kept].clamp(-1.5, 1.5), 150, -1.5, 1.5).tolist()
    assert sum(counts) == kept.sum() - 2


def test_histograms_of_any_layout_and_precision():
    net = nn.Conv2d(3, 4, 3)
    kept = torch.rand(net.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = torch.histc(net.weight.detach()[kept], 150, -1.5, 1.5).tolist()
    for same in (net, net.to(memory_format=torch.channels_last), net.double()):
        assert metrics.histograms(same, {"weight": kept})["weight"] == expected


def test_latency_is_the_median_of_warmed_passes(monkeypatch):
    """Six passes of ten images, of 90, 1, 2, 40, 3 and 2 s: the first does not count, so 0.2 s an image."""
    seconds = iter(itertools.accumulate(part for pass_ in (90, 1, 2, 40, 3, 2) for part in (7, pass_)))
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: float(next(seconds)))
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).train()
    assert metrics.latency(net, torch.zeros(10, 1, 2, 2)) == 0.2
    assert not net.training


def test_signal_by_hand():
    """Logits 2x and 0 for x of 1, 2 and 3: deviations 2 and 0, on average 1."""
    net = nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0], [0.0]]))
    assert metrics.signal(net, torch.tensor([[1.0], [2.0], [3.0]])) == pytest.approx(1.0)


def test_signal_of_what_overflows_is_not_finite():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    for layer in net:
        nn.init.constant_(layer.weight, 1e30)
    assert not math.isfinite(metrics.signal(net, torch.tensor([[1.0], [2.0]])))


def test_flops_of_a_weight_within_a_list_are_refused_by_its_name():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            return F.linear(x.flatten(1), torch.cat([self.first.weight, self.second.weight]))

    with pytest.raises(ValueError, match=r"uses the weight first.weight in cat"):
        metrics.flops(Joined(), {}, (1, 2, 2))
