"""Records -> the paper's five tables, ours with the 95 % interval over seeds and the published value beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from ..datasets.classes import CIFAR100_SUPERCLASSES
from ..study.store import replace
from ..study.trial import Record
from . import published, words
from .published import KEYS

LONG_LINE = 400  # characters: pandoc gives tables with a longer line the column widths of their dashes
MIME = "application/vnd.prunekit+json"  # tells the report which file an output stands for
READING = "Ours is the mean ± the half-width of its 95 % t interval over {seeds}; the published value is in brackets."


@dataclass(frozen=True)
class Table:
    """A numbered table: `tidy` goes to the CSV, `wide` is what is read. `name` is its file's name.

    `widths` are the relative widths of the columns where long texts call for them.
    """

    name: str
    number: str
    caption: str
    tidy: pd.DataFrame
    wide: pd.DataFrame
    widths: tuple[int, ...] = ()

    def save(self, folder: Path) -> None:
        """Write NAME.csv, NAME.md and NAME.tex into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / f"{self.name}.csv", self.tidy.to_csv(index=False, lineterminator="\n").encode())
        replace(folder / f"{self.name}.md", self.markdown().encode())
        tex = self.wide.to_latex(index=False, escape=True, caption=_tex(self.caption), label=f"tab:{self.name}")
        replace(folder / f"{self.name}.tex", tex.replace("±", r"$\pm$").replace("–", "--").encode())

    def markdown(self) -> str:
        """The caption and below it a pipe table, as GitHub shows it."""
        body = self.wide.to_markdown(index=False, disable_numparse=True)
        if self.widths:  # pandoc reads them from the dashes if a line is long
            header, _, *rows = body.splitlines()
            scale = LONG_LINE // sum(self.widths) + 1
            body = "\n".join([header, f"|{'|'.join('-' * (scale * width) for width in self.widths)}|", *rows])
        return f"**{self.number}.** {self.caption}\n\n{body}\n"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        caption = f"<p><b>{self.number}.</b> {self.caption}</p>"
        return {
            MIME: {"table": self.name},
            "text/html": caption + self.wide.to_html(index=False, border=0),
            "text/plain": f"{self.number}. {self.caption}\n{self.wide.to_string(index=False)}",
        }


def summary(frame: pd.DataFrame, value: str, by: list[str] | None = None) -> pd.DataFrame:
    """Return one row a cell: `by` (KEYS if None), mean, interval (half-width, 95 %, t), seeds, failed, collapsed.

    Cells keep the frame's order. `seeds` counts the trials that the mean rests on; one gives no interval (NaN).
    """
    rows = []
    for cell, group in frame.groupby(by or KEYS, sort=False):
        known = group[value].dropna().astype(float) if value in group else pd.Series(dtype=float)
        collapsed = int(group["collapsed"].eq(True).sum()) if "collapsed" in group else 0
        failed = int((group.status != "ok").sum())
        rows.append((*cell, known.mean(), half_width(known), len(known), failed, collapsed))
    return pd.DataFrame(rows, columns=[*(by or KEYS), "mean", "interval", "seeds", "failed", "collapsed"])


def half_width(values: pd.Series) -> float:
    """Return the half-width of the 95 % t interval of the mean of `values`, NaN for fewer than two."""
    if len(values) < 2:
        return math.nan
    return float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))


def accuracy_by_dataset(frame: pd.DataFrame) -> Table:
    """Table I: top-1 and top-5 accuracy at one compression, by dataset."""
    compression = frame.compression.iloc[0]
    what = f"Test accuracy in %, at compression {compression:g}, by dataset"
    return _accuracy("table1_accuracy_by_dataset", "Table I", what, frame)


def accuracy_by_compression(frame: pd.DataFrame) -> Table:
    """Table II: top-1 and top-5 accuracy by compression."""
    return _accuracy("table2_accuracy_by_compression", "Table II", "Test accuracy in %, by compression", frame)


def time(frame: pd.DataFrame) -> Table:
    """Table III: seconds a whole trial takes, and a pass over the test images."""
    parts = {"trial": "trial_seconds", "inference": "inference_seconds"}
    caption = (
        "Seconds a whole trial takes (training, scoring, pruning, a test after each epoch), and of one pass over "
        "the test images (inference)"
    )
    if frame.together.max() > 1:
        caption += "; networks trained side by side share theirs equally"
    return _by_part("table3_time", "Table III", caption, frame, "time", parts, "trial", digits=2)


