"""How names and numbers are written for readers."""

from __future__ import annotations

import math

import pandas as pd

PRUNERS = {
    "synflow": "SynFlow",
    "magnitude": "Magnitude",
    "snip": "SNIP",
    "grasp": "GraSP",
    "random": "Random",
}
DATASETS = {
    "digits": "Digits",
    "digit-pairs": "Digit pairs",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
}


def model(name: str) -> str:
    """fc -> FC, vgg16_bn -> VGG16 with batch norm."""
    return name.removesuffix("_bn").upper() + (" with batch norm" if name.endswith("_bn") else "")


def estimate(mean: float, interval: float, digits: int = 1) -> str:
    """81.4 ± 0.3; without the interval where one seed gives none; a dash where nothing is known."""
    if math.isnan(mean):
        return "–"
    text = f"{mean:.{digits}f}"
    return text if math.isnan(interval) else f"{text} ± {interval:.{digits}f}"


def budget(frame: pd.DataFrame) -> str:
    """What the rows of a section's frame were trained on, read from the trials themselves."""
    parts = []
    columns = ["model", "width", "train_subset", "pre_epochs", "post_epochs", "prune_steps"]
    for dataset in dict.fromkeys(frame.dataset):
        rows = frame[frame.dataset == dataset].fillna({"train_subset": 0})
        for name, width, subset, pre, post, steps in rows[columns].drop_duplicates().itertuples(index=False):
            scale = "" if width == 1 else f" at {width:g} of its width"
            data = f"{subset:,.0f} training images" if subset else "all training images"
            trained = f"{post} epochs on {data}" if post else "pruned at initialisation, not trained"
            before = f" after {pre} epochs before pruning" if pre else ""
            rounds = f", {steps} prune steps" if steps > 1 else ""
            parts.append(f"{DATASETS[dataset]}: {model(name)}{scale}, {trained}{before}{rounds}")
    return "; ".join(parts)


def seeds(frame: pd.DataFrame) -> str:
    count = frame.seed.nunique()
    return f"{count} seeds" if count > 1 else "1 seed"
