"""Records -> the paper's five tables, ours with the 95 % interval over seeds and the published value beside it."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd

from ..names import CIFAR100_SUPERCLASSES
from ..study.results import chance
from . import formatting, paper_values
from .paper_values import KEYS
from .statistics import difference, half_width, summary, trained
from .table import Table, named_once, telling, unless_empty

READING = "Ours is the mean ± the half-width of its 95 % t interval over {seeds}"
INFERENCE_IMAGES = 10_000  # of CIFAR's test
_PARTS = {"top-1": "top1", "top-5": "top5"}


@unless_empty
def accuracy_by_dataset(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Table:
    """Table I: top-1 and top-5 accuracy at one compression, by dataset; in its caption, that of unpruned networks."""
    compression = frame.compression.iloc[0]
    what = f"Test accuracy in %, at compression {compression:g}, by dataset"
    return _accuracy("table1_accuracy_by_dataset", "Table I", what, frame, unpruned)


@unless_empty
def accuracy_by_compression(frame: pd.DataFrame, unpruned: pd.DataFrame | None = None) -> Table:
    """Table II: top-1 and top-5 accuracy by compression; in its caption, that of unpruned networks."""
    what = "Test accuracy in %, by compression"
    return _accuracy("table2_accuracy_by_compression", "Table II", what, frame, unpruned)


@unless_empty
def time(frame: pd.DataFrame) -> Table:
    """Table III: seconds of a whole trial, and of inference on a test of CIFAR's size; no row mixes machines."""
    name = "table3_time"
    several = ["machine"] if frame.machine.dropna().nunique() > 1 else []
    by = [*KEYS, *several]
    known = frame.dropna(subset="machine")
    inference = INFERENCE_IMAGES * frame.latency.astype(float)
    frame = frame.assign(machine=frame.machine.fillna("not known"), inference_seconds=inference)
    parts = {"trial": "seconds", "inference": "inference_seconds"}
    tidy = pd.concat([summary(frame, column, by).assign(time=label) for label, column in parts.items()])
    tidy = _in_order(paper_values.attach(tidy.reset_index(drop=True), name), ["time"])
    tidy.loc[tidy.time != "trial", ["published", "in_paper"]] = math.nan, False
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
    tidy = paper_values.attach(_millions(summary(frame, "flops_kept")), name)
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
    tidy = paper_values.attach(summary(pd.DataFrame(rows), "percent", [*KEYS, "layer"]), name)
    tidy.loc[tidy.layer != "all parameters", ["published", "in_paper"]] = math.nan, False
    caption = (
        f"Density of each layer in % at compression {layers.compression.iloc[0]:g}. The paper printed one number for "
        "all layers; it is the density of all parameters, biases included"
    )
    wide = _wide(tidy, ["layer"], digits=2, share=True)
    return Table(name, "Table V", _caption(caption, tidy, layers.drop_duplicates("id")), tidy, wide)


@unless_empty
def paired(frame: pd.DataFrame, name: str, number: str) -> Table | None:
    """Differences in top-1 accuracy between pruners of one seed, whose initial weights and batches are the same.

    None for one pruner.
    """
    if frame.pruner.nunique() < 2:
        return None
    several = frame.compression.nunique() > 1
    rows, shown = [], []
    for (dataset, model, compression), cell in frame.groupby(["dataset", "model", "compression"], sort=False):
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            gaps = difference(cell, first, second)
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
        "Differences in top-1 accuracy, in points, paired on seeds: mean ± the half-width of its 95 % t interval over "
        f"{formatting.seeds(frame)}."
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
    caption = (
        "CIFAR-100 groups its hundred classes into twenty superclasses, which are its coarse labels. Its images are "
        "not those of CIFAR-10 (Finding 7)."
    )
    return [Table("cifar100_superclasses", "Table A", caption, tidy, wide)]


def _accuracy(name: str, number: str, what: str, frame: pd.DataFrame, unpruned: pd.DataFrame | None) -> Table:
    tidy = pd.concat([summary(frame, column).assign(accuracy=label) for label, column in _PARTS.items()])
    tidy = _in_order(paper_values.attach(tidy.reset_index(drop=True), name), ["accuracy"])
    few = tidy.dataset.map(chance) > 1  # of ten classes a guess is among five: top-5 says nothing there
    tidy.loc[few & (tidy.accuracy == "top-5"), ["published", "in_paper"]] = math.nan, False
    ours = tidy.merge(
        tidy[tidy.accuracy == "top-1"][[*KEYS, "each"]].rename(columns={"each": "top1"}), on=KEYS, how="left"
    )
    tidy["trained"] = [int(trained(d, pd.Series(top1)).sum()) for d, top1 in zip(ours.dataset, ours.top1, strict=True)]
    shown = tidy[~(few & (tidy.accuracy == "top-5"))]
    caption = _caption(what, tidy, frame)
    if ((shown.trained > 0) & (shown.trained < shown.seeds)).any():
        caption += " Where some seeds trained (top-1 above twice chance) and others did not: how many, and each seed."
    for dataset, trials in frame[(frame.pruner == "magnitude") & (frame.pre_epochs > 0)].groupby("dataset", sort=False):
        where = f"{formatting.DATASETS[str(dataset)]}, {formatting.model(trials.model.iloc[0])}"
        caption += f" Magnitude on {where}: after {trials.pre_epochs.iloc[0]} epochs of training; Finding 2 has others."
    if (shown.accuracy == "top-5").any() and _alike(shown).any():
        caption += " The paper's values for a hundred classes stand beside both: its tables say top-1, its text top-5."
    return Table(name, number, caption + _not_pruned(frame, unpruned), tidy, _wide(shown, ["accuracy"], share=True))


