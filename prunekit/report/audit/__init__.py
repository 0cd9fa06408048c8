"""Every published number beside ours, with a verdict that its reader can check. No verdict rests on one seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd

from ...study.results import Results
from ...study.trial import Trial
from .. import formatting, paper_values
from ..paper_values import KEYS, Cell
from ..statistics import half_width
from ..table import Table, telling
from .readings import DESCRIBED_PRE_EPOCHS, PARTS, Part, Reading
from .verdict import (
    CONTRADICTED,
    EXPLAINED,
    REPRODUCED,
    UNTESTED,
    VERDICTS,
    decisive,
    read,
    untestable,
)

__all__ = [
    "CONTRADICTED",
    "DESCRIBED_PRE_EPOCHS",
    "EXPLAINED",
    "REPRODUCED",
    "UNTESTED",
    "VERDICTS",
    "cells",
    "counts",
    "once",
    "table",
    "untestable",
]

_WIDTHS = {"Table": 5, "Data": 9, "Network": 8, "c": 6, "Pruner": 10, "Published": 9, "Ours": 15, "Difference": 10}
_WIDTHS |= {"In sd": 6, "Verdict": 13, "Why": 25}
_SETUP = [field for field in Trial.model_fields if field != "seed"]


def cells(results: Results) -> pd.DataFrame:
    """Return a row for each published number, with the trials of `study` that stand beside it and the verdict.

    Columns: table, KEYS (of the paper), ours (dataset/model of our trials), published, reading (how the number was read
    if not as labelled), mean, interval (half-width, 95 %, t), spread (standard deviation over seeds), seeds, difference
    (ours minus published), spreads (the difference in spreads), verdict, why.
    """
    return pd.DataFrame([row for part in PARTS for row in _rows(part, results)])


def once(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `cells` without those of Table II that repeat a number of Table I."""
    return rows[~rows.assign(table=rows.table.replace("II", "I")).duplicated(["table", *KEYS, "published"])]


def table(rows: pd.DataFrame) -> Table:
    """The audit of `cells`: what is contradicted first; numbers that have nothing to compare share a row."""
    order = [CONTRADICTED, EXPLAINED, REPRODUCED, UNTESTED]
    ordered = rows.assign(order=rows.verdict.map(order.index)).sort_values("order", kind="stable")
    alone = (ordered.seeds > 0) & ~ordered.why.str.startswith(("stand-in", "seconds of"))
    lines = [_line(dict(row)) for _, row in ordered[alone].iterrows()]
    for _, group in ordered[~alone].groupby(["table", "dataset", "model", "why"], sort=False):
        lines.append(_shared_line(group))
    caption = (
        "Every number that the paper published, beside ours: mean ± the half-width of its 95 % t interval over seeds; "
        "ours minus published, in the table's unit and in standard deviations over seeds (sd). Reproduced: the "
        "published number lies where one more seed of ours would, in the 95 % prediction interval, rounding allowed "
        "for; so one in twenty falls outside by chance. Explained: it does so when read in the way given. "
        "Contradicted: it does not. Not testable here: for the reason given; an interval beyond ± 5 points, or a fifth "
        "of the FLOPs, decides nothing either."
    )
    wide = telling(pd.DataFrame(lines), always=_WIDTHS.keys() - {"Published", "Ours", "Difference", "In sd"})
    return Table("audit", "Table Q", caption, rows, wide, tuple(_WIDTHS[str(key)] for key in wide))


def counts(rows: pd.DataFrame, claims: pd.Series) -> Table:
    """How many of the numbers of `cells`, and of the verdicts on `claims`, came out how."""
    groups = {f"Numbers of Table {part.number}": rows.verdict[rows.table == part.number] for part in PARTS}
    each = once(rows)
    groups |= {"All numbers": each.verdict, "Claims": claims}
    tidy = pd.DataFrame(
        [{"of": of, **{verdict: int((found == verdict).sum()) for verdict in VERDICTS}} for of, found in groups.items()]
    )
    titles = {"of": "Published", **{verdict: verdict.capitalize() for verdict in VERDICTS}}
    caption = "The audit in numbers: what the paper published, by what our trials say of it."
    if twice := len(rows) - len(each):
        caption += f" {twice} numbers stand in both Table I and Table II, and count once among all."
    if set(rows.verdict) == {UNTESTED}:
        caption += (
            " None of the numbers is testable in this profile, which has other data or budgets than the paper; the"
            " profiles `cpu` and `paper` test them."
        )
    return Table("audit_counts", "Table P", caption, tidy, tidy.rename(columns=titles))


