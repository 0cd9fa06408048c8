"""What came out, in half a page: each sentence made from the records."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from ..study.results import ANALYSES, Results
from ..study.statistics import difference, half_width
from ..study.trial import Record
from . import formatting
from .table import unless_empty


@unless_empty
def leaders(frame: pd.DataFrame) -> str:
    """Who wins at each compression, by top-1 of the networks that started, paired on seeds."""
    lines = []
    for dataset, rows in frame.groupby("dataset", sort=False):
        told = [_leader(c, rows[rows.compression == c]) for c in dict.fromkeys(rows.compression)]
        lines.append(f"- **{formatting.DATASETS[str(dataset)]}, top-1:** {'; '.join(told)}.")
    note = "Means of the networks that started to learn. The ± is half of the 95 % t interval over seeds of the "
    return "\n".join([*lines, "", f"{note}difference in points, paired on seeds."])


@unless_empty
def stops(frame: pd.DataFrame) -> str:
    """At which compressions networks of a pruner failed to start: their top-1 is that of a constant output."""
    lines = []
    for dataset, rows in frame.dropna(subset="top1").groupby("dataset", sort=False):
        told = []
        for pruner, cells in rows.groupby("pruner", sort=False):
            started = cells.groupby("compression").started.agg(["sum", "size"])
            some = started[started["sum"] < started["size"]]
            each = [f"{n - k} of {n} at c = {c:g}" for c, k, n in some.itertuples(name=None)]
            told += [f"{formatting.PRUNERS[str(pruner)]} {formatting.listed(each)}"] if each else []
        none = "all networks started to learn"
        failed = f"networks that never started to learn: {'; '.join(told)}"
        lines.append(f"- **{formatting.DATASETS[str(dataset)]}:** {failed if told else none}.")
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


def _leader(compression: float, cell: pd.DataFrame) -> str:
    known = cell[cell.started]
    means = known.groupby("pruner", sort=False).top1.mean().astype(float).sort_values(ascending=False)
    if means.empty:
        return f"at c = {compression:g} no pruner's networks started to learn"
    first = str(means.index[0])
    leader = f"at c = {compression:g} {formatting.PRUNERS[first]} has {means.iloc[0]:.1f} %"
    if len(means) == 1:
        return leader
    second = str(means.index[1])
    gaps = difference(known, first, second)
    if gaps.empty:
        return leader
    if not gaps.mean() > half_width(gaps):
        return f"{leader}, not told apart from {formatting.PRUNERS[second]}"
    gap = formatting.estimate(float(gaps.mean()), half_width(gaps))
    return f"{leader}, {gap} ahead of {formatting.PRUNERS[second]}"


def _why(dead: list[Record]) -> str:
    """The layers that kept nothing, from the first that did in most networks."""
    empty = [[layer.name.removesuffix(".weight") for layer in record.layers if not layer.kept] for record in dead]
    named = [name for name, _ in Counter(name for names in empty for name in names).most_common()]
    if not named:
        return "every layer keeps weights, but they do not connect"
    shown = f"{', '.join(sorted(named)[:3])}{' and others' if len(named) > 3 else ''} kept nothing"
    rest = sum(not names for names in empty)
    return shown + (f"; in {rest} all layers keep weights that do not connect" if rest else "")
