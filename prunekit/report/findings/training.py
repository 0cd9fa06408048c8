"""Findings about what was trained, timed and tested."""

from __future__ import annotations

import math

import pandas as pd

from ...study.results import Results, chance
from ...study.trial import Record, Trial
from .. import audit, formatting, paper_values
from ..audit import untestable
from ..paper_values import KEYS
from ..statistics import half_width
from ..tables import INFERENCE_IMAGES
from .finding import Finding, Row, at, cells, done, in_print, known, made, published_share, said, shown

_ACCURACY = {"fc": "table1_accuracy_by_dataset", "vgg16": "table2_accuracy_by_compression"}
_CLOSE = 0.01  # of a published number: as near as ours come to it where they agree


def magnitude_untrained(results: Results) -> Finding:
    """The magnitude rows are of networks pruned at initialisation, not after training."""
    frames = [results.frame(section) for section in ("comparison", "sweep", "described")]
    magnitude = at(pd.concat(frames).drop_duplicates("id"), {"pruner": "magnitude"})
    magnitude = magnitude.sort_values("compression", kind="stable")
    before, after = magnitude[magnitude.pre_epochs == 0], magnitude[magnitude.pre_epochs > 0]
    rows: list[Row] = []
    for cell, group in ((cell, group) for cell, both in cells(after) for _, group in both.groupby("pre_epochs")):
        one = at(before, cell)
        paired = group.set_index("seed"), one.set_index("seed")
        shares = [100 * trials.flops_kept.astype(float) / trials.flops.astype(float) for trials in paired]
        _, model = paper_values.counterpart(cell["dataset"], cell["model"])
        rows.append(
            cell
            | {"epochs": int(group.pre_epochs.max()), "published_share": published_share(cell)}
            | {"share_0": shares[1], "share_n": shares[0], "moved": shares[0] - shares[1]}
            | {"published": in_print(_ACCURACY[model], cell), "top1_0": one.top1, "top1_n": group.top1}
            | {"times": _times_as_long(group, one)}
        )
    titles = {
        "epochs": "n",
        "published_share": "FLOPs kept, %: published",
        "share_0": "FLOPs, 0 epochs",
        "share_n": "FLOPs, n epochs",
        "moved": "Difference",
        "published": "Accuracy, %: published",
        "top1_0": "Top-1, 0 epochs",
        "top1_n": "Top-1, n epochs",
        "times": "Times as long",
    }
    caption = (
        "Magnitude pruning at initialisation and after n epochs of training: FLOPs kept, in % of the unpruned "
        "network's, and their difference, paired on seeds; top-1 accuracy; and how many times as long the trial takes, "
        "where both were timed alike."
    )
    why, borne_out, text = _at_initialisation(results, rows)
    return Finding(made(2, "magnitude", caption, rows, titles), said(why, borne_out, text + _fully_connected(rows)))


def _fully_connected(rows: list[Row]) -> str:
    """What the accuracies of the fully connected net say of the number that the paper prints."""
    rows = [row for row in rows if row["model"] == "fc" and known(row["published"])]
    if not rows:
        return ""
    first = rows[0]
    found = {"at initialisation": first["top1_0"]} | {f"after {row['epochs']} epochs": row["top1_n"] for row in rows}
    reached = ", ".join(f"{shown(values)} % when pruned {when}" for when, values in found.items())
    nearest = min(found, key=lambda when: abs(found[when].mean() - first["published"]))
    return (
        f" On {formatting.DATASETS[first['dataset']]} the fully connected net reaches {reached}; the paper prints "
        f"{first['published']:g} %, which is nearest to pruning {nearest}."
    )


