"""Pruners: against numbers worked out by hand, and against slow derivations that share no code with ours."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from prunekit import masks, metrics, models, plugins, pruners

LABEL = torch.tensor([0])


def linear_net(*layers):
    """A bias-free linear network of the given weight matrices, float64."""
    net = nn.Sequential(*(nn.Linear(len(w[0]), len(w), bias=False) for w in layers)).double()
    for module, weight in zip(net, layers, strict=True):
        module.weight.data = torch.tensor(weight, dtype=torch.float64)
    return net


def assert_scores(scores, *expected):
    for score, wanted in zip(scores.values(), expected, strict=True):
        torch.testing.assert_close(score, torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=0)


def small_conv(seed=0):
    """A convolutional network of 68 weights with biases, and six images in float64."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    images = torch.randn(6, 1, 4, 4, dtype=torch.float64)
    return net.double(), images, torch.tensor([0, 1, 2, 2, 1, 0])


class Noisy(nn.Sequential):
    """Random in evaluation mode too, as functional dropout is that is not told the mode."""

    def __init__(self, noise):
        super().__init__(nn.Flatten(), nn.Linear(4, 3))
        self.noise = noise

    def forward(self, images):
        return super().forward(self.noise(images))


@pytest.mark.parametrize("noise", [F.dropout, lambda x: x + torch.randn_like(x), F.relu])
def test_a_network_that_is_random_in_evaluation_mode_has_no_scores_of_its_own(noise):
    net, images, labels = Noisy(noise), torch.ones(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])
    for pruner in ("snip", "grasp"):
        if noise is F.relu:
            pruners.score(pruner, net, images, labels)
        else:
            with pytest.raises(ValueError, match="each time in evaluation mode; give dropout"):
                pruners.score(pruner, net, images, labels)
    assert pruners.score("random", net, images, labels)  # which draws, and computes nothing


def test_magnitude_by_hand():
    net = linear_net([[1.0, -2.0], [0.0, 0.5]])
    assert_scores(pruners.score("magnitude", net, torch.ones(1, 2), LABEL), [[1.0, 2.0], [0.0, 0.5]])


def test_synflow_by_hand():
    """R = 5 (1 + 2) + 6 (3 + 4) = 57: a weight's score is the part of R that passes through it."""
    net = linear_net([[1.0, -2.0], [3.0, 4.0]], [[5.0, -6.0]])
    images = torch.tensor([[7.0, -8.0]], dtype=torch.float64)  # their shape alone counts
    assert_scores(pruners.score("synflow", net, images, LABEL), [[5.0, 10.0], [18.0, 24.0]], [[15.0, 42.0]])


def test_snip_by_hand():
    """Both logits are 3, so dL/dw = (1/2 - 1, 1/2) x^T and |w dL/dw| = ((1/2, 1), (1, 1/2)), 3 in all."""
    net = linear_net([[1.0, 1.0], [2.0, 0.5]])
    images = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert_scores(pruners.score("snip", net, images, LABEL), [[1 / 6, 2 / 6], [2 / 6, 1 / 6]])


def test_grasp_by_hand():
    """Input 1, weights (a, b): g = q (-1, 1) / T and H = p q (1, -1; -1, 1) / T^2, so H g = 2 p q^2 (-1, 1) / T^3."""
    a, b, temperature = 3.0, -1.0, 200.0
    q = 1 / (1 + math.exp((a - b) / temperature))
    size = 2 * (1 - q) * q * q / temperature**3
    whole = abs(-a * size + b * size) + 1e-10
    net = linear_net([[a], [b]])
    scores = pruners.score("grasp", net, torch.ones(1, 1, dtype=torch.float64), LABEL)
    torch.testing.assert_close(
        scores["0.weight"],
        torch.tensor([[-a * size / whole], [b * size / whole]], dtype=torch.float64),
        rtol=1e-9,
        atol=0,
    )


