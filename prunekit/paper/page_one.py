"""Page one: what a study found, in whole sentences chosen by what its records hold; "" where they hold nothing.

Rows come from `audit`, `variation` and `beyond`, or are a section's frame.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..names import compression, listed, title
from ..study.results import PASSES, Results, chance
from ..study.statistics import CELL, accuracies
from . import audit, beyond, variation
from .findings import inference_elsewhere
from .numbers import printed

_PAPER = (
    "*Network Pruning – Extended* (B. Butler, Princeton University, 2022) is a course project: five ways to choose, "
    "before training, which weights of a network to keep, compared in 193 printed numbers, each from one run. Many small "
    "studies share its design."
)
_MOST = 5  # findings that a reader remembers


def opening(sweep: pd.DataFrame, judged: pd.DataFrame) -> str:
    """What the paper is, and what was run here beside it; from the sweep and `audit.numbers`."""
    return f"{_PAPER} {_ran(sweep, judged)}"


def _ran(sweep: pd.DataFrame, judged: pd.DataFrame) -> str:
    tables = list(dict.fromkeys(judged.table[judged.verdict != audit.NOT_RUN]))
    if "II" in tables:
        seeds, least = sweep.seed.nunique(), sweep.groupby(CELL).seed.nunique().min()
        again = "once" if seeds == 1 else f"with {seeds} seeds" if least == seeds else f"with up to {seeds} seeds"
        return f"We ran its protocol again {again}, an unpruned network beside it."
    if tables:
        return (
            f"What ran here on its own data, networks and budget judges numbers of its {_tables(tables)}. The rest ran "
            "on less, and is judged against nothing: the profile `paper` has it in full."
        )
    if sweep.empty:
        return "No network of its main table was trained here, so nothing of it is judged."
    pruners, models, datasets = (
        listed(known) if len(known) <= 6 else f"{len(known)} {kind}s"
        for kind in ("pruner", "model", "dataset")
        if (known := [title(kind, str(name)) for name in dict.fromkeys(sweep[kind])])
    )
    return (
        f"Here {pruners} prune {models} on {datasets}. That is not what the paper ran, so nothing of it is judged here: "
        "the profile `paper` does that."
    )


def answer(sweep: pd.DataFrame, unpruned: pd.DataFrame, judged: pd.DataFrame) -> str:
    """Whether the paper's main table was right, in numbers; where none of it is judged, who does best here."""
    rows = judged[(judged.table == "II") & (judged.verdict != audit.NOT_RUN)]
    if rows.empty:
        return "\n\n".join(_best(dataset, cells, unpruned) for dataset, cells in sweep.groupby("dataset", sort=False))
    by, verdict = rows.by.value_counts(), rows.verdict.value_counts()
    agree = verdict.get(audit.REPRODUCED, 0) + by.get(audit.READING, 0)
    accounted = agree + by.get(audit.FAILED_START, 0) + by.get(audit.ELSEWHERE, 0)
    hundred = rows[rows.dataset.map(chance) <= 1]
    other = len(hundred) > 0 and hundred.column.eq("top5").all()
    if accounted < 0.9 * len(rows):
        head = f"**Of {len(rows)} accuracies in its main table {len(rows) - accounted} do not come out again.**"
    elif other:
        head = "**Its accuracies come out again, but they are not what they are called.**"
    else:
        head = "**Its accuracies come out again.**"
    told = f"{head} Of {len(rows)} in its main table {agree} agree with our runs" + _others(by, verdict)
    if other:
        told += f" All {len(hundred)} for CIFAR-100 are top-5 accuracies, printed as top-1."
    return told


def _others(by: pd.Series, verdict: pd.Series) -> str:
    """What became of those that do not agree."""
    kinds = {
        f"{by.get(audit.FAILED_START, 0)} match runs that never started": by.get(audit.FAILED_START, 0),
        f"{by.get(audit.ELSEWHERE, 0)} are reproduced by another group's runs, not by ours": by.get(audit.ELSEWHERE, 0),
        f"{verdict.get(audit.UNDECIDED, 0)} are open": verdict.get(audit.UNDECIDED, 0),
        f"{verdict.get(audit.CONTRADICTED, 0)} lies outside our runs": verdict.get(audit.CONTRADICTED, 0) == 1,
        f"{verdict.get(audit.CONTRADICTED, 0)} lie outside our runs": verdict.get(audit.CONTRADICTED, 0) > 1,
    }
    told = [text for text, count in kinds.items() if count]
    return f", {listed(told)}." if told else "."


