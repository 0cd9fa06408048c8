"""Every printed number beside ours, with a verdict that its reader can check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from ..names import PRUNERS, title
from ..study.params import Section
from ..study.results import SEVERED, Results, chance
from . import rule
from .numbers import CELL, elsewhere, printed
from .protocol import DESCRIBED_PRE_EPOCHS, unlike

REPRODUCED, EXPLAINED, CONTRADICTED = "reproduced", "explained", "contradicted"
UNDECIDED, NOT_RUN = "undecided", "not run"
VERDICTS = (REPRODUCED, EXPLAINED, CONTRADICTED, UNDECIDED, NOT_RUN)
FEW = 0.05  # what is less probable than this is not said to have happened
Judged = dict[str, Any]  # of a printed number: columns of `numbers`
_PRE_EPOCHS = {DESCRIBED_PRE_EPOCHS: "", 0: "pruned at initialisation", 10: "pruned after 10 epochs"}


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


def numbers(results: Results) -> pd.DataFrame:
    """Return a row a printed number, with our runs beside it and the verdict.

    table, CELL, published; reading: how it is read where not as labelled; labelled: the verdict in the table's unit;
    tried: how many readings there are runs for; read: the number so read; mean, s, started, runs: ours, of those that
    started, s pooled; half: of the prediction interval, rounding in it; p: of a number so far off or farther; verdict;
    why: in words, "" where the verdict says all.
    """
    return pd.DataFrame([row for part in PARTS for row in _judged(part, results)])


def once(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `numbers` without those of Table II that repeat a number of Table I."""
    return rows[~rows.assign(table=rows.table.replace("II", "I")).duplicated(["table", *CELL, "published"])]


def counts(rows: pd.DataFrame, claims: pd.Series) -> pd.DataFrame:
    """Return how many numbers of each table, of all, and how many claims came out how: published, a column a verdict.

    `claims`: the verdicts on them.
    """
    groups = {f"Numbers of Table {part.table}": rows.verdict[rows.table == part.table] for part in PARTS}
    groups |= {"All numbers": once(rows).verdict, "Claims": claims}
    return pd.DataFrame(
        [
            {"published": of, **{verdict: int((found == verdict).sum()) for verdict in VERDICTS}}
            for of, found in groups.items()
        ]
    )


def by_chance(rows: pd.DataFrame) -> dict[str, float]:
    """Return, of numbers judged by an interval: how many there are, would by chance lie outside at most, do, and stay.

    Keys: judged, expected, outside, stay (after Benjamini and Hochberg, at a rate of 5 % of false ones).
    """
    judged = rows[rows.p.notna() & (rows.s > 0)]  # by an interval
    return {
        "judged": len(judged),
        "expected": (1 - rule.LEVEL) * len(judged),
        "outside": int((judged.p < 1 - rule.LEVEL).sum()),
        "stay": int(rule.discoveries(judged.p).sum()),
    }


