"""What came out, in half a page: each sentence made from the records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from ..study.results import ANALYSES, Results, chance
from ..study.trial import Record
from . import audit, formatting
from .statistics import difference, half_width, kendall, trained, trained_threshold
from .table import unless_empty


@unless_empty
def leaders(frame: pd.DataFrame) -> str:
    """Who wins at each compression, by top-1 paired on seeds, and whether datasets rank the pruners alike."""
    lines = []
    for dataset, rows in frame.groupby("dataset", sort=False):
        told = [_leader(str(dataset), c, rows[rows.compression == c]) for c in dict.fromkeys(rows.compression)]
        lines.append(f"- **{formatting.DATASETS[str(dataset)]}, top-1:** {'; '.join(told)}.")
    note = "The ± is half of the 95 % t interval over seeds of the difference in points, paired on seeds."
    return "\n".join([*lines, *(f"- **Rankings:** {line}" for line in _rankings(frame)), "", note])


@unless_empty
def stops(frame: pd.DataFrame) -> str:
    """From which compression on each pruner's networks no longer train: not on every seed."""
    lines = []
    for dataset, rows in frame.groupby("dataset", sort=False):
        by_compression: dict[float, list[str]] = {}
        for pruner, cells in rows.dropna(subset="top1").groupby("pruner", sort=False):
            dead = cells[~trained(str(dataset), cells.top1.astype(float))]
            stop = math.inf if dead.empty else float(dead.compression.min())
            by_compression.setdefault(stop, []).append(formatting.PRUNERS[str(pruner)])
        told = [
            f"{formatting.listed(names)} at " + ("none of these" if stop == math.inf else f"c = {stop:g}")
            for stop, names in sorted(by_compression.items())
        ]
        lines.append(
            f"- **{formatting.DATASETS[str(dataset)]}:** the first compression at which some seed no longer "
            "trains (top-1 "
            f"at most {trained_threshold(str(dataset)):.3g} %{', twice chance' if chance(str(dataset)) < 50 else ''}): "
            f"{', '.join(told)}."
        )
    return "\n".join(lines)


def collapses(results: Results) -> str:
    """Which of the study's networks collapsed, and why: a layer kept nothing, or kept weights that do not connect."""
    within = {one.id for section, trials in results.sections.items() if section not in ANALYSES for one in trials}
    done = [record for id_, record in results.records.items() if id_ in within and record.status == "ok"]
    dead = [record for record in done if record.collapsed]
    if not dead:
        return f"- **Collapse:** none of {len(done)} networks collapsed."
    cells: dict[str, list[Record]] = {}
    for record in dead:
        t = record.trial
        where = f"{formatting.DATASETS[t.dataset]}, {formatting.model(t.model)}"
        cells.setdefault(f"{formatting.PRUNERS[t.pruner]} on {where}, at c = {t.compression:g}", []).append(record)
    told = [f"{name} ({len(found)}; {_why(found)})" for name, found in cells.items()]
    return f"- **Collapse:** {len(dead)} of {len(done)} networks have no path of kept weights: {'; '.join(told)}."


def agreement(numbers: pd.DataFrame, verdicts: pd.Series) -> str:
    """Whether it agrees with the study: how the audit's verdicts on numbers and claims came out."""
    told = []
    numbers = audit.once(numbers)
    for what, found in {"numbers": numbers.verdict, "claims": verdicts}.items():
        tested = found[found != audit.UNTESTED]
        if tested.empty:
            told.append(f"none of its {len(found)} {what} can be tested here")
        else:
            parts = [f"{(tested == v).sum()} {v}" for v in audit.VERDICTS if (tested == v).any()]
            told.append(f"of its {len(found)} {what}, {len(tested)} can be tested here: {', '.join(parts)}")
    why = Counter(numbers.why[numbers.verdict == audit.UNTESTED])
    if why and why.most_common(1)[0][0].startswith("stand-in"):
        told.append("its data are other ones, and unlike is not compared")
    return f"- **The paper:** {'; '.join(told)}."


def _leader(dataset: str, compression: float, cell: pd.DataFrame) -> str:
    known = cell.dropna(subset=["top1"])
    means = known.groupby("pruner", sort=False).top1.mean().astype(float).sort_values(ascending=False)
    if means.empty or not trained(dataset, means).any():
        return f"at c = {compression:g} no pruner's networks train"
    first = str(means.index[0])
    leader = f"at c = {compression:g} {formatting.PRUNERS[first]} has {means.iloc[0]:.1f} %"
    if len(means) == 1:
        return leader
    second = str(means.index[1])
    gaps = difference(known, first, second)
    if gaps.empty:
        return leader
    gap = formatting.estimate(float(gaps.mean()), half_width(gaps))
    apart = gaps.mean() > half_width(gaps)
    return f"{leader}, {gap} ahead of {formatting.PRUNERS[second]}" + (
        "" if apart else ", so the two are not told apart"
    )


def _rankings(frame: pd.DataFrame) -> Iterator[str]:
    """Kendall's tau between each two datasets, at the compressions where two pruners or more train on both."""
    datasets = list(dict.fromkeys(frame.dataset))
    for first, second in combinations(datasets, 2):
        taus = []
        for compression, cell in frame.groupby("compression", sort=False):
            means = cell.groupby(["dataset", "pruner"]).top1.mean().astype(float)
            if not {first, second} <= set(means.dropna().index.get_level_values(0)):
                continue
            ours, theirs = means[first], means[second]
            if min(trained(first, ours).sum(), trained(second, theirs).sum()) >= 2:
                taus.append(f"{kendall(ours, theirs):+.1f} at c = {compression:g}")
        if taus:
            yield (
                f"{formatting.DATASETS[first]} and {formatting.DATASETS[second]} rank the "
                f"{frame.pruner.nunique()} pruners with "
                f"a Kendall's tau of {', '.join(taus)} (1: alike, −1: reversed)."
            )


def _why(dead: list[Record]) -> str:
    """The layers that kept nothing, from the first that did in most networks."""
    empty = [[layer.name.removesuffix(".weight") for layer in record.layers if not layer.kept] for record in dead]
    named = [name for name, _ in Counter(name for names in empty for name in names).most_common()]
    if not named:
        return "every layer keeps weights, but they do not connect"
    shown = f"{', '.join(sorted(named)[:3])}{' and others' if len(named) > 3 else ''} kept nothing"
    rest = sum(not names for names in empty)
    return shown + (f"; in {rest} all layers keep weights that do not connect" if rest else "")
