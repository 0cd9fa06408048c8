"""The paper's claims about which weights stay: ties, layers, collapse and histograms."""

from __future__ import annotations

import numpy as np

from ...names import PRUNERS, title
from . import values
from .claim import ALL, SWEPT, Cells, Claims, Numbers, by_dataset, lead, least, most

NOISE = 5  # points: what random pruning may stray in a layer of a thousand weights or more
ALIKE = 2  # times: layers whose weights deviate less unequally are distributed alike


@(ties := Claims(values.zeros_beyond, "% of all weights"))(
    "SNIP cannot prune to c = 0.05 on CIFAR-100.",
    "II-A-b, Tables II to IV",
    explained="with a threshold that removes every tie; ties broken at random, it prunes to the exact count",
    note="How many are exactly zero depends on the device: a GPU's rounding leaves noise where a processor has zero.",
)
def snip_fails(v: Cells) -> tuple[Numbers, str]:
    beyond = v("cifar100", 0.05, "snip")
    return beyond, f"scores of zero less weights to remove: {beyond[0]:+.2f} % of all weights"


@(live := Claims(values.live, "% of all weights"))(
    "SynFlow avoids the collapse of layers, which makes it faster and more successful.",
    "II-A-c",
    note="Pruned in one step, as here; in many steps it does avoid it.",
)
def avoids_collapse(v: Cells) -> tuple[Numbers, str]:
    found = {(d, c): v(d, c, "synflow") for d in SWEPT for c in ALL}
    dead = [f"{title('dataset', d)} c = {c:g}" for (d, c), kept in found.items() if kept[0] == 0]
    lowest = least(found.values())
    shown = f"the fewest live weights: {lowest[0]:.2f} %" + (f"; none at {', '.join(dead)}" if dead else "")
    return np.where(lowest <= 0, -1.0, lowest), shown


@(layers := Claims(values.oddest_layer, "points"))(
    f"Every layer is compressed alike, whichever the pruner (within {NOISE} points of the whole).", "II-B, Table V"
)
def layers_alike(v: Cells) -> tuple[Numbers, str]:
    found = {d: v.by_pruner(d, 0.5) for d in SWEPT}
    highest = most(most(line.values()) for line in found.values())
    return NOISE - highest, f"the layer furthest from the whole network's density, in points: {by_dataset(found)}"


@(density := Claims(values.parameters, "points", "V"))(
    "The compression ratio is the same for both datasets.",
    "II-B, Table V",
    explained="every pruner keeps the same share of all weights, so nothing else could come out",
)
def datasets_alike(v: Cells) -> tuple[Numbers, str]:
    gaps = [np.abs(v("cifar10", 0.5, p) - v("cifar100", 0.5, p)) for p in PRUNERS]
    found = {d: v.by_pruner(d, 0.5) for d in SWEPT}
    return 0.01 - most(gaps), f"% of all parameters kept: {by_dataset(found, 2)}"


@(likeness := Claims(values.unlikeness, "times"))(
    "After random pruning, the weights of all layers are distributed alike (the widest less than twice the narrowest).",
    "II-B, Figures 2 and 3",
)
def random_alike(v: Cells) -> tuple[Numbers, str]:
    found = {d: {"random": v(d, 0.5, "random")} for d in SWEPT}
    widest = most(line["random"] for line in found.values())
    return ALIKE - widest, f"the widest layer over the narrowest: {by_dataset(found)}"


@(widths := Claims(values.width, "(the weights' unit)"))(
    "SynFlow's weights are the most widely distributed.", "II-B, Figures 2 and 3"
)
def synflow_widest(v: Cells) -> tuple[Numbers, str]:
    found = {d: v.by_pruner(d, 0.5) for d in SWEPT}
    return least(lead(line, "synflow") for line in found.values()), f"sd of kept weights: {by_dataset(found, 3)}"


@(peaks := Claims(values.peak, "thousand weights"))("GraSP has the highest peak.", "II-B, Figures 2 and 3")
def grasp_highest(v: Cells) -> tuple[Numbers, str]:
    found = {d: v.by_pruner(d, 0.5) for d in SWEPT}
    margin = least(lead(line, "grasp") for line in found.values())
    return margin, f"thousands of weights in the fullest bin: {by_dataset(found)}"


CLAIMS = tuple(claim for of in (ties, live, layers, density, likeness, widths, peaks) for claim in of.known)
