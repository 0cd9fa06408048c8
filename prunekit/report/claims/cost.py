"""The paper's claims about seconds and FLOPs: Tables III and IV."""

from __future__ import annotations

from itertools import pairwise

from ...study.trial import Record
from .. import formatting
from .claim import ALL, LARGE, SMALL, SWEPT, Claim, Values, listed

_TABLE_3, _TABLE_4 = "table3_time", "table4_flops"
_TENTH = 10  # percent: seconds closer than this are alike
_ALIKE = 10  # million FLOPs: networks closer than this are alike
_EXCEPTED = {("snip", 0.05), ("synflow", 0.2)}  # where the paper has no number, and where it calls its own an outlier


def _seconds(record: Record) -> float:
    return record.trial_seconds


def _millions(record: Record) -> float | None:
    return None if record.flops_kept is None else record.flops_kept / 1e6


def _small_take_longest(values: Values) -> tuple[float, str]:
    ratios = {p: values.mean(p, SMALL, ("cifar10",)) / values.mean(p, LARGE, ("cifar10",)) for p in formatting.PRUNERS}
    return 100 * (min(ratios.values()) - 1.5), f"time at c ≤ 0.1 over that at c ≥ 0.2: {listed(ratios, 2)}"


def _no_trend_on_hundred(values: Values) -> tuple[float, str]:
    found = [values.at("cifar100", c, p) for c in ALL for p in formatting.PRUNERS if (p, c) != ("snip", 0.05)]
    apart = 100 * (max(found) / min(found) - 1)
    return _TENTH - apart, f"the longest takes {apart:.1f} % longer than the shortest"


def _alike_above(values: Values) -> tuple[float, str]:
    longer = {}
    for compression in LARGE:
        found = values.by_pruner("cifar10", compression).values()
        longer[compression] = 100 * (max(found) / min(found) - 1)
    shown = ", ".join(f"c = {c:g} {percent:.1f} %" for c, percent in longer.items())
    return _TENTH - max(longer.values()), f"the longest over the shortest: {shown}"


def _hundred_slower(values: Values) -> tuple[float, str]:
    pairs = [(values.at("cifar100", c, p), values.at("cifar10", c, p)) for c in LARGE for p in formatting.PRUNERS]
    longer = [100 * (hundred / ten - 1) for hundred, ten in pairs]
    margin = min(min(percent - 1, 3 - percent) for percent in longer)
    return margin, f"trials at c ≥ 0.2 take {min(longer):+.1f} % to {max(longer):+.1f} % longer"


def _fastest(values: Values) -> tuple[float, str]:
    means = {p: values.mean(p, ALL, ("cifar10",)) for p in formatting.PRUNERS}
    slower_first = max(means["synflow"], means["snip"])
    others = min(seconds for p, seconds in means.items() if p not in ("synflow", "snip"))
    ordered = dict(sorted(means.items(), key=lambda item: item[1]))
    return 100 * (others / slower_first - 1), f"mean seconds a trial: {listed(ordered)}"


def _series(values: Values) -> dict[tuple[str, str], list[float]]:
    """FLOPs by rising compression, but for the two cells of CIFAR-100 that the paper excepts."""
    return {
        (d, p): [values.at(d, c, p) for c in ALL if d == "cifar10" or (p, c) not in _EXCEPTED]
        for d in SWEPT
        for p in formatting.PRUNERS
    }


def _fall(values: Values) -> tuple[float, str]:
    steps = {key: min(a - b for a, b in pairwise(line)) for key, line in _series(values).items()}
    falling = sum(step > 0 for step in steps.values())
    return min(steps.values()), f"they fall at every step for {falling} of {len(steps)} (dataset, pruner)"


def _fall_most_last(values: Values) -> tuple[float, str]:
    steps = {key: [a - b for a, b in pairwise(line)] for key, line in _series(values).items()}
    margins = {key: line[-1] - max(line[:-1]) for key, line in steps.items()}
    most = [f"{values.name(d)} {formatting.PRUNERS[p]}" for (d, p), margin in margins.items() if margin > 0]
    return min(margins.values()), (
        f"the last step takes away most for {len(most)} of {len(steps)} (dataset, pruner): {', '.join(most) or 'none'}"
    )


