"""What a pruned network is worth and costs: accuracy, FLOPs by layer, weight histograms."""

import time
from collections.abc import Iterable
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import models
from .masks import Masks
from .models.uses import look

HISTOGRAM_EDGES = np.linspace(-1.5, 1.5, 151)  # one set of bins for every network, so counts add up over seeds


def accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return top-1 and top-5 accuracy in percent of `logits` [N, classes] for `labels` int64 [N].

    A prediction's rank is the number of classes before the true one, equal logits in class order; a NaN never counts as
    correct. Raises ValueError if there is nothing to count.
    """
    if len(labels) == 0:
        raise ValueError("accuracy of no images")
    top1, top5 = (100 * top_hits(logits, labels) / len(labels)).tolist()
    return top1, top5


def top_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how many of `logits` [N, classes] have the true class first, and among the first five (int64 [2])."""
    truth = logits.gather(1, labels[:, None])
    earlier = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    # "not less" rather than "greater or equal": with a NaN on either side the class then counts as before the true one.
    before = torch.where(earlier, ~(logits < truth), ~(logits <= truth))
    before.scatter_(1, labels[:, None], False)
    rank = before.sum(1) + truth.squeeze(1).isnan() * logits.shape[1]
    return torch.stack([(rank < 1).sum(), (rank < 5).sum()])


def flops(net: nn.Module, masks: Masks, input_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Return one row a parameter of `net` for one image of `input_shape` (channels, height, width).

    Columns: name, kind (weight, bias, norm or other), total and kept elements, flops and flops_kept. One FLOP is one
    multiply-add; each bias add counts one, and so does each scale and each shift of a normalisation. Products of
    activations with each other, as in attention, are of no parameter and not counted, nor is what is made of parameters
    alone; other parameters count one for each element that they are added to or multiply. Dense VGG16 on 32x32 images
    and 10 classes: 313,478,154. Raises ValueError for a network that cannot be pruned, masks of another, and a weight
    that is used otherwise than by its layer.
    """
    models.chosen(net, masks)
    parameter = next(net.parameters())
    uses = look(net, torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device))
    if uses.problem:
        raise ValueError(f"the network {uses.problem}")
    rows = []
    for name, module in net.named_modules():
        for part, parameter in module.named_parameters(recurse=False):
            full_name = f"{name}.{part}" if name else part
            total = parameter.numel()
            kept = int(masks[full_name].count_nonzero()) if full_name in masks else total
            kind = part if isinstance(module, models.PRUNABLE) else "norm" if models.is_norm(module) else "other"
            flops = uses.flops[id(parameter)]
            rows.append((full_name, kind, total, kept, flops, flops * kept // total))
    return pd.DataFrame(rows, columns=["name", "kind", "total", "kept", "flops", "flops_kept"])


@torch.no_grad()
def signal(net: nn.Module, images: Tensor) -> float:
    """Return the standard deviation of a logit of `net` over `images` [N, C, H, W], averaged over the logits.

    It is 0 where no image reaches the output, and not finite where a logit overflows. Leaves `net` in evaluation mode.
    """
    return float(net.eval()(images.clone()).float().std(0).mean())


@torch.no_grad()
def latency(net: nn.Module, images: Tensor, precision: str = "float32", passes: int = 5) -> float:
    """Return the seconds that `net` takes an image: the median of `passes` of `images` [N, C, H, W] in one batch.

    A first pass, to warm up, is not counted. `precision` is as in `evaluate`. Leaves `net` in evaluation mode.
    """
    net.eval()
    seconds = []
    for _ in range(1 + passes):
        given = images.clone()  # a network may write to them
        start = time.perf_counter()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision != "float32"):
            net(given)
        if images.device.type != "cpu":
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:]) / len(images)


def histograms(net: nn.Module, masks: Masks) -> dict[str, list[int]]:
    """Return by layer how many kept weights fall into each bin of HISTOGRAM_EDGES; outliers count in the end bins."""
    parameters = dict(net.named_parameters())
    low, high, bins = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], len(HISTOGRAM_EDGES) - 1
    counts = {}
    for name, mask in masks.items():
        place = (parameters[name].detach().float() - low).mul_(bins).div_(high - low).clamp_(0, bins - 1)
        place = place.nan_to_num_(bins).to(torch.uint8).masked_fill_(~mask, bins)  # a bin for what does not count
        counts[name] = torch.bincount(place.flatten(), minlength=bins + 1)[:bins].tolist()
    return counts


@torch.no_grad()
def evaluate(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], precision: str = "float32") -> dict[str, float]:
    """Return test_loss (mean cross-entropy, nats), top1, top5 (percent) and test_seconds of `net` over `batches`.

    `precision` "float32" computes everything in the network's own precision, any other computes products in bfloat16
    and the loss in float32. Raises ValueError if there are no batches.
    """
    start = time.perf_counter()
    net.eval()
    found, truth = [], []
    for images, labels in batches:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision != "float32"):
            found.append(net(images).float())
        truth.append(labels)
    if not sum(map(len, truth)):
        raise ValueError("accuracy of no images")
    logits, labels = torch.cat(found), torch.cat(truth)
    loss, (top1, top5) = float(F.cross_entropy(logits, labels)), accuracy(logits, labels)
    return {"test_loss": loss, "top1": top1, "top5": top5, "test_seconds": time.perf_counter() - start}
