"""How names and numbers are written for readers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from .. import names as catalogue


class _Named(dict[str, str]):
    """Prunekit's own, in order; asked for one of a user's, it gives its short name."""

    def __missing__(self, name: str) -> str:
        return name.rpartition(":")[2]


PRUNERS = _Named(catalogue.PRUNERS)
DATASETS = _Named({name: about.title for name, about in catalogue.DATASETS.items()})
FIELDS = {  # of a trial
    "width": "width",
    "pre_epochs": "epochs before pruning",
    "post_epochs": "epochs after pruning",
    "optimizer": "optimiser",
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "prune_steps": "prune steps",
    "scope": "scope",
    "scoring_images_per_class": "scoring images a class",
    "scoring_batch_size": "scoring batch",
    "train_subset": "training images",
    "precision": "precision",
}


_CELL = ["dataset", "model", "pruner", "compression", "pre_epochs", "labels", "control", "prune_steps", "schedule"]


def pruners(names: Iterable[str]) -> str:
    """SynFlow, SNIP; or "all"."""
    named = dict.fromkeys(names)
    return "all" if set(named) == set(PRUNERS) else ", ".join(PRUNERS[name] for name in named)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the pruners among `names` once each: the study's in its order, then the user's own as they appear."""
    named = dict.fromkeys(names)
    return [*(name for name in PRUNERS if name in named), *(name for name in named if name not in PRUNERS)]


def listed(names: list[str]) -> str:
    """SynFlow, SNIP and GraSP."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def model(name: str) -> str:
    """fc -> FC, vgg16_bn -> VGG16 with batch norm, resnet20 -> ResNet-20; of one of a user's own its short name."""
    return catalogue.title("model", name)


def estimate(mean: float, interval: float, digits: int = 1, share: bool = False) -> str:
    """81.4 ± 0.3; without the interval where one seed gives none; a dash where nothing is known; <0.1 for 0.02.

    Of a share, in percent, an interval that reaches beyond what a share can be is given by its ends: 99.4 (98.6–100).
    """
    if math.isnan(mean):
        return "–"
    least = 10**-digits
    if 0 < mean < least / 2 and not interval >= least / 2:
        return f"<{least:g}"
    text = f"{round(mean, digits) + 0.0:.{digits}f}"
    if math.isnan(interval):
        return text
    low, high = mean - interval, mean + interval
    if share and (low < 0 or high > 100) and round(interval, digits):
        return f"{text} ({max(low, 0):.{digits}f}–{min(high, 100):.{digits}f})".replace(f"100.{'0' * digits})", "100)")
    return f"{text} ± {interval:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """+0.3; a dash where nothing is known; never -0.0."""
    return "–" if math.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"


def number(value: float | str) -> str:
    """5,000; 0.25; a word as it is."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def budget(frame: pd.DataFrame) -> str:
    """What the rows of a section's frame were trained on, read from the trials themselves."""
    setups: dict[str, list[str]] = {}
    columns = ["model", "width", "train_subset", "pre_epochs", "post_epochs", "prune_steps"]
    for dataset in dict.fromkeys(frame.dataset):
        rows = frame[frame.dataset == dataset].fillna({"train_subset": 0})
        for name, width, subset, pre, post, steps in rows[columns].drop_duplicates().itertuples(index=False):
            scale = "" if width == 1 else f" at {width:g} of its width"
            data = f"{subset:,.0f} training images" if subset else "all training images"
            trained = f"{post} epochs on {data}" if post else "pruned at initialisation, not trained"
            before = f" after {pre} epochs before pruning" if pre else ""
            rounds = f", {steps} prune steps" if steps > 1 else ""
            setups.setdefault(f"{model(name)}{scale}, {trained}{before}{rounds}", []).append(DATASETS[dataset])
    return "; ".join(f"{', '.join(names)}: {setup}" for setup, names in setups.items())


def seeds(frame: pd.DataFrame) -> str:
    """3 seeds; 2 to 3 seeds, where cells have different numbers of them."""
    cells = [key for key in _CELL if key in frame]
    counts = frame.groupby(cells, dropna=False).seed.nunique() if cells else pd.Series([frame.seed.nunique()])
    if counts.min() != counts.max():
        return f"{counts.min()} to {counts.max()} seeds"
    return f"{counts.max()} seeds" if counts.max() > 1 else "1 seed"


def verbatim(text: str) -> str:
    """A message as one line of code, which no reader of Markdown takes for anything else."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
