"""The paper's claims about accuracy: Tables I and II. Ours are in percent, margins in points."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

from ...study.trial import Record
from .. import formatting
from .claim import ALL, SWEPT, TRAINABLE, Claim, Values, by_dataset, lag, lead, listed

_TABLE_1, _TABLE_2 = "table1_accuracy_by_dataset", "table2_accuracy_by_compression"
_HUNDRED, _NEAR, _LARGE_DROP = ("cifar100", "digit-pairs"), 5, 10  # datasets of a hundred classes; points
_RUN = [
    (c, p) for c in ALL for p in formatting.PRUNERS if (c, p) != (0.05, "snip")
]  # what the paper has on both CIFARs


def _top1(record: Record) -> float | None:
    return record.top1


def _as_printed(record: Record) -> float | None:
    """What the paper prints: top-5 for a hundred classes, as its text says at one place, and as its numbers are."""
    return record.top5 if record.trial.dataset in _HUNDRED else record.top1


def _same_ranking(values: Values) -> tuple[float, str]:
    first, second = (values.by_pruner(dataset, 1.0) for dataset in SWEPT)
    margins = []
    for one, other in combinations(formatting.PRUNERS, 2):
        gaps = (first[one] - first[other], second[one] - second[other])
        margins.append(min(map(abs, gaps)) * (1 if gaps[0] * gaps[1] >= 0 else -1))
    return min(margins), by_dataset(values, {"cifar10": first, "cifar100": second})


def _near_chance(values: Values) -> tuple[float, str]:
    found = {d: {p: values.at(d, 1.0, p) for p in ("grasp", "random")} for d in SWEPT}
    highest = {"cifar10": 10 + _NEAR, "cifar100": 5 + _NEAR}
    return min(highest[d] - max(line.values()) for d, line in found.items()), by_dataset(values, found)


def _random_first_on_mnist(values: Values) -> tuple[float, str]:
    found = values.by_pruner("mnist", 1.0, "fc")
    return lead(found, "random"), listed(found, 2)


def _synflow_first_then_last(values: Values) -> tuple[float, str]:
    found = {d: values.by_pruner(d, 1.0) for d in SWEPT} | {"mnist": values.by_pruner("mnist", 1.0, "fc")}
    margins = [lag(line, "synflow") if d == "mnist" else lead(line, "synflow") for d, line in found.items()]
    return min(margins), by_dataset(values, found)


def _synflow_last_on_mnist(values: Values) -> tuple[float, str]:
    found = values.by_pruner("mnist", 1.0, "fc")
    return lag(found, "synflow"), listed(found, 2)


def _rows(values: Values) -> dict[tuple[str, str], float]:
    models = {"cifar10": "vgg16", "mnist": "fc", "cifar100": "vgg16"}
    return {(d, p): values.at(d, 1.0, p, model) for d, model in models.items() for p in formatting.PRUNERS}


def _highest_of_all(values: Values) -> tuple[float, str]:
    found = _rows(values)
    highest = sorted(found.items(), key=lambda item: -item[1])[:3]
    shown = ", ".join(f"{values.name(d)} {formatting.PRUNERS[p]} {value:.2f}" for (d, p), value in highest)
    return lead(found, ("mnist", "magnitude")), f"the highest: {shown}"


def _snip_alike(values: Values) -> tuple[float, str]:
    found = _rows(values)
    ranges = {p: _range([v for (_, q), v in found.items() if q == p]) for p in formatting.PRUNERS}
    return lag(ranges, "snip"), f"points between highest and lowest: {listed(ranges)}"


def _drops(values: Values, pruners: tuple[str, ...] = TRAINABLE) -> dict[str, dict[str, float]]:
    return {d: {p: values.at(d, 1.0, p) - values.at(d, 2.0, p) for p in pruners} for d in SWEPT}


def _large_drop(values: Values) -> tuple[float, str]:
    drops = _drops(values)
    least = min(min(line.values()) for line in drops.values())
    return least - _LARGE_DROP, f"points lost: {by_dataset(values, drops)}"


def _synflow_drops_most(values: Values) -> tuple[float, str]:
    drops = _drops(values)
    return min(lead(line, "synflow") for line in drops.values()), f"points lost: {by_dataset(values, drops)}"


def _snip_drops_least(values: Values) -> tuple[float, str]:
    drops = {p: values.at("cifar10", 1.0, p) - values.at("cifar10", 2.0, p) for p in TRAINABLE}
    return lag(drops, "snip"), f"points lost: {listed(drops)}"


def _snip_steadiest(values: Values) -> tuple[float, str]:
    ranges = {p: _range([values.at("cifar10", c, p) for c in ALL]) for p in formatting.PRUNERS}
    return lag(ranges, "snip"), f"points between highest and lowest: {listed(ranges)}"


def _grasp_worst(values: Values) -> tuple[float, str]:
    means = {p: fmean(values.at(d, c, p) for d in SWEPT for c, q in _RUN if q == p) for p in formatting.PRUNERS}
    lowest = [
        (d, c)
        for d in SWEPT
        for c in ALL
        if values.at(d, c, "grasp") <= min(values.at(d, c, p) for p in formatting.PRUNERS if (c, p) in _RUN)
    ]
    return lag(means, "grasp"), f"means: {listed(means)}; lowest at {len(lowest)} of 12 (dataset, compression)"


def _grasp_never_above(values: Values) -> tuple[float, str]:
    highest = {d: max(values.at(d, c, "grasp") for c in ALL) for d in SWEPT}
    shown = ", ".join(f"{values.name(d)} {value:.2f}" for d, value in highest.items())
    return min(31 - highest["cifar10"], 5.02 - highest["cifar100"]), f"the highest: {shown}"


def _random_drops_early(values: Values) -> tuple[float, str]:
    drop = values.at("cifar100", 0.5, "random") - values.at("cifar100", 1.0, "random")
    return drop - _LARGE_DROP, f"random pruning loses {drop:.1f} points from c = 0.5 to 1"


def _leads(values: Values) -> dict[tuple[float, str], float]:
    return {(c, p): values.at("cifar10", c, p) - values.at("cifar100", c, p) for c, p in _RUN}


def _least_lead(values: Values) -> tuple[float, str]:
    (compression, pruner), least = min(_leads(values).items(), key=lambda item: item[1])
    return least, f"the least lead: {least:.1f} points ({formatting.PRUNERS[pruner]}, c = {compression:g})"


def _eight_points(values: Values) -> tuple[float, str]:
    least, shown = _least_lead(values)
    return least - 7.5, shown


def _range(found: list[float]) -> float:
    return max(found) - min(found)


_ROWS = ("cifar10", "mnist", "cifar100")
_POINTS = "points"
CLAIMS = (
    Claim(
        "The pruners rank alike on CIFAR-10 and CIFAR-100 at c = 1.",
        "II-A-a, Table I",
        "comparison",
        _as_printed,
        _same_ranking,
        _POINTS,
        printed=_TABLE_1,
    ),
    Claim(
        f"On both, GraSP and random pruning drop to chance at c = 1 (within {_NEAR} points of it).",
        "II-A-a, Table I",
        "comparison",
        _as_printed,
        _near_chance,
        _POINTS,
        printed=_TABLE_1,
    ),
    Claim(
        "Random pruning does exceptionally well on MNIST (better than the others).",
        "II-A-a, Table I",
        "comparison",
        _top1,
        _random_first_on_mnist,
        _POINTS,
        pretrained=True,
        printed=_TABLE_1,
        datasets=("mnist",),
    ),
    Claim(
        "SynFlow is the worst on MNIST.",
        "II-A-a, Table I",
        "comparison",
        _top1,
        _synflow_last_on_mnist,
        _POINTS,
        pretrained=True,
        printed=_TABLE_1,
        datasets=("mnist",),
    ),
    Claim(
        "The worst on MNIST is the best on both CIFARs (SynFlow).",
        "II-A-a, Table I",
        "comparison",
        _as_printed,
        _synflow_first_then_last,
        _POINTS,
        pretrained=True,
        printed=_TABLE_1,
        datasets=_ROWS,
    ),
    Claim(
        "The highest accuracy of Table I is that of magnitude pruning on MNIST.",
        "II-A-a, Table I",
        "comparison",
        _as_printed,
        _highest_of_all,
        _POINTS,
        pretrained=True,
        printed=_TABLE_1,
        datasets=_ROWS,
    ),
    Claim(
        "SNIP alone has similar accuracies in the three rows (its highest and lowest lie closest together).",
        "II-A-a, Table I",
        "comparison",
        _as_printed,
        _snip_alike,
        _POINTS,
        pretrained=True,
        printed=_TABLE_1,
        datasets=_ROWS,
    ),
    Claim(
        f"SynFlow, magnitude and SNIP lose much from c = 1 to 2, on both datasets (over {_LARGE_DROP} points).",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _large_drop,
        _POINTS,
        printed=_TABLE_2,
    ),
    Claim(
        "Of these, SynFlow loses most, on both datasets.",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _synflow_drops_most,
        _POINTS,
        printed=_TABLE_2,
    ),
    Claim(
        "Of these, SNIP loses least on CIFAR-10.",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _snip_drops_least,
        _POINTS,
        printed=_TABLE_2,
        datasets=("cifar10",),
    ),
    Claim(
        "SNIP is the most consistent over compressions on CIFAR-10 (its highest and lowest lie closest together).",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _snip_steadiest,
        _POINTS,
        printed=_TABLE_2,
        datasets=("cifar10",),
    ),
    Claim(
        "GraSP is the worst overall (in the mean over datasets and compressions).",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _grasp_worst,
        _POINTS,
        printed=_TABLE_2,
    ),
    Claim(
        "GraSP never exceeds 31 % on CIFAR-10 and 5.02 % on CIFAR-100.",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _grasp_never_above,
        _POINTS,
        printed=_TABLE_2,
    ),
    Claim(
        f"On CIFAR-100, random pruning drops as soon as c = 1 (by over {_LARGE_DROP} points).",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _random_drops_early,
        _POINTS,
        printed=_TABLE_2,
        datasets=("cifar100",),
    ),
    Claim(
        "CIFAR-100 (top-5) never beats CIFAR-10 (top-1) with the same pruner and compression.",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _least_lead,
        _POINTS,
        printed=_TABLE_2,
    ),
    Claim(
        "CIFAR-10 leads by about 8 points at least (7.5 or more).",
        "II-A-b, Table II",
        "sweep",
        _as_printed,
        _eight_points,
        _POINTS,
        printed=_TABLE_2,
    ),
)