def _times_as_long(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """How many times as long the first trials take on average; NaN unless all were timed alike, each for itself."""
    both = pd.concat([first, second]).dropna(subset="machine")
    alike = len(both[["machine", "threads", "alone"]].drop_duplicates()) == 1 and (both.together == 1).all()
    return float(first.seconds.mean() / second.seconds.mean()) if alike else math.nan


def _at_initialisation(results: Results, rows: list[Row]) -> tuple[str, bool, str]:
    """Whether Table IV's magnitude column is that of untrained networks, where training tells in `rows`."""
    rows = [row for row in rows if known(row["published_share"]) and known(row["moved"].mean())]
    untrained = at(results.frame("flops"), {"pruner": "magnitude"})
    ours = {key: rows_.flops_kept.mean() / 1e6 for key, rows_ in paper_values.by_cell(untrained).items()}
    printed = {key: in_print("table4_flops", dict(zip(KEYS, key, strict=True))) for key in ours}
    gaps = [abs(ours[key] / number - 1) for key, number in printed.items() if known(number)]
    close = sum(gap <= _CLOSE for gap in gaps)
    told = [row for row in rows if abs(row["moved"].mean()) > half_width(row["moved"].dropna())]
    told = [row for row in told if abs(row["moved"].mean()) > _CLOSE * row["published_share"]]
    text = (
        f"The published FLOPs of magnitude pruning lie within {_CLOSE:.0%} of those at initialisation in {close} of "
        f"{len(gaps)} cells."
    )
    if rows:
        text += (
            f" In {len(told)} of {len(rows)} cells, training before pruning changes them by more than that, beyond its "
            "interval over seeds."
        )
    text = text if gaps else ""
    why = untestable(untrained, trained=False)
    if not why and close == len(gaps) and not told:
        why = "no trial here shows that epochs before pruning would change FLOPs"
    return why, close == len(gaps), text


def top_five(results: Results) -> Finding:
    """What the paper calls top-1 is top-5 for CIFAR-100, and for random pruning on MNIST."""
    frame = results.frame("comparison")
    rows: list[Row] = []
    for cell, group in cells(frame):
        rows.append(
            cell
            | {"published": in_print("table1_accuracy_by_dataset", cell), "top1": group.top1, "top5": group.top5}
            | {"chance": f"{(one := chance(cell['dataset'])):.3g} / {min(5 * one, 100):.3g}"}
        )
    titles = {
        "pruner": "Pruner",
        "published": "Published “top 1”",
        "top1": "Our top-1",
        "top5": "Our top-5",
        "chance": "Chance: top-1 / top-5",
    }
    judged = audit.cells(results)
    judged = judged[judged.table.isin(["I", "II"]) & (judged.verdict != audit.UNTESTED)]
    hundred = judged[judged.dataset == "cifar100"]
    random = judged[(judged.dataset == "mnist") & (judged.pruner == "random")]
    parts = {"CIFAR-100": hundred, "Random pruning on MNIST": random}
    found = {name: (_only_as_top_five(part), len(part)) for name, part in parts.items() if len(part)}
    told = "; ".join(
        f"{name}: {found[name][0]} of {found[name][1]} testable values agree with ours as top-5 and not as top-1"
        if name in found
        else f"{name}: no value is testable here"
        for name in parts
    )
    ours = (results.records[id_] for id_ in results.trials if id_ in results.records)
    dead = [r for r in ours if r.collapsed and r.top5 is not None and _classed(r.trial)]
    text = said(
        "" if found else "no value of CIFAR-100 or MNIST is testable in this profile",
        all(2 * matching > count for matching, count in found.values()),
        f"{told}. {_printed_chance()}"
        + (f" Our {len(dead)} collapsed networks for CIFAR-100 reach {_means(dead)}." if dead else ""),
    )
    compressions = sorted({trial.compression for trial in results.sections["comparison"]})
    caption = f"Accuracy in %, by dataset, at compression {formatting.listed([f'{one:g}' for one in compressions])}."
    return Finding(made(4, "top_five", caption, rows, titles, digits=2), text)


def _classed(trial: Trial) -> bool:
    return trial.dataset == "cifar100" and trial.labels == "fine"


def _only_as_top_five(part: pd.DataFrame) -> int:
    return int(((part.verdict == audit.EXPLAINED) & part.reading.str.contains("top-5")).sum())


def _printed_chance() -> str:
    printed = paper_values.table("table2_accuracy_by_compression")
    hundred = printed[printed.dataset == "cifar100"].value.dropna()
    at_five = int(((hundred - 5).abs() < 0.03).sum())
    return (
        f"In print, {at_five} of the {len(hundred)} values for CIFAR-100 in Table II lie within 0.03 of 5.00, chance "
        "for top-5 among a hundred classes (for top-1 it is 1.00), and a sentence of section II-A-b calls them top-5."
    )


def _means(dead: list[Record]) -> str:
    top1, top5 = (sum(getattr(record, key) for record in dead) / len(dead) for key in ("top1", "top5"))
    return f"{top1:.2f} % top-1 and {top5:.2f} % top-5"


def whole_trial(results: Results) -> Finding:
    """Table III times whole trials, not inference."""
    frame = results.frame("timing")
    printed = paper_values.table("table3_time")
    rows: list[Row] = []
    for dataset, model in dict.fromkeys((trial.dataset, trial.model) for trial in results.sections["timing"]):
        group = frame[(frame.dataset == dataset) & (frame.model == model)]
        theirs = printed[printed.dataset == paper_values.counterpart(dataset, model)[0]].value
        stages = ["score", "train", "test"]
        seconds = pd.DataFrame([record.seconds for record in done(group, results)], columns=stages)
        rows.append(
            {"dataset": dataset, "model": model, "published": float(theirs.median())}
            | {stage: float(seconds[stage].mean()) for stage in stages}
            | {"trial": float(group.seconds.mean()), "inference": (inference := _inference(group))}
            | {"times": float(group.seconds.mean()) / inference}
        )
    titles = {
        "published": "Published, median",
        "trial": "Our trial",
        "score": "Scoring",
        "train": "Training",
        "test": "All tests",
        "inference": f"Inference, {INFERENCE_IMAGES:,} images",
        "times": "A trial in inferences",
    }
    stopped = float(printed[(printed.dataset == "cifar100") & (printed.pruner == "snip")].value.min())
    times = [row["times"] for row in rows]
    passes = " and ".join(f"{value:.0f}" for value in times)
    evidence = (
        f"A trial of ours lasts as long as {passes} passes of {INFERENCE_IMAGES:,} images "
        f"({' and '.join(formatting.DATASETS[row['dataset']] for row in rows)}), and longer with more epochs. The "
        f"paper prints {stopped:g} s for the trial that stopped at pruning (SNIP, CIFAR-100, c = 0.05): no network was "
        "left to test, so its clock ran over more than inference."
    )
    why = ""
    if any(paper_values.counterpart(row["dataset"], row["model"]) != (row["dataset"], row["model"]) for row in rows):
        why = "other data and networks than the paper's"
    elif not all(map(known, times)):
        why = "no trial was timed"
    text = said(why, all(value > 2 for value in times), evidence if all(map(known, times)) else "")
    caption = (
        "Where a trial's seconds go: means over pruners, compressions and seeds, in seconds but for the last column."
    )
    return Finding(made(5, "whole_trial", caption, rows, titles), text)


def _inference(trials: pd.DataFrame) -> float:
    """The mean seconds that networks take a test of CIFAR's size."""
    return INFERENCE_IMAGES * float(trials.latency.astype(float).mean())
