"""Every number that the study printed, beside our runs, with a verdict that a reader can check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd
from scipy import stats

from ..analysis import rule
from ..analysis.cells import CELL
from ..analysis.starts import classes
from ..study.study import Study
from . import printed
from .protocol import DESCRIBED_PRE_EPOCHS
from .readings import TABLES, PaperTable, pooled_sd, runs
from .verdict import (
    AT_CHANCE,
    CONTRADICTED,
    ELSEWHERE,
    EXPLAINED,
    NOT_RUN,
    READING,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    Comparison,
    Judged,
    final_verdict,
    judge,
)

__all__ = ["AT_CHANCE", "CONTRADICTED", "ELSEWHERE", "EXPLAINED", "NOT_RUN", "READING", "REPRODUCED", "TABLES"]
__all__ += ["UNDECIDED", "VERDICTS", "at_chance", "by_chance", "counts", "drop_repeats", "numbers", "pooled_sd", "runs"]
MARKS = {REPRODUCED: "✓", EXPLAINED: "(✓)", CONTRADICTED: "✗", UNDECIDED: "?"}
_PRE_EPOCHS = {DESCRIBED_PRE_EPOCHS: "", 0: "pruned at initialisation", 10: "pruned after 10 epochs"}
_TITLES = {
    "I": "Accuracy by dataset (Table I)",
    "II": "Accuracy by compression (II)",
    "III": "Seconds (III)",
    "IV": "FLOPs (IV)",
    "V": "Density (V)",
}


def numbers(study: Study) -> pd.DataFrame:
    """Return one row per printed number, with our runs beside it and the verdict.

    Columns: table, CELL, published; reading: how the number is read, "" as labelled; labelled: the verdict if read as
    labelled; tried: how many readings our runs can judge; read: the number in that reading; mean, s, learned, runs: of
    our runs that learned, s pooled; margin: half-width of the prediction interval, rounding included; p: the
    probability of a run as far off or farther; verdict; by: what explains it, AT_CHANCE, READING or ELSEWHERE, else "";
    why: in words, "" where the verdict says it all.
    """
    return study.cached_frame(
        "numbers", lambda: _after_many(pd.DataFrame([one for t in TABLES for one in _judged(t, study)]))
    )


def _after_many(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn into undecided what lies outside its interval but is no discovery among so many numbers, see `by_chance`."""
    known = _by_interval(drop_repeats(rows))
    kept = known[stats.false_discovery_control(known) <= 1 - rule.LEVEL].max() if len(known) else math.nan
    chance = (rows.verdict == CONTRADICTED) & (rows.s > 0) & (rows.p > kept if kept == kept else rows.p.notna())
    told = "outside the interval (p = " + rows.p.map("{:.3f}".format) + "), as one in twenty is by chance"
    why = told.where(rows.why == "", told + "; " + rows.why)
    return rows.assign(verdict=rows.verdict.mask(chance, UNDECIDED), why=rows.why.mask(chance, why))


