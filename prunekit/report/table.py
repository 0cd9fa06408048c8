"""What a table is: its numbers, how it is read, its files."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pandas as pd

from ..files import replace
from . import formatting

P = ParamSpec("P")
T = TypeVar("T")
LONG_LINE = 400  # characters: pandoc gives tables with a longer line the column widths of their dashes
MIME = "application/vnd.prunekit+json"  # tells the report which file an output stands for


@dataclass(frozen=True)
class Table:
    """A numbered table: `tidy` goes to the CSV, `wide` is what is read. `name` is its file's name.

    `widths` are the relative widths of the columns where long texts call for them.
    """

    name: str
    number: str
    caption: str
    tidy: pd.DataFrame
    wide: pd.DataFrame
    widths: tuple[int, ...] = ()

    def save(self, folder: Path) -> None:
        """Write NAME.csv, NAME.md and NAME.tex into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / f"{self.name}.csv", self.tidy.to_csv(index=False, lineterminator="\n").encode())
        replace(folder / f"{self.name}.md", self.markdown().encode())
        tex = self.wide.to_latex(index=False, escape=True, caption=_tex(self.caption), label=f"tab:{self.name}")
        for sign, command in {"±": r"$\pm$", "–": "--", "−": "$-$", "†": r"$\dagger$"}.items():
            tex = tex.replace(sign, command)
        replace(folder / f"{self.name}.tex", tex.encode())

    def markdown(self) -> str:
        """The caption and below it a pipe table, as GitHub shows it; a sentence in place of one without rows."""
        if self.wide.empty:
            return f"**{self.number}.** {self.caption}\n\nNo trial here is of this kind.\n"
        body = self.wide.to_markdown(index=False, disable_numparse=True)
        if self.widths:  # pandoc reads them from the dashes if a line is long
            header, _, *rows = body.splitlines()
            scale = LONG_LINE // sum(self.widths) + 1
            body = "\n".join([header, f"|{'|'.join('-' * (scale * width) for width in self.widths)}|", *rows])
        return f"**{self.number}.** {self.caption}\n\n{body}\n"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        caption = f"<p><b>{self.number}.</b> {self.caption}</p>"
        return {
            MIME: {"table": self.name},
            "text/html": caption + self.wide.to_html(index=False, border=0),
            "text/plain": f"{self.number}. {self.caption}\n{self.wide.to_string(index=False)}",
        }


def readable(
    tidy: pd.DataFrame, name: str, number: str, caption: str, titles: Mapping[str, str], digits: int = 1
) -> Table:
    """Return the table of `tidy` with a column a title: X and X_interval as one, things by their names."""
    wide = pd.DataFrame(
        {title: [_read(row, key, digits) for row in tidy.to_dict("records")] for key, title in titles.items()}
    )
    return Table(name, number, caption, tidy, wide.loc[:, (wide != "–").any()] if len(wide) else wide)


def _read(row: Mapping[Any, Any], key: str, digits: int) -> str:
    value = row[key]
    if f"{key}_interval" in row:
        return formatting.estimate(value, row[f"{key}_interval"], digits)
    if key in ("dataset", "pruner"):
        return (formatting.DATASETS if key == "dataset" else formatting.PRUNERS)[value]
    if key == "model":
        return formatting.model(value)
    if key in ("compression", "published") or isinstance(value, int):
        return "–" if math.isnan(value) else f"{value:,g}"
    return formatting.estimate(value, math.nan, digits) if isinstance(value, float) else str(value)


def unless_empty(make: Callable[Concatenate[pd.DataFrame, P], T]) -> Callable[Concatenate[pd.DataFrame, P], T | None]:
    """Return `make`, which shows the rows of a frame, as a function that returns None for a frame without rows."""

    @wraps(make)
    def made(frame: pd.DataFrame, *args: P.args, **kwargs: P.kwargs) -> T | None:
        return None if frame.empty else make(frame, *args, **kwargs)

    return made


def telling(wide: pd.DataFrame, always: Collection[str] = ()) -> pd.DataFrame:
    """Return `wide` without the columns that say the same in each of several rows, but for those `always` wanted."""
    return wide[[key for key in wide if len(wide) == 1 or key in always or wide[key].nunique(dropna=False) > 1]]


def named_once(wide: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `wide` with each of `keys` only where it, or one before it, changes from the row above."""
    same = pd.Series(True, wide.index)
    out = wide.copy()
    for key in keys:
        same &= wide[key] == wide[key].shift()
        out.loc[same, key] = ""
    return out


def _tex(text: str) -> str:
    return text.replace("%", r"\%").replace("±", r"$\pm$").replace("_", r"\_").replace("†", r"$\dagger$")
