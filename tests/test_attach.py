"""Masks in a training loop of one's own: under any optimiser pruned weights are exactly 0, until they are let go."""

import copy
import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from prunekit import masks, models
from prunekit.errors import UserError

X, Y = torch.randn(32, 6), torch.arange(32) % 3
OPTIMIZERS = sorted(name for name, kind in vars(torch.optim).items() if inspect.isclass(kind))
OPTIMIZERS = [
    name for name in OPTIMIZERS if name not in {"Optimizer", "SparseAdam"}
]  # which takes sparse gradients alone


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))


@pytest.fixture
def kept(net):
    noise = torch.Generator().manual_seed(1)
    return {name: torch.rand(w.shape, generator=noise) < 0.4 for name, w in models.prunable(net).items()}


def made(name, parameters):
    """Return torch's optimiser with momentum and weight decay, where it has them."""
    kind = getattr(torch.optim, name)
    known = inspect.signature(kind).parameters
    return kind(
        parameters, **{k: v for k, v in {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}.items() if k in known}
    )


def steps(net, optimizer, count=10):
    def loss():
        optimizer.zero_grad()
        value = F.cross_entropy(net(X), Y)
        value.backward()
        return value

    for _ in range(count):
        optimizer.step(loss)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_weights_are_zero_under_every_optimiser_and_others_are_trained(net, kept, name):
    before = {key: weight.detach().clone() for key, weight in models.prunable(net).items()}
    optimizer = made(name, net.parameters())
    steps(net, optimizer, 1)  # so that it remembers slopes of the weights that are pruned now
    masks.attach(net, kept, optimizer)
    masks.check(net, kept)
    steps(net, optimizer)
    masks.check(net, kept)
    for key, weight in models.prunable(net).items():
        assert not weight[~kept[key]].any()
        assert (weight[kept[key]] != before[key][kept[key]]).all()
    density = sum(int(mask.sum()) for mask in kept.values()) / sum(mask.numel() for mask in kept.values())
    assert masks.sparsity(net) == pytest.approx(1 - density)


def test_a_handle_lets_them_go(net, kept):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    masks.attach(net, kept, optimizer).remove()
    steps(net, optimizer, 2)
    with pytest.raises(ValueError, match=r"pruned weights of 0.weight are not 0"):
        masks.check(net, kept)


def test_several_optimisers_that_share_a_network(net, kept):
    optimizers = [torch.optim.SGD(net[0].parameters(), lr=0.1, momentum=0.9), torch.optim.Adam(net[2].parameters())]
    with pytest.raises(ValueError, match=r"no optimizer that was given changes 2.weight"):
        masks.attach(net, kept, optimizers[0])
    masks.attach(net, kept, *optimizers)
    for _ in range(5):
        for optimizer in optimizers:
            steps(net, optimizer, 1)
            masks.check(net, kept)


def test_gradients_gathered_over_batches_and_a_moving_average(net, kept):
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    masks.attach(net, kept, optimizer)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for count in range(9):
        F.cross_entropy(net(X[count::9]), Y[count::9]).backward()
        if count % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(net)
    masks.check(average.module, kept)


def test_a_scaler_that_skips_a_step(net, kept):
    optimizer, scaler = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), torch.amp.GradScaler("cpu")
    masks.attach(net, kept, optimizer)
    for scale in (1.0, torch.inf, 1.0):
        optimizer.zero_grad()
        before = copy.deepcopy(net.state_dict())
        scaler.scale(scale * F.cross_entropy(net(X), Y)).backward()
        scaler.step(optimizer)
        scaler.update()
        masks.check(net, kept)
        skipped = all(torch.equal(before[key], value) for key, value in net.state_dict().items())
        assert skipped is (scale == torch.inf)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda kept: {name: mask.float() for name, mask in kept.items()},
            r"holds torch.float32; give it as mask.bool",
        ),
        (lambda kept: {name: mask.byte() for name, mask in kept.items()}, "mask of 0.weight holds torch.uint8"),
        (lambda kept: kept | {"4.weight": torch.ones(2, dtype=torch.bool)}, "no weight 4.weight to prune"),
        (
            lambda kept: kept | {"0.weight": kept["0.weight"].mT},
            r"mask of 0.weight has shape \[6, 8\], its weight \[8, 6\]",
        ),
    ],
)
def test_masks_that_do_not_fit_change_nothing(net, kept, change, words):
    optimizer, before = torch.optim.SGD(net.parameters(), lr=0.1), copy.deepcopy(net.state_dict())
    for call in (masks.apply, masks.check, lambda net, some: masks.attach(net, some, optimizer)):
        with pytest.raises(ValueError, match=words):
            call(net, change(kept))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_network_with_nothing_to_prune_has_no_sparsity():
    with pytest.raises(ValueError, match="nothing to prune"):
        masks.sparsity(nn.Sequential(nn.BatchNorm2d(3)))


def test_saved_masks_come_back_in_an_eighth_of_the_bytes(tmp_path):
    noise = torch.Generator().manual_seed(0)
    kept = {
        "a.weight": torch.rand(64, 3, 3, 3, generator=noise) < 0.5,
        "b.weight": torch.rand(1, 5, generator=noise) < 0.5,
    }
    file = tmp_path / "kept.safetensors"
    masks.save(file, kept)
    found = masks.load(file)
    assert list(found) == list(kept) and all(torch.equal(found[key], kept[key]) for key in kept)
    assert all(mask.dtype == torch.bool for mask in found.values())
    assert file.stat().st_size < 64 * 27 / 8 + 1 + 400
    assert np.packbits(kept["b.weight"].numpy()).tobytes() in file.read_bytes()


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_files_without_masks_are_one_line(tmp_path, content):
    file = tmp_path / "kept.safetensors"
    masks.save(file, {"a": torch.ones(9, 9, dtype=torch.bool)})
    file.write_bytes(file.read_bytes().replace(b"[9, 9]", b"[9, 8]") if content is None else content)
    for one in (file, tmp_path / "none"):
        with pytest.raises(UserError, match="holds no masks that can be read") as error:
            masks.load(one)
        assert "\n" not in str(error.value)
