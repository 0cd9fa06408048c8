"""Evidence for what the paper's numbers turn out to be, one row per cell; conclusions are drawn in the notebook.

X_interval is the half-width of the 95 % t interval of the mean X, X_seeds its number of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..analysis.cells import CELL, over_seeds
from ..study.study import Study
from . import UNPRUNED_MILLIONS, elsewhere, others, protocol


def one_shot(study: Study) -> pd.DataFrame:
    """Return SynFlow in one step beside SynFlow in many: kept FLOPs and live weights (%), collapsed networks, top-1.

    published: the paper's FLOPs in percent of the unpruned network's; apart: the two differ by more than their
    intervals; nearer: the printed number is nearer to one step.
    """
    once, many = (study.frame(section).query("status == 'ok'") for section in ("flops", "as_described_flops"))
    trained = pd.concat([study.frame(section) for section in ("sweep", "as_described")]).drop_duplicates("id")
    rows = []
    for cell, group in _cells(many[many.pruner == "synflow"]):
        unpruned = UNPRUNED_MILLIONS.get(cell["dataset"], math.nan)
        row: dict[str, Any] = cell | {"steps": int(group.prune_steps.max())}
        row |= {"published": 100 * _in_print(_at(once, cell), "IV") / unpruned}
        for name, trials in {"one": _at(once, cell), "many": group}.items():
            steps = _at(trained, cell)
            steps = steps[(steps.prune_steps == 1) == (name == "one")]
            row |= over_seeds(name, 100 * trials.flops_kept.astype(float) / trials.flops.astype(float))
            row |= over_seeds(f"{name}_live", 100 * trials.effective_density.astype(float))
            row |= {f"{name}_collapsed": int(trials.collapsed.eq(True).sum()), f"{name}_runs": len(trials)}
            row |= over_seeds(f"{name}_top1", steps.top1)
        row["apart"] = abs(row["one"] - row["many"]) > row["one_interval"] + row["many_interval"]
        row["nearer"] = abs(row["published"] - row["one"]) < abs(row["published"] - row["many"])
        rows.append(row)
    return _frame(rows)


def magnitude(study: Study) -> pd.DataFrame:
    """Return the FLOPs of magnitude pruning on the CIFARs, in millions: printed, ours at initialisation, and others'.

    untrained, pretrained: means over the groups that pruned at initialisation, and after training.
    """
    theirs = others()[(others().quantity == "flops_millions") & (others().pruner == "magnitude")]
    rows = []
    for cell, group in _cells(
        _at(study.frame("flops").query("status == 'ok'"), {"pruner": "magnitude", "pre_epochs": 0})
    ):
        if not math.isnan(number := _in_print(group, "IV")):
            same = _at(theirs, cell)
            means = {"untrained": same[same.pre_epochs == 0], "pretrained": same[same.pre_epochs > 0]}
            row = cell | {"published": number}
            row |= over_seeds("ours", group.flops_kept.astype(float) / 1e6)
            rows.append(row | {name: found.value.mean() for name, found in means.items()})
    return _frame(rows)


def tied_zeros(study: Study) -> pd.DataFrame:
    """Return how many SNIP scores are exactly zero and how many weights the lowest compression removes, in percent.

    One row per dataset and machine, since rounding depends on the machine. more: seeds with more zero scores than
    weights to remove. FLOPs in millions: ours breaks ties at random; by_position is what they would be if the earliest
    layers lost theirs first.
    """
    layers = study.layers("flops").query("pruner == 'snip'").dropna(subset="layer_zero_scores")
    layers = layers[layers.compression == study.frame("flops").compression.min()]
    rows = []
    for (*key, machine), group in layers.groupby([*CELL, "machine"], sort=False):
        trials = pd.DataFrame([_ties(trial) for _, trial in group.groupby("id", sort=False)])
        row = dict(zip(CELL, key, strict=True)) | {"machine": machine, "published": _in_print(group, "IV")}
        row |= {"more": int((trials.zero > trials.removed).sum()), "runs": len(trials)}
        rows.append(row | {k: v for name in trials for k, v in over_seeds(str(name), trials[name]).items()})
    return _frame(rows)


def _ties(layers: pd.DataFrame) -> dict[str, float]:
    """Return, for the layers of one trial, scores of zero and removed weights (%), and FLOPs: ours and by position."""
    total, zeros = layers.layer_total.sum(), layers.layer_zero_scores.astype(float)
    removed = total - layers.layer_kept.sum()
    gone = zeros.cumsum().clip(upper=removed).diff().fillna(min(zeros.iloc[0], removed))
    left = layers.flops.iloc[0] - (layers.layer_flops * gone / layers.layer_total).sum()
    row = {"zero": 100 * zeros.sum() / total, "removed": 100 * removed / total, "ours": layers.flops_kept.iloc[0] / 1e6}
    return row | {"by_position": left / 1e6 if zeros.sum() > removed else math.nan}


def reaugmented(study: Study) -> pd.DataFrame:
    """Return the FLOPs of GraSP in millions, with the same images in both passes and with images augmented anew.

    moved: the second less the first, paired on seeds; others: the groups' mean.
    """
    once, anew = (study.frame(section).query("status == 'ok'") for section in ("flops", "grasp_reaugmented"))
    theirs = elsewhere("flops_millions")
    rows = []
    for cell, group in _cells(anew):
        same, other = (trials.set_index("seed").flops_kept.astype(float) / 1e6 for trials in (_at(once, cell), group))
        row = cell | {"published": _in_print(_at(once, cell), "IV")}
        row |= over_seeds("same", same) | over_seeds("anew", other) | over_seeds("moved", (other - same).dropna())
        rows.append(row | {"others": _at(theirs, cell).value.mean()})
    return _frame(rows)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=None if rows else CELL)


def _cells(frame: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    for key, group in frame.groupby(CELL, sort=False):
        yield dict(zip(CELL, key, strict=True)), group


def _at(frame: pd.DataFrame, cell: dict[str, Any]) -> pd.DataFrame:
    return frame[(frame[list(cell)] == pd.Series(cell)).all(axis=1)]


def _in_print(group: pd.DataFrame, table: str) -> float:
    """Return what the paper's table has for each cell of a frame, NaN where our runs are of another protocol."""
    return float(protocol.beside(group, table).published.iloc[0]) if len(group) else math.nan
