"""The study's published numbers, read from published/*.csv, and which of our cells each belongs to."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from .errors import UserError

TABLES = (
    "table1_accuracy_by_dataset",
    "table2_accuracy_by_compression",
    "table3_time",
    "table4_flops",
    "table5_layer_compression",
)
KEYS = ["dataset", "model", "compression", "pruner"]


@cache
def table(name: str) -> pd.DataFrame:
    """Return a published table: KEYS and value, NaN where the study has n/a; raises UserError if it is damaged."""
    file = Path(__file__).parent / "published" / f"{name}.csv"
    try:
        rows = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); install prunekit again") from error
    if list(rows.columns) != [*KEYS, "value"] or not pd.api.types.is_numeric_dtype(rows.value):
        raise UserError(f"{file} must have the columns {', '.join(KEYS)}, value; install prunekit again")
    return rows


def counterpart(dataset: str, model: str) -> tuple[str, str]:
    """Return the study's (dataset, model) that ours is shown beside: its own, or what an embedded one stands in for."""
    if model == "fc":
        return "mnist", "fc"
    return {"digits": "cifar10", "digit-pairs": "cifar100"}.get(dataset, dataset), "vgg16"


def attach(tidy: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return `tidy` (with the columns KEYS) with what the named table has for each row.

    Added: published (NaN where the study has n/a or no such cell), published_for (its dataset and network) and in_study
    (whether the study has the cell).
    """
    pairs = [counterpart(*pair) for pair in zip(tidy.dataset, tidy.model, strict=True)]
    keyed = tidy.assign(_dataset=[pair[0] for pair in pairs], _model=[pair[1] for pair in pairs])
    values = table(name).rename(columns={"dataset": "_dataset", "model": "_model", "value": "published"})
    merged = keyed.merge(values, how="left", on=["_dataset", "_model", "compression", "pruner"], indicator=True)
    merged = merged.assign(published_for=merged._dataset + "/" + merged._model, in_study=merged._merge == "both")
    return merged.drop(columns=["_dataset", "_model", "_merge"])
