"""A section's trials -> its table: what runs came to over seeds, beside what is published, where the rows tell it."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd

from ..names import CIFAR100_SUPERCLASSES
from ..study.results import chance
from ..study.statistics import CELL, difference, half_width, summary
from . import formatting
from .table import Table, named_once, telling, unless_empty

READING = "Ours is the mean ± the half-width of its 95 % t interval over {seeds}"
STARTED = "The mean ± the standard deviation of the runs that started to learn, of {seeds}"
INFERENCE_IMAGES = 10_000  # of CIFAR's test
_PARTS = {"top-1": "top1", "top-5": "top5"}


@unless_empty
def accuracy_by_dataset(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Table:
    """Table I: top-1 and top-5 accuracy at one compression, by dataset, beside that of unpruned networks."""
    compression = frame.compression.iloc[0]
    what = f"Test accuracy in %, at compression {compression:g}, by dataset"
    return _accuracy("table1_accuracy_by_dataset", "Table I", what, frame, unpruned)


@unless_empty
def accuracy_by_compression(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Table:
    """Table II: top-1 and top-5 accuracy by compression, beside that of unpruned networks."""
    what = "Test accuracy in %, by compression"
    return _accuracy("table2_accuracy_by_compression", "Table II", what, frame, unpruned)


@unless_empty
def time(frame: pd.DataFrame) -> Table:
    """Table III: seconds of a whole trial, and of inference on a test of CIFAR's size; no row mixes machines."""
    name = "table3_time"
    several = ["machine"] if frame.machine.dropna().nunique() > 1 else []
    by = [*CELL, *several]
    known = frame.dropna(subset="machine")
    inference = INFERENCE_IMAGES * frame.latency.astype(float)
    frame = frame.assign(machine=frame.machine.fillna("not known"), inference_seconds=inference)
    parts = {"trial": "seconds", "inference": "inference_seconds"}
    tidy = pd.concat([summary(frame, column, by).assign(time=label) for label, column in parts.items()])
    tidy = _in_order(_published(tidy, frame), ["time"])
    tidy.loc[tidy.time != "trial", "published"] = math.nan
    caption = (
        "Seconds of a whole trial (training, scoring, pruning, a test after each epoch), and of inference on "
        f"{INFERENCE_IMAGES:,} images (from the median of five passes of a hundred)"
    )
    if len(known):
        together = "one trial at a time" if known.alone.all() else "several trials at once, which slow each other"
        threads = " or ".join(map(str, sorted(set(known.threads.astype(int)))))
        caption += f"; on {' and '.join(dict.fromkeys(known.machine))}, {together}, threads of each: {threads}"
    if frame.together.max() > 1:
        caption += "; networks trained side by side share theirs equally"
    return Table(name, "Table III", _caption(caption, tidy, frame), tidy, _wide(tidy, [*several, "time"], digits=2))


@unless_empty
def flops(frame: pd.DataFrame) -> Table:
    """Table IV: millions of FLOPs of the pruned network for one image."""
    name = "table4_flops"
    tidy = _published(_millions(summary(frame, "flops_kept")), frame)
    known = frame.reindex(columns=["dataset", "flops"]).dropna().drop_duplicates()
    unpruned = ", ".join(f"{formatting.DATASETS[d]} {f / 1e6:.1f}" for d, f in known.itertuples(index=False))
    caption = (
        "FLOPs of the pruned network for one image, in millions (one FLOP is one multiply-add, a bias add counts one; "
        f"not pruned: {unpruned})"
    )
    digits = 1 if tidy["mean"].max() >= 10 else 2
    return Table(name, "Table IV", _caption(caption, tidy, frame), tidy, _wide(tidy, [], digits))


@unless_empty
def layer_compression(layers: pd.DataFrame) -> Table:
    """Table V: density of each layer in %, of all weights, and of all parameters, which is what the paper printed."""
    name = "table5_layer_compression"
    rows = []
    for _, trial in layers.groupby("id", sort=False):
        row = trial.iloc[0].to_dict()
        counts = {layer: pair for layer, *pair in zip(trial.layer, trial.layer_kept, trial.layer_total, strict=True)}
        counts["all weights"] = [trial.layer_kept.sum(), trial.layer_total.sum()]
        counts["all parameters"] = [row["parameters_kept"], row["parameters"]]
        rows += [{**row, "layer": layer, "percent": 100 * kept / of} for layer, (kept, of) in counts.items()]
    tidy = _published(summary(pd.DataFrame(rows), "percent", [*CELL, "layer"]), layers)
    tidy.loc[tidy.layer != "all parameters", "published"] = math.nan
    caption = (
        f"Density of each layer in % at compression {layers.compression.iloc[0]:g}. The paper printed one number for "
        "all layers; it is the density of all parameters, biases included"
    )
    wide = _wide(tidy, ["layer"], digits=2, share=True)
    return Table(name, "Table V", _caption(caption, tidy, layers.drop_duplicates("id")), tidy, wide)


