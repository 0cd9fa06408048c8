"""The paper's numbers, read from published/*.csv, and which of our cells each belongs to."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import cast

import pandas as pd

from ..errors import UserError

TABLES = (
    "table1_accuracy_by_dataset",
    "table2_accuracy_by_compression",
    "table3_time",
    "table4_flops",
    "table5_layer_compression",
)
KEYS = ["dataset", "model", "compression", "pruner"]
Cell = tuple[str, str, float, str]  # a value of each of KEYS
UNPRUNED_MILLIONS = {"cifar10": 313.478154, "cifar100": 313.524324}  # FLOPs of VGG16, counted as the paper counts


@cache
def table(name: str) -> pd.DataFrame:
    """Return a published table: KEYS and value, NaN where the paper has n/a; raises UserError if it is damaged."""
    file = Path(__file__).parents[1] / "paper" / "data" / f"{name}.csv"
    try:
        rows = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); install prunekit again") from error
    if list(rows.columns) != [*KEYS, "value"] or not pd.api.types.is_numeric_dtype(rows.value):
        raise UserError(f"{file} must have the columns {', '.join(KEYS)}, value; install prunekit again")
    return rows


def value(name: str, dataset: str, model: str, compression: float, pruner: str) -> float:
    """Return what the named table has for a cell of ours, not a number where it has nothing."""
    return values(name).get((*counterpart(dataset, model), compression, pruner), math.nan)


@cache
def values(name: str) -> dict[Cell, float]:
    """Return the named table by cell, not a number where it has n/a."""
    return cast(dict[Cell, float], table(name).set_index(KEYS).value.to_dict())


def by_cell(frame: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """Return the rows of each cell of `frame`, which has the columns KEYS, in its order."""
    return {cast(Cell, key): rows for key, rows in frame.groupby(KEYS, sort=False)}


def counterpart(dataset: str, model: str) -> tuple[str, str]:
    """Return the paper's (dataset, model) that ours is shown beside: its own, or what an embedded one stands in for."""
    if model == "fc":
        return "mnist", "fc"
    return {"digits": "cifar10", "digit-pairs": "cifar100"}.get(dataset, dataset), "vgg16"


def counterparts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the `counterpart` of each row of `frame`."""
    return [counterpart(dataset, model) for dataset, model in zip(frame.dataset, frame.model, strict=True)]


def attach(tidy: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return `tidy` (with the columns KEYS) with what the named table has for each row.

    Added: published (NaN where the paper has n/a or no such cell), published_for (its dataset and network) and in_paper
    (whether the paper has the cell).
    """
    pairs = counterparts(tidy)
    keyed = tidy.assign(_dataset=[pair[0] for pair in pairs], _model=[pair[1] for pair in pairs])
    values = table(name).rename(columns={"dataset": "_dataset", "model": "_model", "value": "published"})
    merged = keyed.merge(values, how="left", on=["_dataset", "_model", "compression", "pruner"], indicator=True)
    merged = merged.assign(published_for=merged._dataset + "/" + merged._model, in_paper=merged._merge == "both")
    return merged.drop(columns=["_dataset", "_model", "_merge"])