def flops(frame: pd.DataFrame) -> Table:
    """Table IV: millions of FLOPs of the pruned network for one image."""
    name = "table4_flops"
    tidy = published.attach(_millions(summary(frame, "flops_kept")), name)
    known = frame.reindex(columns=["dataset", "flops"]).dropna().drop_duplicates()
    unpruned = ", ".join(f"{words.DATASETS[d]} {f / 1e6:.1f}" for d, f in known.itertuples(index=False))
    caption = (
        "FLOPs of the pruned network for one image, in millions (one FLOP is one multiply-add, a bias add counts one; "
        f"not pruned: {unpruned})"
    )
    return Table(name, "Table IV", _caption(caption, frame), tidy, _wide(tidy, ["compression"]))


def layer_compression(frame: pd.DataFrame, records: Mapping[str, Record]) -> Table:
    """Table V: density of each layer in %, of all weights, and of all parameters, which is what the paper printed."""
    name = "table5_layer_compression"
    rows = []
    for row in frame.to_dict("records"):
        record = records.get(str(row["id"]))
        if record is None or record.status != "ok":
            continue
        counts = {layer.name.removesuffix(".weight"): (layer.kept, layer.total) for layer in record.layers}
        counts["all weights"] = tuple(map(sum, zip(*counts.values(), strict=True)))  # type: ignore[assignment]
        assert record.parameters and record.parameters_kept
        counts["all parameters"] = (record.parameters_kept, record.parameters)
        rows += [{**row, "layer": layer, "percent": 100 * kept / total} for layer, (kept, total) in counts.items()]
    if not rows:
        rows = [{**row, "layer": "all parameters", "percent": math.nan} for row in frame.to_dict("records")]
    tidy = published.attach(summary(pd.DataFrame(rows), "percent", [*KEYS, "layer"]), name)
    tidy.loc[tidy.layer != "all parameters", ["published", "in_paper"]] = math.nan, False
    caption = (
        f"Density of each layer in % at compression {frame.compression.iloc[0]:g}. The paper printed one number for "
        "all layers; it is the density of all parameters, biases included"
    )
    return Table(name, "Table V", _caption(caption, frame), tidy, _wide(tidy, ["layer"], digits=2))


def paired(frame: pd.DataFrame, name: str, number: str) -> Table:
    """Differences in top-1 accuracy between pruners of one seed, whose initial weights and batches are the same."""
    several = frame.compression.nunique() > 1
    rows, shown = [], []
    for (dataset, model, compression), cell in frame.groupby(["dataset", "model", "compression"], sort=False):
        by_pruner = cell.pivot(index="seed", columns="pruner", values="top1").astype(float)
        for first, second in combinations(dict.fromkeys(cell.pruner), 2):
            gaps = (by_pruner[first] - by_pruner[second]).dropna()
            mean, interval = float(gaps.mean()), half_width(gaps)
            rows.append((dataset, model, compression, first, second, mean, interval, len(gaps)))
            place = f"c = {compression:g}" if several else f"{words.DATASETS[str(dataset)]}, {words.model(str(model))}"
            pair = f"{words.PRUNERS[first]} − {words.PRUNERS[second]}"
            shown.append((pair, place, words.estimate(mean, interval)))
    columns = ["dataset", "model", "compression", "first", "second", "mean", "interval", "seeds"]
    tidy = pd.DataFrame(rows, columns=columns)
    cells = pd.DataFrame(shown, columns=["Difference", "cell", "text"])
    wide = cells.pivot(index="Difference", columns="cell", values="text")
    wide = wide.loc[list(dict.fromkeys(cells.Difference)), list(dict.fromkeys(cells.cell))].reset_index()
    caption = (
        "Differences in top-1 accuracy, in points, paired on seeds: mean ± the half-width of its 95 % t interval over "
        f"{words.seeds(frame)}. {words.budget(frame)}."
    )
    return Table(name, number, caption, tidy, wide.rename_axis(columns=None))


