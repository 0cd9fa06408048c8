"""What zeros are worth: how long a pass takes with them, without those that compaction removes, and skipping each."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor, nn

from .. import compaction, masks, metrics, sparse

IMAGES = 10  # in a batch
PASSES = {"masked": 9, "compacted": 9, "csr": 3}  # that are timed, after one that is not


def measure(net: nn.Module, kept: masks.Masks, images: Tensor) -> tuple[int | None, dict[str, float]]:
    """Return the FLOPs of the compacted network for an image, and the seconds an image takes in each form.

    `net` is the masked network, `kept` its masks; all forms see the same batch of `images` [N, C, H, W]. Forms: masked,
    compacted and csr. A form that does not know one of the layers is left out.
    """
    images = images[:IMAGES]
    shape = (images.shape[1], images.shape[2], images.shape[3])
    forms, flops = {"masked": net}, None
    with suppress(ValueError):
        forms["compacted"] = compaction.compact(net, kept, shape).net
        flops = int(metrics.flops(forms["compacted"], {}, shape).flops.sum())
    with suppress(ValueError):
        forms["csr"] = sparse.sparse(net, kept)
    return flops, {name: metrics.latency(form, images, passes=PASSES[name]) for name, form in forms.items()}
