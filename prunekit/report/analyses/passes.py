"""What a zero is worth: FLOPs saved on paper, what dense hardware can skip of them, and seconds of a pass."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from .. import formatting
from ..figures import Figure, styles_of
from ..table import Table, named_once, unless_empty

_FORMS = {"masked": "Masked", "compacted": "Compacted", "csr": "CSR"}
_SHARES = {
    "paper": "FLOPs on paper",
    "compacted_flops": "FLOPs, compacted",
    "compacted_time": "time, compacted",
    "csr_time": "time, CSR",
}


@unless_empty
def table(frame: pd.DataFrame) -> Table:
    """A row a cell of Table IV: FLOPs on paper and after compaction, and a pass in each form."""
    tidy = _rows(frame)
    shown = [
        {
            "Dataset": formatting.DATASETS[row["dataset"]],
            "c": f"{row['compression']:g}",
            "Pruner": formatting.PRUNERS[row["pruner"]] + (" †" if row["collapsed"] else ""),
            "FLOPs kept on paper, %": _number(row["paper"], 2),
            "Left by compaction, %": _number(row["compacted_flops"], 1),
        }
        | {f"{title}, ms": _number(1000 * row[form], 2) for form, title in _FORMS.items()}
        for row in tidy.to_dict("records")
    ]
    machines = " and ".join(dict.fromkeys(frame.machine.dropna()))
    threads = " or ".join(str(int(one)) for one in sorted(set(frame.threads.dropna())))
    caption = (
        f"What zeros are worth: {formatting.budget(frame)}, seed {', '.join(map(str, sorted(set(frame.seed))))}. "
        "FLOPs on "
        "paper do not count zeros; compaction removes channels that no live path uses, exactly, and leaves a dense "
        "network; both in % of the unpruned network's. Milliseconds an image takes in a batch of ten, the median of "
        "nine passes (CSR: three): with zeros multiplied (masked), compacted, and with each zero skipped (CSR)"
        + (f"; on {machines}, threads: {threads}." if machines else ".")
    )
    unknown = len(tidy) and tidy[["compacted", "csr"]].isna().any(axis=None)
    caption += " –: the network has layers that this form does not know." if unknown else ""
    caption += " † collapsed." if len(tidy) and tidy.collapsed.eq(True).any() else ""
    wide = named_once(pd.DataFrame(shown), ["Dataset", "c"]) if shown else pd.DataFrame()
    return Table("zeros", "Table Z", caption, tidy, wide)


@unless_empty
def figure(frame: pd.DataFrame) -> Figure | None:
    """The first dataset's rows as curves: on paper, what compaction leaves, and both forms' time of the masked pass.

    None where there are no trials to draw.
    """
    rows = _rows(frame)
    if rows.empty:
        return None
    rows = rows[rows.dataset == rows.dataset.iloc[0]]
    styles = styles_of(rows.pruner)
    ticks = sorted(set(rows.compression))
    drawing = Drawing(figsize=(7.2, 3.0), layout="constrained")
    for axes, (key, title) in zip(drawing.subplots(1, len(_SHARES), sharey=True), _SHARES.items(), strict=True):
        for pruner, line in rows.groupby("pruner", sort=False):
            axes.plot(line.compression, line[key], ms=4, lw=1.3, **styles[str(pruner)])
        axes.axhline(100, color="0.8", lw=0.8, zorder=0)
        axes.set_title(title, fontsize="medium")
        axes.set(xscale="log", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize="x-small")
        axes.minorticks_off()
    drawing.axes[0].set_ylabel("% of the masked network's")
    drawing.supxlabel("compression (-log10 of density)", fontsize="medium")
    named = {formatting.PRUNERS[one]: Line2D([], [], ms=4, **styles[one]) for one in dict.fromkeys(rows.pruner)}
    drawing.legend(named.values(), named.keys(), loc="outside right center", fontsize="small")
    on = formatting.DATASETS[rows.dataset.iloc[0]]
    caption = (
        f"What zeros are worth on {on}, in % of the masked network, which computes them all: FLOPs that are not of "
        "zeros; FLOPs and the time of a pass without dead channels; the time with each zero skipped. Above 100, zeros "
        "cost more to skip than to multiply."
    )
    alt = f"FLOPs and times in percent of the masked network's against compression on {on}, a line a pruner."
    return Figure("zeros", "Figure E", caption, alt, rows, drawing)


@unless_empty
def said(frame: pd.DataFrame) -> str:
    """What the highest compression is worth to each pruner, on paper and measured; and when skipping zeros pays."""
    rows = _rows(frame)
    if rows.empty:
        return "**Zeros.** No trial here tells what a zero is worth."
    top = rows[(rows.compression == rows.compression.max()) & (rows.dataset == rows.dataset.iloc[0])]
    told = "; ".join(
        f"{formatting.PRUNERS[row.pruner]} "
        + (
            "collapsed"
            if row.collapsed
            else f"{_number(row.paper, 1)} on paper, {_number(row.compacted_flops, 1)} compacted, "
            f"{_number(row.compacted_time, 0)} of the time"
        )
        for row in top.itertuples()
    )
    live = rows[~rows.collapsed.eq(True) & rows.csr.notna()]
    faster = live[live.csr_time < 100]
    return (
        f"**Zeros.** On {formatting.DATASETS[top.dataset.iloc[0]]} at c = {top.compression.iloc[0]:g}, in % of "
        "the dense "
        f"network's FLOPs and of its pass: {told}. Skipping each zero (CSR) is faster than multiplying all in "
        f"{len(faster)} of {len(live)} networks that did not collapse"
        + (f", all at c = {faster.compression.min():g} or above." if len(faster) else ".")
    )


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    known = frame[frame.masked_pass.notna() & frame.flops_kept.notna() & (frame.flops > 0)]
    rows = known[["dataset", "model", "compression", "pruner", "seed", "collapsed"]].assign(
        paper=100 * known.flops_kept / known.flops,
        compacted_flops=100 * known.flops_compacted.astype(float) / known.flops,
        **{form: known[f"{form}_pass"].astype(float) for form in _FORMS},
    )
    times = {f"{form}_time": 100 * rows[form] / rows.masked for form in ("compacted", "csr")}
    return rows.assign(**times).reset_index(drop=True)


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
