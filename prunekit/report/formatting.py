"""How names and numbers are written for readers, and the colours and marks of pruners."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any

import pandas as pd

from ..analysis.cells import CELL, estimate
from ..names import PRUNERS, compression, listed, title
from .markup import PUBLISHED

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7")  # Okabe-Ito: of the study's pruners
_OWN_COLOURS = ("#000000", "#56b4e9", "#8c6d31", "#7f7f7f")  # of a user's own, as they appear
_MARKERS, _OWN_MARKERS = "osD^v", "P*phd"  # of more of them than these are, some look alike
_NAMED = ("dataset", "model", "pruner")  # columns and levels that hold names of ours or a user's
_KINDS = {kind: kind for kind in _NAMED} | {"first": "pruner", "second": "pruner"}
_APART = ["pre_epochs", "labels", "control", "prune_steps", "schedule"]  # what cells of some sections differ in, too


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with datasets, networks and pruners, in columns of these names, as readers know them."""
    kinds = [kind for kind in _NAMED if kind in frame]
    known = {kind: [title(kind, str(one)) for one in frame[kind]] for kind in kinds}
    return frame.assign(**{kind: pd.Series(told, frame.index, dtype=object) for kind, told in known.items()})


def settings(frame: pd.DataFrame, among: pd.DataFrame | None = None) -> pd.Series:
    """Return each row's dataset by name, with its network where the dataset has several in `among` (or `frame`)."""
    networks = (frame if among is None else among).groupby("dataset").model.nunique()
    shown, several = named(frame), frame.dataset.map(networks).gt(1)
    return shown.dataset.where(~several, shown.dataset + ", " + shown.model)


def networks(rows: pd.DataFrame) -> dict[str, str]:
    """Return the title of the column `model` for `format_rows`, where `rows` of one dataset have several; else none."""
    return {"model": "Network"} if (rows.groupby("dataset").model.nunique() > 1).any() else {}