def _best(dataset: Any, sweep: pd.DataFrame, unpruned: pd.DataFrame) -> str:
    """Which pruner does best on a dataset at the compression nearest to 1, beside the unpruned network."""
    near = float(min(sweep.compression, key=lambda c: abs(c - 1)))
    trials = accuracies(sweep[sweep.compression == near]).query("accuracy == 'top-1' and counts").dropna(subset="value")
    means = (
        trials[trials.started].groupby("pruner", sort=False).value.mean().sort_values(ascending=False, kind="stable")
    )
    where = f"On {title('dataset', dataset)} at compression {compression(near)}"
    if means.empty:
        return f"**{where} no network started to learn.**" if len(trials) else f"**{where} nothing was trained.**"
    verb = "does best" if trials.pruner.nunique() > 1 else "is the only pruner"
    best = f"{title('pruner', means.index[0])} {verb}: {means.iloc[0]:.1f} % are right"
    dense = unpruned[(unpruned.dataset == dataset) & unpruned.started].merge(
        sweep[["model", "width"]].drop_duplicates()
    )
    if len(dense):
        return f"**{where} {best}, {dense.top1.mean():.1f} % with the unpruned network.**"
    return f"**{where} {best}.**"


def findings(study: Results, judged: pd.DataFrame) -> str:
    """What to remember, as a numbered list of at most five; from all of a study's records and `audit.numbers`."""
    kept = beyond.kept(study.frame("labels"))
    trained = pd.concat([study.frame("sweep"), study.frame("unpruned")])
    trained = trained[trained.dataset.isin(study.frame("sweep").dataset)]
    told = [
        pruning_helped(variation.pruned_beside_unpruned(study)),
        never_started(audit.failed_starts(trained), judged),
        one_run(variation.rankings(study), variation.needed(study)),
        flops(judged),
        inference(judged),
        labels(beyond.doubling(kept), kept),
        zeros(beyond.zeros(study.frame("passes"))),
        controls(beyond.controls(study.frame("controls"))),
        steps(beyond.steps(study.frame("steps"))),
    ]
    lines = [f"{number}. {one}" for number, one in enumerate([*filter(None, told)][:_MOST], 1)]
    return "\n".join(["## What to remember\n", *lines]) if lines else ""


def pruning_helped(gains: pd.DataFrame) -> str:
    """Where the best pruned networks are better than the unpruned one; from `variation.pruned_beside_unpruned`."""
    ahead = gains[gains.gain > gains.gain_interval] if len(gains) else gains
    if ahead.empty:
        return ""
    best = ahead.iloc[int(ahead.gain.argmax())]
    unit = "top-5" if chance(best.dataset) <= 1 else "top-1"
    runs = "one run that started" if best.unpruned_runs == 1 else f"{best.unpruned_runs} runs"
    return (
        f"**Pruning can help.** After ten epochs on {title('dataset', best.dataset)} {title('pruner', best.pruner)} with "
        f"a tenth of the weights reaches {best.pruned:.1f} %, the unpruned network {best.unpruned:.1f} % ({unit}, "
        f"{best.gain:+.1f} ± {best.gain_interval:.1f}; {runs}). The paper ran no unpruned network. "
        "[What pruning is worth](#what-pruning-is-worth)"
    )


def never_started(starts: pd.DataFrame, judged: pd.DataFrame) -> str:
    """How many networks stayed at chance though their signal passes; from `audit.failed_starts`."""
    whole = starts[starts.at_init == PASSES]
    failed, runs = whole.failed.sum(), whole.runs.sum()
    if not failed:
        return ""
    likely = int((judged.by == audit.FAILED_START).sum())
    second = f"{likely} printed numbers are most likely such runs." if likely else "They are counted, not averaged."
    return (
        f"**A network may never start to learn.** {failed} of {runs} networks whose signal passes before training stayed at chance to the end, "
        f"pruned or not. {second} [Which start](#which-networks-start)"
    )


def one_run(ranks: dict[str, int], needed: pd.DataFrame) -> str:
    """How little one seed tells; from `variation.rankings` and `variation.needed`."""
    if not ranks["settings"] or needed.empty:
        return ""
    dataset, least = needed.index[0], needed.iloc[0]
    shared = "" if pd.isna(least.paired) else f", or {least.paired:.0f} seeds that both share"
    return (
        f"**One run tells little.** Two seeds name the same best pruner in {ranks['same_winner']} of {ranks['settings']} "
        f"pairs of seeds. To tell one point of accuracy on {title('dataset', str(dataset))} takes {least.apart:.0f} runs "
        f"of each pruner{shared}. [Seeds](#seeds)"
    )