def test_random_is_standard_normal_noise():
    net = models.build("fc", (1, 28, 28), 10)
    one, same = (
        pruners.score("random", net, torch.ones(1, 1, 28, 28), LABEL, generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    flat = torch.cat([score.flatten() for score in one.values()])
    assert abs(flat.mean()) < 0.02
    assert abs(flat.std() - 1) < 0.02
    assert all(torch.equal(one[name], same[name]) for name in one)


@pytest.mark.parametrize("batch_size", [6, 4, 1])
def test_snip_is_the_slope_of_a_mask(batch_size):
    """|dL/dm| at m = 1 of weights m w, L the sum of the batches' mean losses, the sum of all scores 1."""
    net, images, labels = small_conv()
    gates = {name: torch.ones_like(weight, requires_grad=True) for name, weight in models.prunable(net).items()}
    gated = {name: weight * gates[name] for name, weight in models.prunable(net).items()}
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    loss = sum(F.cross_entropy(functional_call(net, gated, (x,)), y) for x, y in batches)
    slopes = [slope.abs() for slope in torch.autograd.grad(loss, list(gates.values()))]
    scores = pruners.score("snip", net, images, labels, batch_size)
    whole = sum(slope.sum() for slope in slopes)
    for score, slope in zip(scores.values(), slopes, strict=True):
        torch.testing.assert_close(score, slope / whole, rtol=1e-9, atol=0)
    assert sum(score.sum() for score in scores.values()).item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("batch_size", [6, 4, 1])
def test_grasp_is_an_explicit_hessian_times_the_gradient(batch_size):
    """w (H g) over |sum| + 1e-10, where the whole Hessian of the weights (not the biases) is written down."""
    net, images, labels = small_conv()
    weights = {name: weight.detach() for name, weight in models.prunable(net).items()}
    sizes = [weight.numel() for weight in weights.values()]

    def loss(flat):
        parts = zip(weights.items(), flat.split(sizes), strict=True)
        values = {name: part.view(weight.shape) for (name, weight), part in parts}
        batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
        return sum(F.cross_entropy(functional_call(net, values, (x,)) / 200, y) for x, y in batches)

    flat = torch.cat([weight.flatten() for weight in weights.values()])
    products = flat * (torch.func.hessian(loss)(flat) @ torch.func.grad(loss)(flat))
    scores = torch.cat([score.flatten() for score in pruners.score("grasp", net, images, labels, batch_size).values()])
    torch.testing.assert_close(scores, products / (products.sum().abs() + 1e-10), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch_size", [6, 4])
def test_grasp_takes_its_hessian_of_images_augmented_anew(batch_size):
    """w (H g) with g of the images and H of their second look; at the same look, all is as with one."""
    net, images, labels = small_conv()
    again = images.flip(3)
    weights = {name: weight.detach() for name, weight in models.prunable(net).items()}
    sizes = [weight.numel() for weight in weights.values()]

    def loss(of, flat):
        parts = zip(weights.items(), flat.split(sizes), strict=True)
        values = {name: part.view(weight.shape) for (name, weight), part in parts}
        batches = zip(of.split(batch_size), labels.split(batch_size), strict=True)
        return sum(F.cross_entropy(functional_call(net, values, (x,)) / 200, y) for x, y in batches)

    def found(second):
        scores = pruners.score("grasp", net, images, labels, batch_size, again=second)
        return torch.cat([score.flatten() for score in scores.values()])

    flat = torch.cat([weight.flatten() for weight in weights.values()])
    hessian = torch.func.hessian(lambda w: loss(again, w))(flat)
    products = flat * (hessian @ torch.func.grad(lambda w: loss(images, w))(flat))
    torch.testing.assert_close(found(again), products / (products.sum().abs() + 1e-10), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found(images), found(None), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found(again), found(None), rtol=1e-3)


def test_synflow_is_the_flow_lost_with_a_weight():
    """R is linear in each single weight while no maximum changes hands, so its score is R less R without it."""
    net, images, labels = small_conv()
    net[2] = nn.AvgPool2d(2)
    state = {name: tensor.detach().abs() for name, tensor in net.state_dict().items()}

    def flow(values):
        return functional_call(net, values, (torch.ones_like(images[:1]),)).sum().item()

    for name, score in pruners.score("synflow", net, images, labels).items():
        for i in range(score.numel()):
            without = state[name].flatten().clone()
            without[i] = 0
            lost = flow(state) - flow({**state, name: without.view(score.shape)})
            assert score.flatten()[i].item() == pytest.approx(lost, rel=1e-9)


@pytest.mark.parametrize(("name", "width"), [("fc", 1.0), ("vgg11", 0.125)])
def test_synflow_is_conserved(name, width):
    """Without biases every layer carries the whole flow."""
    net = models.build(name, (3, 32, 32), 10, width, torch.Generator().manual_seed(0)).double()
    for parameter, value in net.named_parameters():
        if parameter.endswith("bias"):
            value.data.zero_()
    scores = pruners.score("synflow", net, torch.zeros(1, 3, 32, 32, dtype=torch.float64), LABEL)
    sums = [score.sum().item() for score in scores.values()]
    assert sums == pytest.approx([sums[0]] * len(sums), rel=1e-9)


def test_synflow_is_conserved_round_shortcuts():
    """All flow enters and leaves; each shortcut carries what the block beside it does not."""
    net = models.build("resnet20", (3, 32, 32), 10, 0.25, torch.Generator().manual_seed(0)).double()
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1) if parameter.ndim == 1 else None
    for parameter, value in net.named_parameters():
        if parameter.endswith("bias"):
            value.data.zero_()
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer += 1000  # more than any flow of these small layers, were it subtracted
    scores = pruners.score("synflow", net, torch.zeros(1, 3, 32, 32, dtype=torch.float64), LABEL)
    sums = {name: score.sum().item() for name, score in scores.items()}
    flow = sums["conv1.weight"]
    assert flow > 0
    assert sums["fc.weight"] == pytest.approx(flow, rel=1e-9)
    for stage in (2, 3):
        first = f"stage{stage}_block1"
        assert sums[f"{first}.conv1.weight"] == pytest.approx(sums[f"{first}.conv2.weight"], rel=1e-9)
        assert sums[f"{first}.conv2.weight"] + sums[f"{first}.shortcut.conv.weight"] == pytest.approx(flow, rel=1e-9)


def test_synflow_beyond_float32_is_in_float64():
    """With weights 1024 times as large, whose flow float32 cannot hold, the last layer ranks nearly as before."""
    nets = [models.build("resnet20", (3, 32, 32), 10, 0.25, torch.Generator().manual_seed(0)) for _ in range(2)]
    with torch.no_grad():
        for weight in models.prunable(nets[1]).values():
            weight *= 1024
    small, large = (pruners.score("synflow", net, torch.zeros(1, 3, 32, 32), LABEL) for net in nets)
    assert {score.dtype for score in small.values()} == {torch.float32}
    assert {score.dtype for score in large.values()} == {torch.float64}
    assert max(float(score.max()) for score in large.values()) > 1e38
    kept, made = (masks.from_scores({"fc": scores["fc.weight"]}, 0.5)["fc"] for scores in (small, large))
    assert (kept == made).float().mean() > 0.99


@pytest.mark.parametrize("name", pruners.NAMES)
def test_scores_fit_the_weights(name):
    net, images, labels = small_conv()
    scores = pruners.score(name, net, images, labels)
    weights = models.prunable(net)
    assert list(scores) == list(weights)
    assert all(s.shape == weights[n].shape and s.dtype == weights[n].dtype for n, s in scores.items())
    assert not any(score.requires_grad for score in scores.values())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", pruners.NAMES)
def test_pruning_leaves_the_net_as_it_was(name, training):
    """Weights, batch norm's statistics, gradients and mode; scores are those of the evaluation mode in both."""
    net = models.build("vgg11_bn", (3, 32, 32), 10, 1 / 64, torch.Generator().manual_seed(0)).train(training)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    pruners.prune(name, net, torch.rand(4, 3, 32, 32), torch.arange(4), density=0.5, steps=2)
    assert net.training is training
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def recorded_steps(monkeypatch, name, **options):
    """Return the masks of each round of pruning 1,000 weights."""
    rounds = []
    apply = masks.apply
    monkeypatch.setattr(masks, "apply", lambda net, kept: (rounds.append(kept), apply(net, kept)))
    net = nn.Linear(100, 10)
    final = pruners.prune(name, net, torch.rand(8, 100), torch.arange(8), **options)
    assert rounds[-1] is final
    return rounds


@pytest.mark.parametrize(
    ("density", "steps", "schedule", "expected"),
    [
        (0.25, 1, "exponential", [250]),
        (0.25, 2, "exponential", [500, 250]),
        (0.0625, 4, "exponential", [500, 250, 125, 63]),  # int(937.5) go
        (0.2, 1, "linear", [200]),
        (0.25, 3, "linear", [750, 500, 250]),
        (1.0, 3, "linear", [1000] * 3),
    ],
)
def test_schedules(monkeypatch, density, steps, schedule, expected):
    rounds = recorded_steps(monkeypatch, "magnitude", density=density, steps=steps, schedule=schedule)
    assert [int(kept["weight"].sum()) for kept in rounds] == expected


@pytest.mark.parametrize("name", pruners.NAMES)
def test_a_pruned_weight_never_comes_back(monkeypatch, name):
    rounds = recorded_steps(monkeypatch, name, density=0.05, steps=6)
    for earlier, later in itertools.pairwise(rounds):
        assert not (later["weight"] & ~earlier["weight"]).any()


@pytest.mark.parametrize("name", pruners.NAMES)
@pytest.mark.parametrize("scope", masks.SCOPES)
def test_one_step_is_score_then_mask(name, scope):
    net, images, labels = small_conv()
    one, two = (torch.Generator().manual_seed(0) for _ in range(2))
    pruned = pruners.prune(name, net, images, labels, 0.3, scope=scope, batch_size=4, generator=one)
    scored = masks.from_scores(pruners.score(name, net, images, labels, 4, two), 0.3, scope)
    assert all(torch.equal(pruned[key], scored[key]) for key in scored)


def test_steps_matter_to_synflow_and_not_to_magnitude():
    net = models.build("fc", (1, 8, 8), 10, 0.3, torch.Generator().manual_seed(0))

    def same(name):
        images = torch.zeros(1, 1, 8, 8)
        one, many = (pruners.prune(name, net, images, LABEL, 0.05, steps).values() for steps in (1, 20))
        assert sum(int(m.sum()) for m in one) == sum(int(m.sum()) for m in many)
        return all(torch.equal(a, b) for a, b in zip(one, many, strict=True))

    assert same("magnitude")
    assert not same("synflow")


def test_many_steps_save_synflow_from_collapse():
    """Tanaka et al.'s point: one shot at this density empties a layer, a hundred rounds keep all alive."""
    net = models.build("vgg11", (3, 32, 32), 10, 0.25, torch.Generator().manual_seed(0))
    images = torch.zeros(1, 3, 32, 32)
    kept = pruners.prune("synflow", net, images, LABEL, 1e-3, steps=100)
    assert not masks.health(net, kept, (3, 32, 32)).collapsed
    assert masks.health(net, pruners.prune("synflow", net, images, LABEL, 1e-3), (3, 32, 32)).collapsed


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("taylor", {}, "unknown pruner 'taylor'; choose from synflow, magnitude, snip, grasp, random"),
        ("none", {}, "the pruner none keeps all weights"),
        ("snip", {"steps": 0}, "at least one step, not 0"),
        ("snip", {"schedule": "cosine"}, "unknown schedule 'cosine'; choose from exponential, linear"),
        ("snip", {"scope": "layer"}, "unknown scope 'layer'"),
        ("snip", {"density": 0.0}, "density must lie in"),
    ],
)
def test_errors(name, options, message):
    with pytest.raises(ValueError, match=message):
        pruners.prune(name, nn.Linear(2, 2), torch.ones(1, 2), LABEL, **{"density": 0.5, **options})


