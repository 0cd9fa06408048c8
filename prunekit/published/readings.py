"""How the paper's tables can be read, and which of our runs stand beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..analysis import rule
from ..analysis.cells import CELL
from ..names import PRUNERS, UNPRUNED, title
from ..study.params import Section
from ..study.study import Study
from .protocol import deviation


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: our section, its possible readings (column and title, as labelled first), its unit.

    `rounding` is half a unit of the last printed digit. An interval wider than ± `widest` decides nothing. `elsewhere`:
    the quantities that others published, by column. Seconds of another machine are compared as shares of their
    dataset's median.
    """

    name: str
    section: Section
    readings: dict[str, str]  # column -> what is read otherwise than labelled
    rounding: float
    widest: float
    trained: bool = True
    elsewhere: tuple[str, ...] = ()


_ACCURACY: dict[str, Any] = {"readings": {"top1": "", "top5": "a top-5 value"}, "rounding": 0.005, "widest": 10}
TABLES = (
    PaperTable("I", "comparison", **_ACCURACY, elsewhere=("top1", "top5")),
    PaperTable("II", "sweep", **_ACCURACY, elsewhere=("top1", "top5")),
    PaperTable("III", "timing", {"relative": ""}, 0.0002, 0.1),
    PaperTable(
        "IV", "flops", {"flops_millions": ""}, 0.05, 31.3, False, ("flops_millions",)
    ),  # a tenth of the unpruned
    PaperTable("V", "layers", {"oddest": "", "all": "the density of all parameters"}, 0.005, 10, False),
)


def runs(study: Study, table: PaperTable) -> pd.DataFrame:
    """Return our runs of a table, with other epochs before pruning among them, and one more column per reading.

    Further columns: deviation, see `protocol.deviation`; cell and cluster, see `rule.pooled`; pool, for accuracies.
    """
    return study.cached_frame(f"runs of Table {table.name}", lambda: _runs(study, table))


def _runs(study: Study, table: PaperTable) -> pd.DataFrame:
    sections: list[Section] = [table.section, "as_described"] if table.name != "III" else [table.section]
    if table.trained and table.name != "III":
        sections += ["comparison", "sweep", "unpruned"]  # which all tell how runs vary
    frame = pd.concat([study.frame(one) for one in sections]).drop_duplicates("id")
    # A user's own pruners say nothing of the paper's.
    frame = frame[frame.pruner.isin([*PRUNERS, UNPRUNED])].reset_index(drop=True)
    why = deviation(frame, table.trained, timed=table.name == "III")
    twice = frame[why == ""].duplicated([*CELL, "pre_epochs", "seed"])
    why[twice.index[twice]] = "another run of its seed"
    frame = frame.assign(
        deviation=why,
        flops_millions=frame.flops_kept.astype(float) / 1e6,
        relative=frame.seconds.astype(float) / frame.groupby(["dataset", "seed"]).seconds.transform("median"),
        all=100 * frame.parameters_kept.astype(float) / frame.parameters.astype(float),
        oddest=_oddest(frame.id, pd.concat(map(study.layers, sections))) if table.name == "V" else math.nan,
    )
    shared = ~(frame.pruner.eq("grasp") & frame.model.ne("fc")) | (not table.trained)
    return frame.assign(
        cell=_joined(frame, [*CELL, "pre_epochs"]),
        cluster=frame.seed.astype(str).where(shared, ""),
        pool=_pool(frame) if table.trained else _joined(frame, ["model", "pruner", "compression", "pre_epochs"]),
    )


def pooled_sd(frame: pd.DataFrame, column: str, table: PaperTable) -> pd.DataFrame:
    """Return how much runs of the paper's protocol vary that learned, see `rule.pooled`.

    Accuracies are pooled over the cells of a dataset. GraSP, whose signal explodes, and SNIP on CIFAR-10 vary more and
    have pools of their own; GraSP's runs of one seed share nothing. FLOPs are pooled over both CIFARs, by pruner and
    compression.
    """
    known = frame[(frame.deviation == "") & (frame.learned | (not table.trained))].rename(columns={column: "value"})
    known = known.dropna(subset="value").astype({"value": float})
    return rule.pooled(known[["pool", "cell", "cluster", "value"]])


def _pool(frame: pd.DataFrame) -> pd.Series:
    pool = frame.dataset.map(lambda name: title("dataset", name))
    apart = {"grasp": frame.model != "fc", "snip": frame.dataset == "cifar10"}
    for pruner, where in apart.items():
        pool = pool.where(~((frame.pruner == pruner) & where), title("pruner", pruner) + " on " + pool)
    return pool


def _joined(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    if frame.empty:
        return pd.Series(dtype=str)
    return frame[columns].astype(str).agg("/".join, axis=1)


def _oddest(ids: pd.Series, layers: pd.DataFrame) -> pd.Series:
    """Return the density of each trial's layer that is furthest from the density of the whole network, in percent."""
    layers = layers.drop_duplicates(["id", "layer"]).set_index("id")
    share = layers.layer_kept / layers.layer_total
    whole = layers.groupby("id")[["layer_kept", "layer_total"]].sum()
    gap = (share - (whole.layer_kept / whole.layer_total).reindex(share.index)).abs()
    furthest = gap.eq(gap.groupby("id").transform("max"))
    return 100 * ids.map(share[furthest].groupby("id").first())
