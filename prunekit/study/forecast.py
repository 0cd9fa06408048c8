"""What trials are going to take, from what like ones took."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from .groups import Group, grouped, size
from .trial import Record, Trial

_SHARED = ("data", "pretrain", "score")  # stages that a group's trials have in common, where pruning is one-shot


def seconds(trials: Iterable[Trial], measured: Iterable[Record]) -> float | None:
    """Return about how many seconds running `trials` will take, None where nothing was measured.

    A group takes the median of measured ones that differ in seed alone, or else, by its size, that of all. Those that
    ran beside others took their share of the machine.
    """
    costs = [(group, cost) for group, cost in _costs(measured) if cost > 0]
    if not costs:
        return None
    alike: dict[str, list[float]] = {}
    for group, cost in costs:
        alike.setdefault(_kind(group.trials[0]), []).append(cost / size(group))
    overall = median(cost / size(group) for group, cost in costs)
    rates = {kind: median(values) for kind, values in alike.items()}
    return sum(size(group) * rates.get(_kind(group.trials[0]), overall) for group in grouped(trials))


def _costs(records: Iterable[Record]) -> list[tuple[Group, float]]:
    """Return groups of measured trials with the seconds that they took of their run."""
    known = {record.trial: record for record in records if record.status == "ok"}
    return [(group, _cost([known[trial] for trial in group.trials])) for group in grouped(known)]


def _cost(records: list[Record]) -> float:
    total = 0.0
    for stage in {stage for record in records for stage in record.seconds}:
        spent = [record.seconds.get(stage, 0.0) / int(record.where.get("workers") or 1) for record in records]
        total += max(spent) if stage in _SHARED and records[0].trial.prune_steps == 1 else sum(spent)
    return total


def _kind(trial: Trial) -> str:
    return trial.model_dump_json(exclude={"seed", "compression"})
