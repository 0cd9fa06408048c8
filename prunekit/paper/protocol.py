"""Whether trials of ours are the paper's: same dataset, network, treatment and budget."""

from __future__ import annotations

import pandas as pd

from ..study.trial import Trial

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
    "precision": "precision",
}
_ALIKE = {"precision": ("bf16-mixed",)}  # whose rounding moves no mean: see the report's arithmetic


def unlike(frame: pd.DataFrame, trained: bool) -> pd.Series:
    """Return, a row of a section's frame, in what it is not the paper's protocol, in a few words; "" where it is.

    In pruning, and where it matters, `trained` or trained before pruning, in training. Epochs before pruning are left
    to the readings. What failed is no run.
    """
    why = pd.Series("", frame.index, dtype=object)
    if frame.empty:
        return why
    why[frame.status != "ok"] = "the trial failed"
    for fields, matters in ((_PRUNING, frame.status == "ok"), (_TRAINING, (frame.pre_epochs > 0) | trained)):
        for field, title in fields.items():
            default = Trial.model_fields[field].default
            found = frame[field]
            other = found.notna() if default is None else ~found.isin([default, *_ALIKE.get(field, ())])
            for value in found[other & matters & (why == "")].unique():
                said = value if isinstance(value, str) else f"{value:,.0f}" if value >= 1000 else f"{value:g}"
                expected = "all" if default is None else default if isinstance(default, str) else f"{default:g}"
                why[(found == value) & other & matters & (why == "")] = f"{title}: {said}, not {expected}"
    return why
