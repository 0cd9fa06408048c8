"""Where collapse goes away: pruners that see what they pruned, in one step and in several; and what steps cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import pandas as pd

from ...study.trial import Record
from .. import words
from ..statistics import half_width
from ..table import Table, named_once


def table(frame: pd.DataFrame, records: Mapping[str, Record]) -> Table:
    """Collapse, live weights, FLOPs and seconds, by pruner, number of steps and schedule."""
    tidy = _rows(frame, records)
    shown = [
        {
            "Pruner": words.PRUNERS[row["pruner"]],
            "c": f"{row['compression']:g}",
            "Steps": f"{row['steps']}",
            "Schedule": row["schedule"] if row["steps"] > 1 else "–",
            "Collapsed": f"{row['collapsed']} of {row['seeds']}",
            "Live weights, % of kept": words.estimate(row["live"], row["live_interval"], share=True),
            "FLOPs kept, %": words.estimate(row["flops"], row["flops_interval"], 2, share=True),
            "Scoring, s": f"{row['seconds']:.2f}",
        }
        for row in tidy.to_dict("records")
    ]
    caption = (
        f"Pruning in steps: {words.budget(frame.assign(prune_steps=1))}. Each step scores the network as it is pruned "
        "so far; densities fall exponentially or linearly. Live weights lie on a path of kept weights from input to "
        "output. "
        f"Means ± the half-width of the 95 % t interval over {words.seeds(frame)}; seconds are means."
    )
    wide = named_once(pd.DataFrame(shown), ["Pruner", "c", "Steps"]) if shown else pd.DataFrame()
    return Table("steps", "Table N", caption, tidy, wide)


def said(frame: pd.DataFrame, records: Mapping[str, Record]) -> str:
    """With how many steps of which schedule no network collapses, and what the most steps cost."""
    rows = _rows(frame, records)
    if rows.empty:
        return "**Steps.** No trial here prunes in steps."
    told, cost = [], []
    for (pruner, compression), cells in cast(Any, rows.groupby(["pruner", "compression"], sort=False)):
        collapsing = [
            f"{row.collapsed} of {row.seeds} {'in one step' if row.steps == 1 else f'in {row.steps}, {row.schedule}'}"
            for row in cells.itertuples()
            if row.collapsed
        ]
        name = f"{words.PRUNERS[str(pruner)]} at c = {compression:g}"
        told.append(f"{name} {'collapses for ' + ', '.join(collapsing) if collapsing else 'never'}")
        most = cells[cells.steps == cells.steps.max()]
        if len(one := cells[cells.steps == 1]) and most.steps.max() > 1 and one.seconds.iloc[0] > 0:
            cost.append(f"{float(most.seconds.mean()) / float(one.seconds.iloc[0]):.0f} ({name})")
    steps = rows.steps.max()
    return f"**Steps.** Collapsed networks, of {rows.seeds.max()} seeds: {'; '.join(told)}. " + (
        f"{steps} steps of scoring take {', '.join(cost)} times as long as one." if cost else ""
    )


def _rows(frame: pd.DataFrame, records: Mapping[str, Record]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    keys = ["pruner", "compression", "prune_steps", "schedule"]
    for (pruner, compression, steps, schedule), trials in cast(Any, frame.groupby(keys, sort=False)):
        done = [records[id_] for id_, status in zip(trials.id, trials.status, strict=True) if status == "ok"]
        if not done:
            continue
        live = _percent((one.effective_density, one.density) for one in done)
        flops = _percent((one.flops_kept, one.flops) for one in done)
        rows.append(
            {"pruner": pruner, "compression": compression, "steps": int(steps), "schedule": schedule}
            | {"seeds": len(done), "collapsed": sum(bool(one.collapsed) for one in done)}
            | {"live": live.mean(), "live_interval": half_width(live)}
            | {"flops": flops.mean(), "flops_interval": half_width(flops)}
            | {"seconds": sum(one.seconds["score"] for one in done) / len(done)}
        )
    return pd.DataFrame(rows)


def _percent(pairs: Iterable[tuple[float | None, float | None]]) -> pd.Series:
    return pd.Series([100 * part / whole for part, whole in pairs if part is not None and whole])
