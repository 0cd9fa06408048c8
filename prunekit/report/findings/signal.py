"""The finding about signals: which networks can be told to fail before they are trained."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median

from ...study.results import Results
from ...study.trial import Record
from .. import formatting
from ..audit import untestable
from ..statistics import (
    EXPLODED,
    LEAST_SIGNAL,
    MOST_SIGNAL,
    PASSES,
    SEVERED,
    VANISHED,
    signal_status,
    trained_threshold,
)
from .finding import Finding, Row, cells, done, in_print, known, made, said

_PRINTED_CHANCE = {"cifar10": 10.0, "cifar100": 5.0}  # CIFAR-100's is top-5: see finding 4
_SUSPECTED = {"synflow", "grasp", "random"}  # of standing at chance for want of a signal
_TABLE = "table2_accuracy_by_compression"


def signals(results: Results) -> Finding:
    """Where the paper has SynFlow, GraSP and random at chance, the networks' signal is lost at initialisation."""
    frame = results.frame("flops")
    rows: list[Row] = []
    told: list[bool] = []  # of each published number at chance, whether its network's signal is lost
    untold: list[Row] = []
    above: list[str] = []  # numbers of networks that train although it is
    for cell, group in cells(frame):
        fates = Counter(signal_status(record) for record in done(group, results))
        lost = sum(fates[name] for name in (SEVERED, VANISHED, EXPLODED))
        number = in_print(_TABLE, cell)
        if known(number) and fates.total() > fates[""]:
            mostly = 2 * lost > fates.total()
            if number < 1.1 * _PRINTED_CHANCE[cell["dataset"]]:
                told.append(mostly)
                untold += [] if mostly else [cell]
            elif mostly:
                above.append(f"{_named(cell)}: {number:g} %")
        if lost:
            share = _median(done(group, results))
            rows.append(cell | {"share": share, "fate": _listed(fates), "published": number, "top1": group.top1})
    printed = (
        f"Of {len(told)} published accuracies at chance, {sum(told)} are of networks whose signal is severed, vanished "
        "or exploded before training, in most of our seeds"
        + (f"; not so {'; '.join(map(_named, untold))}" if untold else "")
        + f". Of those above chance, {len(above)} are"
        + (f" ({'; '.join(above)}): a lost signal makes training hard, not impossible. " if above else ". ")
    )
    text = said(
        untestable(frame, trained=False) or ("" if told else "no network's signal was recorded"),
        not any(cell["pruner"] in _SUSPECTED for cell in untold),
        (printed if told else "") + _ours(done(results.frame("sweep"), results)),
    )
    caption = (
        "Networks that can be told before training: how much their logits depend on the image (the standard deviation "
        "of a logit over 100 images), beside the unpruned network's; the median over seeds. Severed: no path of kept "
        f"weights is left; vanished: less than {LEAST_SIGNAL:g} of the unpruned network's; exploded: more than "
        f"{MOST_SIGNAL:g} times as much. Networks whose signal passes are left out."
    )
    titles = {"pruner": "Pruner", "share": "Signal, of the unpruned", "fate": "Seeds"}
    titles |= {"published": "Accuracy, %: published", "top1": "Our top-1"}
    return Finding(made(8, "signals", caption, rows, titles), text)


def _ours(records: list[Record]) -> str:
    """What became of our own networks, once trained."""
    learnt: dict[bool, list[bool]] = {True: [], False: []}
    for record in records:
        if record.top1 is not None and (name := signal_status(record)):
            learnt[name != PASSES].append(record.top1 > trained_threshold(record.trial.dataset))
    lost, others = learnt[True], learnt[False]
    return (
        f"Of {len(lost)} networks of ours whose signal was severed, vanished or exploded, {len(lost) - sum(lost)} did "
        f"not train (top-1 at most twice chance); of the {len(others)} others, {len(others) - sum(others)} did not."
    )


def _median(records: list[Record]) -> str:
    """The median signal over seeds, as a share of the unpruned networks'; infinite where a logit overflowed."""
    shares = [math.inf if r.signal is None else r.signal / r.dense_signal for r in records if r.dense_signal]
    return f"{median(shares):.0e}" if any(shares) else "0" if shares else "–"


def _listed(fates: Counter[str]) -> str:
    return ", ".join(f"{name or 'not recorded'} {count}" for name, count in fates.most_common())


def _named(cell: Row) -> str:
    return f"{formatting.PRUNERS[cell['pruner']]}, {formatting.DATASETS[cell['dataset']]}, c = {cell['compression']:g}"
