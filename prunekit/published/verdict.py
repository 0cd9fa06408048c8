"""The verdict on one printed number, read one way and then another."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ..analysis import rule
from ..analysis.cells import CELL
from ..analysis.starts import SEVERED, best_constant, ceiling
from . import elsewhere
from .readings import PaperTable

REPRODUCED, EXPLAINED, CONTRADICTED = "reproduced", "explained", "contradicted"
UNDECIDED, NOT_RUN = "undecided", "not run"
VERDICTS = (REPRODUCED, EXPLAINED, CONTRADICTED, UNDECIDED, NOT_RUN)
AT_CHANCE, READING, ELSEWHERE = "at chance", "another reading", "another group's runs"  # what explains a number
FEW = 0.05  # what is less probable than this is not said to have happened
Judged = dict[str, Any]  # of a printed number: columns of `audit.numbers`


class Comparison:
    """Our runs beside a number, read one way: those of the paper's protocol, those that learned, how they vary."""

    def __init__(self, part: PaperTable, column: str, beside: pd.DataFrame, spreads: pd.DataFrame):
        self.part, self.column, self.beside = part, column, beside
        self.like = beside[(beside.deviation == "") & beside[column].notna()]
        self.values = (self.like[self.like.learned] if part.trained else self.like)[column].astype(float)
        pool = self.like.pool.iloc[0] if len(self.like) else ""
        known = pool in spreads.index
        self.s: float = spreads.s[pool] if known else math.nan
        self.effective: float = spreads.effective[pool] if known else 0.0
        self.margin = rule.half_width(self.s, self.effective, len(self.values), part.rounding)

    def p(self, number: float) -> float:
        gap = number - self.values.mean()
        return rule.p_value(gap, self.s, self.effective, len(self.values), self.part.rounding)


def judge(number: float, dataset: str, ours: Comparison, rates: pd.DataFrame, inits: pd.DataFrame) -> Judged:
    """Judge a number, read one way, by the rule."""
    part = ours.part
    row: Judged = {
        "column": ours.column,
        "read": number,
        "mean": ours.values.mean(),
        "s": ours.s,
        "margin": ours.margin,
    }
    row |= {"learned": len(ours.values), "runs": len(ours.like), "p": math.nan, "why": "", "by": ""}
    if ours.like.empty:
        return row | {"verdict": NOT_RUN, "why": ours.beside.deviation.iloc[0] if len(ours.beside) else ""}
    at_chance = part.trained and _at_chance(number, dataset, ours.column, part.rounding)
    if ours.values.empty:
        return row | _none_learned(at_chance, ours.like, inits)
    narrow = ours.margin <= part.widest
    if narrow:
        row["p"] = ours.p(number)
        if abs(number - ours.values.mean()) <= ours.margin:
            return row | {"verdict": REPRODUCED}
    if at_chance:
        return row | {"p": math.nan} | _like_it(ours.like, rates)
    if narrow:
        return row | {"verdict": CONTRADICTED}
    wide = f"one more run may lie anywhere within ± {ours.margin:.3g}"
    return row | {"verdict": UNDECIDED, "why": "no cell of its kind has two runs" if math.isnan(ours.margin) else wide}


def _none_learned(at_chance: bool, like: pd.DataFrame, inits: pd.DataFrame) -> Judged:
    """Return the verdict where no run of ours learned, by how likely another run would."""
    none = f"none of our {len(like)} runs learned" if len(like) > 1 else "our one run did not learn"
    if at_chance:
        return {"verdict": REPRODUCED, "why": none}
    same = pd.concat([inits[(inits[CELL] == like[CELL].iloc[0]).all(axis=1)], like]).drop_duplicates("seed")
    cut = int((same.at_init == SEVERED).sum())
    if rule.predictive(len(same) - cut, len(same)) < FEW:
        return {
            "verdict": CONTRADICTED,
            "p": 0.0,
            "why": f"no path of weights is left in {cut} of {len(same)} initialisations",
        }
    return {"verdict": UNDECIDED, "why": f"{none}, and another one may"}


def _at_chance(number: float, dataset: str, column: str, rounding: float) -> bool:
    """Whether a printed accuracy is that of a constant output, within the noise."""
    top = {"top1": 1, "top5": 5}.get(column)
    if top is None:
        return False
    best, highest = (of(dataset, "fine", top) for of in (best_constant, ceiling))
    return abs(number - best) <= highest - best + rounding


def _like_it(like: pd.DataFrame, rates: pd.DataFrame) -> Judged:
    """Return the verdict on a number at chance where runs of ours learned, by how many runs like them do not."""
    alike = rates[rates.dataset.isin(like.dataset) & rates.at_init.isin(like.at_init)]
    stayed, of = int(alike.stayed.sum()), int(alike.runs.sum())
    if of and rule.predictive(stayed, of) >= FEW and stayed:
        why = f"a run that stayed at chance, as {stayed} of {of} like it did"
        return {"verdict": EXPLAINED, "why": why, "by": AT_CHANCE}
    none = f"at chance, as {stayed} of {of} like it were"
    rare = rule.jeffreys(stayed, of)[1] < FEW
    return {"verdict": CONTRADICTED if rare else UNDECIDED, "why": none}


def final_verdict(found: list[Judged], part: PaperTable, cell: dict[str, Any], unit: str) -> Judged:
    """Return the reading that decides: in the unit the first that agrees, or what comes nearest in any."""
    same = [one for one in found if one["column"] == unit]
    best = _nearest(same)
    if best["verdict"] == CONTRADICTED:
        best = _nearest([best, *(one for one in found if one["verdict"] in (REPRODUCED, CONTRADICTED))])
    if best["verdict"] == REPRODUCED:
        told = {"verdict": EXPLAINED, "why": best["reading"], "by": READING}
        return best | told if best["reading"] else best
    if best["verdict"] not in (UNDECIDED, CONTRADICTED):
        return best
    return _elsewhere(best, [one for one in found if one["column"] in (unit, best["column"])], part, cell)


def _nearest(found: list[Judged]) -> Judged:
    order = (REPRODUCED, EXPLAINED, UNDECIDED, CONTRADICTED, NOT_RUN)
    return min(found, key=lambda one: (order.index(one["verdict"]), -one["p"] if one["verdict"] == CONTRADICTED else 0))


def _elsewhere(best: Judged, found: list[Judged], part: PaperTable, cell: dict[str, Any]) -> Judged:
    """Return the verdict by others' runs: explained by three or more of a group between which the number lies.

    Else `best`, with what others have.
    """
    for one in found:
        if one["column"] not in part.elsewhere:
            continue
        rows = elsewhere(one["column"])
        for key, value in {**cell, "pre_epochs": one["pre_epochs"]}.items():
            rows = rows[rows[key] == value]
        for source, values in rows.groupby("source").value:
            if (
                best["verdict"] in (CONTRADICTED, UNDECIDED)
                and len(values) >= 3
                and values.min() - part.rounding <= one["read"] <= values.max() + part.rounding
            ):
                between = f"{source}: {values.min():g} to {values.max():g}, {len(values)} runs"
                why = f"reproduced elsewhere ({between}), not by our runs"
                return one | {"verdict": EXPLAINED, "why": why, "by": ELSEWHERE}
        if len(rows) and (one["column"], one["pre_epochs"]) == (best["column"], best["pre_epochs"]):
            low, high = rows.value.min(), rows.value.max()
            told = f"elsewhere {low:g}" + (f" to {high:g}" if high > low else "") + f" ({rows.source.nunique()} groups)"
            best = best | {"why": "; ".join(filter(None, [best["why"], told]))}
    return best
