"""One training loop: a network, its masks and batches -> the trained network and its learning curve."""

import math
import time
from collections.abc import Callable

import torch
import torch._dynamo  # the first optimiser imports it for seconds, which would count as the first trial's training
from torch import Generator, nn
from torch.nn import functional as F

from . import metrics, models
from .batches import Batches
from .masks import Masks, apply

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate, fused=True),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9, fused=True),
}
EVALUATION_BATCH = 1000


def train(
    net: nn.Module,
    masks: Masks | None,
    train_batches: Batches,
    test_batches: Batches,
    epochs: int,
    *,
    optimizer: str,
    learning_rate: float,
    batch_size: int,
    order: Generator,
    augmentation: Generator,
    precision: str = "float32",
) -> list[dict[str, float]]:
    """Train `net` in place and return one row an epoch, tested after each.

    Columns: epoch (from 1), train_loss and test_loss (nats), top1 and top5 (percent), train_seconds and test_seconds.
    Weights outside `masks` (none pruned if None) are zero after every step, whatever the optimiser remembers.
    Raises FloatingPointError when the loss stops being a number, ValueError for an unknown optimiser.
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {optimizer!r}; choose from {', '.join(OPTIMIZERS)}")
    masks = masks or {}
    apply(net, masks)
    step = OPTIMIZERS[optimizer](net.parameters(), learning_rate)
    weights = [models.prunable(net)[name].detach() for name in masks]
    kept = [mask.to(weight.dtype) for mask, weight in zip(masks.values(), weights, strict=True)]
    curve = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        net.train()
        total = torch.zeros((), device=train_batches.labels.device)
        for images, labels in train_batches.shuffled(batch_size, order, augmentation):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = F.cross_entropy(net(images), labels)
            step.zero_grad(set_to_none=True)
            loss.backward()
            step.step()
            if weights:
                torch._foreach_mul_(weights, kept)
            total += loss.detach() * len(labels)
        train_loss = total.item() / len(train_batches)  # the one wait for the device in an epoch
        train_seconds = time.perf_counter() - start
        if not math.isfinite(train_loss):
            raise FloatingPointError(
                f"the training loss is {train_loss} after epoch {epoch}; try a learning rate below {learning_rate:g}"
            )
        tested = metrics.evaluate(net, test_batches.in_order(EVALUATION_BATCH), precision)
        curve.append({"epoch": epoch, "train_loss": train_loss, "train_seconds": train_seconds, **tested})
    return curve
