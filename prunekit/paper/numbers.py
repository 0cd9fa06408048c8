"""The numbers that the paper printed, and those that other people published from the same course code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..study.statistics import CELL

UNPRUNED_MILLIONS = {"cifar10": 313.478154, "cifar100": 313.524324}  # FLOPs of VGG16, counted as the paper counts
_FILES = {
    "I": "table1_accuracy_by_dataset",
    "II": "table2_accuracy_by_compression",
    "III": "table3_time",
    "IV": "table4_flops",
    "V": "table5_layer_compression",
}


@cache
def printed(table: str) -> pd.Series:
    """Return a table of the paper, I to V, by CELL; NaN where it prints n/a.

    Accuracies and densities in percent, times in seconds, FLOPs in millions.
    """
    return _read(_FILES[table], [*CELL, "value"]).set_index(CELL).value


@cache
def others() -> pd.DataFrame:
    """Return what others published from the course code that the paper used, a row a number.

    source: a letter, see `sources`; CELL (compression 0: not pruned); pre_epochs, post_epochs: before and after pruning
    (NaN: not known); quantity: top1, top5 (percent), test_seconds or flops_millions; value: NaN where the run quit or
    the place was left empty; doubt: what speaks against the number, "" where nothing does.
    """
    columns = ["source", *CELL, "pre_epochs", "post_epochs", "quantity", "value", "doubt"]
    return _read("others", columns).fillna({"doubt": ""})


@cache
def sources() -> pd.DataFrame:
    """Return where `others` come from: source, commit, published, what it is, epochs."""
    return _read("sources", ["source", "commit", "published", "what", "epochs"])


def beside(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return `frame`, which has the columns CELL, with the column `published`: what the paper's table has for a row.

    NaN where the paper has nothing for that very dataset, network, pruner and compression.
    """
    return frame.assign(published=printed(table).reindex(pd.MultiIndex.from_frame(frame[CELL])).to_numpy())


def elsewhere(quantity: str, post_epochs: int = 10) -> pd.DataFrame:
    """Return the runs of `others` of the paper's protocol that speak of a quantity and of which nothing is in doubt."""
    rows = others()
    return rows[(rows.quantity == quantity) & (rows.post_epochs == post_epochs) & (rows.doubt == "")].dropna(
        subset="value"
    )


def _read(name: str, columns: list[str]) -> pd.DataFrame:
    file = Path(__file__).parent / "data" / f"{name}.csv"
    try:
        rows = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); install prunekit again") from error
    if list(rows.columns) != columns:
        raise UserError(f"{file} must have the columns {', '.join(columns)}; install prunekit again")
    return rows
