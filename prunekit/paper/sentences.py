"""What the numbers say: a sentence or two of Markdown a finding, chosen by what its rows hold; "" where they hold none.

Rows come from `findings`, `variation` and `beyond`, or are a section's frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..names import listed, title
from ..study.results import ANALYSES, Results
from ..study.statistics import estimate
from . import beyond


def collapses(results: Results) -> str:
    """Which of the study's networks collapsed, and why: a layer kept nothing, or kept weights that do not connect."""
    within = {one.id for section, trials in results.sections.items() if section not in ANALYSES for one in trials}
    done = [record for id_, record in results.records.items() if id_ in within and record.status == "ok"]
    dead = [record for record in done if record.collapsed]
    if not done:
        return ""
    if not dead:
        return f"None of {len(done)} networks collapsed."
    cells: dict[str, list[list[str]]] = {}
    for record in dead:
        t = record.trial
        cell = f"{title('pruner', t.pruner)} on {title('dataset', t.dataset)}, {title('model', t.model)}, at compression {t.compression:g}"
        empty = [layer.name.removesuffix(".weight") for layer in record.layers if not layer.kept]
        cells.setdefault(cell, []).append(empty)
    told = [f"{cell} ({len(found)}; {_why(found)})" for cell, found in cells.items()]
    return f"{len(dead)} of {len(done)} networks have no path of kept weights: {'; '.join(told)}."


def _why(empty: list[list[str]]) -> str:
    """Name the layers that kept nothing, three of those that did in most networks."""
    named = [name for name, _ in Counter(name for names in empty for name in names).most_common()]
    if not named:
        return "every layer keeps weights, but they do not connect"
    shown = f"{', '.join(sorted(named)[:3])}{' and others' if len(named) > 3 else ''} kept nothing"
    rest = sum(not names for names in empty)
    return shown + (f"; in {rest} all layers keep weights that do not connect" if rest else "")


def labels(answers: pd.DataFrame, kept: pd.DataFrame) -> str:
    """Whether what is kept falls or rises with the number of labels, and whether it peaks in between."""
    answers = answers[answers.doubling_seeds > 1]
    if answers.empty:
        return ""
    falls = answers[answers.doubling + answers.doubling_interval < 0]
    rises = answers[answers.doubling - answers.doubling_interval > 0]
    peaks = answers[answers.peak.astype(bool)]
    best = "; ".join(f"{_cell(one)}: {one.best}" for one in _rows(peaks))
    least, most = (
        f"{one.doubling:.1f} ± {one.doubling_interval:.1f} points ({_cell(one)})"
        for one in _rows(answers.sort_values("doubling").iloc[[0, -1]])
    )
    return (
        f"**Labels.** {'Yes' if len(peaks) else 'No'}: with {kept['count'].min()} to {kept['count'].max()} labels for "
        f"the same images of {title('dataset', kept.dataset.iloc[0])}, a number between the ends at which more is kept "
        f"than at either, by more than the interval over seeds, shows in {len(peaks)} of {len(answers)} pairs of pruner "
        f"and compression{f' ({best})' if best else ''}. As labels double, pruned networks keep less of the unpruned "
        f"one's accuracy in {len(falls)} of these and more in {len(rises)}: from {least} to {most}; in the others the "
        "seeds do not tell. Networks that collapsed are left out: what they lost is no cost of labels."
    )


def _cell(row: Any) -> str:
    return f"{title('pruner', row.pruner)} at compression {row.compression:g}"


_SHUFFLING = {
    beyond.WEIGHTS: "costs accuracy, so it matters which weights are kept",
    beyond.SIZES: "costs less than half of the lead over ERK-random, so layer sizes matter most",
    beyond.WORSE: "gains accuracy, so the choice of weights is worse than a random one",
    beyond.UNTOLD: "makes a difference that the seeds do not tell",
    beyond.UNTRAINED: "changes nothing, for no network trains",
}


