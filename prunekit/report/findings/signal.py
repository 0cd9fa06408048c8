"""The finding about signals: which networks can be told to fail before they are trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from ...study.profile import Study
from ...study.trial import Record
from .. import words
from ..audit import untestable
from ..statistics import chance
from .finding import Finding, Row, at, cells, done, in_print, known, made, said

SEVERED, VANISHED, EXPLODED, PASSES = "severed", "vanished", "exploded", "passes"
_LEAST, _MOST = 1e-4, 1e2  # of the unpruned network's signal: beyond lies what one layer more or less does not explain
_PRINTED_CHANCE = {"cifar10": 10.0, "cifar100": 5.0, "mnist": 10.0}  # CIFAR-100's is top-5: see finding 4
_SUSPECTED = tuple(words.PRUNERS[pruner] for pruner in ("synflow", "grasp", "random"))  # to fail at chance for it
_TABLE = "table2_accuracy_by_compression"


def fate(record: Record) -> str:
    """Return how the signal of a pruned network fares before it is trained, "" where that was not recorded."""
    if record.collapsed:
        return SEVERED
    if not record.dense_signal:
        return ""
    if record.signal is None:
        return EXPLODED
    share = record.signal / record.dense_signal
    return VANISHED if share < _LEAST else EXPLODED if share > _MOST else PASSES


def signals(study: Study, records: Mapping[str, Record]) -> Finding:
    """Where the paper has SynFlow, GraSP and random at chance, the networks' signal is lost at initialisation."""
    frame = study.frame("flops", records)
    trained = study.frame("sweep", records)
    rows: list[Row] = []
    at_chance: dict[str, bool] = {}  # published numbers, by what they are of: whether the signal tells
    above: list[str] = []  # numbers that the signal gives up too early
    for cell, group in cells(frame):
        fates = Counter(fate(record) for record in done(group, records))
        lost = sum(fates[name] for name in (SEVERED, VANISHED, EXPLODED))
        number = in_print(_TABLE, cell)
        if known(number) and fates.total() > fates[""]:
            name = f"{words.PRUNERS[cell['pruner']]}, {words.DATASETS[cell['dataset']]}, c = {cell['compression']:g}"
            if number < 1.1 * _PRINTED_CHANCE[cell["dataset"]]:
                at_chance[name] = 2 * lost > fates.total()
            elif 2 * lost > fates.total():
                above.append(f"{name}: {number:g} %")
        if lost:
            ours = {"published": number, "top1": at(trained, cell).top1}
            rows.append(cell | {"share": _share(done(group, records)), "fate": _listed(fates)} | ours)
    untold = [name for name, told in at_chance.items() if not told]
    printed = (
        f"Of {len(at_chance)} published accuracies at chance, {len(at_chance) - len(untold)} are of networks whose "
        "signal is severed, vanished or exploded before training, in most of our seeds; the others"
        f"{_in_brackets(untold)} must have failed otherwise. Of those above chance, {len(above)} are of such networks "
        f"too{_in_brackets(above)}: a lost signal makes training hard, not impossible. "
    )
    text = said(
        untestable(frame, trained=False) or ("" if at_chance else "no network's signal was recorded"),
        not any(name.startswith(_SUSPECTED) for name in untold),
        (printed if at_chance else "") + _ours(done(trained, records)),
    )
    caption = (
        "Networks that can be told before training: how much their logits depend on the image (the standard deviation "
        "of a logit over 100 images), beside the unpruned network's. Severed: no path of kept weights is left; "
        f"vanished: less than {_LEAST:g} of the unpruned network's; exploded: more than {_MOST:g} times as much. "
        "Networks whose signal passes are left out."
    )
    titles = {"pruner": "Pruner", "share": "Signal, of the unpruned", "fate": "Seeds"}
    titles |= {"published": "Accuracy, %: published", "top1": "Our top-1"}
    return Finding(made(8, "signals", caption, rows, titles), text)


def _ours(records: list[Record]) -> str:
    """What became of our own networks, once trained."""
    learnt: dict[bool, list[bool]] = {True: [], False: []}
    for record in records:
        if record.top1 is not None and (name := fate(record)):
            learnt[name != PASSES].append(record.top1 > 2 * chance(record.trial.dataset))
    lost, others = learnt[True], learnt[False]
    return (
        f"Of {len(lost)} networks of ours whose signal was severed, vanished or exploded, {len(lost) - sum(lost)} did "
        f"not train (top-1 at most twice chance); of the {len(others)} others, {len(others) - sum(others)} did not."
    )


def _share(records: list[Record]) -> str:
    """The geometric mean of the signals over seeds, as a share of the unpruned networks'."""
    shares = [record.signal / record.dense_signal for record in records if record.signal and record.dense_signal]
    return f"{math.exp(sum(map(math.log, shares)) / len(shares)):.0e}" if shares else "0"


def _listed(fates: Counter[str]) -> str:
    return ", ".join(f"{name or 'not recorded'} {count}" for name, count in fates.most_common())


def _in_brackets(names: list[str]) -> str:
    return f" ({'; '.join(names)})" if names else ""
