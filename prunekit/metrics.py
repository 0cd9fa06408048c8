"""What a pruned network is worth and costs: accuracy, FLOPs a layer, weight histograms."""

import time
from collections.abc import Iterable

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
    positions: dict[str, int] = {}

    def note(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            positions[name] = output[0, 0].numel()  # how often each weight is used: once an output position

        return hook

    leaves = {name: module for name, module in net.named_modules() if not list(module.children())}
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
            kept = int(masks[full_name].sum()) if full_name in masks else total
            kind = "norm" if isinstance(module, nn.BatchNorm2d) else part
            rows.append((full_name, kind, total, kept, total * positions[name], kept * positions[name]))
    return pd.DataFrame(rows, columns=["name", "kind", "total", "kept", "flops", "flops_kept"])


def histograms(net: nn.Module, masks: Masks) -> dict[str, list[int]]:
    """Return, a layer, how many kept weights fall into each bin of HISTOGRAM_EDGES; outliers count in the end bins."""
    parameters = dict(net.named_parameters())
    low, high, bins = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], len(HISTOGRAM_EDGES) - 1
    counts = {}
    for name, mask in masks.items():
        values = parameters[name].detach()[mask].float().clamp(low, high)
        counts[name] = torch.histc(values, bins, low, high).long().tolist()
    return counts


@torch.no_grad()
def evaluate(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], precision: str = "float32") -> dict[str, float]:
    """Return the mean cross-entropy (nats), top-1 and top-5 accuracy (percent) of `net` over `batches`, and seconds.

    `precision` "bfloat16" computes products in bfloat16, "float32" everything in the network's own precision.
    Raises ValueError if there are no batches.
    """
    start = time.perf_counter()
    net.eval()
    loss, hits, count = torch.zeros(()), torch.zeros(()), 0
    for images, labels in batches:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = net(images).float()
        loss = F.cross_entropy(logits, labels, reduction="sum") + loss
        hits = top_hits(logits, labels) + hits
        count += len(labels)
    if count == 0:
        raise ValueError("accuracy of no images")
    top1, top5 = (100 * hits / count).tolist()  # the one wait for the device
    mean_loss = float(loss) / count
    return {"test_loss": mean_loss, "top1": top1, "top5": top5, "test_seconds": time.perf_counter() - start}
