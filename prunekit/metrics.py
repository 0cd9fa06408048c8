"""What a pruned network is worth and costs: accuracy, FLOPs a layer, weight histograms."""

import time
from collections import Counter
from collections.abc import Iterable
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .masks import Masks

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

    Columns: name, kind (weight, bias or norm), total and kept elements, flops and flops_kept. One FLOP is one
    multiply-add; each bias add counts one, and so does each scale and each shift of a normalisation. Dense VGG16 on
    32x32 images and 10 classes: 313,478,154.
    """
    positions: Counter[str] = Counter()

    def note(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            channels = len(next(module.parameters()))  # of the output; each weight is used once a position of it
            positions[name] += output[0].numel() // channels

        return hook

    leaves = {
        name: module
        for name, module in net.named_modules()
        if not list(module.children()) and any(True for _ in module.parameters())
    }
    hooks = [module.register_forward_hook(note(name)) for name, module in leaves.items()]
    was_training = net.training
    parameter = next(net.parameters())
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()

    rows = []
    for name, module in leaves.items():
        for part, parameter in module.named_parameters(recurse=False):
            full_name = f"{name}.{part}" if name else part
            total = parameter.numel()
            kept = int(masks[full_name].count_nonzero()) if full_name in masks else total
            kind = "norm" if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) else part
            rows.append((full_name, kind, total, kept, total * positions[name], kept * positions[name]))
    return pd.DataFrame(rows, columns=["name", "kind", "total", "kept", "flops", "flops_kept"])


@torch.no_grad()
def signal(net: nn.Module, images: Tensor) -> float:
    """Return the standard deviation of a logit of `net` over `images` [N, C, H, W], averaged over the logits.

    It is 0 where no image reaches the output, and not finite where a logit overflows. Leaves `net` in evaluation mode.
    """
    return float(net.eval()(images).float().std(0).mean())


@torch.no_grad()
def latency(net: nn.Module, images: Tensor, precision: str = "float32", passes: int = 5) -> float:
    """Return the seconds that `net` takes an image: the median of `passes` of `images` [N, C, H, W] in one batch.

    A first pass, to warm up, is not counted. `precision` is as in `evaluate`. Leaves `net` in evaluation mode.
    """
    net.eval()
    seconds = []
    for _ in range(1 + passes):
        start = time.perf_counter()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision != "float32"):
            net(images)
        if images.device.type != "cpu":
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:]) / len(images)


def histograms(net: nn.Module, masks: Masks) -> dict[str, list[int]]:
    """Return, a layer, how many kept weights fall into each bin of HISTOGRAM_EDGES; outliers count in the end bins."""
    parameters = dict(net.named_parameters())
    low, high, bins = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], len(HISTOGRAM_EDGES) - 1
    counts = {}
    for name, mask in masks.items():
        place = (parameters[name].detach().float() - low).mul_(bins).div_(high - low).clamp_(0, bins - 1)
        place = place.nan_to_num_(bins).to(torch.uint8).masked_fill_(~mask, bins)  # a bin for what does not count
        counts[name] = torch.bincount(place.flatten(), minlength=bins + 1)[:bins].tolist()
    return counts


@torch.no_grad()
def evaluate(
    net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], precision: str = "float32"
) -> list[dict[str, float]]:
    """Return the mean cross-entropy (nats), top-1 and top-5 accuracy (percent) of `net` over `batches`, and seconds.

    It is one row, or one a network of `models.side_by_side`, which share the seconds equally. `precision` "float32"
    computes everything in the network's own precision, any other products in bfloat16 and what follows in float32.
    Raises ValueError if there are no batches.
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
    logits, labels = torch.cat(found, dim=-2), torch.cat(truth)
    each = logits.view(-1, *logits.shape[-2:])
    rows = [(float(F.cross_entropy(one, labels)), *accuracy(one, labels)) for one in each]
    share = (time.perf_counter() - start) / len(rows)
    return [{"test_loss": loss, "top1": top1, "top5": top5, "test_seconds": share} for loss, top1, top5 in rows]