@unless_empty
def paired(frame: pd.DataFrame, name: str, number: str) -> Table | None:
    """Differences in top-1 accuracy between pruners of one seed, whose initial weights and batches are the same.

    Of seeds of which both started to learn; None for one pruner.
    """
    if frame.pruner.nunique() < 2:
        return None
    several = frame.compression.nunique() > 1
    rows, shown = [], []
    for (dataset, model, compression), cell in frame.groupby(["dataset", "model", "compression"], sort=False):
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            gaps = difference(cell[cell.started], first, second)
            mean, interval = float(gaps.mean()), half_width(gaps)
            rows.append((dataset, model, compression, first, second, mean, interval, len(gaps)))
            place = (
                f"c = {compression:g}"
                if several
                else f"{formatting.DATASETS[str(dataset)]}, {formatting.model(str(model))}"
            )
            pair = f"{formatting.PRUNERS[first]} − {formatting.PRUNERS[second]}"
            shown.append((pair, place, formatting.estimate(mean, interval)))
    columns = ["dataset", "model", "compression", "first", "second", "mean", "interval", "seeds"]
    tidy = pd.DataFrame(rows, columns=columns)
    cells = pd.DataFrame(shown, columns=["Difference", "cell", "text"])
    wide = cells.pivot(index="Difference", columns="cell", values="text")
    wide = wide.loc[list(dict.fromkeys(cells.Difference)), list(dict.fromkeys(cells.cell))].fillna("–").reset_index()
    caption = (
        "Differences in top-1 accuracy, in points, paired on seeds of which both networks started to learn: mean ± the "
        f"half-width of its 95 % t interval, of {formatting.seeds(frame)}."
    )
    return Table(name, number, caption, tidy, wide.rename_axis(columns=None))


def superclasses(frame: pd.DataFrame) -> list[Table]:
    """The twenty superclasses of CIFAR-100 with their five classes each, if `frame` has trials on it."""
    if "cifar100" not in set(frame.dataset):
        return []
    tidy = pd.DataFrame(
        [(group, fine) for group, members in CIFAR100_SUPERCLASSES.items() for fine in members],
        columns=["superclass", "class"],
    )
    members = tidy.groupby("superclass", sort=False)["class"].agg(", ".join).str.replace("_", " ").reset_index()
    wide = members.set_axis(["Superclass", "Classes"], axis=1)
    caption = "CIFAR-100 groups its hundred classes into twenty superclasses, which are its coarse labels."
    return [Table("cifar100_superclasses", "Table A", caption, tidy, wide)]


def _accuracy(name: str, number: str, what: str, frame: pd.DataFrame, unpruned: pd.DataFrame | None) -> Table:
    tidy = _in_order(_published(_of_started(frame), frame), ["accuracy"])
    few = tidy.dataset.map(chance) > 1  # of ten classes a guess is among five: top-5 says nothing there
    shown = tidy[~(few & (tidy.accuracy == "top-5"))]
    wide = _wide(shown, ["accuracy"], share=True, started=True)
    caption = _caption(what, tidy, frame, STARTED)
    if (shown.started < shown.runs).any():
        caption += (
            " (2 of 3): how many started, where not all; where none did, the mean of all. Failed to start: top-1 "
        )
        caption += "at the end exactly that of a constant output."
    for dataset, trials in frame[(frame.pruner == "magnitude") & (frame.pre_epochs > 0)].groupby("dataset", sort=False):
        where = f"{formatting.DATASETS[str(dataset)]}, {formatting.model(trials.model.iloc[0])}"
        caption += f" Magnitude on {where}: after {trials.pre_epochs.iloc[0]} epochs of training."
    if unpruned is not None and len(unpruned):
        dense = _of_started(unpruned.assign(pruner="", compression=0.0))
        dense = dense.merge(tidy[["dataset", "model"]].drop_duplicates()).assign(published=math.nan)
        wide.insert(len(wide.columns) - frame.pruner.nunique(), "Not pruned", _once_a_block(shown, dense))
        tidy = pd.concat([tidy, dense.assign(pruner="not pruned")], ignore_index=True)
    if (shown.accuracy == "top-5").any() and shown.published.notna().any():
        caption += " The paper's values for a hundred classes stand beside both: its tables say top-1, its text top-5."
    return Table(name, number, caption, tidy, wide)


