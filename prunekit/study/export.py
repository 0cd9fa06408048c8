"""A trial that was run -> its network, trained once more, in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .. import __version__, saved
from ..errors import UserError, safe_repr
from . import machine, runner, store
from .artifacts import Artifacts
from .trial import Record


def find(word: str, runs: store.Store, published: Iterable[Path]) -> Record:
    """Return the record of the trial whose id is, or alone begins with, `word`: of those in `runs`, else published.

    `word` may also name the record's file. Raises UserError if there is none, several, or its trial failed.
    """
    begin = word.rpartition("/")[2].removesuffix(".json")
    if not re.fullmatch("[0-9a-f]{4,16}", begin):
        raise UserError(f"{safe_repr(word)} is no trial's id: it takes 4 to 16 of 0-9 and a-f, as records are named")
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


def export(record: Record, file: Path, artifacts: Artifacts) -> str:
    """Train the network of a record's trial once more and write it to `file`; return what came out, in a line.

    It is trained in as many threads as it was, by itself: what trained side by side may differ in its last bits.
    """
    saved.check(file)
    if record.threads and artifacts.device == "cpu":
        machine.use_threads(record.threads)
    trial = record.trial
    again, net, kept = runner.run_and_keep(trial, artifacts)
    data, _ = artifacts.data(trial)
    about = {
        "model": trial.model,
        "input_shape": data.image_shape,
        "num_classes": data.num_classes,
        "width": trial.width,
        "trial": trial.model_dump(mode="json"),
        "top1": again.top1,
        "prunekit": __version__,
    }
    saved.write(file, net, kept, about)
    if again.top1 is None:
        return f"{trial.label}, not trained, in {file}"
    return f"{trial.label}, top-1 {again.top1:.2f} % (its record: {record.top1:.2f} %), in {file}"
