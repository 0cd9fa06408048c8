"""What people published: every number in one tidy table, with its source; and how one study's numbers can be read.

The study is a course project of 2022, *Network Pruning - Extended*, whose numbers each rest on one run. README.md tells
where the others come from.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from ..analysis.cells import CELL
from ..errors import UserError

STUDY = "study"  # the source whose tables the profile `paper` runs again
UNPRUNED_MILLIONS = {"cifar10": 313.478154, "cifar100": 313.524324}  # FLOPs of VGG16, counted as the study counts
_COLUMNS = ["source", "place", "dataset", "model", "pruner", "compression", "quantity", "value"]
_COLUMNS += ["pre_epochs", "post_epochs", "seed", "runs", "doubt"]


@cache
def frame() -> pd.DataFrame:
    """Return every published number, one row each.

    source: see `sources`; place: the table, layer or control; dataset, model, pruner, compression (0: unpruned);
    quantity: top1, top5, density, layer_density (percent), seconds (of what the study calls inference), test_seconds,
    flops_millions, parameters_kept; value: NaN where a run stopped or the place was left empty; pre_epochs,
    post_epochs: before and after pruning (NaN: not known); seed, if known; runs it is of; doubt: what speaks against
    it, "" where nothing does.
    """
    return _read("published", _COLUMNS).fillna({"place": "", "doubt": ""})


def sources() -> pd.DataFrame:
    """Return where the numbers come from: source, commit, published, what it is, epochs."""
    return _read("sources", ["source", "commit", "published", "what", "epochs"])


def printed(table: str) -> pd.Series:
    """Return a table of the study, I to V, by CELL; NaN where it prints n/a.

    Accuracies and densities in percent, times in seconds, FLOPs in millions.
    """
    rows = frame()
    return rows[(rows.source == STUDY) & (rows.place == f"Table {table}")].set_index(CELL).value


def others() -> pd.DataFrame:
    """Return what the groups published, without the study."""
    return frame()[frame().source != STUDY]


def elsewhere(quantity: str, post_epochs: int = 10) -> pd.DataFrame:
    """Return the groups' values of a quantity after `post_epochs` epochs, without those that are in doubt."""
    rows = others()
    like = (rows.quantity == quantity) & (rows.post_epochs == post_epochs) & (rows.doubt == "")
    return rows[like].dropna(subset="value")


def beside(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return `frame`, which has the columns CELL, with one more: published, the study's number for the same cell.

    NaN where the study has no number for that dataset, network, pruner and compression.
    """
    return frame.assign(published=printed(table).reindex(pd.MultiIndex.from_frame(frame[CELL])).to_numpy())


def _read(name: str, columns: list[str]) -> pd.DataFrame:
    file = Path(__file__).parent / "data" / f"{name}.csv"
    try:
        rows = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); install prunekit again") from error
    if list(rows.columns) != columns:
        raise UserError(f"{file} must have the columns {', '.join(columns)}; install prunekit again")
    return rows
