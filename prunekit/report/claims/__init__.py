"""The paper's claims against our trials: evidence first, then a verdict."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from functools import cache

import numpy as np
import pandas as pd

from ... import datasets
from ...errors import UserError
from ...study.results import Results
from ...study.trial import Record, Trial
from .. import formatting, paper_values
from ..audit import CONTRADICTED, DESCRIBED_PRE_EPOCHS, EXPLAINED, REPRODUCED, UNTESTED, untestable
from ..statistics import half_width
from ..table import Table
from . import accuracy, cost, weights
from .claim import Claim, MissingValueError, Values

Place = tuple[str, int]
CLAIMS = (*accuracy.CLAIMS, *cost.CLAIMS, *weights.CLAIMS)


def judge(claim: Claim, results: Results) -> dict[str, str]:
    """Return what becomes of a claim: verdict, evidence, and whether the paper's own numbers bear it out.

    The margin by which it holds is taken of each seed that has all that it needs; it is reproduced (or explained) if
    the 95 % t interval of their mean lies above zero, contradicted if below. Else, and for trials of another kind than
    the paper's, not testable.
    """
    frame = _trials(claim, results)
    pairs = paper_values.counterparts(frame)
    ours = frame.assign(
        dataset=[dataset for dataset, _ in pairs],
        model=[model for _, model in pairs],
        value=[_value(claim, results.records.get(id_)) for id_ in frame.id],
    )
    names = {stood_for: formatting.DATASETS[name] for (stood_for, _), name in zip(pairs, frame.dataset, strict=True)}
    why = _why_not(claim, frame)
    verdict = UNTESTED
    by_seed = {}
    for seed, rows in ours.groupby("seed"):
        with suppress(MissingValueError):  # a seed that lacks a cell leaves it to the others
            by_seed[seed] = claim.check(Values(_means(rows), names))[0]
    try:
        margins = pd.Series(by_seed, dtype=float)
        shown = claim.check(Values(_means(ours[ours.seed.isin(by_seed)] if by_seed else ours), names))[1]
        why = why or ("" if len(margins) > 1 else "one seed")
        if not why:
            verdict = _verdict(claim, margins)
            why = claim.explained if verdict == EXPLAINED else ""
        digits = 1 if abs(margins.mean()) >= 1 else 3
        margin = f"margin {formatting.signed(margins.mean(), digits)}"
        margin += "" if len(margins) < 2 else f" ± {half_width(margins):.{digits}f}"
        evidence = f"{why + '; ' if why else ''}{margin} {claim.unit}; {shown}"
    except MissingValueError as missing:
        described = f" after {DESCRIBED_PRE_EPOCHS} epochs" if claim.pretrained and "Magnitude" in str(missing) else ""
        evidence = f"{why + '; ' if why else ''}no value of {missing}{described}"
    return {"verdict": verdict, "evidence": evidence[0].upper() + evidence[1:], "own": _own(claim)}


def table(results: Results) -> Table:
    """Return the claims with what becomes of each."""
    rows = [{"claim": c.text, "where": c.where, **judge(c, results)} for c in CLAIMS]
    tidy = pd.DataFrame([*rows, _same_images(results), _BEST_NUMBER])
    tidy.insert(0, "number", range(1, len(tidy) + 1))
    wide = pd.DataFrame(
        {
            "No.": tidy.number,
            "Claim": tidy.claim + " (" + tidy["where"] + ")",
            "Verdict": tidy.verdict,
            "Evidence": tidy.evidence,
            "Its own tables": tidy.own,
        }
    )
    caption = (
        "What the paper claims, in our words; a bound in brackets is ours, where the paper gives none. The margin is "
        "by how much a claim holds (+) or fails (-) at its weakest point: mean ± the half-width of its 95 % t interval "
        "over seeds. Reproduced: the interval lies above zero; explained: it does, for the reason given; contradicted: "
        "it lies below. Accuracies for a hundred classes are top-5, as the paper's are (Finding 4). Its own tables: "
        "whether the paper's printed numbers bear the claim out."
    )
    return Table("claims", "Table R", caption, tidy, wide, widths=(4, 22, 11, 45, 18))


def shared_images(results: Results) -> tuple[int, int, list[tuple[Place, Place]]]:
    """Return how many different images CIFAR-10 and CIFAR-100 have, and where in each those lie that both have.

    A place is a split, train or test, and a position in it. Raises UserError without the data.
    """
    if not {"cifar10", "cifar100"} <= {trial.dataset for trial in results.trials.values()}:
        raise UserError("this profile does not use CIFAR-10 and CIFAR-100")
    first, second = _distinct_images("cifar10"), _distinct_images("cifar100")
    return len(first), len(second), [(place, second[image]) for image, place in first.items() if image in second]


@cache
def _distinct_images(name: str) -> dict[bytes, Place]:
    """Return a digest of each different image of a dataset, with the split and position of its last appearance."""
    arrays = datasets.read(name)
    parts = {"train": arrays.train.images, "test": arrays.test.images}
    return {
        hashlib.blake2b(image.tobytes(), digest_size=16).digest(): (split, position)
        for split, images in parts.items()
        for position, image in enumerate(images)
    }


_BEST_NUMBER = {
    "claim": "There may be a best number of labels for pruned networks.",
    "where": "III",
    "verdict": UNTESTED,
    "evidence": "No trial here changes the number of labels and nothing else.",
    "own": "–",
}


def _same_images(results: Results) -> dict[str, str]:
    try:
        first, _, shared = shared_images(results)
    except UserError as error:
        verdict, evidence = UNTESTED, f"{str(error)[0].upper()}{str(error)[1:]}."
    else:
        verdict = REPRODUCED if len(shared) == first else CONTRADICTED
        evidence = (
            f"Of {first:,} different images of CIFAR-10, {len(shared):,} are also in CIFAR-100, compared pixel by "
            "pixel."
        )
    claim = "CIFAR-100 has the images of CIFAR-10, with other labels."
    return {"claim": claim, "where": "I-A, III", "verdict": verdict, "evidence": evidence, "own": "–"}


def _trials(claim: Claim, results: Results) -> pd.DataFrame:
    """The trials that a claim is checked on."""
    frame = results.frame(claim.section)
    if claim.pretrained:
        described = results.frame("described")
        described = described[(described.pre_epochs > 0) & _protocol(described).isin(set(_protocol(frame)))]
        frame = pd.concat([frame[frame.pruner != "magnitude"], described], ignore_index=True)
    return frame.loc[np.array([pair[0] in claim.datasets for pair in paper_values.counterparts(frame)], dtype=bool)]


def _protocol(frame: pd.DataFrame) -> pd.Series:
    """What the trials of a row of Table I have in common, whichever the pruner."""
    fields = [field for field in Trial.model_fields if field not in ("pruner", "pruner_source", "pre_epochs")]
    return pd.Series(list(frame[fields].fillna(0).itertuples(index=False, name=None)), index=frame.index, dtype=object)


def _why_not(claim: Claim, frame: pd.DataFrame) -> str:
    if why := untestable(frame, claim.trained, DESCRIBED_PRE_EPOCHS if claim.pretrained else 0):
        return why
    if claim.timed and not frame.alone.all():
        return "timed beside other trials"
    return ""


def _verdict(claim: Claim, margins: pd.Series) -> str:
    half = half_width(margins)
    if margins.mean() - half > 0:
        return EXPLAINED if claim.explained else REPRODUCED
    return CONTRADICTED if margins.mean() + half < 0 else UNTESTED


def _own(claim: Claim) -> str:
    if not claim.printed:
        return "–"
    try:
        margin, evidence = claim.check(Values(paper_values.values(claim.printed)))
    except MissingValueError as missing:
        return f"n/a ({missing})"
    return "yes" if margin >= 0 else f"no: {evidence}"


def _value(claim: Claim, record: Record | None) -> float:
    value = None if record is None or record.status != "ok" else claim.value(record)
    return math.nan if value is None else value


def _means(rows: pd.DataFrame) -> dict[paper_values.Cell, float]:
    """The mean over seeds of each cell, not a number where one is missing."""
    return {cell: float(group.value.mean(skipna=False)) for cell, group in paper_values.by_cell(rows).items()}