def style(pruners: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a colour and a mark for each pruner, as readers know it: the study's have theirs, others what is left."""
    ours = list(PRUNERS.values())
    own = [name for name in dict.fromkeys(pruners) if name not in ours]
    colours, marks = (
        dict(zip(ours, of_ours, strict=True)) | dict(zip(own, cycle(rest), strict=False))
        for of_ours, rest in ((_COLOURS, _OWN_COLOURS), (_MARKERS, _OWN_MARKERS))
    )
    return colours, marks


def cells(summary: pd.DataFrame, digits: int = 1, share: bool = False) -> list[str]:
    """Return how each row of a summary over seeds is read: 81.4 ± 0.3 (2 of 3) † ‡.

    That is mean ± standard deviation; how many runs learned, if not all; how many failed; † if the network collapsed; ‡
    if most scores were equal. `share`: values are shares in percent, see `cells.estimate`.
    """
    return [_cell(row, digits, share) for row in summary.to_dict("records")]


def _cell(row: Mapping[Any, Any], digits: int, share: bool) -> str:
    text = estimate(row["mean"], row["sd"], digits, share)
    runs = row.get("runs", row["seeds"])
    if "runs" in row and row["learned"] < runs:
        text += f" ({row['learned']} of {runs})" if row["learned"] else " (at chance)"
    if row.get("failed"):
        text += f" ({row['failed']} failed)"
    if row.get("collapsed"):
        text += " †" if row["collapsed"] >= runs else f" († {row['collapsed']} of {runs})"
    if row.get("tied"):
        text += " ‡" if row["tied"] >= runs else f" (‡ {row['tied']} of {runs})"
    return text


def reading(summary: pd.DataFrame, published: pd.DataFrame | None = None) -> str:
    """Return what a caption says about how `cells` and the `published` values below them are read."""
    trained = "runs" in summary
    counts = summary["runs" if trained else "seeds"]
    some = f"{counts.min()} to {counts.max()} seeds" if counts.min() < counts.max() else f"{counts.max()} seeds"
    text = f"Mean ± standard deviation over {some.replace('1 seeds', '1 seed')}"
    if trained and ((summary.learned > 0) & (summary.learned < summary.runs)).any():
        text += "; (2 of 3): two of three networks learned, and the mean is over those two"
    if trained and (summary.learned == 0).any():
        text += "; (at chance): no network learned, and the mean is over all"
    if summary.collapsed.any():
        text += "; † collapsed: nothing kept leads from input to output"
    if summary.tied.any():
        text += "; ‡ most of the pruner's scores are equal, and which of these go is drawn"
    if published is not None and len(published):
        text += "; in grey what is published: ✓ reproduced, (✓) explained, ✗ contradicted, ? undecided by our runs"
    return f"{text}."


def with_published(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return the pivot `ours` with the published values below each row that has any, told apart by one more level.

    Both are pivots with the same levels. Without any published row, `ours` is returned as it is.
    """
    known = published.reindex(columns=ours.columns).astype(object)
    known = known[known.index.isin(ours.index)].fillna("")
    if known.empty:
        return ours
    there = set(known.index)
    rows = [(key, row) for key in ours.index for row in ("ours", PUBLISHED) if row == "ours" or key in there]
    index = pd.MultiIndex.from_tuples([(*key, row) for key, row in rows], names=[*ours.index.names, ""])
    return pd.DataFrame([(ours if row == "ours" else known).loc[key] for key, row in rows]).set_axis(index)


def format_rows(rows: pd.DataFrame, titles: Mapping[str, str], digits: int = 1) -> pd.DataFrame:
    """Return `rows` as text, one column per title: X ± X_interval, names as readers know them; empty ones dropped.

    Numbers below a title that ends with % are shares.
    """
    records: list[dict[Any, Any]] = rows.to_dict("records")
    wide = pd.DataFrame(
        {told: [_read(row, key, digits, told[-1] == "%") for row in records] for key, told in titles.items()}
    )
    return wide.loc[:, (wide != "–").any()] if len(wide) else wide


def _read(row: Mapping[Any, Any], key: str, digits: int, share: bool) -> str:
    value = row[key]
    if f"{key}_interval" in row:
        return estimate(value, row[f"{key}_interval"], digits, share)
    if kind := _KINDS.get(key):
        return title(kind, value)
    if key == "compression":
        return compression(value)
    if key == "published" or isinstance(value, int):
        return "–" if math.isnan(value) else f"{value:,g}"
    return estimate(value, math.nan, digits) if isinstance(value, float) else str(value)


def format_pivot(shown: pd.DataFrame) -> pd.DataFrame:
    """Return a table as strings without an index; NaN as a dash.

    Each level of a named index becomes a column. A value that rows repeat is written once, and levels that are the same
    in every row are left out, but for the first. Datasets, networks, pruners and compressions, in levels and as column
    names, are written as readers know them.
    """
    levels = [str(name) for name in shown.index.names] if shown.index.names != [None] else []
    kind = str(shown.columns.name)  # of a pivot's columns
    titles = [title(kind, str(one)) if kind in _NAMED else _text(one) for one in shown]
    if kind == "compression":
        titles = [compression(one) for one in shown.columns.to_numpy(dtype=float)]
    body = shown.set_axis(titles, axis=1)
    if not levels:
        return body.astype(object).fillna("–").map(_text)
    keys = _written(shown.index.to_frame(index=False))
    keep = [key for key in levels if key == levels[0] or keys[key].nunique() > 1]
    keys = keys[keep].map(_text)
    same = pd.Series(True, keys.index)
    for key in keep[:-1]:
        same = same & (keys[key] == keys[key].shift())
        keys[key] = keys[key].mask(same, "")
    body = body.reset_index(drop=True).astype(object).fillna("–").map(_text)
    keys.columns = ["Network" if key == "model" else key[:1].upper() + key[1:] for key in keep]
    return pd.concat([keys, body], axis=1)


def _written(keys: pd.DataFrame) -> pd.DataFrame:
    keys = named(keys)
    return keys.assign(compression=keys.compression.map(compression)) if "compression" in keys else keys


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def budget(frame: pd.DataFrame) -> str:
    """Return what the trials of a frame were trained on, in words for a caption."""
    setups: dict[str, list[str]] = {}
    columns = ["model", "width", "train_subset", "pre_epochs", "post_epochs", "prune_steps"]
    for dataset in dict.fromkeys(frame.dataset):
        rows = frame[frame.dataset == dataset].fillna({"train_subset": 0})
        for (name, width, subset, pre, post, steps), alike in rows.groupby(columns, sort=False):
            who = listed([title("pruner", one) for one in dict.fromkeys(alike.pruner)])
            scale = "" if width == 1 else f" at {width:g} of its width"
            data = f"{subset:,.0f} training images" if subset else "all training images"
            trained = f"{post} epochs on {data}" if post else "pruned at initialisation, not trained"
            before = f", {who} after {pre} epochs before pruning" if pre else ""
            rounds = f", {steps} prune steps" if steps > 1 else ""
            setup = f"{title('model', name)}{scale}, {trained}{before}{rounds}"
            setups.setdefault(setup, []).append(title("dataset", dataset))
    return "; ".join(f"{', '.join(names)}: {setup}" for setup, names in setups.items()) or "no trials"


def seeds(frame: pd.DataFrame) -> str:
    """3 seeds; 2 to 3 seeds, where cells have different numbers of them."""
    cells = [key for key in [*CELL, *_APART] if key in frame]
    counts = frame.groupby(cells, dropna=False).seed.nunique()
    if counts.min() != counts.max():
        return f"{counts.min()} to {counts.max()} seeds"
    return f"{counts.max()} seeds" if counts.max() > 1 else "1 seed"


def machines(frame: pd.DataFrame) -> str:
    """Return on which machine the trials of a frame ran and how, for a caption about seconds; "" if unknown."""
    known = frame.dropna(subset="machine")
    if known.empty:
        return ""
    how = "one trial at a time" if known.alone.all() else "several trials at once, which slow each other"
    threads = " or ".join(map(str, sorted(set(known.threads.dropna().astype(int)))))
    more = "; networks trained side by side share theirs equally" if known.together.max() > 1 else ""
    return f"on {' and '.join(dict.fromkeys(known.machine))}, {how}, threads of each: {threads}{more}"
