"""What a claim is, and how our runs judge it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...names import PRUNERS, title
from ...study.statistics import CELL
from .. import rule
from ..numbers import printed
from ..verdict import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED
from . import values

SWEPT = ("cifar10", "cifar100")
SMALL, LARGE = (0.05, 0.1), (0.2, 0.5, 1.0, 2.0)
ALL = (*SMALL, *LARGE)
DRAWS = 2000
Numbers = np.ndarray  # the number first, then as it would be in DRAWS repetitions
Check = Callable[["Cells"], tuple[Numbers, str]]  # the margin by which a claim holds, and the numbers that decide it


class MissingCellError(Exception):
    """A check asked for a cell that is not there; the message names it."""


class Cells:
    """One number a cell of the paper: what it printed, or the mean of our runs with its uncertainty."""

    def __init__(self, numbers: Mapping[Any, Numbers]):
        self._numbers = numbers
        self.asked: set[Any] = set()

    def __call__(self, dataset: str, compression: float, pruner: str, model: str = "vgg16") -> Numbers:
        """Return the number of a cell; raises MissingCellError where there is none."""
        self.asked.add((dataset, model, compression, pruner))
        found = self._numbers.get((dataset, model, compression, pruner))
        if found is None or math.isnan(found[0]):
            raise MissingCellError(f"{title('dataset', dataset)}, {title('pruner', pruner)}, c = {compression:g}")
        return found

    def by_pruner(self, dataset: str, compression: float, model: str = "vgg16") -> dict[str, Numbers]:
        """Return the numbers of all pruners, the highest first."""
        found = {pruner: self(dataset, compression, pruner, model) for pruner in PRUNERS}
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, in our words, where it stands, and its check on one kind of number a cell.

    The check's margin, in `unit`, is positive where the claim holds. `of` gives our runs, see `values`; `printed` names
    the paper's own table of such numbers; `explained` is the reason for which the claim holds, where the paper does not
    give it; `note` is what else its reader should know. `seen`: one run that fails it decides, however others vary.
    """

    text: str
    where: str
    of: values.Of
    check: Check
    unit: str
    printed: str = ""
    explained: str = ""
    note: str = ""
    seen: bool = False


@dataclass
class Claims:
    """The claims about one kind of number, in the paper's order."""

    of: values.Of
    unit: str
    printed: str = ""
    known: list[Claim] = field(default_factory=list)

    def __call__(self, text: str, where: str, **more: Any) -> Callable[[Check], Check]:
        """Make a check the claim that `text` says; `more` are fields of `Claim`."""

        def claimed(check: Check) -> Check:
            about: dict[str, Any] = {"of": self.of, "unit": self.unit, "printed": self.printed} | more
            self.known.append(Claim(text=text, where=where, check=check, **about))
            return check

        return claimed


@dataclass(frozen=True)
class Ours:
    """Our runs as cells; `reason`: why there are none; `lost`: cells of which some runs, not all, failed to start."""

    cells: Mapping[Any, Numbers]
    reason: str = ""
    lost: frozenset[Any] = frozenset()


def judge(claim: Claim, ours: Ours) -> dict[str, str]:
    """Return what becomes of a claim: verdict, evidence, and whether the paper's own numbers bear it out.

    `ours`: `drawn` of the runs that `claim.of` gives. The claim is reproduced (or explained) where the 95 % interval of
    its margin lies above zero, contradicted where below, else undecided.
    """
    cells = Cells(ours.cells)
    try:
        margin, shown = claim.check(cells)
    except MissingCellError as missing:
        lacking = ours.reason or f"no run of {missing}"
        return {"verdict": NOT_RUN, "evidence": f"{lacking[0].upper()}{lacking[1:]}.", "own": _own(claim)}
    low, high = (float(margin[0]),) * 2 if claim.seen else _interval(margin)
    verdict = UNDECIDED
    if low > 0:
        verdict = EXPLAINED if claim.explained else REPRODUCED
    elif high < 0:
        verdict = CONTRADICTED
    between = f" ({low:+.3g} to {high:+.3g})" if math.isfinite(low) else ", from one run"
    between = "" if claim.seen else between
    why = [claim.explained] if verdict == EXPLAINED else []
    evidence = "; ".join([*why, f"margin {margin[0]:+.3g} {claim.unit}{between}", shown])
    evidence += "; given a start" if ours.lost & cells.asked else ""
    note = f" {claim.note}" if claim.note else ""
    return {"verdict": verdict, "evidence": f"{evidence[0].upper()}{evidence[1:]}.{note}", "own": _own(claim)}


