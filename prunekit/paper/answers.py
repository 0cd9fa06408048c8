"""What the paper's numbers turn out to be: a heading that answers and a few sentences, by what rows of `findings` hold.

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
        return ""
    steps, top = rows.steps.max(), rows[rows.compression == rows.compression.max()]
    apart = rows[rows.apart & rows.published.notna()]
    said = (
        f"At the highest compression {top.one_collapsed.sum()} of {top.one_runs.sum()} networks pruned in one step "
        f"collapsed, and {top.many_collapsed.sum()} of {top.many_runs.sum()} in {steps} steps."
    )
    if apart.empty:
        return f"## What steps do to SynFlow\n\n{said}"
    once = apart.nearer.sum() > len(apart) / 2
    return (
        f"## Table IV is of pruning in {'one step' if once else 'many steps'}\n\n"
        "SynFlow was made to prune in many steps, so that no layer collapses; the paper does not say in how many it "
        f"pruned. Of the {len(apart)} printed cells where one step and {steps} differ by more than their intervals, "
        f"{apart.nearer.sum()} lie nearer to one. {said}"
    )


def magnitude(rows: pd.DataFrame) -> str:
    """Was magnitude pruning done before training?"""
    if rows.empty:
        return ""
    close = (abs(rows.ours / rows.published - 1) <= 0.01).sum()
    more = rows.pretrained - rows.untrained
    head = "Magnitude pruning was done before training" if close > len(rows) / 2 else "When magnitude pruning was done"
    return (
        f"## {head}\n\nThe paper states 100 epochs of training before it, and FLOPs tell whether they were run. The "
        f"published FLOPs lie within 1 % of ours at initialisation in {close} of {len(rows)} cells. Those of others "
        f"who ran the same code without training first lie within "
        f"{100 * abs(rows.untrained / rows.published - 1).max():.1f} %; those of others who trained first are "
        f"{more.min():+.0f} to {more.max():+.0f} million away."
    )


def pretraining(rows: pd.DataFrame) -> str:
    """What epochs of training before magnitude pruning are worth, beside print."""
    told = []
    for (dataset, model), group in rows.groupby(["dataset", "model"], sort=False) if len(rows) else ():
        each = [
            f"{one.top1:.1f} % after {one.epochs} epochs before pruning at compression {one.compression:g}"
            for one in _rows(group)
        ]
        known = sorted(set(group.published.dropna()))
        printed = f"; in print {listed([f'{one:g}' for one in known])}" if known else ""
        told.append(f"On {title('dataset', str(dataset))}, {title('model', str(model))}: {', '.join(each)}{printed}.")
    return "\n\n".join(["## What training before magnitude pruning is worth", *told]) if told else ""


def tied_zeros(rows: pd.DataFrame) -> str:
    """What stopped SNIP?"""
    if rows.empty:
        return ""
    runs = numbers.others()
    quits = runs[runs.doubt.str.startswith("quit") & (runs.quantity == "top1")]
    told = [
        "## SNIP stopped at scores of zero",
        "A weight behind a unit that no scoring image switches on has a SNIP score of exactly zero. The course code removes "
        "every tie at its threshold, misses its count and quits. How many scores are zero depends on the device, since some "
        "of a GPU's algorithms leave rounding noise there.",
    ]
    for one in _rows(rows):
        told.append(
            f"On {one.machine}, {one.zero:.1f} % of SNIP's scores on {title('dataset', one.dataset)} are exactly zero, "
            f"{'more' if one.zero > one.removed else 'fewer'} than the {one.removed:.1f} % of the weights that go at "
            f"compression {one.compression:g}. "
            + (
                f"In {one.more} of {one.runs} seeds a threshold that removes every tie would remove too many."
                if one.more
                else "A threshold that removes every tie would remove no more than that."
            )
        )
    told.append(
        f"Elsewhere, {len(quits)} runs of {quits.source.nunique()} groups quit at compression 0.05 on CIFAR-10, as the course code does "
        "where more scores are exactly zero than weights are to go. The paper met its error on CIFAR-100."
    )
    return "\n\n".join(told)


def top5(judged: pd.DataFrame) -> str:
    """Is the top-1 of CIFAR-100 top-5? From `audit.numbers`."""
    rows = judged[(judged.table == "II") & (judged.dataset == "cifar100") & (judged.verdict != NOT_RUN)]
    if rows.empty:
        return ""
    agree = rows.verdict.isin([REPRODUCED, EXPLAINED]).sum()
    head = "The top-1 of CIFAR-100 is top-5" if agree > len(rows) / 2 else "What the accuracies of CIFAR-100 are"
    return (
        f"## {head}\n\nThe paper's tables label all accuracies top-1; a sentence of its text says top-5. Of {len(rows)} numbers for CIFAR-100 in Table II {(rows.labelled == CONTRADICTED).sum()} are contradicted as "
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


def table_iii() -> str:
    """Were whole trials timed? From what others had, and the one of its numbers that is of a trial that quit."""
    return (
        "## Table III is of whole trials\n\nThe paper calls it the time of inference on the test images. One of its "
        f"numbers, 15.0 s, is of the trial that quit before it trained. {whole_trials()}"
    )


def densities(rows: pd.DataFrame) -> str:
    """Is Table V of layers?"""
    if rows.empty:
        return ""
    said = f"Single layers keep from {rows.least.min():.1f} % to {rows.most.max():.1f} % of their weights."
    known = rows.dropna(subset="published")
    exact = (abs(known.published - known.parameters) < 0.005).sum()
    if known.empty:
        return f"## What layers keep\n\n{said}"
    return (
        "## Table V is of whole networks, not of layers\n\nThe paper prints one and the same number for every layer, pruner "
        f"and dataset. It is the density of all parameters, biases included, in {exact} of {len(known)} cells. {said}"
    )


def same_images(counts: tuple[int, int], places: pd.DataFrame) -> str:
    """Do the CIFARs share their images? From `images.shared`."""
    both = places.image.nunique()
    return (
        f"## The CIFARs share {both} of their images\n\nThe paper says that CIFAR-100 has exactly the images of CIFAR-10. "
        f"Of {counts[0]:,} different images of CIFAR-10 and {counts[1]:,} of CIFAR-100, {both} are in both, "
        "pixel by pixel."
    )


def signals(rows: pd.DataFrame) -> str:
    """Can failures be told before training?"""
    if rows.empty:
        return ""
    told = [
        "## Some failures can be told before training",
        "A network whose signal is severed or vanishes before the first step seldom learns. The bounds of vanished and "
        "exploded (a ten-thousandth and a hundred times the unpruned network's signal) were chosen on these very networks, which "
        "flatters the counts; [each network](#which-networks-start) is shown, so that its reader can choose others.",
    ]
    for dataset, group in rows.groupby("dataset", sort=False):
        lost, exploded = group[group.at_init.isin(["severed", "vanished"])], group[group.at_init == "exploded"]
        whole = group[group.at_init == "passes"]
        told.append(
            f"**{title('dataset', str(dataset))}:** of {len(lost)} networks whose signal was severed or vanished "
            f"{(~lost.started).sum()} never started to learn, of {len(exploded)} whose signal exploded "
            f"{(~exploded.started).sum()}, of {len(whole)} others {(~whole.started).sum()}."
        )
    return "\n\n".join(told)


def reaugmented(rows: pd.DataFrame) -> str:
    """Did GraSP see its images twice, and not alike?"""
    if rows.empty:
        return ""
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
    about = (
        "GraSP passes over its images twice, for a gradient and for its product with the Hessian. The code that the paper "
        "builds on draws new crops and flips for the second pass; here both passes see the same."
    )
    return " ".join(["## GraSP's two passes over its images\n\n" + about, *said])


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    return frame.itertuples()
