"""The training loop: beside a plain one, and with masks that must hold."""

import math

import pytest
import torch
from torch.nn import functional as F

from prunekit import masks, metrics, models, training
from prunekit.batches import Batches
from prunekit.datasets import Transform

TRANSFORM = Transform((0.5,), (0.25,), crop_padding=1, flip=True)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batches():
    images = torch.randint(256, (50, 1, 6, 6), dtype=torch.uint8, generator=seeded(1))
    return Batches(images, torch.randint(4, (50,), generator=seeded(2)), TRANSFORM)


@pytest.fixture
def net():
    return models.build("conv", (1, 6, 6), 4, 0.125, seeded(3))


@pytest.fixture
def kept(net):
    """A random half of each layer."""
    return {name: torch.rand(w.shape, generator=seeded(4)) < 0.5 for name, w in models.prunable(net).items()}


def train(net, kept, batches, epochs=2, optimizer="adam", learning_rate=0.01, **options):
    return list(
        training.epochs(
            net,
            kept,
            batches,
            batches,
            epochs,
            optimizer=optimizer,
            learning_rate=learning_rate,
            batch_size=16,
            order=seeded(5),
            augmentation=seeded(6),
            **options,
        )
    )


def pruned_weights(net, kept):
    return torch.cat([weight.detach()[~kept[name]] for name, weight in models.prunable(net).items()])


@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_pruned_weights_stay_exactly_zero(net, kept, batches, optimizer):
    """Also where the optimiser remembers steps that it took before the pruning would have let it."""
    before = {name: weight.detach().clone() for name, weight in models.prunable(net).items()}
    train(net, kept, batches, optimizer=optimizer)
    assert not pruned_weights(net, kept).any()
    assert all(not torch.equal(w.detach()[kept[n]], before[n][kept[n]]) for n, w in models.prunable(net).items())


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("optimizer", "plain"),
    [
        ("adam", lambda parameters: torch.optim.Adam(parameters, lr=0.01, foreach=False)),
        ("sgd", lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, foreach=False)),
    ],
)
def test_as_a_plain_loop(net, kept, batches, optimizer, plain, masked):
    twin = models.build("conv", (1, 6, 6), 4, 0.125, seeded(3))
    used = kept if masked else {}
    masks.apply(twin, used)
    step, order, augmentation, losses = plain(twin.parameters()), seeded(5), seeded(6), []
    for _ in range(3):
        total = 0.0
        for images, labels in batches.shuffled(16, order, augmentation):
            loss = F.cross_entropy(twin(images), labels)
            step.zero_grad()
            loss.backward()
            step.step()
            masks.apply(twin, used)
            total += loss.item() * len(labels)
        losses.append(total / 50)
    curve = train(net, kept if masked else None, batches, epochs=3, optimizer=optimizer)
    assert [row["train_loss"] for row in curve] == pytest.approx(losses, rel=1e-6)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


RECIPES = {
    "sgd": {"optimizer": "sgd", "weight_decay": 0.1, "nesterov": True, "lr_drops": [2, 3], "lr_factor": 0.5},
    "adam": {"optimizer": "adam", "weight_decay": 0.1, "lr_drops": [1], "lr_factor": 0.1, "warmup_epochs": 2},
}
RATES = {  # by hand, of the four steps of each of four epochs, relative to the first rate
    "sgd": [1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25],
    "adam": [*(k / 8 for k in (1, 2, 3, 4)), *(k / 80 for k in (5, 6, 7, 8)), *[0.1] * 8],
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_plain_loop_with_its_rates(net, kept, batches, name):
    twin = models.build("conv", (1, 6, 6), 4, 0.125, seeded(3))
    masks.apply(twin, kept)
    if name == "sgd":
        step = torch.optim.SGD(twin.parameters(), 0.01, 0.9, weight_decay=0.1, nesterov=True, foreach=False)
    else:
        step = torch.optim.Adam(twin.parameters(), 0.01, weight_decay=0.1, foreach=False)
    order, augmentation, rates = seeded(5), seeded(6), iter(RATES[name])
    for _ in range(4):
        for images, labels in batches.shuffled(16, order, augmentation):
            step.param_groups[0]["lr"] = 0.01 * next(rates)
            step.zero_grad()
            F.cross_entropy(twin(images), labels).backward()
            step.step()
            masks.apply(twin, kept)
    assert next(rates, None) is None
    train(net, kept, batches, epochs=4, **RECIPES[name])
    masks.check(net, kept)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_curve(net, kept, batches):
    curve = train(net, kept, batches, epochs=3)
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    columns = {"epoch", "train_loss", "train_seconds", "test_loss", "top1", "top5", "test_seconds"}
    assert all(set(row) == columns for row in curve)
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]
    last = metrics.evaluate(net, batches.in_order(50))
    assert {key: curve[-1][key] for key in ("test_loss", "top1", "top5")} == pytest.approx(
        {key: last[key] for key in ("test_loss", "top1", "top5")}
    )


def test_no_epochs_applies_the_masks_and_no_more(net, kept, batches):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert train(net, kept, batches, epochs=0) == []
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name] * kept[name] if name in kept else before[name])


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("float32", torch.float32), ("bf16-mixed", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_in_which_precision_logits_reach_the_loss(net, kept, batches, monkeypatch, precision, kind):
    """On CUDA, cross_entropy under autocast computes in bfloat16 what it is given in bfloat16."""
    losses, given = training.F.cross_entropy, set()

    def watched(logits, labels):
        if logits.requires_grad:  # else it is the test's
            given.add(logits.dtype)
        return losses(logits, labels)

    monkeypatch.setattr(training.F, "cross_entropy", watched)
    train(net, kept, batches, epochs=1, precision=precision)
    assert given == {kind}


@pytest.mark.parametrize("precision", ["bf16-mixed", "bfloat16"])
def test_products_are_in_bfloat16_and_weights_stay_float32(net, kept, batches, precision):
    seen = set()
    for layer in models.prunable(net):
        module = net.get_submodule(layer.rpartition(".")[0])
        module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    curve = train(net, kept, batches, precision=precision)
    assert seen == {torch.bfloat16}
    assert all(math.isfinite(row["train_loss"]) for row in curve)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert not pruned_weights(net, kept).any()


def test_a_loss_that_is_no_number_stops_the_training(net, kept, batches):
    with pytest.raises(FloatingPointError, match=r"the loss is nan after epoch 1; try a learning rate below 1e\+30"):
        train(net, kept, batches, optimizer="sgd", learning_rate=1e30)


def test_unknown_optimizer(net, kept, batches):
    with pytest.raises(ValueError, match="unknown optimizer 'lion'; choose from adam, sgd"):
        train(net, kept, batches, optimizer="lion")
