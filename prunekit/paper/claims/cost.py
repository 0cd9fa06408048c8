"""The paper's claims about seconds and FLOPs: Tables III and IV."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...names import PRUNERS, title
from . import values
from .claim import ALL, LARGE, SMALL, SWEPT, Cells, Claims, Numbers, least, listed, most

TENTH = 10  # percent: seconds closer than this are alike
ALIKE = 10  # million FLOPs: networks closer than this are alike
EXCEPTED = {("snip", 0.05), ("synflow", 0.2)}  # where the paper has no number, and where it calls its own an outlier
timing = Claims(values.seconds, "%", "III")
flops = Claims(values.flops, "million", "IV")


def longer(v: Cells) -> dict[str, Numbers]:
    """How many times as long trials take at c = 0.05 and 0.1 as above, by pruner."""
    return {
        p: np.mean([v("cifar10", c, p) for c in SMALL], axis=0) / np.mean([v("cifar10", c, p) for c in LARGE], axis=0)
        for p in PRUNERS
    }


@timing("CIFAR-10 trials take far longer at c = 0.05 and 0.1 than above (half as long again).", "II-A-c, Table III")
def small_take_longest(v: Cells) -> tuple[Numbers, str]:
    ratios = longer(v)
    return 100 * (least(ratios.values()) - 1.5), f"time at c ≤ 0.1 over that at c ≥ 0.2: {listed(ratios, 2)}"


@timing(
    "There they take nearly three times as long (2.5 times or more), but for SynFlow and SNIP at 0.05.",
    "II-A-c, Table III",
)
def three_times(v: Cells) -> tuple[Numbers, str]:
    high = [v("cifar10", c, p) for c in SMALL for p in PRUNERS if (c, p) not in ((0.05, "synflow"), (0.05, "snip"))]
    ratio = np.mean(high, axis=0) / np.mean([v("cifar10", c, p) for c in LARGE for p in PRUNERS], axis=0)
    return 100 * (ratio - 2.5), f"{ratio[0]:.1f} times as long in the mean"


@timing("At and below c = 0.1 time skyrockets with every pruner (1.5 times that above, at each).", "II-A-c, Table III")
def skyrockets(v: Cells) -> tuple[Numbers, str]:
    above = np.mean([v("cifar10", c, p) for c in LARGE for p in PRUNERS], axis=0)
    ratios = {(c, p): v("cifar10", c, p) / above for c in SMALL for p in PRUNERS}
    (c, p), lowest = min(ratios.items(), key=lambda item: item[1][0])
    return 100 * (least(ratios.values()) - 1.5), f"the least: {lowest[0]:.2f} times ({PRUNERS[p]}, c = {c:g})"


@timing(
    f"From c = 0.2 up, CIFAR-10 trials take about as long whichever the pruner (within {TENTH} %).", "II-A-c, Table III"
)
def alike_above(v: Cells) -> tuple[Numbers, str]:
    found = {}
    for compression in LARGE:
        each = [v("cifar10", compression, p) for p in PRUNERS]
        found[compression] = 100 * (most(each) / least(each) - 1)
    shown = ", ".join(f"c = {c:g} {percent[0]:.1f} %" for c, percent in found.items())
    return TENTH - most(found.values()), f"the longest over the shortest: {shown}"


@timing(
    f"CIFAR-100 trials take as long at every compression, with every pruner (within {TENTH} %).", "II-A-c, Table III"
)
def no_trend_on_hundred(v: Cells) -> tuple[Numbers, str]:
    found = [v("cifar100", c, p) for c in ALL for p in PRUNERS if (p, c) != ("snip", 0.05)]
    apart = 100 * (most(found) / least(found) - 1)
    return TENTH - apart, f"the longest takes {apart[0]:.1f} % longer than the shortest"


@timing(
    "From c = 0.2 up, a CIFAR-100 trial takes 3 to 8 seconds longer than the same on CIFAR-10 (1 % to 3 %).",
    "II-A-c, Table III",
)
def hundred_slower(v: Cells) -> tuple[Numbers, str]:
    percent = [100 * (v("cifar100", c, p) / v("cifar10", c, p) - 1) for c in LARGE for p in PRUNERS]
    margin = least(np.minimum(one - 1, 3 - one) for one in percent)
    return margin, f"trials at c ≥ 0.2 take {least(percent)[0]:+.1f} % to {most(percent)[0]:+.1f} % longer"


@timing("SynFlow and SNIP are the fastest on CIFAR-10.", "II-A-c, Table III")
def fastest(v: Cells) -> tuple[Numbers, str]:
    means = {p: np.mean([v("cifar10", c, p) for c in ALL], axis=0) for p in PRUNERS}
    others = least(seconds for p, seconds in means.items() if p not in ("synflow", "snip"))
    ordered = dict(sorted(means.items(), key=lambda item: item[1][0]))
    return 100 * (others / np.maximum(means["synflow"], means["snip"]) - 1), f"mean seconds a trial: {listed(ordered)}"


def series(v: Cells) -> dict[tuple[str, str], list[Numbers]]:
    """FLOPs by rising compression, but for the two cells of CIFAR-100 that the paper excepts."""
    return {
        (d, p): [v(d, c, p) for c in ALL if d == "cifar10" or (p, c) not in EXCEPTED] for d in SWEPT for p in PRUNERS
    }


@flops("FLOPs fall as compression rises, with every pruner on both datasets.", "II-A-d, Table IV")
def fall(v: Cells) -> tuple[Numbers, str]:
    steps = {key: least(a - b for a, b in pairwise(line)) for key, line in series(v).items()}
    falling = sum(step[0] > 0 for step in steps.values())
    return least(steps.values()), f"they fall at every step for {falling} of {len(steps)} (dataset, pruner)"


@flops("They fall most between c = 1 and c = 2.", "II-A-d, Table IV")
def fall_most_last(v: Cells) -> tuple[Numbers, str]:
    steps = {key: [a - b for a, b in pairwise(line)] for key, line in series(v).items()}
    margins = {key: line[-1] - most(line[:-1]) for key, line in steps.items()}
    ahead = [f"{title('dataset', d)} {PRUNERS[p]}" for (d, p), margin in margins.items() if margin[0] > 0]
    told = f"the last step takes away most for {len(ahead)} of {len(steps)} (dataset, pruner)"
    return least(margins.values()), told + (f": {', '.join(ahead)}" if ahead else "")


def gaps(v: Cells) -> dict[tuple[str, float], Numbers]:
    """CIFAR-10's FLOPs less CIFAR-100's."""
    cells = [(p, c) for c in ALL for p in PRUNERS if (p, c) not in EXCEPTED]
    return {(p, c): v("cifar10", c, p) - v("cifar100", c, p) for p, c in cells}


@flops(f"They hardly differ between the datasets (by less than {ALIKE} million).", "II-A-d, Table IV")
def alike(v: Cells) -> tuple[Numbers, str]:
    found = {key: np.abs(gap) for key, gap in gaps(v).items()}
    (pruner, compression), gap = max(found.items(), key=lambda item: item[1][0])
    shown = f"at most {gap[0]:.1f} million apart ({PRUNERS[pruner]}, c = {compression:g})"
    return ALIKE - most(found.values()), shown


@flops(
    f"But SynFlow's at c = 0.2 do (by {ALIKE} million or more).", "II-A-d, Table IV", note="9.3 is a misprint of 257.3."
)
def one_gap(v: Cells) -> tuple[Numbers, str]:
    ten, hundred = (v(dataset, 0.2, "synflow") for dataset in SWEPT)
    return np.abs(ten - hundred) - ALIKE, f"CIFAR-10 {ten[0]:.1f}, CIFAR-100 {hundred[0]:.1f} million"


@flops("CIFAR-100 leaves fewer FLOPs than CIFAR-10 but for SNIP at c = 0.5, 1 and 2.", "II-A-d, Table IV")
def hundred_cheaper(v: Cells) -> tuple[Numbers, str]:
    found = {key: gap for key, gap in gaps(v).items() if key not in {("snip", c) for c in (0.5, 1.0, 2.0)}}
    dearer = [f"{PRUNERS[p]} {c:g}" for (p, c), gap in found.items() if gap[0] < 0]
    return least(found.values()), f"CIFAR-100 has more at {', '.join(dearer) or 'no other'}"


CLAIMS = (*timing.known, *flops.known)
