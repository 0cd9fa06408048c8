"""Whether trials of ours are the paper's: same dataset, network, treatment and budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..analysis.starts import classes
from ..study.params import Section, as_shipped
from ..study.study import Study
from ..study.trial import Trial
from . import beside as printed_beside

FAILED = "the trial failed"
DESCRIBED_PRE_EPOCHS = 100  # of training before magnitude pruning, as the paper says
_PRUNING = {
    "width": "width",
    "prune_steps": "prune steps",
    "scope": "scope",
    "scoring_images_per_class": "scoring images a class",
    "scoring_batch_size": "scoring batch",
    "labels": "labels",
    "control": "control",
    "reaugmented": "images augmented anew",
}
_TRAINING = {
    "post_epochs": "epochs after pruning",
    "train_subset": "training images",
    "optimizer": "optimiser",
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "weight_decay": "weight decay",
    "nesterov": "Nesterov's momentum",
    "lr_drops": "drops of the learning rate",
    "warmup_epochs": "warm-up epochs",
    "precision": "precision",
}
_ALIKE = {"precision": ("bf16-mixed",)}  # whose rounding moves no mean: see `variation.pairs`


def deviation(frame: pd.DataFrame, trained: bool, timed: bool = False) -> pd.Series:
    """Return how each row of a section's frame differs from the paper's protocol, in a few words; "" if not at all.

    Fields of pruning count; those of training count if the network is `trained`, or was trained before pruning;
    `timed`: only trials that ran alone match. Epochs before pruning do not count: they are readings. A failed trial
    differs.
    """
    why = pd.Series("", frame.index, dtype=object)
    if frame.empty:
        return why
    why[frame.status != "ok"] = FAILED
    for fields, matters in ((_PRUNING, frame.status == "ok"), (_TRAINING, (frame.pre_epochs > 0) | trained)):
        for field, title in fields.items():
            default = Trial.model_fields[field].default
            found = frame[field]
            other = found.notna() if default is None else ~found.isin([default, *_ALIKE.get(field, ())])
            for value in found[other & matters & (why == "")].unique():
                expected = "all" if default is None else _said(default)
                why[(found == value) & other & matters & (why == "")] = f"{title}: {_said(value)}, not {expected}"
    if timed:
        why[(why == "") & ~frame.alone.astype(bool)] = "timed beside other trials"
    return why


def _said(value: Any) -> str:
    """5,000; 0.25; a word or a truth as it is."""
    if isinstance(value, (str, bool, np.bool_)):
        return str(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def beside(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return a section's frame with one more column, published: the number of the paper's table, I to V, for each row.

    NaN where the paper has none, and where the row is not of the paper's protocol.
    """
    like = deviation(frame, trained=table in ("I", "II", "III")).isin(["", FAILED])
    return printed_beside(frame, table).assign(published=lambda rows: rows.published.where(like))


def in_full(study: Study, section: Section) -> pd.DataFrame:
    """Return a section's frame of the profile `paper` as published, to stand beside the frame of another profile.

    It is empty if `study` is of that profile, or if params/ does not hold it.
    """
    params = as_shipped("paper")
    if params is None or study.params.profile == params.profile:
        return study.frame(section)[:0]
    return Study(params).frame(section)


def as_printed(frame: pd.DataFrame) -> pd.Series:
    """Return accuracies as the paper prints them, in percent: top-1, and top-5 of a hundred classes."""
    return frame.top5.where(frame.dataset.map(classes) >= 100, frame.top1).astype(float)
