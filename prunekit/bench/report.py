"""What was measured, to be read: Markdown, CSV and a figure."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from ..files import replace
from ..study import machine
from .measure import Goal, Measured

if TYPE_CHECKING:
    from ..report.figures import Figure

Lines = list[tuple[str, Goal, Measured]]  # the row's name, a goal of it, and what came out

_RANGE = ["ratio_low", "ratio_high"]
_ABOUT = """\
Medians; in brackets the lowest and the highest value and the number of measurements. prunekit and the baseline are
measured in one run, in turn; the ratio is the baseline's median over prunekit's. The baseline is the straightforward
way: PIL images and torchvision's transforms behind a DataLoader, masks multiplied in the forward pass, torch's default
Adam, everything scored and trained again for each cell (tests/benchmarks/baseline.py).

- Times of trials and of Table IV include reading the data, on both sides from prunekit's cache of decoded images.
- The baseline runs in prunekit's process and so with its memory settings, from which it gains as well.
- The baseline shares nothing between trials or cells: its time for five trials is five times that of one, for the 60
  cells of Table IV six times that of the ten at one compression.
- The rate of matrix products is that of the faster of torch's two libraries for them: MKL, and oneDNN, which convolves.
- A training step's operations are those of forward, weight and input gradients (none for the first layer's input), two
  for each multiply-add, convolutions as they are defined. A matrix product is one of 4096 x 4096; copying counts the
  bytes read and those written.
- What zeros are worth is measured in turn too, a pass in a batch of ten; compiling is not in the times.
- The memory is that of a process with all of CIFAR-10 at hand that scores with GraSP, trains two steps and tests.
- An epoch on a GPU is its training alone, the baseline's in float32. The baseline's time for `run paper` is that of one
  epoch and test of each network, times the epochs of all trials.
"""


def write(lines: Lines, out: Path) -> None:
    """Write bench.csv, a row a line with all that is known of the machine, and bench.md, the same to be read."""
    here = _machine()
    out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([_tidy(*line) | here for line in lines])
    replace(out / "bench.csv", table.to_csv(index=False, lineterminator="\n").encode())
    drawn = figure(table)
    if drawn:
        drawn.save(out)
    replace(out / "bench.md", markdown(lines, here, drawn).encode())


def figure(table: pd.DataFrame) -> Figure | None:
    """Return a drawing of the ratios; None where there are none, or no matplotlib to draw with."""
    data = table.dropna(subset="ratio")[["work", "ratio", *_RANGE, "target_ratio"]]
    try:
        from matplotlib.figure import Figure as Drawing

        from ..report.figures import Figure
    except ModuleNotFoundError:
        return None
    if data.empty:
        return None
    drawing = Drawing(figsize=(7.2, 1.2 + 0.4 * len(data)), layout="constrained")
    axes = drawing.subplots()
    places = range(len(data))
    axes.barh(places, data.ratio, height=0.6, color="#0072b2", label="measured: medians and extremes")
    axes.hlines(places, data.ratio_low, data.ratio_high, color="black", lw=1)
    axes.plot(data.target_ratio, places, "|", color="#d55e00", ms=16, mew=2, label="target")
    axes.axvline(1, color="0.5", lw=0.8, ls=":")
    axes.set(yticks=places, yticklabels=data.work.str.replace("`", ""), xlabel="times as fast as the baseline", xlim=0)
    axes.invert_yaxis()
    drawing.legend(loc="outside upper right", ncols=2)
    spoken = "; ".join(f"{one.work}: {one.ratio:.1f}" for one in data.itertuples())
    caption = "Seconds of the baseline over those of prunekit, by work; lines go from the least to the most."
    return Figure("ratios", "Figure", caption, f"Bars: {spoken} times as fast as the baseline", data, drawing)


def markdown(lines: Lines, here: dict[str, Any], drawn: Figure | None) -> str:
    """Return the report to be read."""
    gpu = here["gpu"] or "no GPU"
    where = f"{here['cpu']}, {here['cores']} cores, {here['threads']} threads, {gpu}, {here['system']}"
    packages = ", ".join(f"{name} {here[name]}" for name in ("python", "torch", "torchvision", "prunekit"))
    rows = [("", "work", "prunekit", "baseline", "ratio", "target", ""), ("---",) * 7]
    for name, goal, measured in lines:
        ratio = measured.ratio()
        rows.append(
            (
                name,
                goal.work,
                _shown(measured.ours, goal.unit) or f"not measured: {measured.note}",
                _shown(measured.baseline, goal.unit),
                "" if ratio is None or goal.unit != "s" else f"{ratio:.2f}",
                goal.target(),
                measured.verdict(goal) if measured.ours else "",
            )
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    picture = f"![{drawn.alt}]({drawn.name}.svg)\n\n{drawn.caption}\n\n" if drawn else ""
    date = f"{here['date']}: {where}; {packages} ({here['commit']})."
    return f"# prunekit bench\n\n{date}\n\n{table}\n\n{picture}{_ABOUT}"


def _machine() -> dict[str, Any]:
    here = machine.where("cuda" if torch.cuda.is_available() else "cpu", workers=1)
    del here["device"], here["workers"]
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", **here, "torchvision": version("torchvision")}


def _tidy(name: str, goal: Goal, measured: Measured) -> dict[str, Any]:
    def numbers(who: str, values: list[float]) -> dict[str, Any]:
        median, low, high = spread(values) if values else (None, None, None)
        return {who: median, f"{who}_low": low, f"{who}_high": high, f"{who}_n": len(values)}

    targets = {"target_ratio": goal.ratio, "target_most": goal.most, "target_least": goal.least}
    words = {"verdict": measured.verdict(goal), "note": measured.note}
    sides = numbers("ours", measured.ours) | numbers("baseline", measured.baseline)
    ratios = dict.fromkeys(["ratio", *_RANGE])
    if measured.baseline and goal.unit == "s":
        slowest, fastest = max(measured.ours), min(measured.ours)
        extremes = (min(measured.baseline) / slowest, max(measured.baseline) / fastest)
        ratios = {"ratio": measured.ratio(), **dict(zip(_RANGE, extremes, strict=True))}
    return {"row": name, "work": goal.work, "unit": goal.unit, **sides, **ratios, **targets, **words}


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the lowest and the highest of `values`."""
    return statistics.median(values), min(values), max(values)


def _shown(values: list[float], unit: str) -> str:
    if not values:
        return ""
    median, low, high = (f"{value:.3g}" for value in spread(values))
    count = f" ({low}–{high}, n = {len(values)})" if len(values) > 1 else " (n = 1)"
    return f"{median} {unit}{count}"
