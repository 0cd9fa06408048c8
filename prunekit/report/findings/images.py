"""Findings about images: those that two datasets share, and those that GraSP sees twice."""

from __future__ import annotations

import pandas as pd

from ... import datasets
from ...errors import UserError
from ...study.results import Results
from .. import pictures
from ..audit import untestable
from ..claims import shared_images
from ..statistics import half_width, prediction
from .finding import Finding, Row, at, cells, in_print, known, made, said, shown

_ROUNDING = 0.05  # million FLOPs: half of Table IV's last digit


def disjoint_images(results: Results) -> Finding:
    """CIFAR-10 and CIFAR-100 are two sets of images, not one with other labels."""
    figure = None
    try:
        first, second, places = shared_images(results)
    except UserError as error:
        rows: list[Row] = [{"what": "Images in both", "count": "–"}]
        text = said(str(error), False, "")
    else:
        counts = {
            "Different images in CIFAR-10": first,
            "Different images in CIFAR-100": second,
            "Images in both": len(places),
        }
        rows = [{"what": what, "count": count} for what, count in counts.items()]
        few = len(places) < first / 1000
        text = said("", few, f"Of {first:,} images of CIFAR-10, {len(places):,} are also in CIFAR-100.")
        if places and few:
            figure = pictures.shared(places, {name: datasets.read(name) for name in ("cifar10", "cifar100")})
    caption = "Training and test images of the two datasets, compared pixel by pixel."
    return Finding(made(7, "disjoint", caption, rows, {"what": "Images", "count": "Count"}), text, figure)


def reaugmented(results: Results) -> Finding:
    """GraSP's FLOPs are of images that were augmented anew between its two passes."""
    compressions = {trial.compression for trial in results.sections["described_flops"]}
    once, anew = at(results.frame("flops"), {"pruner": "grasp"}), results.frame("reaugmented")
    once = once[once.compression.isin(compressions)]
    rows: list[Row] = []
    for cell, group in cells(once):
        same, other = (_millions(trials) for trials in (group, at(anew, cell)))
        printed = in_print("table4_flops", cell)
        rows.append(cell | {"published": printed, "ours": same, "anew": other, "moved": (other - same).dropna()})
    apart = [row for row in rows if known(row["published"]) and abs(row["moved"].mean()) > half_width(row["moved"])]
    nearer = sum(_off(row, "anew") < _off(row, "ours") for row in apart)
    compared = [row for row in rows if known(row["published"]) and len(row["moved"]) > 1]
    within = [sum(_off(row, key) <= prediction(row[key]) + _ROUNDING for row in compared) for key in ("ours", "anew")]
    why = untestable(anew, trained=False) if len(anew) else "no image is augmented in this profile"
    if not why and within[0] == within[1]:
        why = "print fits both equally well"
    evidence = ""
    if compared:
        largest = max(compared, key=lambda row: abs(row["moved"].mean()))
        evidence = (
            f"Augmenting anew changes FLOPs by {shown(largest['moved'])} million at most, beyond its interval over "
            f"seeds in {len(apart)} of {len(compared)} cells, of which {nearer} are nearer to print so. The published "
            f"FLOPs lie where one more seed would in {within[0]} of {len(compared)} cells with the same images, in "
            f"{within[1]} with images augmented anew."
        )
    titles = {
        "published": "FLOPs, million: published",
        "ours": "Same images in both passes",
        "anew": "Augmented anew",
        "moved": "Difference",
    }
    caption = (
        "GraSP at initialisation, its two passes over the same images and over images augmented anew for the second: "
        "millions of FLOPs kept, and their difference, paired on seeds."
    )
    return Finding(made(9, "reaugmented", caption, rows, titles), said(why, within[1] > within[0], evidence))


def _millions(trials: pd.DataFrame) -> pd.Series:
    return trials.set_index("seed").flops_kept.astype(float) / 1e6


def _off(row: Row, key: str) -> float:
    """How far the mean of a row's FLOPs lies from print."""
    return float(abs(row[key].mean() - row["published"]))
