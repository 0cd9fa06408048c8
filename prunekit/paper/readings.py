"""How the paper's tables can be read, and our runs that stand beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..names import PRUNERS, title
from ..study.params import Section
from ..study.results import Results
from ..study.statistics import CELL
from . import rule
from .protocol import unlike


@dataclass(frozen=True)
class Part:
    """A table of the paper: where our runs are, its readings (a value's column each, as labelled first), its unit.

    Seconds are of another machine: they are read as shares of their dataset's median.
    `rounding` is half a unit of its last digit; an interval wider than ± `widest` decides nothing. `elsewhere` are the
    quantities that others published, by column.
    """

    table: str
    section: Section
    readings: dict[str, str]  # column -> what is read otherwise than labelled
    rounding: float
    widest: float
    trained: bool = True
    elsewhere: tuple[str, ...] = ()


_ACCURACY: dict[str, Any] = {"readings": {"top1": "", "top5": "a top-5 value"}, "rounding": 0.005, "widest": 10}
PARTS = (
    Part("I", "comparison", **_ACCURACY, elsewhere=("top1", "top5")),
    Part("II", "sweep", **_ACCURACY, elsewhere=("top1", "top5")),
    Part("III", "timing", {"relative": ""}, 0.0002, 0.1),
    Part("IV", "flops", {"flops_millions": ""}, 0.05, 31.3, False, ("flops_millions",)),  # a tenth of the unpruned
    Part("V", "layers", {"oddest": "", "all": "the density of all parameters"}, 0.005, 10, False),
)


def runs(results: Results, part: Part) -> pd.DataFrame:
    """Return our runs of a table, those of other epochs before pruning among them, with a column a reading.

    Beside a section's frame: unlike, see `protocol.unlike`; cell; cluster; pool, which is of a column for accuracies.
    """
    return results.once(f"runs of Table {part.table}", lambda: _runs(results, part))


def _runs(results: Results, part: Part) -> pd.DataFrame:
    sections: list[Section] = [part.section, "described"] if part.table != "III" else [part.section]
    if part.trained and part.table != "III":
        sections += ["comparison", "sweep", "unpruned"]  # which all tell how runs vary
    frame = pd.concat([results.frame(one) for one in sections]).drop_duplicates("id")
    frame = frame[frame.pruner.isin(PRUNERS)].reset_index(drop=True)  # a user's own say nothing of the paper's
    why = unlike(frame, part.trained, timed=part.table == "III")
    twice = frame[why == ""].duplicated([*CELL, "pre_epochs", "seed"])
    why[twice.index[twice]] = "another run of its seed"
    frame = frame.assign(
        unlike=why,
        flops_millions=frame.flops_kept.astype(float) / 1e6,
        relative=frame.seconds.astype(float) / frame.groupby(["dataset", "seed"]).seconds.transform("median"),
        all=100 * frame.parameters_kept.astype(float) / frame.parameters.astype(float),
        oddest=_oddest(frame, results) if part.table == "V" else math.nan,
    )
    shared = ~(frame.pruner.eq("grasp") & frame.model.ne("fc")) | (not part.trained)
    return frame.assign(
        cell=_joined(frame, [*CELL, "pre_epochs"]),
        cluster=frame.seed.astype(str).where(shared, ""),
        pool=_pool(frame) if part.trained else _joined(frame, ["model", "pruner", "compression", "pre_epochs"]),
    )


def spread(frame: pd.DataFrame, column: str, part: Part) -> pd.DataFrame:
    """Return how far runs vary, see `rule.pooled`: of `runs` that are the paper's protocol and started.

    Accuracies are pooled over a dataset's cells, but for GraSP's, whose signal explodes, and SNIP's on CIFAR-10, which
    vary more; GraSP's of one seed have nothing in common. FLOPs are pooled over both CIFARs, a pruner and compression
    at a time.
    """
    known = frame[(frame.unlike == "") & (frame.started | (not part.trained))].rename(columns={column: "value"})
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


def _oddest(frame: pd.DataFrame, results: Results) -> list[float]:
    """The density of the layer furthest from that of all weights, in percent."""
    found = []
    for id_ in frame.id:
        layers = results.records[id_].layers
        whole = sum(layer.kept for layer in layers) / max(1, sum(layer.total for layer in layers))
        found.append(
            100
            * max((layer.kept / layer.total for layer in layers), key=lambda one: abs(one - whole), default=math.nan)
        )
    return found