def failed_starts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many networks failed to start, by dataset and by their signal at initialisation.

    A row each: dataset, at_init, runs, failed, rate, and its 95 % Jeffreys interval low to high; the unpruned counted
    with those whose signal passes. `frame`: trained trials of one network a dataset.
    """
    known = frame[(frame.status == "ok") & frame.top1.notna() & (frame.at_init != "")]
    rows = []
    for (dataset, state), group in known.groupby(["dataset", "at_init"], sort=False):
        failed, of = int((~group.started).sum()), len(group)
        low, high = rule.jeffreys(failed, of)
        rows.append((dataset, state, of, failed, failed / of, low, high))
    return pd.DataFrame(rows, columns=["dataset", "at_init", "runs", "failed", "rate", "low", "high"])


def _judged(part: Part, results: Results) -> Iterator[Judged]:
    frame = runs(results, part)
    spreads = {column: spread(frame, column, part) for column in part.readings}
    at_once = frame[(frame.unlike == "") & (frame.pre_epochs == 0)]
    rates = failed_starts(at_once if part.trained else at_once[:0])
    by_cell = dict(list(frame.groupby(CELL, sort=False)))
    inits = results.frame("initialisations")
    table = cast(Mapping[tuple[Any, ...], float], printed(part.table).dropna().to_dict())
    found: dict[tuple[Any, ...], list[Judged]] = {}
    for key, number in table.items():
        dataset, pruner = key[0], key[-1]
        read = number / printed("III")[dataset].median() if part.table == "III" else number
        found[key] = []
        for pre_epochs, before in (_PRE_EPOCHS if pruner == "magnitude" else {0: ""}).items():
            beside = by_cell.get(key, frame[:0])
            beside = beside[beside.pre_epochs == pre_epochs]
            for column, what in part.readings.items():
                judged = _judge(read, dataset, _Runs(part, column, beside, spreads[column]), rates, inits)
                told = {"reading": ", ".join(filter(None, [what, before])), "pre_epochs": pre_epochs}
                found[key].append(told | judged)
    units = {
        dataset: _unit(part, [one for key in found if key[0] == dataset for one in found[key]]) for dataset, *_ in found
    }
    for key, readings in found.items():
        cell = dict(zip(CELL, key, strict=True))
        unit = next(iter(part.readings))
        labelled = _decisive([one for one in readings if one["column"] == unit], part, cell, unit)["verdict"]
        tried = sum(one["verdict"] != NOT_RUN for one in readings)
        about = {"table": part.table, **cell, "published": table[key], "labelled": labelled, "tried": tried}
        yield about | _decisive(readings, part, cell, units[key[0]])


def _unit(part: Part, found: list[Judged]) -> str:
    """Return the column by which most numbers of a table and dataset agree, as labelled where two do equally."""
    agree = [one["column"] for one in found if one["verdict"] == REPRODUCED]
    return max(part.readings, key=agree.count)


class _Runs:
    """Our runs beside a number, read one way: those of the paper's protocol, those that started, how they vary."""

    def __init__(self, part: Part, column: str, beside: pd.DataFrame, spreads: pd.DataFrame):
        self.part, self.column, self.beside = part, column, beside
        self.like = beside[beside.unlike == ""].dropna(subset=column)
        self.values = (self.like[self.like.started] if part.trained else self.like)[column].astype(float)
        pool = self.like.pool.iloc[0] if len(self.like) else ""
        known = pool in spreads.index
        self.s: float = spreads.s[pool] if known else math.nan
        self.effective: float = spreads.effective[pool] if known else 0.0
        self.half = rule.half_width(self.s, self.effective, len(self.values), part.rounding)

    def p(self, number: float) -> float:
        gap = number - self.values.mean()
        return rule.p_value(gap, self.s, self.effective, len(self.values), self.part.rounding)


def _judge(number: float, dataset: str, ours: _Runs, rates: pd.DataFrame, inits: pd.DataFrame) -> Judged:
    """Judge a number, read one way, by the rule."""
    part = ours.part
    row: Judged = {"column": ours.column, "read": number, "mean": ours.values.mean(), "s": ours.s, "half": ours.half}
    row |= {"started": len(ours.values), "runs": len(ours.like), "p": math.nan, "why": ""}
    if ours.like.empty:
        return row | {"verdict": NOT_RUN, "why": ours.beside.unlike.iloc[0] if len(ours.beside) else ""}
    guess = {"top1": chance(dataset), "top5": 5 * chance(dataset)}.get(ours.column, math.nan)
    at_chance = part.trained and abs(number - guess) <= part.rounding
    if ours.values.empty:
        return row | _none_started(at_chance, ours.like, inits)
    narrow = ours.half <= part.widest
    if narrow:
        row["p"] = ours.p(number)
        if abs(number - ours.values.mean()) <= ours.half:
            return row | {"verdict": REPRODUCED}
    failed, of, rate = _failing(ours.like, rates)
    if at_chance and rate >= FEW:
        why = f"a run that failed to start, as {failed} of {of} like it did"
        return row | {"verdict": EXPLAINED, "p": math.nan, "why": why}
    if narrow:
        return row | {"verdict": CONTRADICTED}
    wide = f"one more run may lie anywhere within ± {ours.half:.3g}"
    return row | {"verdict": UNDECIDED, "why": "no cell of its kind has two runs" if math.isnan(ours.half) else wide}


