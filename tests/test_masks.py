"""Masks seen by eye: on tensors of four elements and networks of six weights."""

import math

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from prunekit import masks, models


def mask(text):
    """`mask("10 01")` -> [[True, False], [False, True]]."""
    return torch.tensor([[digit == "1" for digit in row] for row in text.split()])


def kept(scores, density, **options):
    return masks.from_scores({"w": torch.tensor(scores)}, density, **options)["w"].int().tolist()


@pytest.mark.parametrize(
    ("scores", "density", "expected"),
    [
        ([3.0, 1.0, 4.0, 2.0], 0.5, [1, 0, 1, 0]),
        ([3.0, 1.0, 4.0, 2.0], 0.25, [0, 0, 1, 0]),
        ([3.0, 1.0, 4.0, 2.0], 0.26, [1, 0, 1, 0]),  # int(0.74 * 4) = 2 go
        ([3.0, 1.0, 4.0, 2.0], 1e-9, [0, 0, 1, 0]),  # int() never reaches all four
        ([3.0, 1.0, 4.0, 2.0], 1, [1, 1, 1, 1]),
        ([-3.0, -1.0, -4.0, 0.0], 0.5, [0, 1, 0, 1]),  # signs count
        ([1.0, 1.0, 1.0, 1.0], 0.5, [0, 0, 1, 1]),  # among equals the earlier go first
        ([2.0, 1.0, 1.0, 1.0], 0.5, [1, 0, 0, 1]),
        ([1.0, 0.0, 1.0, 1.0], 0.5, [0, 0, 1, 1]),
    ],
)
def test_four_elements(scores, density, expected):
    assert kept(scores, density) == expected


def test_ties_go_at_random_from_their_own_stream():
    """Of four equal scores two go: each pair about as often; the lowest always goes, the highest never."""
    draws = torch.Generator().manual_seed(0)
    seen = [tuple(kept([5.0, 1.0, 1.0, 1.0, 1.0, 0.0], 0.5, ties=draws)) for _ in range(600)]
    assert {(row[0], row[5], sum(row)) for row in seen} == {(1, 0, 3)}
    counts = [seen.count(row) for row in set(seen)]
    assert len(counts) == 6 and min(counts) > 60  # of 100 each, standard deviation 9
    again = torch.Generator().manual_seed(0)
    assert tuple(kept([5.0, 1.0, 1.0, 1.0, 1.0, 0.0], 0.5, ties=again)) == seen[0]


@pytest.mark.parametrize("scope", masks.SCOPES)
def test_ties_at_random_keep_exact_counts_and_nest(scope):
    scores = {"a": torch.zeros(40, 10), "b": torch.tensor([[0.0, 1.0]]).repeat(20, 1)}
    many, few = (
        masks.from_scores(scores, density, scope, ties=torch.Generator().manual_seed(3)) for density in (0.5, 0.25)
    )
    for made, density in ((many, 0.5), (few, 0.25)):
        removed = int((1 - density) * 440) if scope == "global" else int((1 - density) * 400) + int((1 - density) * 40)
        assert sum(int((~m).sum()) for m in made.values()) == removed
    assert all((few[name] <= many[name]).all() for name in scores), "one seed, so a sparser mask lies in a denser one"
    rows = many["a"].float().mean(1)
    assert float(rows[:20].mean()) == pytest.approx(float(rows[20:].mean()), abs=0.15), "and not by position"


@pytest.mark.parametrize("density", [0.9, 0.5, 10**-0.05, 0.1, 0.01, 1e-4])
@pytest.mark.parametrize("levels", [1, 2, 7, 10**6])
def test_removed_count_is_exact_with_many_ties(density, levels):
    scores = {
        name: torch.randint(levels, shape, generator=torch.Generator().manual_seed(0)).float()
        for name, shape in {"a": (7, 11, 3, 3), "b": (13, 17)}.items()
    }
    total = sum(score.numel() for score in scores.values())
    made = masks.from_scores(scores, density)
    assert sum(int((~m).sum()) for m in made.values()) == int((1 - density) * total)
    assert {name: m.shape for name, m in made.items()} == {name: s.shape for name, s in scores.items()}
    worst_kept = min(scores[name][m].min() for name, m in made.items() if m.any())
    assert all((scores[name][~m] <= worst_kept).all() for name, m in made.items())
    assert sum(int(mask.sum()) for mask in made.values()) / total == pytest.approx(density, abs=1 / total)


def test_scope():
    """Globally b wins everything; locally each layer keeps its own best half (of three: int(1.5) = 1 goes)."""
    scores = {"a": torch.tensor([[1.0, 2.0], [4.0, 3.0]]), "b": torch.tensor([7.0, 5.0, 6.0])}
    everywhere = masks.from_scores(scores, 0.5)
    assert [m.int().tolist() for m in everywhere.values()] == [[[0, 0], [1, 0]], [1, 1, 1]]
    layerwise = masks.from_scores(scores, 0.5, scope="local")
    assert [m.int().tolist() for m in layerwise.values()] == [[[0, 0], [1, 1]], [1, 0, 1]]