def _gaps(values: Values) -> dict[tuple[str, float], float]:
    """CIFAR-10's FLOPs less CIFAR-100's."""
    cells = [(p, c) for c in ALL for p in formatting.PRUNERS if (p, c) not in _EXCEPTED]
    return {(p, c): values.at("cifar10", c, p) - values.at("cifar100", c, p) for p, c in cells}


def _alike(values: Values) -> tuple[float, str]:
    (pruner, compression), gap = max(_gaps(values).items(), key=lambda item: abs(item[1]))
    return _ALIKE - abs(
        gap
    ), f"at most {abs(gap):.1f} million apart ({formatting.PRUNERS[pruner]}, c = {compression:g})"


def _one_gap(values: Values) -> tuple[float, str]:
    ten, hundred = (values.at(dataset, 0.2, "synflow") for dataset in SWEPT)
    shown = f"{values.name('cifar10')} {ten:.1f}, {values.name('cifar100')} {hundred:.1f} million"
    return abs(ten - hundred) - _ALIKE, shown


def _hundred_cheaper(values: Values) -> tuple[float, str]:
    gaps = {(p, c): gap for (p, c), gap in _gaps(values).items() if (p, c) not in {("snip", c) for c in (0.5, 1, 2)}}
    dearer = [f"{formatting.PRUNERS[p]} {c:g}" for (p, c), gap in gaps.items() if gap < 0]
    return min(gaps.values()), f"CIFAR-100 has more at {', '.join(dearer) or 'no other'}"


CLAIMS = (
    Claim(
        "CIFAR-10 trials take far longer at c = 0.05 and 0.1 than above (half as long again).",
        "II-A-c, Table III",
        "timing",
        _seconds,
        _small_take_longest,
        "%",
        timed=True,
        printed=_TABLE_3,
        datasets=("cifar10",),
    ),
    Claim(
        f"From c = 0.2 up, CIFAR-10 trials take about as long whichever the pruner (within {_TENTH} %).",
        "II-A-c, Table III",
        "timing",
        _seconds,
        _alike_above,
        "%",
        timed=True,
        printed=_TABLE_3,
        datasets=("cifar10",),
    ),
    Claim(
        f"CIFAR-100 trials take as long at every compression, with every pruner (within {_TENTH} %).",
        "II-A-c, Table III",
        "timing",
        _seconds,
        _no_trend_on_hundred,
        "%",
        timed=True,
        printed=_TABLE_3,
        datasets=("cifar100",),
    ),
    Claim(
        "From c = 0.2 up, a CIFAR-100 trial takes 3 to 8 seconds longer than the same on CIFAR-10 (1 % to 3 %).",
        "II-A-c, Table III",
        "timing",
        _seconds,
        _hundred_slower,
        "%",
        timed=True,
        printed=_TABLE_3,
    ),
    Claim(
        "SynFlow and SNIP are the fastest on CIFAR-10.",
        "II-A-c, Table III",
        "timing",
        _seconds,
        _fastest,
        "%",
        timed=True,
        printed=_TABLE_3,
        datasets=("cifar10",),
    ),
    Claim(
        "FLOPs fall as compression rises, with every pruner on both datasets.",
        "II-A-d, Table IV",
        "flops",
        _millions,
        _fall,
        "million",
        trained=False,
        printed=_TABLE_4,
    ),
    Claim(
        "They fall most between c = 1 and c = 2.",
        "II-A-d, Table IV",
        "flops",
        _millions,
        _fall_most_last,
        "million",
        trained=False,
        printed=_TABLE_4,
    ),
    Claim(
        f"They hardly differ between the datasets (by less than {_ALIKE} million).",
        "II-A-d, Table IV",
        "flops",
        _millions,
        _alike,
        "million",
        trained=False,
        printed=_TABLE_4,
    ),
    Claim(
        f"But SynFlow's at c = 0.2 do (by {_ALIKE} million or more).",
        "II-A-d, Table IV",
        "flops",
        _millions,
        _one_gap,
        "million",
        trained=False,
        printed=_TABLE_4,
    ),
    Claim(
        "CIFAR-100 leaves fewer FLOPs than CIFAR-10 but for SNIP at c = 0.5, 1 and 2.",
        "II-A-d, Table IV",
        "flops",
        _millions,
        _hundred_cheaper,
        "million",
        trained=False,
        printed=_TABLE_4,
    ),
)