@pytest.mark.parametrize("training", [True, False])
def test_scoring_no_images_is_an_error_and_keeps_the_mode(training):
    net = nn.Linear(2, 2).train(training)
    with pytest.raises(ValueError, match="at least one image"):
        pruners.score("snip", net, torch.ones(0, 2), LABEL[:0])
    with pytest.raises(RuntimeError):
        pruners.score("snip", net, torch.ones(1, 3), LABEL)
    assert net.training is training


@pytest.fixture
def own_pruner(monkeypatch):
    """Register pruners for the length of a test."""
    monkeypatch.setattr(plugins, "_registered", {})
    return pruners.register("mine")


def test_a_registered_pruner_scores_in_definition_order_and_leaves_the_net(own_pruner):
    @own_pruner
    def mine(net, batches, generator):
        assert not net.training and [len(images) for images, _ in batches] == [4, 2]
        scores = {}
        for name, weight in reversed(models.prunable(net).items()):
            weight.data.mul_(3)
            scores[name] = weight[:].abs()
        return scores

    net, images, labels = small_conv()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    scores = pruners.score("mine", net.train(), images, labels, batch_size=4)
    assert list(scores) == ["0.weight", "4.weight"] and net.training
    for name, score in scores.items():
        torch.testing.assert_close(score, 3 * before[name].abs(), rtol=0, atol=0)
        assert not score.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    kept = pruners.prune("mine", net, images, labels, density=0.5, steps=3, batch_size=4)
    assert sum(int(mask.sum()) for mask in kept.values()) == sum(mask.numel() for mask in kept.values()) / 2