def _not_pruned(frame: pd.DataFrame, unpruned: pd.DataFrame | None) -> str:
    """Return what the networks of `frame` reach with all weights, seed by seed, for a caption; "" if none was run."""
    told = []
    for (dataset, model), rows in (
        () if unpruned is None else unpruned.dropna(subset="top1").groupby(["dataset", "model"], sort=False)
    ):
        if ((frame.dataset == dataset) & (frame.model == model)).any():
            parts = {"top1": "top-1"} | ({"top5": "top-5"} if chance(str(dataset)) <= 1 else {})
            each = {title: ", ".join(f"{value:.1f}" for value in rows[key].dropna()) for key, title in parts.items()}
            shown = "; ".join(f"{title} {values}" for title, values in each.items())
            told.append(f"{formatting.DATASETS[str(dataset)]}, {formatting.model(str(model))}: {shown}")
    return f" Not pruned, each seed: {'. '.join(told)}." if told else ""


def _millions(tidy: pd.DataFrame) -> pd.DataFrame:
    each = pd.Series([[value / 1e6 for value in values] for values in tidy.each], tidy.index)
    return tidy.assign(mean=tidy["mean"] / 1e6, interval=tidy["interval"] / 1e6, each=each)


def _in_order(tidy: pd.DataFrame, parts: list[str]) -> pd.DataFrame:
    """Return the rows of a dataset and network together, of these those of a part, each in order of appearance."""
    ranks = pd.DataFrame({key: pd.factorize(tidy[key])[0] for key in ["dataset", "model", *parts]}, tidy.index)
    return tidy.loc[ranks.sort_values(list(map(str, ranks)), kind="stable").index].reset_index(drop=True)


def _alike(tidy: pd.DataFrame) -> pd.Series:
    """Whether a row's published value is of its own data and network, not of what they stand in for."""
    return tidy.published_for == tidy.dataset + "/" + tidy.model


def _caption(what: str, tidy: pd.DataFrame, frame: pd.DataFrame) -> str:
    alike = _alike(tidy)
    text = f"{what}. {READING.format(seeds=formatting.seeds(frame))}"
    text += "; the paper's value is in brackets." if alike.any() else "."
    if not alike.all():
        others = ", ".join(formatting.DATASETS[dataset] for dataset in dict.fromkeys(tidy.dataset[~alike]))
        text += f" {others}: not the paper's data, so none of its values."
    if tidy.collapsed.any():
        text += " † collapsed: nothing kept leads from input to output (†1/3: so in one seed of three)."
    return text


def _wide(tidy: pd.DataFrame, by: list[str], digits: int = 1, share: bool = False) -> pd.DataFrame:
    """Return what is read: a row a dataset, model, `by`, compression; a column a pruner; cells "ours [published]"."""
    alike = _alike(tidy)

    def cell(row: Any) -> str:
        text = formatting.estimate(row.mean_, row.interval, digits, share)
        if 0 < getattr(row, "trained", 0) < row.seeds:
            text = f"{row.trained} of {row.seeds}: {', '.join(f'{value:.{digits}f}' for value in row.each)}"
        if row.failed:
            text += f" ({row.failed} failed)"
        if row.in_paper and alike[row.Index]:
            text += " [n/a]" if math.isnan(row.published) else f" [{row.published:g}]"
        if row.collapsed:
            text += " †" if row.collapsed >= row.seeds else f" †{row.collapsed}/{row.seeds}"
        return text

    rows = tidy.rename(columns={"mean": "mean_"})
    compressions = ["compression"] if tidy.compression.nunique() > 1 else []
    keys = ["dataset", "model", *by, *compressions]
    wide = _pivot(tidy.assign(text=[cell(row) for row in rows.itertuples()]), keys)
    blocks = [title for title in ("Dataset", "Network", *(key.capitalize() for key in by)) if title in wide]
    return named_once(wide, [title for title in blocks if title != "Layer"])


def _pivot(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `cells` with a row for each of `keys` and a column a pruner, in order of appearance, named for readers."""
    wide = cells.pivot(index=keys, columns="pruner", values="text")[list(dict.fromkeys(cells.pruner))]
    wide = wide.loc[list(dict.fromkeys(cells[keys].itertuples(index=False, name=None)))].reset_index().fillna("n/a")
    wide["dataset"] = wide.dataset.map(formatting.DATASETS)
    wide["model"] = wide.model.map(formatting.model)
    if "compression" in wide:
        wide["compression"] = wide.compression.map("{:g}".format)
    pruners = {pruner: formatting.PRUNERS[pruner] for pruner in cells.pruner}
    titles = pruners | {key: key.capitalize() for key in keys} | {"model": "Network"}
    wide = wide.rename(columns=titles).rename_axis(columns=None)
    return telling(wide, always={"Dataset", "Compression", *pruners.values()})
