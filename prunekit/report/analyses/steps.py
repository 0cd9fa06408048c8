"""Where collapse goes away: pruners that see what they pruned, in one step and in several; and what steps cost."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd

from ...study.statistics import half_width
from .. import formatting
from ..table import Table, named_once, unless_empty


@unless_empty
def table(frame: pd.DataFrame) -> Table:
    """Collapse, live weights, FLOPs and seconds, by pruner, number of steps and schedule."""
    tidy = _rows(frame)
    shown = [
        {
            "Pruner": formatting.PRUNERS[row["pruner"]],
            "c": f"{row['compression']:g}",
            "Steps": f"{row['steps']}",
            "Schedule": row["schedule"] if row["steps"] > 1 else "–",
            "Collapsed": f"{row['collapsed']} of {row['seeds']}",
            "Live weights, % of kept": formatting.estimate(row["live"], row["live_interval"], share=True),
            "FLOPs kept, %": formatting.estimate(row["flops"], row["flops_interval"], 2, share=True),
            "Scoring, s": f"{row['seconds']:.2f}",
        }
        for row in tidy.to_dict("records")
    ]
    caption = (
        f"Pruning in steps: {formatting.budget(frame.assign(prune_steps=1))}. Each step scores the network as it "
        "is pruned "
        "so far; densities fall exponentially or linearly. Live weights lie on a path of kept weights from input to "
        "output. "
        f"Means ± the half-width of the 95 % t interval over {formatting.seeds(frame)}; seconds are means."
    )
    wide = named_once(pd.DataFrame(shown), ["Pruner", "c", "Steps"]) if shown else pd.DataFrame()
    return Table("steps", "Table N", caption, tidy, wide)


@unless_empty
def said(frame: pd.DataFrame) -> str:
    """From how many steps of each schedule on no network collapses, and what the most steps cost."""
    rows = _rows(frame)
    if rows.empty:
        return "**Steps.** No trial here prunes in steps."
    schedules = list(dict.fromkeys(rows.schedule))
    needed, never, costs = [], [], []
    for (pruner, compression), cells in cast(Any, rows.groupby(["pruner", "compression"], sort=False)):
        name = f"{formatting.PRUNERS[str(pruner)]} at c = {compression:g}"
        if cells.collapsed.any():
            needed.append(f"{name}: {' / '.join(_enough(cells, schedule) for schedule in schedules)}")
        else:
            never.append(name)
        one, most = cells[cells.steps == 1], cells[cells.steps == cells.steps.max()]
        if len(one) and most.steps.max() > 1 and one.seconds.iloc[0] > 0:
            costs.append(float(most.seconds.mean()) / float(one.seconds.iloc[0]))
    tried = formatting.listed([f"{count}" for count in sorted(set(rows.steps))])
    told = [f"**Steps.** Networks were pruned in {tried} steps, {rows.seeds.max()} seeds each."]
    if needed:
        how = f"{' / '.join(schedules)}; – where some do with {rows.steps.max()}"
        told.append(f"From so many on none collapses ({how}): {'; '.join(needed)}.")
    if never:
        told.append(f"None collapses with {formatting.listed(never)}.")
    if costs:
        told.append(f"{rows.steps.max()} steps of scoring take {_range(costs)} times as long as one.")
    return " ".join(told)


def _enough(cells: pd.DataFrame, schedule: str) -> str:
    """Return the least number of steps from which on none collapses, – if none is; one step is of any schedule."""
    tried = cells[(cells.schedule == schedule) | (cells.steps == 1)]
    least = tried.steps[tried.steps > tried.steps[tried.collapsed > 0].max()] if tried.collapsed.any() else tried.steps
    return str(least.min()) if len(least) else "–"


def _range(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values))))


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    done = frame[frame.status == "ok"].sort_values("compression", kind="stable")
    keys = ["pruner", "compression", "prune_steps", "schedule"]
    for (pruner, compression, steps, schedule), trials in cast(Any, done.groupby(keys, sort=False)):
        live, flops = (100 * trials.effective_density / trials.density).dropna(), 100 * trials.flops_kept / trials.flops
        rows.append(
            {"pruner": pruner, "compression": compression, "steps": int(steps), "schedule": schedule}
            | {"seeds": len(trials), "collapsed": int(trials.collapsed.eq(True).sum())}
            | {"live": live.mean(), "live_interval": half_width(live)}
            | {"flops": flops.mean(), "flops_interval": half_width(flops)}
            | {"seconds": float(trials.score_seconds.mean())}
        )
    return pd.DataFrame(rows)