@pytest.mark.parametrize("scope", masks.SCOPES)
@pytest.mark.parametrize(("density", "expected"), [(0.5, [0, 0, 1, 1]), (0.25, [0, 0, 1, 0])])
def test_within_never_brings_a_weight_back(scope, density, expected):
    within = {"w": torch.tensor([False, False, True, True])}
    assert kept([9.0, 8.0, 2.0, 1.0], density, scope=scope, within=within) == expected
    with pytest.raises(ValueError, match=r"density 0\.75 is above"):
        kept([9.0, 8.0, 2.0, 1.0], 0.75, scope=scope, within=within)


@pytest.mark.parametrize("scope", masks.SCOPES)
def test_masks_that_have_the_density_already_are_copied(scope):
    within = {"w": mask("1010")}
    made = masks.from_scores({"w": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}, 0.5, scope, within=within)["w"]
    assert torch.equal(made, within["w"])
    made[:] = False
    assert within["w"].sum() == 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_must_be_finite(bad):
    with pytest.raises(ValueError, match="scores of w hold NaN or infinity"):
        kept([1.0, bad, 2.0], 0.5)


@pytest.mark.parametrize("density", [0, -0.1, 1.1, math.nan])
def test_density_must_be_a_share(density):
    with pytest.raises(ValueError, match="density must lie in"):
        kept([1.0, 2.0], density)


def test_scope_must_be_known():
    with pytest.raises(ValueError, match="unknown scope 'layer'; choose from global, local"):
        kept([1.0, 2.0], 0.5, scope="layer")


def test_apply():
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone(), net.bias.detach().clone()
    masks.apply(net, {"weight": mask("10 01")})
    assert torch.equal(net.weight, before[0] * torch.eye(2))
    assert torch.equal(net.bias, before[1])


def small_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("first", "second", "density", "effective", "dead", "collapsed"),
    [
        ("11 11", "11", 6, (4, 2), (0, 0), False),
        ("10 01", "10", 3, (1, 1), (1, 0), False),  # hidden unit 2 leads nowhere
        ("11 00", "11", 4, (2, 1), (1, 0), False),  # hidden unit 2 hears nothing
        ("10 00", "10", 2, (1, 1), (1, 0), False),
        ("11 00", "01", 3, (0, 0), (2, 1), True),  # both layers keep weights, yet nothing connects
        ("11 11", "00", 4, (0, 0), (2, 1), True),
        ("00 00", "11", 2, (0, 0), (2, 1), True),
    ],
)
def test_health_by_hand(first, second, density, effective, dead, collapsed):
    """Two inputs, two hidden units, one output: six weights."""
    net = small_net()
    made = {"1.weight": mask(first), "3.weight": mask(second)}
    health = masks.health(net, made, (2, 1, 1))
    assert health.density == pytest.approx(density / 6)
    assert health.effective_density == pytest.approx(sum(effective) / 6)
    assert health.collapsed is collapsed
    one, two = (int(m.sum()) for m in made.values())
    assert health.layers == {
        "1.weight": masks.LayerHealth(4, one, effective[0], 2, dead[0]),
        "3.weight": masks.LayerHealth(2, two, effective[1], 1, dead[1]),
    }


