"""The paper's claims about accuracy: Tables I and II. In percent, top-5 of a hundred classes; margins in points."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ...names import PRUNERS, title
from . import values
from .claim import ALL, SWEPT, Cells, Claims, Numbers, by_dataset, lag, lead, least, listed, most, spread

NEAR, LARGE_DROP = 5, 10  # points
TRAINABLE = ("synflow", "magnitude", "snip")  # at every compression; the other two fall to chance
BOTH = [(c, p) for c in ALL for p in PRUNERS if (c, p) != (0.05, "snip")]  # what the paper has on both CIFARs
comparison = Claims(values.accuracy, "points", "I")
sweep = Claims(values.accuracy, "points", "II")


@comparison("The pruners rank alike on CIFAR-10 and CIFAR-100 at c = 1.", "II-A-a, Table I")
def same_ranking(v: Cells) -> tuple[Numbers, str]:
    first, second = (v.by_pruner(dataset, 1.0) for dataset in SWEPT)
    margins = []
    for one, other in combinations(PRUNERS, 2):
        gaps = first[one] - first[other], second[one] - second[other]
        margins.append(np.minimum(*map(np.abs, gaps)) * np.where(gaps[0] * gaps[1] >= 0, 1, -1))
    return least(margins), by_dataset({"cifar10": first, "cifar100": second})


@comparison(
    f"On both, GraSP and random pruning drop to chance at c = 1 (within {NEAR} points of it).", "II-A-a, Table I"
)
def near_chance(v: Cells) -> tuple[Numbers, str]:
    found = {d: {p: v(d, 1.0, p) for p in ("grasp", "random")} for d in SWEPT}
    highest = {"cifar10": 10 + NEAR, "cifar100": 5 + NEAR}
    return least(highest[d] - most(line.values()) for d, line in found.items()), by_dataset(found)


@comparison(
    "Random pruning does exceptionally well on MNIST (better than the others).",
    "II-A-a, Table I",
    note="Its 99.87 is near our top-5, the others' numbers near our top-1.",
)
def random_first_on_mnist(v: Cells) -> tuple[Numbers, str]:
    found = v.by_pruner("mnist", 1.0, "fc")
    return lead(found, "random"), listed(found, 2)


@comparison("SynFlow is the worst on MNIST.", "II-A-a, Table I", note="Its network is severed, so this is no ranking.")
def synflow_last_on_mnist(v: Cells) -> tuple[Numbers, str]:
    found = v.by_pruner("mnist", 1.0, "fc")
    return lag(found, "synflow"), listed(found, 2)


@comparison(
    "The worst on MNIST is the best on both CIFARs (SynFlow).",
    "II-A-a, Table I",
    note="Partly trivial: on MNIST SynFlow's network is severed.",
)
def synflow_first_then_last(v: Cells) -> tuple[Numbers, str]:
    found = {d: v.by_pruner(d, 1.0) for d in SWEPT} | {"mnist": v.by_pruner("mnist", 1.0, "fc")}
    margins = [lag(line, "synflow") if d == "mnist" else lead(line, "synflow") for d, line in found.items()]
    return least(margins), by_dataset(found)


def table_1(v: Cells) -> dict[tuple[str, str], Numbers]:
    models = {"cifar10": "vgg16", "mnist": "fc", "cifar100": "vgg16"}
    return {(d, p): v(d, 1.0, p, model) for d, model in models.items() for p in PRUNERS}


@comparison("The highest accuracy of Table I is that of magnitude pruning on MNIST.", "II-A-a, Table I")
def highest_of_all(v: Cells) -> tuple[Numbers, str]:
    found = table_1(v)
    highest = sorted(found.items(), key=lambda item: -item[1][0])[:3]
    shown = ", ".join(f"{title('dataset', d)} {PRUNERS[p]} {value[0]:.2f}" for (d, p), value in highest)
    return lead(found, ("mnist", "magnitude")), f"the highest: {shown}"


@comparison(
    "SNIP alone has similar accuracies in the three rows (its highest and lowest lie closest together).",
    "II-A-a, Table I",
    note="It sets top-1 beside top-5.",
)
def snip_alike(v: Cells) -> tuple[Numbers, str]:
    found = table_1(v)
    ranges = {p: spread(value for (_, q), value in found.items() if q == p) for p in PRUNERS}
    return lag(ranges, "snip"), f"points between highest and lowest: {listed(ranges)}"


def drops(v: Cells, datasets: tuple[str, ...] = SWEPT) -> dict[str, dict[str, Numbers]]:
    return {d: {p: v(d, 1.0, p) - v(d, 2.0, p) for p in TRAINABLE} for d in datasets}


@sweep(
    f"SynFlow, magnitude and SNIP lose much from c = 1 to 2, on both datasets (over {LARGE_DROP} points).",
    "II-A-b, Table II",
)
def large_drop(v: Cells) -> tuple[Numbers, str]:
    found = drops(v)
    return least(least(line.values()) for line in found.values()) - LARGE_DROP, f"points lost: {by_dataset(found)}"


@sweep(
    "Of these, SynFlow loses most, on both datasets.",
    "II-A-b, Table II",
    note="Partly trivial: what collapses loses all that it had.",
)
def synflow_drops_most(v: Cells) -> tuple[Numbers, str]:
    found = drops(v)
    return least(lead(line, "synflow") for line in found.values()), f"points lost: {by_dataset(found)}"


@sweep("Of these, SNIP loses least on CIFAR-10.", "II-A-b, Table II")
def snip_drops_least(v: Cells) -> tuple[Numbers, str]:
    found = drops(v, ("cifar10",))["cifar10"]
    return lag(found, "snip"), f"points lost: {listed(found)}"


@sweep(
    "SNIP is the most consistent over compressions on CIFAR-10 (its highest and lowest lie closest together).",
    "II-A-b, Table II",
)
def snip_steadiest(v: Cells) -> tuple[Numbers, str]:
    ranges = {p: spread(v("cifar10", c, p) for c in ALL) for p in PRUNERS}
    return lag(ranges, "snip"), f"points between highest and lowest: {listed(ranges)}"


@sweep("GraSP is the worst overall (in the mean over datasets and compressions).", "II-A-b, Table II")
def grasp_worst(v: Cells) -> tuple[Numbers, str]:
    means = {p: np.mean([v(d, c, p) for d in SWEPT for c, q in BOTH if q == p], axis=0) for p in PRUNERS}
    return lag(means, "grasp"), f"means: {listed(means)}"


@(highest := Claims(values.highest, "points", "II"))(
    "GraSP never exceeds 31 % on CIFAR-10 and 5.02 % on CIFAR-100.", "II-A-b, Table II", seen=True
)
def grasp_never_above(v: Cells) -> tuple[Numbers, str]:
    highest = {d: most(v(d, c, "grasp") for c in ALL) for d in SWEPT}
    shown = ", ".join(f"{title('dataset', d)} {value[0]:.2f}" for d, value in highest.items())
    return np.minimum(31 - highest["cifar10"], 5.025 - highest["cifar100"]), f"the highest runs: {shown}"


@sweep(f"On CIFAR-100, random pruning drops as soon as c = 1 (by over {LARGE_DROP} points).", "II-A-b, Table II")
def random_drops_early(v: Cells) -> tuple[Numbers, str]:
    drop = v("cifar100", 0.5, "random") - v("cifar100", 1.0, "random")
    return drop - LARGE_DROP, f"random pruning loses {drop[0]:.1f} points from c = 0.5 to 1"


def least_lead(v: Cells) -> tuple[Numbers, str]:
    leads = {(c, p): v("cifar10", c, p) - v("cifar100", c, p) for c, p in BOTH}
    (compression, pruner), smallest = min(leads.items(), key=lambda item: item[1][0])
    shown = f"the least lead: {smallest[0]:.1f} points ({PRUNERS[pruner]}, c = {compression:g})"
    return least(leads.values()), shown


@sweep("CIFAR-100 (top-5) never beats CIFAR-10 (top-1) with the same pruner and compression.", "II-A-b, Table II")
def never_beats(v: Cells) -> tuple[Numbers, str]:
    return least_lead(v)


@sweep("CIFAR-10 leads by about 8 points at least (7.5 or more).", "II-A-b, Table II")
def eight_points(v: Cells) -> tuple[Numbers, str]:
    margin, shown = least_lead(v)
    return margin - 7.5, shown


baseline = Claims(values.accuracy, "points")


@baseline(
    "The pruners perform better on CIFAR-10 than on CIFAR-100.",
    "III",
    explained="and so does the network that is not pruned, which the paper did not have",
)
def better_on_ten(v: Cells) -> tuple[Numbers, str]:
    gaps = {p: np.mean([v("cifar10", c, p) - v("cifar100", c, p) for c, q in BOTH if q == p], axis=0) for p in PRUNERS}
    unpruned = v("cifar10", 0.0, "random") - v("cifar100", 0.0, "random")
    shown = f"points ahead in the mean over compressions: {listed(gaps)}; not pruned {unpruned[0]:.1f}"
    return np.minimum(least(gaps.values()), unpruned), shown


CLAIMS = (*comparison.known, *sweep.known[:5], *highest.known, *sweep.known[5:], *baseline.known)  # as in the paper
