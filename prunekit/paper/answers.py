"""What the paper's numbers turn out to be, in a sentence or two each, chosen by what the rows of `findings` hold.

"" where they hold nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..names import listed, title
from . import findings, numbers
from .verdict import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED


def one_shot(rows: pd.DataFrame) -> str:
    """Is Table IV of pruning in one step?"""
    if rows.empty:
        return "No run here of SynFlow in many steps."
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
    more = rows.pretrained - rows.untrained
    return (
        f"The published FLOPs lie within 1 % of ours at initialisation in {close} of {len(rows)} cells. Those of others "
        f"who ran the same code without training first lie within "
        f"{100 * abs(rows.untrained / rows.published - 1).max():.1f} %; those of others who trained first are "
        f"{more.min():+.0f} to {more.max():+.0f} million away."
    )


def pretraining(rows: pd.DataFrame) -> str:
    """What epochs of training before magnitude pruning are worth, beside print."""
    told = []
    for (dataset, model), group in rows.groupby(["dataset", "model"], sort=False) if len(rows) else ():
        each = [
            f"{one.top1:.1f} % after {one.epochs} epochs before pruning at c = {one.compression:g}"
            for one in _rows(group)
        ]
        known = sorted(set(group.published.dropna()))
        printed = f"; in print {listed([f'{one:g}' for one in known])}" if known else ""
        told.append(f"On {title('dataset', str(dataset))}, {title('model', str(model))}: {', '.join(each)}{printed}.")
    return "\n\n".join(told)


def tied_zeros(rows: pd.DataFrame) -> str:
    """What stopped SNIP?"""
    runs = numbers.others()
    quits = runs[runs.doubt.str.startswith("quit") & (runs.quantity == "top1")]
    told = []
    for one in _rows(rows):
        told.append(
            f"On {one.machine}, {one.zero:.1f} % of SNIP's scores on {title('dataset', one.dataset)} are exactly zero, "
            f"{'more' if one.zero > one.removed else 'fewer'} than the {one.removed:.1f} % of the weights that go at "
            f"c = {one.compression:g}. "
            + (
                f"In {one.more} of {one.runs} seeds a threshold that removes every tie would remove too many."
                if one.more
                else "A threshold that removes every tie would remove no more than that."
            )
        )
    told.append(
        f"Elsewhere, {len(quits)} runs of {quits.source.nunique()} groups quit at c = 0.05 on CIFAR-10, as the course code does "
        "where more scores are exactly zero than weights are to go. The paper met its error on CIFAR-100."
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
        return "No run here tells."
    said = f"Single layers keep from {rows.least.min():.1f} % to {rows.most.max():.1f} % of their weights."
    known = rows.dropna(subset="published")
    exact = (abs(known.published - known.parameters) < 0.005).sum()
    if known.empty:
        return said
    return f"It is the density of all parameters, biases included, in {exact} of {len(known)} cells. {said}"


def same_images(counts: tuple[int, int], places: pd.DataFrame) -> str:
    """Do the CIFARs share their images? From `images.shared`."""
    return (
        f"Of {counts[0]:,} different images of CIFAR-10 and {counts[1]:,} of CIFAR-100, {places.image.nunique()} are in both, "
        "pixel by pixel."
    )


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
        nearer = (abs(told.published - told.anew) < abs(told.published - told.same)).groupby(told.dataset, sort=False)
        each = [f"{count.sum()} of {len(count)} cells of {title('dataset', str(name))}" for name, count in nearer]
        said.append(f"The printed FLOPs are nearer to images augmented anew in {listed(each)}.")
    if len(same := told.dropna(subset="others")):
        theirs, ours = (abs(same.published - same[key]).max() for key in ("others", "anew"))
        ran = ", as if the paper's GraSP had run with that seed" if theirs < ours / 2 else ""
        said.append(
            "On CIFAR-10, those that others got with the course code and its seed differ from print by "
            f"{theirs:.1f} million at most, ours with images augmented anew by {ours:.1f}{ran}."
        )
    return " ".join(said)


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    return frame.itertuples()
