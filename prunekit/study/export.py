"""A trial -> its network, trained once more, in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__, saved
from ..errors import UserError, safe_repr, shown
from . import machine, runner, store
from .artifacts import Artifacts
from .study import Study
from .trial import Record, Trial
from .worker import failure_summary


def find(word: str, runs: store.Store, published: Iterable[Path]) -> Record:
    """Return the record of the trial whose id is, or alone begins with, `word`: of those in `runs`, else published.

    `word` may also name the record's file. Raises UserError if there is none, several, or its trial failed.
    """
    begin = word.rpartition("/")[2].removesuffix(".json")
    if not re.fullmatch("[0-9a-f]{4,16}", begin):
        raise UserError(f"{safe_repr(word)} is neither a profile nor a trial's id, which takes 4 to 16 of 0-9 and a-f")
    found = runs.load(file.stem for file in sorted(runs.folder.glob(f"{begin}*.json")))
    for file in published if not found else ():
        found |= {id_: record for id_, record in store.committed_records(file).items() if id_.startswith(begin)}
    if not found:
        raise UserError(f"no record in {runs.folder} or in a report begins with {begin}; run its trial first")
    if len(found) > 1:
        raise UserError(
            f"{len(found)} records begin with {begin}: {safe_repr(sorted(found)[:4])}; write more of the id"
        )
    (record,) = found.values()
    if record.status == "failed":
        raise UserError(f"trial {record.id} failed: {record.error}")
    return record


def chosen(study: Study, section: str, wanted: Mapping[str, Any]) -> Trial:
    """Return the one trial of a section that has the `wanted` fields; a field that is None may be anything.

    Raises UserError if there is none, or several, with the fields in which they differ.
    """
    given = {field: value for field, value in wanted.items() if value is not None}
    trials = study.sections[section]  # type: ignore[index]
    found = [trial for trial in trials if all(getattr(trial, field) == value for field, value in given.items())]
    for field, value in given.items():
        known = list(dict.fromkeys(str(getattr(trial, field)) for trial in trials))
        if str(value) not in known and value not in [getattr(trial, field) for trial in trials]:
            raise UserError(
                f"{study.params.profile} has no {field} {shown(value)} in {section}; it has {', '.join(known)}"
            )
    if not found:
        told = " ".join(f"--{field} {value}" for field, value in given.items())
        raise UserError(f"{study.params.profile} has no trial in {section} with {told}")
    apart = {field: list(dict.fromkeys(getattr(trial, field) for trial in found)) for field in wanted}
    several = [f"--{field} {values[0]}" for field, values in apart.items() if len(values) > 1]
    if len(found) > 1:
        more = f"add {', '.join(several)} or another" if several else f"name one by its id, such as {found[0].id}"
        raise UserError(f"{len(found)} trials of {study.params.profile} in {section} are such; {more}")
    return found[0]


def export(trial: Trial, record: Record | None, file: Path, artifacts: Artifacts) -> str:
    """Train the network of a trial (once more, if it has a record) and write it to `file`; return what came out.

    It is trained in as many threads as it was, by itself: what trained side by side may differ in its last bits.
    """
    saved.check(file)
    if record and record.threads and artifacts.device == "cpu":
        machine.use_threads(record.threads)
    try:
        again, net, kept = runner.run_and_keep(trial, artifacts)
    except UserError:
        raise
    except Exception as problem:
        raise UserError(f"trial {trial.id} failed: {failure_summary(problem)}") from problem
    data, _ = artifacts.data(trial)
    about = {
        "model": trial.model,
        "input_shape": data.image_shape,
        "num_classes": data.num_classes,
        "width": trial.width,
        "layers": saved.layers(net),
        "transform": {"mean": data.transform.mean, "std": data.transform.std},
        "trial": trial.model_dump(mode="json"),
        "top1": again.top1,
        "prunekit": __version__,
    }
    saved.write(file, net, kept, about)
    if again.top1 is None:
        return f"{trial.label}, not trained, in {file}"
    beside = f" (its record: {record.top1:.2f} %)" if record else ""
    return f"{trial.label}, top-1 {again.top1:.2f} %{beside}, in {file}"