def test_whatever_a_registered_pruner_draws_comes_from_the_generator(own_pruner):
    @own_pruner
    def mine(net, batches, generator):
        return {name: torch.rand(weight.shape) for name, weight in models.prunable(net).items()}

    net, images, labels = small_conv()
    torch.manual_seed(1)
    following = torch.rand(3)
    torch.manual_seed(1)
    first, same, other = (
        pruners.score("mine", net, images, labels, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), following), "others' draws are not disturbed"
    assert torch.equal(first["0.weight"], same["0.weight"])
    assert not torch.equal(first["0.weight"], other["0.weight"])


def scored(net, value):
    return {name: value(weight.detach()) for name, weight in models.prunable(net).items()}


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (lambda net: None, ["None", "must return a dict"]),
        (lambda net: [1], ["[1]", "must return a dict"]),
        (lambda net: {}, ["no scores for 0.weight", "models.prunable"]),
        (lambda net: scored(net, torch.abs) | {"0.bias": torch.ones(2)}, ["'0.bias'", "no weight that can be pruned"]),
        (lambda net: scored(net, lambda w: w.tolist()), ["0.weight", "must be a tensor"]),
        (lambda net: scored(net, lambda w: w * 1j), ["0.weight", "real numbers"]),
        (lambda net: scored(net, torch.flatten), ["shape [18] for 0.weight", "[2, 1, 3, 3]"]),
        (lambda net: scored(net, lambda w: w.log()), ["0.weight", "NaN or infinity"]),
        (lambda net: scored(net, torch.zeros_like), ["the same score for every weight, 0"]),
        (lambda net: scored(net, lambda w: torch.ones_like(w, dtype=torch.int64)), ["the same score", "1"]),
        (lambda net: 1 / 0, ["raised ZeroDivisionError: division by zero"]),
        (lambda net: net.absent, ["raised AttributeError", "absent"]),
    ],
)
def test_wrong_scores_are_one_line_that_names_the_pruner(own_pruner, scores, words):
    @own_pruner
    def mine(net, batches, generator):
        return scores(net)

    net, images, labels = small_conv()
    with pytest.raises(ValueError, match=r"^pruner mine ") as error:
        pruners.score("mine", net.train(), images, labels)
    assert net.training and "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_pruner_that_takes_other_arguments_is_one_line(own_pruner):
    @own_pruner
    def mine(net):
        return {}

    with pytest.raises(ValueError, match=r"pruner mine raised TypeError: .*3 were given"):
        pruners.score("mine", *small_conv())