def controls(rows: pd.DataFrame, dataset: str) -> str:
    """Which pruners choose weights, and which only how many each layer keeps."""
    told = []
    for compression, cells in rows.groupby("compression", sort=False) if len(rows) else ():
        parts = [
            f"{what} ({listed([title('pruner', one) for one in cells.pruner[cells.chooses == kind]])})"
            for kind, what in _SHUFFLING.items()
            if (cells.chooses == kind).any()
        ]
        told.append(f"shuffling masks within layers at compression {compression:g} {'; '.join(parts)}")
    if not told:
        return ""
    anew = rows[rows.reinitialised_gap.abs() > rows.reinitialised_gap_interval]
    drawn = [
        f"{title('pruner', r.pruner)} (compression {r.compression:g}: {r.reinitialised_gap:+.1f})" for r in _rows(anew)
    ]
    said = (
        f"Weights drawn anew beneath the same mask change accuracy beyond the interval over seeds for {', '.join(drawn)}."
        if drawn
        else "Weights drawn anew beneath the same mask change no accuracy beyond the interval over seeds."
    )
    return f"**Controls.** On {title('dataset', dataset)}, {'; '.join(told)}. {said}"


def steps(rows: pd.DataFrame) -> str:
    """From how many steps of each schedule on no network collapses, and what the most steps cost."""
    if rows.empty:
        return ""
    schedules = list(dict.fromkeys(rows.schedule))
    needed, never, costs = [], [], []
    for (pruner, compression), cells in rows.groupby(["pruner", "compression"], sort=False):
        name = f"{title('pruner', str(pruner))} at compression {compression:g}"
        if cells.collapsed.any():
            needed.append(f"{name}: {' / '.join(str(beyond.enough(cells, one) or '–') for one in schedules)}")
        else:
            never.append(name)
        one, most = cells[cells.steps == 1], cells[cells.steps == cells.steps.max()]
        if len(one) and most.steps.max() > 1 and one.seconds.iloc[0] > 0:
            costs.append(f"{most.seconds.mean() / one.seconds.iloc[0]:.0f}")
    tried, most = listed([f"{count}" for count in sorted(set(rows.steps))]), rows.steps.max()
    told = [f"**Steps.** Networks were pruned in {tried} steps, {rows.seeds.max()} seeds each."]
    if needed:
        how = f"{' / '.join(schedules)}; – where some do with {most}"
        told.append(f"From so many on none collapses ({how}): {'; '.join(needed)}.")
    if never:
        told.append(f"None collapses with {listed(never)}.")
    if costs:
        span = " to ".join(dict.fromkeys((min(costs, key=int), max(costs, key=int))))
        told.append(f"{most} steps of scoring take {span} times as long as one.")
    return " ".join(told)


def zeros(rows: pd.DataFrame) -> str:
    """What the highest compression is worth to each pruner, on paper and measured; and when skipping zeros pays."""
    if rows.empty:
        return ""
    first = rows[rows.dataset == rows.dataset.iloc[0]]
    top = first[first.compression == rows.compression.max()]
    told = [
        f"{title('pruner', one.pruner)} collapsed"
        if one.collapsed
        else f"{title('pruner', one.pruner)} {estimate(one.paper, float('nan'))} on paper, "
        f"{estimate(one.compacted_flops, float('nan'))} compacted, {estimate(one.compacted_time, float('nan'), 0)} of the time"
        for one in _rows(top)
    ]
    live = rows[~rows.collapsed.eq(True) & rows.csr.notna()]
    faster = live[live.csr_time < 100]
    least = f", all at compression {faster.compression.min():g} or above" if len(faster) else ""
    return (
        f"**Zeros.** On {title('dataset', rows.dataset.iloc[0])} at compression {rows.compression.max():g}, in % of the dense "
        f"network's FLOPs and of its pass: {'; '.join(told)}. Skipping each zero (CSR) is faster than multiplying all "
        f"in {len(faster)} of {len(live)} networks that did not collapse{least}."
    )


def chance(found: dict[str, float], numbers: pd.DataFrame) -> str:
    """How many of the judged numbers lie outside, beside how many would by chance; from `audit.by_chance`."""
    if not found["judged"]:
        return "No number of the paper is judged here: this profile has other data, networks or budgets."
    return (
        f"Of {found['judged']} numbers judged by an interval at most {found['expected']:.1f} would lie outside by chance; "
        f"{found['outside']} do, of which {found['stay']} stay after Benjamini and Hochberg's procedure. For "
        f"{(numbers.tried > 1).sum()} numbers more readings than one were tried, {int(numbers.tried.max())} at most."
    )


def gains(rows: pd.DataFrame) -> str:
    """Where pruned networks are better than the unpruned one; from `variation.pruned_beside_unpruned`."""
    lines = []
    ahead = rows[rows.gain > rows.gain_interval] if len(rows) else rows
    for dataset, group in ahead.groupby("dataset", sort=False) if len(ahead) else ():
        told = [
            f"{title('pruner', one.pruner)} {one.pruned:.1f} % ({one.gain:+.1f} ± {one.gain_interval:.1f} points)"
            for one in _rows(group)
        ]
        lines.append(
            f"On {title('dataset', str(dataset))}, after ten epochs, the unpruned network reaches "
            f"{group.unpruned.iloc[0]:.1f} % (of runs that started: {group.unpruned_runs.iloc[0]}), with a tenth of the "
            f"weights {listed(told)}."
        )
    return "\n\n".join(lines)


