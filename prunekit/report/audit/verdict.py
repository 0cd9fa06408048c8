"""What our trials say of one published number, and when they can say nothing. No verdict rests on one seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from ...study.results import Results
from ...study.trial import Trial
from .. import formatting, paper_values
from ..statistics import prediction
from .readings import Part, Reading

REPRODUCED, EXPLAINED, CONTRADICTED, UNTESTED = "reproduced", "explained", "contradicted", "not testable here"
VERDICTS = (REPRODUCED, EXPLAINED, CONTRADICTED, UNTESTED)
_PRUNING = ("width", "prune_steps", "scope", "scoring_images_per_class", "scoring_batch_size")
_TRAINING = ("post_epochs", "train_subset", "optimizer", "learning_rate", "batch_size", "precision")
_ALIKE = {"precision": ("bf16-mixed",)}  # rounding that is less than what seeds differ by: see `report.arithmetic`
_NO_TRIALS = pd.DataFrame(columns=["dataset", "model", "id", "status"])


@dataclass(frozen=True)
class Found:
    """What one reading says of a published number: our trials, their values, and the verdict if it stood alone."""

    reading: Reading
    trials: pd.DataFrame
    values: pd.Series
    verdict: str
    why: str


def untestable(frame: pd.DataFrame, trained: bool, magnitude_pre_epochs: int = 0) -> str:
    """Return why a section's rows cannot decide on what the paper printed, in a few words; empty if they can.

    They can if data and network are the paper's own and were treated as it treated them: in pruning, and where it
    matters (`trained`, or trained before pruning) in training; and if two seeds or more came to their end.
    """
    if frame.empty:
        return "no such trial was run"
    for dataset, model in dict.fromkeys(zip(frame.dataset, frame.model, strict=True)):
        if paper_values.counterpart(dataset, model) != (dataset, model):
            return f"stand-in: {formatting.DATASETS[dataset]}, {formatting.model(model)}"
    for pre_epochs, pruner in zip(frame.pre_epochs, frame.pruner, strict=True):
        expected = magnitude_pre_epochs if pruner == "magnitude" else 0
        if pre_epochs != expected:
            return f"{formatting.FIELDS['pre_epochs']}: {pre_epochs}, not {expected}"
    trained = trained or bool(frame.pre_epochs.any())
    for field in (*_PRUNING, *(_TRAINING if trained else ())):
        default = Trial.model_fields[field].default
        alike = (default, *_ALIKE.get(field, ()))
        found = [value for value in frame[field] if not (pd.isna(value) if default is None else value in alike)]
        if found:
            return (
                f"{formatting.FIELDS[field]}: {formatting.number(found[0])}, not {formatting.number(default or 'all')}"
            )
    if lost := int((frame.status != "ok").sum()):
        return f"{lost} of {len(frame)} trials failed"
    return "one seed" if frame.seed.nunique() < 2 else ""


def read(number: float, part: Part, reading: Reading, setups: list[pd.DataFrame], results: Results) -> Found:
    """Judge `number` by those trials beside it that can test it, or else by others."""

    obstacles = [(untestable(trials, part.trained, reading.pre_epochs), trials) for trials in setups or [_NO_TRIALS]]
    why, trials = min(obstacles, key=lambda one: (one[0].startswith("stand-in"), bool(one[0])))
    done = [results.records[id_] for id_, status in zip(trials.id, trials.status, strict=True) if status == "ok"]
    values = pd.Series([reading.value(record) for record in done], dtype=float).dropna()
    return Found(reading, trials, values, *_judge(number, part, reading, trials, values, why))


def _judge(
    number: float, part: Part, reading: Reading, trials: pd.DataFrame, values: pd.Series, why: str
) -> tuple[str, str]:
    if part.another_machine and not why.startswith("stand-in"):
        return UNTESTED, "seconds of another machine"
    if trials.empty and reading.pre_epochs:
        return UNTESTED, f"no trial with {reading.pre_epochs} epochs before pruning was run"
    if why:
        return UNTESTED, why
    if len(values) < len(trials):
        return UNTESTED, f"{len(trials) - len(values)} of {len(trials)} trials have no such value"
    margin = prediction(values) + part.rounding
    if margin > part.widest(number):
        return UNTESTED, f"seeds differ too much: one more would lie within ± {margin:.3g}"
    if abs(values.mean() - number) <= margin:
        return REPRODUCED, ""
    if part.trained and (values.std(ddof=1) == 0 or trials.collapsed.eq(True).any()):
        return UNTESTED, "networks that no signal passes, as another seed may not give"
    if part.trained and (trials.pruner.eq("grasp") & trials.precision.eq("bf16-mixed")).any():
        return UNTESTED, "products in bfloat16: whether that matters to GraSP is open"
    return CONTRADICTED, ""


def decisive(found: Iterable[Found]) -> Found:
    """Return what is said of a number: by the reading as labelled if it agrees, else by the first other that does.

    Where no trial fits the label, those of another reading are shown, and decide nothing.
    """
    labelled, *others = found
    if labelled.verdict == REPRODUCED:
        return labelled
    for other in others:
        if other.verdict == REPRODUCED:
            return replace(other, verdict=EXPLAINED, why=other.reading.what)
    shown = next((other for other in others if labelled.values.empty and not other.values.empty), labelled)
    return replace(shown, verdict=labelled.verdict, why=(labelled is not shown and shown.why) or labelled.why)