def test_equal_scores_of_a_network_that_lost_its_signal_are_no_error(own_pruner):
    @own_pruner
    def mine(net, batches, generator):
        return scored(net, torch.zeros_like)

    net, images, labels = small_conv()
    net[4].weight.data.zero_()
    net[0].weight.data[0] = 0
    assert not any(score.any() for score in pruners.score("mine", net, images, labels).values())


def test_whole_numbers_are_ranked_as_they_are(own_pruner):
    """Neighbours beyond 2^24, which float32 cannot tell apart, and beyond 2^53, which float64 cannot."""

    @own_pruner
    def mine(net, batches, generator):
        count = itertools.count(2**60)
        return {
            name: torch.tensor([next(count) for _ in w.flatten()]).view(w.shape)
            for name, w in models.prunable(net).items()
        }

    net, images, labels = small_conv()
    kept = pruners.prune("mine", net.float(), images.float(), labels, 0.25)
    flat = torch.cat([mask.flatten() for mask in kept.values()])
    assert flat.tolist() == [False] * 31 + [True] * 11
    first, second = (torch.arange(5), torch.tensor([2**25, 2**25 + 1]))
    kept = masks.from_scores({"a": first.float(), "b": second}, 1 / 7)  # of two kinds
    assert kept["a"].sum() == 0 and kept["b"].tolist() == [False, True]