def superclasses() -> Table:
    """The twenty superclasses of CIFAR-100 with their five classes each."""
    tidy = pd.DataFrame(
        [(group, fine) for group, members in CIFAR100_SUPERCLASSES.items() for fine in members],
        columns=["superclass", "class"],
    )
    members = tidy.groupby("superclass", sort=False)["class"].agg(", ".join).str.replace("_", " ").reset_index()
    wide = members.set_axis(["Superclass", "Classes"], axis=1)
    return Table("cifar100_superclasses", "Table A", "The superclasses of CIFAR-100.", tidy, wide)


def _accuracy(name: str, number: str, what: str, frame: pd.DataFrame) -> Table:
    table = _by_part(name, number, what, frame, "accuracy", {"top-1": "top1", "top-5": "top5"}, "top-1")
    note = " The published values stand in the top-1 rows, as the paper labels them; the audit reads them as top-5 too."
    return Table(name, number, table.caption + note, table.tidy, table.wide)


def _by_part(
    name: str,
    number: str,
    what: str,
    frame: pd.DataFrame,
    part: str,
    columns: dict[str, str],
    published_part: str,
    digits: int = 1,
) -> Table:
    """A table with several values a cell, one row each; the published value belongs to one of them."""
    tidy = pd.concat([summary(frame, column).assign(**{part: label}) for label, column in columns.items()])
    tidy = published.attach(tidy.reset_index(drop=True), name)
    tidy.loc[tidy[part] != published_part, ["published", "in_paper"]] = math.nan, False
    by = [part, "compression"] if frame.compression.nunique() > 1 else [part]
    return Table(name, number, _caption(what, frame), tidy, _wide(tidy, by, digits))


def _millions(tidy: pd.DataFrame) -> pd.DataFrame:
    return tidy.assign(mean=tidy["mean"] / 1e6, interval=tidy["interval"] / 1e6)


def _caption(what: str, frame: pd.DataFrame) -> str:
    reading = READING.format(seeds=words.seeds(frame))
    stands = _stand_ins(frame)
    return f"{what}. {words.budget(frame)}. {reading}{stands}"


def _stand_ins(frame: pd.DataFrame) -> str:
    pairs = dict.fromkeys(zip(frame.dataset, frame.model, strict=True))
    others = {pair: published.counterpart(*pair) for pair in pairs if published.counterpart(*pair) != pair}
    said = [
        f"{words.DATASETS[d]} with {words.model(m)} beside {words.DATASETS[pd_]} with {words.model(pm)}"
        for (d, m), (pd_, pm) in others.items()
    ]
    return f" Published values are of other data or networks: {', '.join(said)}." if said else ""


def _wide(tidy: pd.DataFrame, by: list[str], digits: int = 1) -> pd.DataFrame:
    """Return what is read: a row a dataset, model and `by`, a column a pruner, a cell "ours [published]"."""

    def cell(row: Any) -> str:
        text = words.estimate(row.mean_, row.interval, digits)
        if row.failed:
            text += f" ({row.failed} failed)"
        if row.in_paper:
            text += " [n/a]" if math.isnan(row.published) else f" [{row.published:g}]"
        if row.collapsed:
            share = "" if row.collapsed >= row.seeds else f" {row.collapsed}/{row.seeds}"
            text += f" COLLAPSED{share}"
        return text

    rows = tidy.rename(columns={"mean": "mean_"})
    wide = _pivot(tidy.assign(text=[cell(row) for row in rows.itertuples()]), ["dataset", "model", *by])
    return wide.drop(columns="Network") if wide.Network.nunique() == 1 else wide


def _pivot(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return `cells` with a row for each of `keys` and a column a pruner, in order of appearance, named for readers."""
    wide = cells.pivot(index=keys, columns="pruner", values="text")[list(dict.fromkeys(cells.pruner))]
    wide = wide.loc[list(dict.fromkeys(cells[keys].itertuples(index=False, name=None)))].reset_index().fillna("n/a")
    wide["dataset"] = wide.dataset.map(words.DATASETS)
    wide["model"] = wide.model.map(words.model)
    if "compression" in wide:
        wide["compression"] = wide.compression.map("{:g}".format)
    titles = words.PRUNERS | {key: key.capitalize() for key in keys} | {"model": "Network"}
    return wide.rename(columns=titles).rename_axis(columns=None)


def _tex(text: str) -> str:
    return text.replace("%", r"\%").replace("±", r"$\pm$").replace("_", r"\_")