def test_health_asks_nothing_of_the_weights_and_changes_none():
    net = small_net().train()
    nn.init.constant_(net[1].weight, -1.0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert masks.health(net, {"1.weight": mask("11 11"), "3.weight": mask("11")}, (2, 1, 1)).effective_density == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_an_empty_layer_collapses_nothing_where_a_way_round_it_is_left():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.out = nn.Linear(2, 2), nn.Linear(2, 1)

        def forward(self, images):
            images = images.flatten(1)
            return self.out(images + self.inside(images))

    health = masks.health(Residual(), {"inside.weight": mask("00 00"), "out.weight": mask("11")}, (2, 1, 1))
    assert not health.collapsed
    assert health.effective_density == pytest.approx(2 / 6)
    assert health.layers["inside.weight"] == masks.LayerHealth(4, 0, 0, 2, 2)
    assert masks.health(Residual(), {"inside.weight": mask("11 11"), "out.weight": mask("00")}, (2, 1, 1)).collapsed


class Bare(nn.Module):
    """A residual network that pools and squashes without modules of its own for it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Linear(1, 1)

    def forward(self, images):
        normed = nn.functional.leaky_relu_(self.norm(images))
        squashed = torch.tanh(100 * self.conv(normed)) + torch.sigmoid(images) * 0
        return self.fc(nn.functional.max_pool2d(squashed, 2).flatten(1))


def test_functions_hide_no_more_paths_than_modules_do():
    """As with modules below; the hyperbolic tangent of many paths is flat, and is passed."""
    made = {"conv.weight": mask("100 010 011").view(1, 1, 3, 3), "fc.weight": mask("1")}
    net = Bare().train()
    assert masks.health(net, made, (1, 2, 2)).layers["conv.weight"].effective == 4
    assert net.training


def test_a_softmax_at_the_end_hides_no_path_and_a_dilated_pool_is_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax(1))
    made = {"1.weight": torch.ones(3, 4, dtype=torch.bool)}
    assert masks.health(net, made, (1, 2, 2)).effective_density == 1
    net = nn.Sequential(nn.MaxPool2d(2, 1, dilation=2), nn.Flatten(), nn.Linear(1, 3))
    with pytest.raises(ValueError, match="max pool with dilation"):
        masks.health(net, {"2.weight": torch.ones(3, 1, dtype=torch.bool)}, (1, 3, 3))


def test_every_weight_of_a_dense_residual_network_is_effective():
    for name in ("resnet20", "resnet18"):
        net = models.build(name, (3, 32, 32), 10, 1 / 8)
        made = {key: torch.ones_like(weight, dtype=torch.bool) for key, weight in models.prunable(net).items()}
        health = masks.health(net, made, (3, 32, 32))
        assert health.effective_density == 1 and not health.collapsed
        for key in made:
            if key.startswith("stage") and key.endswith("conv2.weight"):
                made[key][:] = False  # what is left are the shortcuts
        health = masks.health(net, made, (3, 32, 32))
        assert not health.collapsed
        live = [key for key, layer in health.layers.items() if layer.effective]
        assert live == [key for key in made if "conv2" not in key and (".conv1" not in key)]
        made["conv1.weight"][:] = False
        assert masks.health(net, made, (3, 32, 32)).collapsed


def test_max_pooling_hides_no_path():
    """Of the four outputs on a 2x2 image the first has most paths, none through the kernel corner (0, 0)."""
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 1))
    made = {"0.weight": mask("100 010 011").view(1, 1, 3, 3), "3.weight": mask("1")}
    health = masks.health(net, made, (1, 2, 2))
    assert health.layers["0.weight"].effective == 4
    assert not health.collapsed


def test_batch_norm_blocks_no_path():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1))
    nn.init.constant_(net[1].bias, -10.0)
    made = {"0.weight": mask("11").view(2, 1, 1, 1), "4.weight": mask("10")}
    health = masks.health(net, made, (1, 1, 1))
    assert (health.layers["0.weight"].effective, health.layers["0.weight"].dead_channels) == (1, 1)


@pytest.mark.parametrize("levels", [1, 3, 1000, 10**6])
@pytest.mark.parametrize("size", [1, 2, 1000, 300_000])
def test_kept_are_those_that_sorting_finds(size, levels):
    """Also among many equals, at both ends, within masks, and where the sample misleads."""
    draws = torch.Generator().manual_seed(1)
    noise = torch.randint(levels, (size,), generator=draws).float() - levels // 2
    within = torch.rand(size, generator=draws) < 0.7
    misleading = noise.clone()
    misleading[:: masks._SAMPLED] = -levels
    for flat in (noise, misleading, noise.sort().values, noise.double() * 1e-300):
        for inside in (torch.ones(size, dtype=torch.bool), within):
            ranked = flat.masked_fill(~inside, -torch.inf).sort(stable=True).indices  # among equals by position
            outside = size - int(inside.sum())
            for density in (0.999, 0.5, 0.1, 0.01, 1e-9):
                removed = int((1 - density) * size)
                if removed < outside:
                    continue
                found = masks.from_scores({"w": flat}, density, within={"w": inside})["w"]
                assert torch.equal(found.nonzero().squeeze(1), ranked[removed:].sort().values)
                if inside.all():
                    assert torch.equal(masks.from_scores({"w": flat}, density)["w"], found)


def test_shuffled_keeps_counts_of_layers_and_changes_places():
    """Unlike the shuffle of SynFlow's public code, which leaves every weight where it was."""
    draws = torch.Generator().manual_seed(0)
    kept = {"a": torch.rand(20, 30, generator=draws) < 0.2, "b": torch.rand(10, 4, 3, 3, generator=draws) < 0.5}
    moved = masks.shuffled(kept, torch.Generator().manual_seed(1))
    for name, mask_ in kept.items():
        assert moved[name].dtype == torch.bool and moved[name].shape == mask_.shape
        assert moved[name].sum() == mask_.sum()
        common = (moved[name] & mask_).sum() / mask_.sum()
        assert abs(common - mask_.float().mean()) < 0.15  # as many places in common as chance leaves
    again = masks.shuffled(kept, torch.Generator().manual_seed(1))
    assert all(torch.equal(moved[name], again[name]) for name in kept)
    other = masks.shuffled(kept, torch.Generator().manual_seed(2))
    assert not torch.equal(moved["a"], other["a"])


def test_shuffled_keeps_each_place_as_often_as_any_other():
    draws = torch.Generator().manual_seed(0)
    seen = sum(masks.shuffled({"w": mask("1100 0000")}, draws)["w"].int() for _ in range(800))
    assert seen.min() > 150 and seen.max() < 250  # of 200 each, standard deviation 12


def test_health_of_a_block_that_is_computed_again_is_refused():
    class Saving(nn.Sequential):
        def forward(self, images):
            return nn.Sequential(*self[1:].children())(checkpoint(self[0], images, use_reentrant=False))

    net = Saving(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    ones = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in models.prunable(net).items()}
    with pytest.raises(ValueError, match="computes a block again"):
        masks.health(net, ones, (1, 4, 4))