def _once_a_block(shown: pd.DataFrame, dense: pd.DataFrame) -> list[str]:
    """Return what unpruned networks reach, beside the first row of each dataset, network and accuracy of a table."""
    block = ["dataset", "model", "accuracy"]
    rows = dense.rename(columns={"mean": "mean_"}).itertuples()
    texts = {tuple(getattr(row, key) for key in block): _text(row, 1, share=True, started=True) for row in rows}
    lines = shown.drop_duplicates([*block, "compression"])
    keys = list(lines[block].itertuples(index=False, name=None))
    return ["" if key in keys[:place] else texts.get(key, "–") for place, key in enumerate(keys)]


def _of_started(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a cell and accuracy, of the runs that started (of all, where none did); runs: how many there are."""
    kept = frame.started | ~frame.groupby(CELL).started.transform("any")
    runs = frame.groupby(CELL, sort=False).top1.count().rename("runs").reset_index()
    parts = [
        summary(frame.assign(value=frame[column].astype(float).where(kept)), "value").assign(accuracy=label)
        for label, column in _PARTS.items()
    ]
    return pd.concat(parts, ignore_index=True).merge(runs, on=CELL)


def _millions(tidy: pd.DataFrame) -> pd.DataFrame:
    each = pd.Series([[value / 1e6 for value in values] for values in tidy.each], tidy.index)
    return tidy.assign(mean=tidy["mean"] / 1e6, interval=tidy["interval"] / 1e6, each=each)


def _in_order(tidy: pd.DataFrame, parts: list[str]) -> pd.DataFrame:
    """Return the rows of a dataset and network together, of these those of a part, each in order of appearance."""
    ranks = pd.DataFrame({key: pd.factorize(tidy[key])[0] for key in ["dataset", "model", *parts]}, tidy.index)
    return tidy.loc[ranks.sort_values(list(map(str, ranks)), kind="stable").index].reset_index(drop=True)


def _published(tidy: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return `tidy` with the column `published`: what `frame` has so for a cell, NaN where it has nothing."""
    if "published" not in frame:
        return tidy.assign(published=math.nan).reset_index(drop=True)
    return tidy.merge(frame[[*CELL, "published"]].drop_duplicates(CELL), on=CELL, how="left")


def _caption(what: str, tidy: pd.DataFrame, frame: pd.DataFrame, reading: str = READING) -> str:
    text = f"{what}. {reading.format(seeds=formatting.seeds(frame))}"
    text += "; the paper's value is in brackets." if tidy.published.notna().any() else "."
    if tidy.collapsed.any():
        text += " † collapsed: nothing kept leads from input to output (†1/3: so in one seed of three)."
    return text


def _text(row: Any, digits: int, share: bool, started: bool) -> str:
    """Return how a cell is read: 81.4 ± 0.3 (2 of 3) [78.8] †."""
    text = formatting.estimate(row.mean_, row.spread if started else row.interval, digits, share)
    runs = row.runs if started else row.seeds
    if started and row.started < runs:
        text += f" ({row.started} of {runs})"
    if row.failed:
        text += f" ({row.failed} failed)"
    if not math.isnan(row.published):
        text += f" [{row.published:g}]"
    if row.collapsed:
        text += " †" if row.collapsed >= runs else f" †{row.collapsed}/{runs}"
    return text


def _wide(
    tidy: pd.DataFrame, by: list[str], digits: int = 1, share: bool = False, started: bool = False
) -> pd.DataFrame:
    """Return what is read: a row a dataset, model, `by`, compression; a column a pruner; cells "ours [published]"."""
    rows = tidy.rename(columns={"mean": "mean_"})
    compressions = ["compression"] if tidy.compression.nunique() > 1 else []
    keys = ["dataset", "model", *by, *compressions]
    wide = _pivot(tidy.assign(text=[_text(row, digits, share, started) for row in rows.itertuples()]), keys)
    blocks = [title for title in ("Dataset", "Network", *(key.capitalize() for key in by)) if title in wide]
    return named_once(wide, [title for title in blocks if title != "Layer"])


def _pivot(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `cells` with a row for each of `keys` and a column a pruner, in order of appearance, named for readers."""
    wide = cells.pivot(index=keys, columns="pruner", values="text")[list(dict.fromkeys(cells.pruner))]
    wide = wide.loc[list(dict.fromkeys(cells[keys].itertuples(index=False, name=None)))].reset_index().fillna("–")
    wide["dataset"] = wide.dataset.map(formatting.DATASETS)
    wide["model"] = wide.model.map(formatting.model)
    if "compression" in wide:
        wide["compression"] = wide.compression.map("{:g}".format)
    pruners = {pruner: formatting.PRUNERS[pruner] for pruner in cells.pruner}
    titles = pruners | {key: key.capitalize() for key in keys} | {"model": "Network"}
    wide = wide.rename(columns=titles).rename_axis(columns=None)
    return telling(wide, always={"Dataset", "Compression", *pruners.values()})