def drop_repeats(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `numbers` without those of Table II that repeat a number of Table I."""
    return rows[~rows.assign(table=rows.table.replace("II", "I")).duplicated(["table", *CELL, "published"])]


def beside(study: Study, table: str) -> pd.DataFrame:
    """Return one row per printed number of a table, I to V, that our runs judge: CELL, accuracy, text (78.82 ✓).

    accuracy: the one by which it was judged, top-1 or top-5, "" for tables of other quantities. For datasets of fewer
    than a hundred classes, whose top-5 no table shows, the text says which.
    """
    rows = numbers(study)
    rows = rows[(rows.table == table) & (rows.verdict != NOT_RUN)]
    found = []
    one: Any
    for one in rows.itertuples():
        accuracy = {"top1": "top-1", "top5": "top-5"}.get(one.column, "")
        hidden = accuracy == "top-5" and classes(one.dataset) < 100
        text = f"{one.published:g}{' as top-5' if hidden else ''} {MARKS[one.verdict]}"
        found.append((*(getattr(one, key) for key in CELL), "top-1" if hidden else accuracy, text))
    return pd.DataFrame(found, columns=[*CELL, "accuracy", "text"])


def counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how the numbers of each table came out: published, numbers, one column per verdict."""
    groups = {title: rows.verdict[rows.table == table] for table, title in _TITLES.items()}
    return pd.DataFrame(
        [
            {"published": of, "numbers": len(found)} | {verdict: int((found == verdict).sum()) for verdict in VERDICTS}
            for of, found in groups.items()
        ]
    )


def by_chance(rows: pd.DataFrame) -> dict[str, float]:
    """Return four counts of the numbers that an interval judges: judged, expected, outside, stay.

    expected: how many of these would lie outside by chance, at most; outside: how many do; stay: how many still do
    after Benjamini and Hochberg (1995), at a false discovery rate of 5 %.
    """
    p = _by_interval(rows)
    stay = (stats.false_discovery_control(p) <= 1 - rule.LEVEL).sum() if len(p) else 0
    outside = (p < 1 - rule.LEVEL).sum()
    return {"judged": len(p), "expected": (1 - rule.LEVEL) * len(p), "outside": int(outside), "stay": int(stay)}


def _by_interval(rows: pd.DataFrame) -> pd.Series:
    """Return p of the numbers that are judged by an interval of runs that learned."""
    return rows.p[rows.p.notna() & (rows.s > 0) & (rows.learned > 0)]


def at_chance(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many networks stayed at chance, one row per dataset and signal at initialisation.

    Columns: dataset, at_init, runs, stayed, rate, and low and high of its 95 % Jeffreys interval. Unpruned networks
    count among those whose signal passes. `frame`: trained trials, one network per dataset.
    """
    known = frame[(frame.status == "ok") & frame.top1.notna() & (frame.at_init != "")]
    rows = []
    for (dataset, state), group in known.groupby(["dataset", "at_init"], sort=False):
        stayed, of = int((~group.learned).sum()), len(group)
        rows.append((dataset, state, of, stayed, stayed / of, *rule.jeffreys(stayed, of)))
    return pd.DataFrame(rows, columns=["dataset", "at_init", "runs", "stayed", "rate", "low", "high"])


def _judged(part: PaperTable, study: Study) -> Iterator[Judged]:
    frame = runs(study, part)
    spreads = {column: pooled_sd(frame, column, part) for column in part.readings}
    at_once = frame[(frame.deviation == "") & (frame.pre_epochs == 0)]
    rates = at_chance(at_once if part.trained else at_once[:0])
    told_by = [*CELL, "seed", "pre_epochs", "deviation", "learned", "at_init", "pool", *part.readings]
    by_cell = dict(list(frame[told_by].groupby(CELL, sort=False)))  # all columns would take thrice the time
    inits = study.frame("init_seeds")
    table = cast(Mapping[tuple[Any, ...], float], printed(part.name).dropna().to_dict())
    found: dict[tuple[Any, ...], list[Judged]] = {}
    for key, number in table.items():
        dataset, pruner = key[0], key[-1]
        read = number / printed("III")[dataset].median() if part.name == "III" else number
        found[key] = []
        for pre_epochs, before in (_PRE_EPOCHS if pruner == "magnitude" else {0: ""}).items():
            beside = by_cell.get(key, frame[:0])
            beside = beside[beside.pre_epochs == pre_epochs]
            for column, what in part.readings.items():
                judged = judge(read, dataset, Comparison(part, column, beside, spreads[column]), rates, inits)
                told = {"reading": ", ".join(filter(None, [what, before])), "pre_epochs": pre_epochs}
                found[key].append(told | judged)
    units = {
        dataset: _unit(part, [one for key in found if key[0] == dataset for one in found[key]]) for dataset, *_ in found
    }
    for key, readings in found.items():
        cell = dict(zip(CELL, key, strict=True))
        unit = next(iter(part.readings))
        labelled = final_verdict([one for one in readings if one["column"] == unit], part, cell, unit)["verdict"]
        tried = sum(one["verdict"] != NOT_RUN for one in readings)
        about = {"table": part.name, **cell, "published": table[key], "labelled": labelled, "tried": tried}
        yield about | final_verdict(readings, part, cell, units[key[0]])


def _unit(part: PaperTable, found: list[Judged]) -> str:
    """Return the column by which most numbers of a table and dataset agree; as labelled if two do equally."""
    agree = [one["column"] for one in found if one["verdict"] == REPRODUCED]
    return max(part.readings, key=agree.count)
