"""Every printed number beside ours, with a verdict that its reader can check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd

from ..study.results import Results
from ..study.statistics import CELL
from . import rule
from .numbers import printed
from .protocol import DESCRIBED_PRE_EPOCHS
from .readings import PARTS, Part, runs, spread
from .verdict import (
    CONTRADICTED,
    ELSEWHERE,
    EXPLAINED,
    FAILED_START,
    NOT_RUN,
    READING,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    Beside,
    Judged,
    decisive,
    judge,
)

__all__ = [
    "CONTRADICTED",
    "ELSEWHERE",
    "EXPLAINED",
    "FAILED_START",
    "NOT_RUN",
    "PARTS",
    "READING",
    "REPRODUCED",
    "UNDECIDED",
    "VERDICTS",
    "by_chance",
    "counts",
    "failed_starts",
    "numbers",
    "once",
    "runs",
    "spread",
]
_PRE_EPOCHS = {DESCRIBED_PRE_EPOCHS: "", 0: "pruned at initialisation", 10: "pruned after 10 epochs"}
_TITLES = {
    "I": "Accuracy by dataset (Table I)",
    "II": "Accuracy by compression (II)",
    "III": "Seconds (III)",
    "IV": "FLOPs (IV)",
    "V": "Density (V)",
}


def numbers(results: Results) -> pd.DataFrame:
    """Return a row a printed number, with our runs beside it and the verdict.

    table, CELL, published; reading: how it is read where not as labelled; labelled: the verdict in the table's unit;
    tried: how many readings there are runs for; read: the number so read; mean, s, started, runs: ours, of those that
    started, s pooled; half: of the prediction interval, rounding in it; p: of a number so far off or farther; verdict;
    by: what explains it, FAILED_START, READING or ELSEWHERE, else ""; why: in words, "" where the verdict says all.
    """
    return results.once("numbers", lambda: pd.DataFrame([row for part in PARTS for row in _judged(part, results)]))


def once(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `numbers` without those of Table II that repeat a number of Table I."""
    return rows[~rows.assign(table=rows.table.replace("II", "I")).duplicated(["table", *CELL, "published"])]


def counts(rows: pd.DataFrame, claims: pd.Series) -> pd.DataFrame:
    """Return how many numbers of each table, and how many claims, came out how: published, numbers, a column a verdict.

    `claims`: the verdicts on them.
    """
    groups = {title: rows.verdict[rows.table == table] for table, title in _TITLES.items()}
    groups |= {"Claims in the text": claims}
    return pd.DataFrame(
        [
            {"published": of, "numbers": len(found)} | {verdict: int((found == verdict).sum()) for verdict in VERDICTS}
            for of, found in groups.items()
        ]
    )


def by_chance(rows: pd.DataFrame) -> dict[str, float]:
    """Return, of numbers judged by an interval: how many there are, would by chance lie outside at most, do, and stay.

    Keys: judged, expected, outside, stay (after Benjamini and Hochberg, at a rate of 5 % of false ones).
    """
    judged = rows[rows.p.notna() & (rows.s > 0)]  # by an interval
    return {
        "judged": len(judged),
        "expected": (1 - rule.LEVEL) * len(judged),
        "outside": int((judged.p < 1 - rule.LEVEL).sum()),
        "stay": int(rule.discoveries(judged.p).sum()),
    }


def failed_starts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many networks failed to start, by dataset and by their signal at initialisation.

    A row each: dataset, at_init, runs, failed, rate, and its 95 % Jeffreys interval low to high; the unpruned counted
    with those whose signal passes. `frame`: trained trials of one network a dataset.
    """
    known = frame[(frame.status == "ok") & frame.top1.notna() & (frame.at_init != "")]
    rows = []
    for (dataset, state), group in known.groupby(["dataset", "at_init"], sort=False):
        failed, of = int((~group.started).sum()), len(group)
        low, high = rule.jeffreys(failed, of)
        rows.append((dataset, state, of, failed, failed / of, low, high))
    return pd.DataFrame(rows, columns=["dataset", "at_init", "runs", "failed", "rate", "low", "high"])


def _judged(part: Part, results: Results) -> Iterator[Judged]:
    frame = runs(results, part)
    spreads = {column: spread(frame, column, part) for column in part.readings}
    at_once = frame[(frame.unlike == "") & (frame.pre_epochs == 0)]
    rates = failed_starts(at_once if part.trained else at_once[:0])
    told_by = [*CELL, "seed", "pre_epochs", "unlike", "started", "at_init", "pool", *part.readings]
    by_cell = dict(list(frame[told_by].groupby(CELL, sort=False)))  # all columns would take thrice the time
    inits = results.frame("initialisations")
    table = cast(Mapping[tuple[Any, ...], float], printed(part.table).dropna().to_dict())
    found: dict[tuple[Any, ...], list[Judged]] = {}
    for key, number in table.items():
        dataset, pruner = key[0], key[-1]
        read = number / printed("III")[dataset].median() if part.table == "III" else number
        found[key] = []
        for pre_epochs, before in (_PRE_EPOCHS if pruner == "magnitude" else {0: ""}).items():
            beside = by_cell.get(key, frame[:0])
            beside = beside[beside.pre_epochs == pre_epochs]
            for column, what in part.readings.items():
                judged = judge(read, dataset, Beside(part, column, beside, spreads[column]), rates, inits)
                told = {"reading": ", ".join(filter(None, [what, before])), "pre_epochs": pre_epochs}
                found[key].append(told | judged)
    units = {
        dataset: _unit(part, [one for key in found if key[0] == dataset for one in found[key]]) for dataset, *_ in found
    }
    for key, readings in found.items():
        cell = dict(zip(CELL, key, strict=True))
        unit = next(iter(part.readings))
        labelled = decisive([one for one in readings if one["column"] == unit], part, cell, unit)["verdict"]
        tried = sum(one["verdict"] != NOT_RUN for one in readings)
        about = {"table": part.table, **cell, "published": table[key], "labelled": labelled, "tried": tried}
        yield about | decisive(readings, part, cell, units[key[0]])


def _unit(part: Part, found: list[Judged]) -> str:
    """Return the column by which most numbers of a table and dataset agree, as labelled where two do equally."""
    agree = [one["column"] for one in found if one["verdict"] == REPRODUCED]
    return max(part.readings, key=agree.count)