def flops(judged: pd.DataFrame) -> str:
    """Whether the printed FLOPs are right, and what they show; from `audit.numbers`."""
    rows = judged[(judged.table == "IV") & (judged.verdict != audit.NOT_RUN)]
    if rows.empty:
        return ""
    wrong = rows[rows.verdict == audit.CONTRADICTED]
    early = rows[(rows.pruner == "magnitude") & (rows.by == audit.READING)]
    shown = (
        " The FLOPs show that magnitude pruning came before training, not after 100 epochs as the text says."
        if len(early) > len(rows[rows.pruner == "magnitude"]) / 2
        else ""
    )
    if wrong.empty:
        return f"**FLOPs come out again.** So do all {len(rows)} that are judged.{shown} [FLOPs](#flops)"
    worst = wrong.iloc[int((wrong["mean"] / wrong.published - 1).abs().argmax())]
    return (
        f"**FLOPs come out again, but for {len(wrong)} of {len(rows)}.** {title('pruner', worst.pruner)}'s "
        f"{worst.published:g} million on {title('dataset', worst.dataset)} at compression {worst.compression:g} should read {worst['mean']:.1f}.{shown} "
        "[FLOPs](#flops)"
    )


def inference(judged: pd.DataFrame) -> str:
    """What the paper's seconds are of; said where any of its numbers is judged."""
    if (judged.verdict == audit.NOT_RUN).all():
        return ""
    theirs, seconds = inference_elsewhere(), printed("III")["cifar10"]
    return (
        f"**“Inference time” is the time of whole trials.** The paper prints {seconds.min():.0f} to {seconds.max():.0f} s for "
        f"CIFAR-10; with the same code, others measured {theirs.least.min():.1f} to {theirs.most.max():.1f} s for one test. "
        "[Table III](#table-iii-is-of-whole-trials)"
    )


def labels(doubling: pd.DataFrame, kept: pd.DataFrame) -> str:
    """Whether some number of labels is best for pruning; from `beyond.doubling` and `beyond.kept`."""
    known = doubling[doubling.doubling_seeds > 1]
    if known.empty:
        return ""
    peaks, falls = int(known.peak.sum()), int((known.doubling + known.doubling_interval < 0).sum())
    head = (
        "Some numbers of labels are better for pruning than others"
        if peaks
        else "No number of labels is best for pruning"
    )
    return (
        f"**{head}.** Of {len(known)} pairs of pruner and compression {peaks or 'none'} keeps most between "
        f"{kept['count'].min()} and {kept['count'].max()} labels for the same images; in {falls} each doubling of the "
        "labels costs accuracy. [Labels](#labels)"
    )


def zeros(rows: pd.DataFrame) -> str:
    """What a zero is worth in time; from `beyond.zeros`."""
    live = rows[~rows.collapsed.eq(True)] if len(rows) else rows
    timed = live.dropna(subset="compacted_time") if len(live) else live
    if timed.empty:
        return ""
    top = timed[(timed.compression == timed.compression.max()) & (timed.dataset == timed.dataset.iloc[0])]
    best, skipped = top.loc[top.compacted_time.idxmin()], live.dropna(subset="csr_time")
    return (
        f"**Zeros save less time than FLOPs.** At compression {compression(best.compression)} {title('pruner', best.pruner)} "
        f"leaves {best.paper:.1f} % of the FLOPs on paper, and {best.compacted_time:.0f} % of the time once dead channels "
        f"are removed. Skipping each zero is faster than multiplying it in {(skipped.csr_time < 100).sum()} of "
        f"{len(skipped)} networks. [Zeros](#what-a-zero-is-worth)"
    )


def controls(rows: pd.DataFrame) -> str:
    """Whether pruners choose weights or layer sizes; from `beyond.controls`."""
    if rows.empty:
        return ""
    counts = rows.chooses.value_counts()
    chosen, sizes = counts.get(beyond.WEIGHTS, 0), counts.get(beyond.SIZES, 0)
    head = "Whether pruners choose weights or layer sizes, most of these runs do not tell"
    if max(chosen, sizes) > len(rows) / 2:
        head = "Pruners choose weights" if chosen > sizes else "Pruners choose layer sizes"
    return (
        f"**{head}.** Of {len(rows)} pairs of pruner and compression shuffling the mask within its layers costs accuracy in "
        f"{chosen}; in {sizes} the sizes of layers matter most. [Controls](#controls-and-steps)"
    )


def steps(rows: pd.DataFrame) -> str:
    """Whether pruning in steps keeps networks whole; from `beyond.steps`."""
    if rows.empty or not rows.collapsed.any():
        return ""
    once, most = rows[rows.steps == 1], rows[rows.steps == rows.steps.max()]
    return (
        f"**Steps keep networks whole.** In one step {once.collapsed.sum()} of {once.seeds.sum()} collapse, in "
        f"{rows.steps.max()} steps {most.collapsed.sum()} of {most.seeds.sum()}. [Steps](#steps)"
    )


def _tables(names: list[str]) -> str:
    return f"Table {names[0]}" if len(names) == 1 else f"Tables {listed(names)}"
