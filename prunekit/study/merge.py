"""Records of other machines -> the runs folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError, shown
from .store import Store, committed_records


def merge(source: Path, store: Store) -> Iterator[str]:
    """Store the good records of `source`, a folder of records or a trials.parquet; yield lines that say what happened.

    Good records that `store` has stay, and `source` is unchanged. Damaged records and those of another version are left
    out, with a line on standard error. Raises UserError if `source` holds no record.
    """
    if source.suffix == ".parquet" and not source.is_dir():
        found = committed_records(source)
    else:
        found = Store(source).load(file.stem for file in sorted(source.glob("*.json")))
    if not found:
        raise UserError(f"{shown(source)} holds no record; name a folder of records, or a trials.parquet")
    good = {id_: record for id_, record in found.items() if record.status == "ok"}
    there = store.good(good)
    for id_ in good.keys() - there.keys():
        store.save(good[id_])
    yield f"records of {shown(source)} taken into {store.folder}: {len(good) - len(there)}"
    if there:
        others = sum(record != good[id_] for id_, record in there.items())
        yield f"of trials that had one there already, which stays: {len(there)}; of these ran twice: {others}"
    if failures := len(found) - len(good):
        yield f"of failed trials, left where they are: {failures}"
    if elsewhere := sum("precision" in record.where for record in good.values()):
        yield f"computed in float32, in place of bfloat16 that their GPU does not have: {elsewhere}"
