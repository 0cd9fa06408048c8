"""The paper's claims, each with what our runs say of it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ...errors import UserError
from ...study.results import Results
from .. import images
from ..verdict import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED
from . import accuracy, cost, weights
from .claim import Claim, drawn, judge

CLAIMS: tuple[Claim, ...] = (*accuracy.CLAIMS, *cost.CLAIMS, *weights.CLAIMS)


def judged(results: Results, numbers: pd.DataFrame) -> pd.DataFrame:
    """Return a row a claim: number, claim, where, verdict, evidence, own (do the paper's numbers bear it out).

    `numbers`: the audit's, on which claims about what was done rest.
    """
    ours = {of: drawn(of(results)) for of in dict.fromkeys(claim.of for claim in CLAIMS)}
    rows = [{"claim": one.text, "where": one.where, **judge(one, ours[one.of])} for one in CLAIMS]
    rows += [*_what_was_done(numbers), _same_images(results), _best_number(results)]
    return pd.DataFrame(rows).rename_axis("number").reset_index().assign(number=range(1, len(rows) + 1))


def _what_was_done(numbers: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Two claims on which Table IV decides: what is pruned once, before training, and counted as we count.

    But for random pruning's, which are the same whenever it prunes.
    """
    found = numbers[(numbers.table == "IV") & (numbers.verdict != NOT_RUN) & (numbers.pruner != "random")]
    agree = int(found.verdict.isin([REPRODUCED, EXPLAINED]).sum())
    verdict = NOT_RUN if found.empty else CONTRADICTED if agree > len(found) / 2 else UNDECIDED
    told = {
        ("All these pruners remove parameters while they train.", "II-B"): "networks pruned once, before any training",
        ("FLOPs are cores × cycles a second × FLOPs a cycle.", "II-A-d"): "the multiply-adds of one image, not a rate",
    }
    for (claim, where), of in told.items():
        evidence = (
            f"{agree} of {len(found)} numbers of Table IV, without random pruning's, are those of {of}."
            if len(found)
            else "No such run."
        )
        yield {"claim": claim, "where": where, "verdict": verdict, "evidence": evidence, "own": "–"}


def _best_number(results: Results) -> dict[str, str]:
    claim = {"claim": "There may be a best number of labels for pruned networks.", "where": "III", "own": "–"}
    if results.frame("labels").labels.nunique() < 2:
        return claim | {"verdict": NOT_RUN, "evidence": "No run with other labels than the dataset's."}
    return claim | {"verdict": UNDECIDED, "evidence": "A question; the section on labels looks for an answer."}


def _same_images(results: Results) -> dict[str, str]:
    claim = {"claim": "CIFAR-100 has the images of CIFAR-10, with other labels.", "where": "I-A, III", "own": "–"}
    if not {"cifar10", "cifar100"} <= {trial.dataset for trial in results.trials.values()}:
        return claim | {"verdict": NOT_RUN, "evidence": "This profile does not use CIFAR-10 and CIFAR-100."}
    try:
        (first, _), places = images.shared()
    except UserError as error:
        return claim | {"verdict": NOT_RUN, "evidence": f"{str(error)[0].upper()}{str(error)[1:]}."}
    shared = places.image.nunique()
    verdict = REPRODUCED if shared == first else CONTRADICTED
    evidence = f"Of {first:,} different images of CIFAR-10, {shared:,} are in CIFAR-100, pixel by pixel."
    return claim | {"verdict": verdict, "evidence": evidence}
