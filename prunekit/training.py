"""One training loop: a network, its masks and batches -> the trained network and its learning curve."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from . import metrics
from .batches import Batches, slices
from .masks import Masks, attach

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda parameters, rate, **more: torch.optim.Adam(parameters, lr=rate, fused=True, **more),
    "sgd": lambda parameters, rate, **more: torch.optim.SGD(parameters, lr=rate, momentum=0.9, fused=True, **more),
}
OPTIMIZERS["sgd"](
    [nn.Parameter(torch.zeros(1))], 0.0
)  # torch's first takes a second, which no trial's training is to have


def epochs(
    net: nn.Module,
    masks: Masks | None,
    train_batches: Batches,
    test_batches: Batches,
    count: int,
    *,
    optimizer: str,
    learning_rate: float,
    batch_size: int,
    order: Generator,
    augmentation: Generator,
    precision: str = "float32",
    weight_decay: float = 0.0,
    nesterov: bool = False,
    lr_drops: Sequence[int] = (),
    lr_factor: float = 0.1,
    warmup_epochs: int = 0,
) -> Iterator[dict[str, float]]:
    """Train `net` in place for `count` epochs, test it after each, and yield one row per epoch.

    Columns: epoch (from 1), train_loss and test_loss (nats), top1 and top5 (percent), train_seconds and test_seconds.
    Weights outside `masks` (none pruned if None) are zero after every step, whatever the optimiser remembers.
    `precision`: "float32"; "bf16-mixed", products in bfloat16 and the loss and all else in float32; "bfloat16", what
    torch's autocast makes of it, on CUDA the loss in bfloat16 too.
    `weight_decay` times the weights is added to the slopes, `nesterov` is for "sgd" alone. The learning rate is
    multiplied by `lr_factor` after each epoch of `lr_drops`, and rises to it, step by step, over `warmup_epochs`.
    Raises FloatingPointError when a loss stops being a number, ValueError for an unknown optimiser.
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {optimizer!r}; choose from {', '.join(OPTIMIZERS)}")
    more = {"nesterov": True} if nesterov else {}
    step = OPTIMIZERS[optimizer](net.parameters(), learning_rate, weight_decay=weight_decay, **more)
    in_epoch = len(list(slices(len(train_batches), batch_size)))
    rate = LambdaLR(
        step,
        lambda done: (
            lr_factor ** sum(done >= drop * in_epoch for drop in lr_drops)
            * min(1, (done + 1) / (warmup_epochs * in_epoch or 1))
        ),
    )
    if masks:
        attach(net, masks, step)
    for epoch in range(1, count + 1):
        start = time.perf_counter()
        net.train()
        total = torch.zeros((), device=train_batches.labels.device)
        for images, labels in train_batches.shuffled(batch_size, order, augmentation):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=precision != "float32"):
                logits = net(images)
                # CUDA's autocast leaves cross_entropy in the precision of its input.
                loss = F.cross_entropy(logits.float() if precision == "bf16-mixed" else logits, labels)
            step.zero_grad(set_to_none=True)
            loss.backward()
            step.step()
            if lr_drops or warmup_epochs:
                rate.step()
            total += loss.detach() * len(labels)
        train_loss = float(total / len(train_batches))  # the one wait for the device in an epoch
        seconds = time.perf_counter() - start
        tested = metrics.evaluate(net, test_batches.in_order(evaluation_batch(test_batches.labels.device)), precision)
        for value in (train_loss, tested["test_loss"]):
            if not math.isfinite(value):
                advice = f"try a learning rate below {learning_rate:g}"
                raise FloatingPointError(f"the loss is {value} after epoch {epoch}; {advice}")
        yield {"epoch": epoch, "train_loss": train_loss, "train_seconds": seconds, **tested}


def evaluation_batch(device: torch.device | str) -> int:
    """Return how many images to test at once: on a CPU few, which spares half a gigabyte and is no slower."""
    return 250 if torch.device(device).type == "cpu" else 2500
