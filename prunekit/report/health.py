"""Records -> what was run, where, and the study's health."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd

from ..names import listed, title
from ..study.params import Section
from ..study.results import EXPLODED, VANISHED, Results, at_init
from ..study.trial import Record, Trial
from . import formatting
from .markup import verbatim

_TITLES: dict[Section, str] = {
    "comparison": "Table I",
    "sweep": "Table II",
    "unpruned": "The unpruned networks",
    "timing": "Table III",
    "flops": "Table IV",
    "layers": "Table V",
    "histograms": "Figures 2 and 3",
    "labels": "Table L, labels",
    "controls": "Table C, controls",
    "steps": "Table N, steps",
    "passes": "Table Z, what zeros are worth",
    "described": "Beside Tables I and II, in many steps or after other epochs before pruning",
    "described_flops": "Table IV in the words of the paper",
    "reaugmented": "GraSP with images augmented anew",
    "initialisations": "Initialisations that SynFlow may sever",
}
_ON_PAGE_ONE: dict[Section, str] = {
    "comparison": "accuracy by dataset",
    "sweep": "accuracy by compression",
    "timing": "seconds",
    "flops": "FLOPs",
    "layers": "layers",
    "labels": "labels",
    "controls": "controls",
    "steps": "pruning in steps",
    "passes": "what zeros are worth",
}
_WHERE = {
    "gpu": "GPU",
    "cpu": "Processor",
    "cores": "Cores",
    "workers": "Processes at once",
    "precision": "Computed in, the GPU having no bfloat16",
    "system": "System",
    "python": "Python",
    "torch": "torch",
    "prunekit": "prunekit",
    "commit": "Commit",
}
_PRECISIONS = {
    "float32": "float32",
    "bf16-mixed": "products in bfloat16, the loss and all else in float32 (bf16-mixed)",
}


def facts(results: Results) -> str:
    """Return profile, budget, seeds, machine, versions and when, as a Markdown list read from the records."""
    (one, *_) = results.sections["sweep"] or results.trials.values()
    done = _done(results)
    first, last = _span([record.finished for record in done])
    budgets: dict[str, list[str]] = {}
    for section, name in _TITLES.items():
        if len(frame := results.frame(section)):
            budgets.setdefault(formatting.budget(frame), []).append(name)
    where = {what: _distinct(record.where.get(key) for record in done) for key, what in _WHERE.items()}
    return "\n".join(
        [
            *_strangers(done),
            f"- **Profile:** `{results.params.profile}`, {len(results.trials)} trials, {len(done)} of them done",
            *[f"- **{', '.join(titles)}:** {budget}" for budget, titles in budgets.items()],
            f"- **Optimiser:** {one.optimizer}, learning rate {one.learning_rate:g}, batches of "
            f"{one.batch_size}, {_PRECISIONS[one.precision]}; rows of Table I may differ, see `params/`",
            f"- **Scoring:** {one.scoring_images_per_class} images a class, prune steps: {one.prune_steps}, "
            f"{one.schedule} schedule, {one.scope} ranking",
            f"- **Seeds:** {', '.join(map(str, results.params.seeds))}",
            *[f"- **{what}:** {values}" for what, values in where.items() if values],
            f"- **Run:** {first} to {last} (UTC)",
        ]
    )


def table(results: Results) -> pd.DataFrame:
    """Return the study's state, a row a dataset and network: trials done, failed, collapsed, seconds, memory.

    Collapsed, vanished, exploded: see `results.at_init`. Seconds are sums over trials; what several share counts for
    each. Memory: the most that a process held at once; on a GPU, that torch held there.
    """
    rows = []
    for (dataset, network), trials in _by_network(results.trials.values()).items():
        known = [results.records[trial.id] for trial in trials if trial.id in results.records]
        done = [record for record in known if record.status == "ok"]
        fates = Counter(map(at_init, done))
        rows.append(
            {
                "Dataset": title("dataset", dataset),
                "Network": network,
                "Trials": len(trials),
                "Done": len(done),
                "Failed": len(known) - len(done),
                "Collapsed": sum(bool(record.collapsed) for record in done),
                "Vanished": fates[VANISHED],
                "Exploded": fates[EXPLODED],
                "Pretraining, s": _seconds(done, "pretrain"),
                "Scoring, s": _seconds(done, "score"),
                "Training, s": _seconds(done, "train"),
                "Testing, s": _seconds(done, "test"),
                "Peak memory, GB": _peak(done),
            }
        )
    return pd.DataFrame(rows).dropna(axis=1, how="all").fillna("–")  # records of before told no memory


def failures(results: Results) -> str:
    """Return the trials that failed, as a Markdown list, or a sentence that there are none."""
    failed = [record for id_ in results.trials if (record := results.records.get(id_)) and record.status == "failed"]
    lines = [f"- {record.trial.label}: {verbatim(record.error or '')}" for record in failed]
    lacking_ = len(results.trials.keys() - results.records.keys())
    missing = f"{lacking_} have not been run" if lacking_ else "none is missing"
    return "\n".join(lines) or f"No trial failed and {missing}."


def not_known(results: Results) -> str:
    """Return in a line or two of Markdown on what nothing or not all was run; "" where nothing lacks."""
    none: list[str] = []
    some: list[str] = []
    for section, name in _ON_PAGE_ONE.items():
        trials = results.sections[section]
        if lack := sum(trial.id not in results.records for trial in trials):
            (none if lack == len(trials) else some).append(name)
    told = [f"**Not run:** {listed(none)}."] if none else []
    told += [f"**In part:** {listed(some)}."] if some else []
    return " ".join([*told, "[What is missing](#what-is-missing)"]) if told else ""


def how_it_ran(results: Results) -> str:
    """Return in a sentence or two of Markdown how many trials ran, when and on what, and where more is said."""
    done = _done(results)
    if not done:
        return ""
    first, last = _span([record.finished for record in done])
    when = f"on {first[:10]}" if first[:10] == last[:10] else f"from {first[:10]} to {last[:10]}"
    on = listed(list(dict.fromkeys(str(record.machine) for record in done)))
    some = f"{len(done):,} of {len(results.trials):,}" if len(done) < len(results.trials) else f"All {len(done):,}"
    return (
        f"{some} trials of the profile `{results.params.profile}` ran {when} on {on}. [More](#what-was-run-and-where)"
    )


def lacking(results: Results, sections: Iterable[Section] = tuple(_TITLES)) -> str:
    """Return which of the sections' trials have no record, a line of Markdown a section; "" where none lacks."""
    lines = []
    for section in sections:
        trials = results.sections[section]
        missing = [trial for trial in trials if trial.id not in results.records]
        if section not in _TITLES or not missing:
            continue
        if len(missing) == len(trials):
            lines.append(f"- **{_TITLES[section]}:** none of its {len(trials)} trials has been run.")
        else:
            told = ", ".join(
                f"{title('dataset', name)} {_of_seeds(missing, trials, name)}" for name in _datasets(missing)
            )
            lines.append(f"- **{_TITLES[section]}:** {len(missing)} of its {len(trials)} trials are missing: {told}.")
    return "\n".join(lines)


