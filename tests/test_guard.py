"""Networks that cannot be pruned as they are: each function of the library says so in a line, and none goes on."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, weight_norm

from prunekit import compaction, masks, metrics, models, pruners

SHAPE = (3, 8, 8)
X, Y = torch.randn(8, *SHAPE), torch.arange(8) % 4


def fc(wrap=lambda layer: layer):
    return nn.Sequential(nn.Flatten(), wrap(nn.Linear(192, 6)), nn.ReLU(), nn.Linear(6, 4))


class Doubled(nn.Linear):
    def forward(self, x):
        return F.linear(x, 2 * self.weight.roll(1), self.bias)


class Wrapped(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight + 1, bias)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.attention, self.last = nn.Linear(8, 4), nn.MultiheadAttention(4, 2), nn.Linear(4, 4)

    def forward(self, x):
        t = self.first(x.flatten(1, 2).transpose(0, 1))
        return self.last(self.attention(t, t, t)[0].mean(0))


def _other_forward(layer):
    layer.forward = lambda x: F.linear(x, layer.weight.abs())
    return layer


def _tied():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 4))
    net[2].weight = net[1].weight
    return net


ODD = {
    "its weight made anew": fc(weight_norm),
    "parametrized": fc(lambda layer: parametrizations.orthogonal(layer)),
    "pruned already": fc(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),
    "a forward of its own": nn.Sequential(nn.Flatten(), Doubled(192, 4)),
    "a forward of the instance's": fc(_other_forward),
    "another convolution": nn.Sequential(Wrapped(3, 4, 8), nn.Flatten()),
    "transposed": nn.Sequential(nn.ConvTranspose2d(3, 2, 3), nn.Flatten(), nn.Linear(200, 4)),
    "one dimension": nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 64), nn.Flatten()),
    "attention": Tokens(),
    "learned slope": nn.Sequential(nn.Flatten(), nn.PReLU(), nn.Linear(192, 4)),
    "recurrent": nn.Sequential(nn.Flatten(2), nn.GRU(64, 4)),
    "wrapped": nn.DataParallel(fc()),
    "lazy": nn.Sequential(nn.Flatten(), nn.LazyLinear(4)),
    "tied": _tied(),
}


@pytest.mark.parametrize("name", ODD)
def test_every_function_refuses_it_in_the_same_words(name):
    net = ODD[name]
    kept = {"1.weight": torch.ones(6, 192, dtype=torch.bool)}
    calls = [lambda pruner=pruner: pruners.score(pruner, net, X, Y) for pruner in pruners.NAMES]
    calls += [lambda: pruners.prune("snip", net, X, Y, 0.5), lambda: models.prunable(net)]
    calls += [lambda: masks.apply(net, kept), lambda: masks.health(net, kept, SHAPE)]
    calls += [lambda: metrics.flops(net, {}, SHAPE)]
    calls += [lambda: compaction.compact(net, kept, SHAPE)]
    said = set()
    for call in calls:
        with pytest.raises(ValueError, match="the network") as error:
            call()
        said.add(str(error.value))
    (line,) = said
    assert line.startswith(f"the network {models.unknown(net)}") and "\n" not in line and len(line) < 250


@pytest.mark.parametrize(
    "call", [masks.apply, lambda n, m: masks.health(n, m, SHAPE), lambda n, m: metrics.flops(n, m, SHAPE)]
)
@pytest.mark.parametrize("name", ["module.1.weight", "1.bias", "9.weight"])
def test_masks_of_another_network_are_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"no weight {name} to prune"):
        call(fc(), {name: torch.ones(6, 192, dtype=torch.bool)})


class Odd(nn.Sequential):
    """With an extra layer that it does not use; its output is a dict if it is told so."""

    def __init__(self, outputs):
        super().__init__(nn.Flatten(), nn.Linear(192, 4))
        self.extra = nn.Linear(4, 4) if outputs is None else nn.Flatten()
        self.outputs = outputs

    def forward(self, x):
        logits = self[1](self[0](x))
        return logits if self.outputs is None else self.outputs(logits)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (None, "^the network gives extra.weight no gradient"),
        (lambda logits: {"out": logits}, "^the network gives a dict; it must give logits"),
        (lambda logits: (logits, logits), "^the network gives a tuple; it must give logits"),
    ],
)
def test_a_layer_without_use_and_other_outputs_are_one_line(outputs, words):
    net = Odd(outputs)
    kept = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}
    calls = [lambda name=name: pruners.score(name, net, X, Y) for name in ("snip", "grasp", "synflow")]
    if outputs is None:
        health = masks.health(net, kept, SHAPE)
        assert [layer.effective for layer in health.layers.values()] == [192 * 4, 0]
    else:
        calls.append(lambda: masks.health(net, kept, SHAPE))
    for call in calls:
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_scores_are_the_same_with_gradients_off_and_inference_on(name):
    net = fc()
    wanted = pruners.score(name, net, X, Y)
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            scores = pruners.score(name, net, X, Y)
        assert all(torch.equal(scores[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("name", ["snip", "grasp"])
@pytest.mark.parametrize(
    ("labels", "words"), [(Y + 1, "from 1 to 4.*4 outputs"), (Y - 1, "from -1 to 2"), (Y, "1.weight is frozen")]
)
def test_labels_and_frozen_layers_are_one_line(name, labels, words):
    net = fc()
    net[1].weight.requires_grad_("frozen" not in words)
    with pytest.raises(ValueError, match=words):
        pruners.score(name, net, X, labels)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.fc = nn.Linear(3, 12), nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(F.scaled_dot_product_attention(*self.mix(x.flatten(2).mT).chunk(3, -1)).mean(1))


def test_grasp_takes_second_derivatives_of_fused_attention():
    scores = pruners.score("grasp", Attending(), X, Y)
    assert all(bool(score.isfinite().all() and score.any()) for score in scores.values())


@pytest.mark.parametrize("act", [nn.Hardsigmoid, nn.Hardswish])
def test_grasp_names_what_has_no_second_derivative(act):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), act(), nn.Linear(6, 4))
    try:
        scores = pruners.score("grasp", net, X, Y)
    except ValueError as error:
        assert "second derivatives" in str(error)
    else:
        assert all(bool(score.isfinite().all() and score.any()) for score in scores.values())


class Rows(nn.Module):
    """A linear layer over [images x tokens, features], [tokens, images, features], and behind squeeze()."""

    def __init__(self, how):
        super().__init__()
        self.how, self.mix, self.fc = how, nn.Linear(3, 5), nn.Linear(5, 4)

    def forward(self, x):
        tokens = x.flatten(2).mT
        if self.how == "rows":
            mixed = self.mix(tokens.reshape(-1, 3)).view(len(x), -1, 5)
        elif self.how == "transposed":
            mixed = self.mix(tokens.transpose(0, 1)).transpose(0, 1)
        else:
            mixed = self.mix(tokens.mean(1).squeeze()).view(len(x), 1, 5).expand(-1, 64, -1)
        return self.fc(mixed.mean(1))


@pytest.mark.parametrize(("how", "positions"), [("rows", 64), ("transposed", 64), ("squeezed", 1)])
def test_flops_are_products_for_one_image(how, positions):
    counted = metrics.flops(Rows(how), {}, SHAPE).set_index("name").flops
    assert counted.to_dict() == {
        "mix.weight": 15 * positions,
        "mix.bias": 5 * positions,
        "fc.weight": 20,
        "fc.bias": 4,
    }


@pytest.mark.parametrize("use", [lambda net, x: x @ net.fc.weight.t(), lambda net, x: net.fc(x) * net.fc.weight.sum()])
def test_a_weight_that_is_used_outside_its_layer_is_not_counted_wrong(use):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(192, 4)

        def forward(self, x):
            return use(self, x.flatten(1))

    with pytest.raises(ValueError, match=r"uses the weight fc.weight in (t|sum)"):
        metrics.flops(Net(), {}, SHAPE)