def _none_started(at_chance: bool, like: pd.DataFrame, inits: pd.DataFrame) -> Judged:
    """The verdict where no run of ours started: on how likely another one would."""
    none = f"none of our {len(like)} runs started" if len(like) > 1 else "our one run did not start"
    if at_chance:
        return {"verdict": REPRODUCED, "why": none}
    same = pd.concat([inits[(inits[CELL] == like[CELL].iloc[0]).all(axis=1)], like]).drop_duplicates("seed")
    cut = int((same.at_init == SEVERED).sum())
    if rule.predictive(len(same) - cut, len(same)) < FEW:
        return {
            "verdict": CONTRADICTED,
            "p": 0.0,
            "why": f"no path of weights is left in {cut} of {len(same)} initialisations",
        }
    return {"verdict": UNDECIDED, "why": f"{none}, and another one may"}


def _failing(like: pd.DataFrame, rates: pd.DataFrame) -> tuple[int, int, float]:
    """How many networks failed to start, of how many whose signal fares as that of a cell's runs; and the next one."""
    alike = rates[rates.dataset.isin(like.dataset) & rates.at_init.isin(like.at_init)]
    failed, of = int(alike.failed.sum()), int(alike.runs.sum())
    return failed, of, rule.predictive(failed, of) if of else 0.0


def _decisive(found: list[Judged], part: Part, cell: dict[str, Any], unit: str) -> Judged:
    """Return the reading that decides: in the unit the first that agrees, or what comes nearest in any."""
    same = [one for one in found if one["column"] == unit]
    best = _nearest(same)
    if best["verdict"] == CONTRADICTED:
        best = _nearest([best, *(one for one in found if one["verdict"] in (REPRODUCED, CONTRADICTED))])
    if best["verdict"] == REPRODUCED:
        return best | {"verdict": EXPLAINED, "why": best["reading"]} if best["reading"] else best
    if best["verdict"] not in (UNDECIDED, CONTRADICTED):
        return best
    return _elsewhere(best, [one for one in found if one["column"] in (unit, best["column"])], part, cell)


def _nearest(found: list[Judged]) -> Judged:
    order = (REPRODUCED, EXPLAINED, UNDECIDED, CONTRADICTED, NOT_RUN)
    return min(found, key=lambda one: (order.index(one["verdict"]), -one["p"] if one["verdict"] == CONTRADICTED else 0))


def _elsewhere(best: Judged, found: list[Judged], part: Part, cell: dict[str, Any]) -> Judged:
    """Return the verdict by others' runs: explained by three or more of a group between which the number lies.

    Else `best`, with what others have.
    """
    for one in found:
        rows = elsewhere(one["column"]) if one["column"] in part.elsewhere else elsewhere("")
        rows = rows[(rows[CELL] == pd.Series(cell)).all(axis=1) & (rows.pre_epochs == one["pre_epochs"])]
        for source, values in rows.groupby("source").value:
            if (
                best["verdict"] == CONTRADICTED
                and len(values) >= 3
                and values.min() - part.rounding <= one["read"] <= values.max() + part.rounding
            ):
                between = f"{source}: {values.min():g} to {values.max():g}, {len(values)} runs"
                return one | {"verdict": EXPLAINED, "why": f"reproduced elsewhere ({between}), not by our runs"}
        if len(rows) and (one["column"], one["pre_epochs"]) == (best["column"], best["pre_epochs"]):
            low, high = rows.value.min(), rows.value.max()
            told = f"elsewhere {low:g}" + (f" to {high:g}" if high > low else "") + f" ({rows.source.nunique()} groups)"
            best = best | {"why": "; ".join(filter(None, [best["why"], told]))}
    return best


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