def rankings(ranks: dict[str, int]) -> str:
    """How often two seeds agree; from `variation.rankings`."""
    if not ranks["settings"]:
        return ""
    return (
        f"Two seeds name the same best pruner in {ranks['same_winner']} of {ranks['settings']} pairs of seeds at compression 1 or less, and "
        f"order {ranks['same_order']} of {ranks['orders']} pairs of pruners alike, where tossed coins would order half "
        "(networks that started, without GraSP)."
    )


def reduced(rows: pd.DataFrame) -> str:
    """Whether a reduced run orders pruners as the full protocol does; from `statistics.orders`."""
    if rows.empty or not rows.pairs.sum():
        return ""
    pairs, alike, told, told_alike = (rows[key].sum() for key in ("pairs", "alike", "told", "told_alike"))
    said = f"Of {pairs} pairs of pruners, at one dataset and compression each, {alike} are ordered here as in the full protocol."
    if not told:
        return f"{said} None of them do the seeds of both tell apart."
    if told_alike == told:
        return f"{said} Of the {told} that the seeds of both tell apart all are: what both tell, they tell alike."
    return (
        f"{said} Of the {told} that the seeds of both tell apart {told_alike} are: a reduced run may order two pruners "
        "with confidence, and otherwise than the full one."
    )


def needed(counts: pd.DataFrame) -> str:
    """How many runs tell two pruners apart; from `variation.needed`."""
    return "\n\n".join(
        f"**{title('dataset', str(dataset))}:** to tell two pruners apart that differ by one point, four times in five, "
        f"takes {one.apart:.0f} runs of each with seeds of their own, or {one.paired:.0f} seeds that both share, as here."
        for dataset, one in counts.iterrows()
    )


def rounding(pairs: pd.DataFrame) -> str:
    """How much the same seed varies with the arithmetic; from `variation.pairs`."""
    some = pairs.query("failed == 0 and pruner != 'grasp'")
    return "\n\n".join(
        f"**{title('dataset', str(dataset))}:** the same seed twice is not the same number: {len(group)} pairs of runs, one of each "
        f"computed in {precision}, differ by {group.difference.mean():+.2f} points in the mean, with a standard deviation "
        f"of {group.difference.std():.1f}."
        for (dataset, precision), group in some.groupby(["dataset", "precision"], sort=False)
        if len(group) > 1
    )


def laboratories(cells: pd.DataFrame, mixed: bool) -> str:
    """How ours and another group's means differ; from `variation.beside_others`. `mixed`: ours ran in bf16-mixed."""
    others = cells[cells.pruner != "grasp"]
    grasp = cells[(cells.pruner == "grasp") & (cells.compression <= 0.5)]
    if len(others) < 2:
        return ""
    said = (
        f"Their means and ours differ by {(others.difference**2).mean() ** 0.5:.1f} points (root mean square of "
        f"{len(others)} cells without GraSP), and theirs less ours is {others.difference.mean():+.1f} in the mean."
    )
    if len(grasp):
        said += (
            f" GraSP's differ: with that seed it reaches {grasp.least.min():.0f} to {grasp.most.max():.0f} % at compression 0.5 or less, "
            f"ours {grasp.ours.min():.0f} to {grasp.ours.max():.0f}."
        )
        if mixed:
            said += " Whether the seed makes it or products in bfloat16 of logits that explode, is open until ours have run in float32."
    return said


def a_hundred_epochs(later: pd.DataFrame) -> str:
    """What others reach after a hundred epochs at compression 0.5 or less; from `numbers.elsewhere`."""
    if later.empty:
        return ""
    grasp, rest = later[later.pruner == "grasp"], later[later.pruner != "grasp"]
    return (
        f"After a hundred epochs GraSP has {grasp.value.min():.0f} to {grasp.value.max():.0f} % at compression 0.5 or less "
        f"({grasp.source.nunique()} groups), the other pruners {rest.value.min():.0f} to {rest.value.max():.0f} % "
        f"({rest.source.nunique()} groups): after so long those are alike. None of this is judged."
    )


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    return frame.itertuples()