class Shifting(nn.Sequential):
    """Its first step writes to the images that it is given."""

    def forward(self, images):
        return super().forward(images.mul_(2).sub_(0.5))


class Shifted(nn.Sequential):
    def forward(self, images):
        return super().forward(images * 2 - 0.5)


@pytest.mark.parametrize("name", pruners.NAMES)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_network_that_writes_to_its_images_is_pruned_as_one_that_does_not(name, steps):
    net, images, labels = small_conv()
    before, found = images.clone(), []
    for kind in (Shifting, Shifted):
        own = kind(*net)
        kept = pruners.prune(name, own, images, labels, 0.5, steps, batch_size=2, generator=torch.Generator())
        found.append([mask.tolist() for mask in kept.values()])
        assert metrics.signal(own, images) == metrics.signal(Shifted(*net), images)
        assert not own._forward_pre_hooks
    assert torch.equal(images, before)
    assert found[0] == found[1]


def test_a_pruner_that_writes_to_its_images_leaves_those_of_others(own_pruner):
    @own_pruner
    def mine(net, batches, generator):
        batches[0][0].zero_()
        batches[0][1].zero_()
        return {name: weight.detach().abs() for name, weight in models.prunable(net).items()}

    net, images, labels = small_conv()
    before = images.clone(), labels.clone()
    pruners.score("mine", net, images, labels)
    assert torch.equal(images, before[0]) and torch.equal(labels, before[1])


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_block_that_is_computed_again_has_the_scores_of_one_that_is_not_or_none(reentrant):
    class Saving(nn.Sequential):
        def forward(self, images):
            first, then = nn.Sequential(*self[:3].children()), nn.Sequential(*self[3:].children())
            return then(checkpoint(first, images, use_reentrant=reentrant))

    net, images, labels = small_conv()
    for name in pruners.NAMES:
        plain = pruners.score(name, net, images, labels, generator=torch.Generator())
        if name in ("random", "magnitude") or (name in ("snip", "grasp") and not reentrant):
            saving = pruners.score(name, Saving(*net), images, labels, generator=torch.Generator())
            torch.testing.assert_close(list(saving.values()), list(plain.values()))
        else:
            with pytest.raises((ValueError, RuntimeError), match=r"checkpoint"):
                pruners.score(name, Saving(*net), images, labels)


def test_integers_and_mixed_precisions_become_one(own_pruner):
    @own_pruner
    def mine(net, batches, generator):
        first, second = models.prunable(net).values()
        return {"0.weight": torch.arange(first.numel()).view(first.shape), "4.weight": second.detach().double()}

    net, images, labels = small_conv()
    scores = pruners.score("mine", net.float(), images.float(), labels)
    assert {score.dtype for score in scores.values()} == {torch.float64}
    assert scores["0.weight"].flatten()[:3].tolist() == [0, 1, 2]
