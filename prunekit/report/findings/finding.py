"""What a finding is, and how its table is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...study.results import Results
from ...study.trial import Record
from .. import formatting, paper_values
from ..figures import Figure
from ..paper_values import KEYS
from ..statistics import half_width
from ..table import Table

_NO_SHARES = {"moved", "ours", "anew", "by_position"}  # of the series in findings' tables; all others are in percent
Row = dict[str, Any]  # of a finding's table: words, numbers, and series of numbers over seeds


@dataclass(frozen=True)
class Finding:
    """The evidence, and what it says in a sentence or two of Markdown."""

    table: Table
    text: str
    figure: Figure | None = None


def made(number: int, name: str, caption: str, rows: list[Row], titles: Mapping[str, str], digits: int = 1) -> Table:
    """Return the table of `rows`: a column a key, a series of several seeds as its mean and interval."""
    titles = {"dataset": "Dataset", "model": "Network", "compression": "c"} | dict(titles)
    titles = {key: title for key, title in titles.items() if any(key in row for row in rows)}
    tidy = pd.DataFrame([{name_: v for key in titles for name_, v in _numbers(key, row[key]).items()} for row in rows])
    shown = {key: title for key, title in titles.items() if any(_said(row[key]) for row in rows)}
    wide = pd.DataFrame([[_text(key, row[key], digits) for key in shown] for row in rows], columns=list(shown.values()))
    return Table(f"finding{number}_{name}", f"Table F{number}", caption, tidy, wide)


def said(why_untestable: str, borne_out: bool, evidence: str) -> str:
    """Return the sentence of a finding: what the evidence says of it, and what that evidence is."""
    if why_untestable:
        return f"**Not testable here** ({why_untestable}). {evidence}"
    return f"**{'Borne out' if borne_out else 'Not borne out'}.** {evidence}"


def cells(frame: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """Yield each (dataset, model, compression, pruner) of a section's frame with its trials of all seeds."""
    for key, group in paper_values.by_cell(frame).items():
        yield dict(zip(KEYS, key, strict=True)), group


def at(frame: pd.DataFrame, cell: Row) -> pd.DataFrame:
    """Return the trials of `frame` with the values of `cell`."""
    return frame[(frame[list(cell)] == pd.Series(cell)).all(axis=1)]


def in_print(table: str, cell: Row) -> float:
    """Return what the paper printed for `cell`, not a number where it printed nothing or the data only stand in."""
    if paper_values.counterpart(cell["dataset"], cell["model"]) != (cell["dataset"], cell["model"]):
        return math.nan
    return paper_values.value(table, *(cell[key] for key in KEYS))


def published_share(cell: Row) -> float:
    """Return the FLOPs that the paper prints for `cell`, in percent of the unpruned network's; NaN without one."""
    dataset, _ = paper_values.counterpart(cell["dataset"], cell["model"])
    return 100 * in_print("table4_flops", cell) / paper_values.UNPRUNED_MILLIONS.get(dataset, math.nan)


def known(value: float) -> bool:
    return not math.isnan(value)


def done(group: pd.DataFrame, results: Results) -> list[Record]:
    """Return the records of the trials of `group` that came to something."""
    return [results.records[id_] for id_, status in zip(group.id, group.status, strict=True) if status == "ok"]


def shown(values: pd.Series, digits: int = 1, share: bool = False) -> str:
    """Return the mean and interval of a series over seeds, as readers see it."""
    known = values.dropna().astype(float)
    return formatting.estimate(known.mean() if len(known) else math.nan, half_width(known), digits, share)


def _said(value: Any) -> bool:
    if isinstance(value, pd.Series):
        return bool(value.notna().any())
    return not isinstance(value, float) or known(value)


def _text(key: str, value: Any, digits: int) -> str:
    if isinstance(value, pd.Series):
        return shown(value, digits, share=key not in _NO_SHARES)
    if key in ("dataset", "pruner"):
        return (formatting.DATASETS if key == "dataset" else formatting.PRUNERS)[value]
    if key == "model":
        return formatting.model(value)
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _numbers(key: str, value: Any) -> Row:
    if not isinstance(value, pd.Series):
        return {key: value}
    known = value.dropna().astype(float)
    return {
        key: known.mean() if len(known) else math.nan,
        f"{key}_interval": half_width(known),
        f"{key}_seeds": len(known),
    }