def _done(results: Results) -> list[Record]:
    return [record for id_ in results.trials if (record := results.records.get(id_)) and record.status == "ok"]


def _datasets(trials: list[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.dataset for trial in trials))


def _of_seeds(missing: list[Trial], trials: list[Trial], dataset: str) -> str:
    """18 (seed 2); without the seeds where all lack some."""
    lack, have = ([trial.seed for trial in part if trial.dataset == dataset] for part in (missing, trials))
    seeds = sorted(set(lack))
    some = f" (seed {', '.join(map(str, seeds))})" if len(seeds) < len(set(have)) else ""
    return f"{len(lack)}{some}"


def _strangers(done: list[Record]) -> list[str]:
    """A warning, where some records come from another machine or commit than most."""
    lines = []
    for what, of in {"on another machine": lambda record: record.machine, "at another commit": _commit}.items():
        counted = Counter(map(of, done)).most_common()
        if others := counted[1:]:
            named = ", ".join(f"{name} ({count} trials)" for name, count in others)
            strange = sum(count for _, count in others)
            lines.append(f"**{strange} of {len(done)} trials ran {what} than the rest:** {named}.\n")
    return lines


def _commit(record: Record) -> str:
    return str(record.where.get("commit"))


def _by_network(trials: Iterable[Trial]) -> dict[tuple[str, str], list[Trial]]:
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        scale = "" if trial.width == 1 else f", width {trial.width:g}"
        kind = "" if trial.post_epochs else ", not trained"
        groups.setdefault((trial.dataset, title("model", trial.model) + scale + kind), []).append(trial)
    return groups


def _seconds(records: list[Record], stage: str) -> str:
    return f"{sum(record.seconds.get(stage, 0.0) for record in records):.0f}"


def _peak(records: list[Record]) -> str | None:
    peaks = [peak for record in records for peak in record.peak_memory.values()]
    return f"{max(peaks) / 1e9:.1f}" if peaks else None


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _span(times: list[datetime]) -> tuple[str, str]:
    if not times:
        return "–", "–"
    return f"{min(times):%Y-%m-%d %H:%M}", f"{max(times):%Y-%m-%d %H:%M}"