def _interval(margin: Numbers) -> tuple[float, float]:
    """Return the 95 % interval of a margin from its repetitions: the percentiles' and the pivotal one together.

    The least of several noisy numbers lies lower in repetitions than it does; where the two intervals part because of
    that, neither alone is to be trusted. Infinite where repetitions are not known.
    """
    if np.isnan(margin).any():
        return -math.inf, math.inf
    low, high = (float(end) for end in np.quantile(margin[1:], [0.025, 0.975]))
    return min(low, 2 * margin[0] - high), max(high, 2 * margin[0] - low)


def drawn(runs: pd.DataFrame) -> Ours:
    """Return the mean of each cell of `runs` (see `values`), and what it would be in DRAWS repetitions.

    A mean varies as Student's t around ours, with the pooled spread over the root of the runs; cells of a dataset share
    their seeds, and so vary together as far as their runs do. What never started is at chance, and would be again.
    Where no spread is known repetitions are NaN.
    """
    like = runs[runs.unlike == ""].dropna(subset="value")
    if like.empty:
        return Ours({}, next(iter(runs.unlike), ""))
    started = like[like.started]
    spreads = rule.pooled(started[["pool", "cell", "cluster", "value"]])
    random, r = np.random.default_rng(0), _correlation(started)
    chi = {pool: np.sqrt(random.chisquare(one.effective, DRAWS) / one.effective) for pool, one in spreads.iterrows()}
    seeds = {dataset: random.standard_normal(DRAWS) for dataset in like.dataset.unique()}
    found, lost = {}, set()
    for key, rows in like.groupby(CELL, sort=False):
        some = rows[rows.started]
        draws = np.zeros(DRAWS)
        if len(some):
            pool, apart = some.pool.iloc[0], some.cluster.iloc[0] == ""
            share = 0.0 if apart else r
            own = math.sqrt(share) * seeds[rows.dataset.iloc[0]] + math.sqrt(1 - share) * random.standard_normal(DRAWS)
            draws = spreads.s.get(pool, math.nan) / math.sqrt(len(some)) * own / chi.get(pool, 1.0)
            lost |= {key} if len(some) < len(rows) else set()
        found[key] = (some if len(some) else rows).value.mean() + np.concatenate([[0.0], draws])
    return Ours(found, lost=frozenset(lost))


def _correlation(started: pd.DataFrame) -> float:
    """How far runs of one dataset and seed vary together, whatever their pruner and compression."""
    cells = started.groupby("cell").value
    gaps = (started.value - cells.transform("mean")) / cells.transform("std")
    known = gaps.notna() & (cells.transform("std") > 1e-9) & (started.cluster != "")
    return rule.intraclass(gaps[known], started.dataset[known] + started.seed[known].astype(str))


def lead(found: Mapping[Any, Numbers], first: Any) -> Numbers:
    """Return by how much `first` exceeds the highest of the others."""
    return found[first] - most(value for name, value in found.items() if name != first)


def lag(found: Mapping[Any, Numbers], last: Any) -> Numbers:
    """Return by how much `last` falls short of the lowest of the others."""
    return least(value for name, value in found.items() if name != last) - found[last]


def least(found: Iterable[Numbers]) -> Numbers:
    """Return the least of several numbers, repetition by repetition."""
    return np.min(list(found), axis=0)


def most(found: Iterable[Numbers]) -> Numbers:
    """Return the greatest of several numbers, repetition by repetition."""
    return np.max(list(found), axis=0)


def spread(found: Iterable[Numbers]) -> Numbers:
    """Return how far the greatest lies from the least."""
    each = list(found)
    return most(each) - least(each)


def listed(found: Mapping[str, Numbers], digits: int = 1) -> str:
    """SynFlow 81.4, SNIP 77.0"""
    return ", ".join(f"{title('pruner', pruner)} {value[0]:.{digits}f}" for pruner, value in found.items())


def by_dataset(found: Mapping[str, Mapping[str, Numbers]], digits: int = 1) -> str:
    """CIFAR-10 SynFlow 81.4, SNIP 77.0; CIFAR-100 ..."""
    return "; ".join(f"{title('dataset', dataset)} {listed(line, digits)}" for dataset, line in found.items())


def _own(claim: Claim) -> str:
    """Whether the paper's own numbers bear a claim out."""
    if not claim.printed:
        return "–"
    numbers = {key: np.array([value]) for key, value in printed(claim.printed).items()}
    try:
        margin, evidence = claim.check(Cells(numbers))
    except MissingCellError as missing:
        return f"n/a ({missing})"
    return "yes" if margin[0] >= 0 else f"no: {evidence}"
