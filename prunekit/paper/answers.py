"""What the paper's numbers turn out to be, in a sentence or two each, chosen by what the rows of `findings` hold.

"" where they hold nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..names import title
from . import findings, numbers
from .verdict import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED


def one_shot(rows: pd.DataFrame) -> str:
    """Is Table IV of pruning in one step?"""
    if rows.empty:
        return ""
    steps, top = rows.steps.max(), rows[rows.compression == rows.compression.max()]
    apart = rows[rows.apart & rows.published.notna()]
    said = (
        f"At the highest compression {top.one_collapsed.sum()} of {top.one_runs.sum()} networks pruned in one step "
        f"collapsed, and {top.many_collapsed.sum()} of {top.many_runs.sum()} in {steps} steps."
    )
    if apart.empty:
        return said
    return (
        f"Of the {len(apart)} printed cells where one step and {steps} differ by more than their intervals, "
        f"{apart.nearer.sum()} lie nearer to one. {said}"
    )


def magnitude(rows: pd.DataFrame) -> str:
    """Was magnitude pruning done before training?"""
    if rows.empty:
        return "No run here of VGG16 on the CIFARs, whose FLOPs would tell."
    close = (abs(rows.ours / rows.published - 1) <= 0.01).sum()
    more = (rows.pretrained - rows.untrained).abs().max()
    return (
        f"The published FLOPs lie within 1 % of ours at initialisation in {close} of {len(rows)} cells. Those of others "
        f"who ran the same code without training first lie within "
        f"{100 * abs(rows.untrained / rows.published - 1).max():.1f} %; those who trained first have up to {more:.0f} "
        "million more or fewer."
    )


def tied_zeros(rows: pd.DataFrame) -> str:
    """What stopped SNIP?"""
    runs = numbers.others()
    quits = runs[runs.doubt.str.startswith("quit") & (runs.quantity == "top1")]
    told = [
        f"On CIFAR-10 {len(quits)} runs of {quits.source.nunique()} other groups quit at c = 0.05, so on their GPUs, too, "
        "more scores were exactly zero than weights were to go; the paper has a number there."
    ]
    for one in _rows(rows):
        told.append(
            f"On {one.machine}, {one.zero:.1f} % of SNIP's scores on {title('dataset', one.dataset)} are exactly zero, "
            f"{'more' if one.zero > one.removed else 'fewer'} than the {one.removed:.1f} % of the weights that go at "
            f"c = {one.compression:g}; so in {one.more} of {one.runs} seeds a threshold that removes every tie removes "
            "too many."
        )
    return "\n\n".join(told)


def top5(judged: pd.DataFrame) -> str:
    """Is the top-1 of CIFAR-100 top-5? From `audit.numbers`."""
    rows = judged[(judged.table == "II") & (judged.dataset == "cifar100") & (judged.verdict != NOT_RUN)]
    if rows.empty:
        return "No run here of CIFAR-100 and VGG16 by the paper's protocol."
    agree = rows.verdict.isin([REPRODUCED, EXPLAINED]).sum()
    return (
        f"Of {len(rows)} numbers for CIFAR-100 in Table II {(rows.labelled == CONTRADICTED).sum()} are contradicted as "
        f"top-1, and {(rows.labelled == UNDECIDED).sum()} more are open. Read as top-5, {agree} agree or are failed starts."
    )


def whole_trials() -> str:
    """Were whole trials timed? What one test took others."""
    elsewhere, seconds = findings.inference_elsewhere(), numbers.printed("III")["cifar10"]
    return (
        f"One test of CIFAR-10 took others {elsewhere.least.min():.1f} to {elsewhere.most.max():.1f} s "
        f"({elsewhere.runs.sum()} runs of {len(elsewhere)} groups) with the same code; the paper prints "
        f"{seconds.min():.0f} to {seconds.max():.0f} s."
    )


def densities(rows: pd.DataFrame) -> str:
    """Is Table V of layers?"""
    if rows.empty:
        return ""
    said = f"Single layers keep from {rows.least.min():.1f} % to {rows.most.max():.1f} % of their weights."
    known = rows.dropna(subset="published")
    exact = (abs(known.published - known.parameters) < 0.005).sum()
    if known.empty:
        return said
    return f"It is the density of all parameters, biases included, in {exact} of {len(known)} cells. {said}"


def signals(rows: pd.DataFrame) -> str:
    """Can failures be told before training?"""
    told = []
    for dataset, group in rows.groupby("dataset", sort=False):
        lost, whole = group[group.at_init != "passes"], group[group.at_init == "passes"]
        told.append(
            f"**{title('dataset', str(dataset))}:** of {len(lost)} networks whose signal was severed, vanished or exploded "
            f"{(~lost.started).sum()} never started to learn; of the {len(whole)} others {(~whole.started).sum()}."
        )
    return "\n\n".join(told)


def reaugmented(rows: pd.DataFrame) -> str:
    """Did GraSP see its images twice, and not alike?"""
    if rows.empty:
        return "No image is augmented in this profile."
    told, said = rows.dropna(subset=["published", "moved"]), []
    if len(told):
        nearer = (abs(told.published - told.anew) < abs(told.published - told.same)).sum()
        said.append(f"The printed FLOPs are nearer to images augmented anew in {nearer} of {len(told)} cells.")
    if len(same := told.dropna(subset="others")):
        theirs, ours = (abs(same.published - same[key]).max() for key in ("others", "anew"))
        ran = ": the paper's GraSP, too, ran with that seed" if theirs < ours / 2 else ""
        said.append(
            "On CIFAR-10, those that others got with the course code and its seed differ from print by "
            f"{theirs:.1f} million at most, ours with images augmented anew by {ours:.1f}{ran}."
        )
    return " ".join(said)


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    return frame.itertuples()