def _rows(part: Part, results: Results) -> Iterator[dict[str, Any]]:
    trials = {reading: _by_published_cell(_frame(reading, results)) for reading in part.readings}
    for key, number in paper_values.values(part.name).items():
        if math.isnan(number):
            continue
        readings = [reading for reading in part.readings if key[3] in reading.pruners]
        found = [read(number, part, reading, trials[reading].get(key, []), results) for reading in readings]
        best = decisive(found)
        values = best.values
        spread = round(float(values.std(ddof=1)), 9) if len(values) > 1 else math.nan
        alike = not best.why.startswith("stand-in")
        difference = float(values.mean()) - number if alike and len(values) else math.nan
        ours = best.trials.head(1)
        yield {
            "table": part.number,
            **dict(zip(KEYS, key, strict=True)),
            "ours": "/".join([*ours.dataset, *ours.model]),
            "published": number,
            "reading": best.reading.what,
            "mean": values.mean() if len(values) else math.nan,
            "interval": half_width(values),
            "spread": spread,
            "seeds": len(values),
            "difference": difference,
            "spreads": difference / spread if spread else math.nan,
            "verdict": best.verdict,
            "why": best.why,
        }


def _frame(reading: Reading, results: Results) -> pd.DataFrame:
    """Return the trials that a reading is about, whether or not they were treated as it wants."""
    frame = results.frame(reading.section)
    if not reading.of_magnitude:
        return frame
    frame = pd.concat([frame, results.frame("described")], ignore_index=True)
    return frame[(frame.pre_epochs > 0) == (reading.pre_epochs > 0)]


def _by_published_cell(frame: pd.DataFrame) -> dict[Cell, list[pd.DataFrame]]:
    """Return the trials that stand beside each published cell, those that are alike but for their seeds together."""
    frame = frame.drop_duplicates("id")
    places: dict[Cell, list[int]] = {}
    for place, (pair, *rest) in enumerate(
        zip(paper_values.counterparts(frame), frame.compression, frame.pruner, strict=True)
    ):
        places.setdefault(cast(Cell, (*pair, *rest)), []).append(place)
    beside: dict[Cell, list[pd.DataFrame]] = {}
    for key, rows in places.items():
        ours = frame.iloc[rows]
        alike = [ours] if ours.seed.is_unique else [part for _, part in ours.groupby(_SETUP, sort=False, dropna=False)]
        beside[key] = alike
    return beside


def _line(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Table": row["table"],
        "Data": formatting.DATASETS[row["dataset"]],
        "Network": formatting.model(row["model"]),
        "c": f"{row['compression']:g}",
        "Pruner": formatting.PRUNERS[row["pruner"]],
        "Published": f"{row['published']:g}",
        "Ours": formatting.estimate(row["mean"], row["interval"], 2, share=row["table"] not in ("III", "IV")),
        "Difference": formatting.signed(row["difference"], 2),
        "In sd": formatting.signed(row["spreads"], 1),
        "Verdict": row["verdict"],
        "Why": row["why"],
    }


def _shared_line(group: pd.DataFrame) -> dict[str, str]:
    compressions, pruners = (list(dict.fromkeys(group[key])) for key in ("compression", "pruner"))
    first = cast(Mapping[str, Any], group.iloc[0])
    return dict.fromkeys(
        ("Table", "Data", "Network", "c", "Pruner", "Published", "Ours", "Difference", "In sd"), ""
    ) | {
        "Table": first["table"],
        "Data": formatting.DATASETS[first["dataset"]],
        "Network": formatting.model(first["model"]),
        "c": f"{compressions[0]:g}" if len(compressions) == 1 else "several",
        "Pruner": formatting.pruners(pruners),
        "Verdict": f"{len(group)} {first['verdict']}",
        "Why": first["why"],
    }
