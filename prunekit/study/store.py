"""Records on disk: one JSON a trial while a study runs, one parquet file when it is published."""

import json
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from ..errors import UserError
from .trial import SCHEMA_VERSION, Record

_VERSION = re.compile(rb'{"schema_version": ?(\d+)')  # how a record's file begins
_MAPS = ("seconds", "peak_memory", "where")  # of any keys, which parquet's structs would fill up with nulls


class Store:
    """The folder of a study's records, `FOLDER/<trial id>.json`. Records appear whole or not at all."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def save(self, record: Record) -> None:
        """Write `record` under its trial's id, in place of an earlier one; raises OSError if the disk will not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(self.folder / f"{record.id}.json", record.model_dump_json().encode())

    def good(self, ids: Iterable[str]) -> dict[str, Record]:
        """Return the records of those `ids` whose trial did not fail."""
        there = [id_ for id_ in ids if (self.folder / f"{id_}.json").exists()]
        return {id_: record for id_, record in self.load(there).items() if record.status == "ok"}

    def load(self, ids: Iterable[str]) -> dict[str, Record]:
        """Return the records of those `ids` that are there and whole; a damaged one counts as missing, with a line.

        Records that another version of prunekit wrote count as missing too, with one line for all.
        """
        found = {}
        wanted = list(ids)
        for id_ in wanted:
            file = self.folder / f"{id_}.json"
            try:
                record = Record.model_validate_json(file.read_bytes())
                if record.id != id_ or record.trial.id != id_:
                    raise ValueError("it describes another trial")
                found[id_] = record
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                if not _of_another_version(error):
                    print(f"prunekit: {file} {_unusable(error)}; its trial counts as not run", file=sys.stderr)
        if len(found) < len(wanted) and (others := sum(map(_begins_otherwise, self.folder.glob("*.json")))):
            _say_once(f"{others} records in {self.folder} are of another version of prunekit and count as not run")
        return found


def publish(records: Iterable[Record], file: Path) -> None:
    """Write `records` to a parquet file, a row each, sorted by id."""
    import pyarrow
    import pyarrow.parquet

    rows = [record.model_dump(mode="json") for record in sorted(records, key=lambda record: record.id)]
    for row in rows:
        row.update({key: json.dumps(row[key]) for key in _MAPS})
    file.parent.mkdir(parents=True, exist_ok=True)
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink, compression="zstd")
    replace(file, sink.getvalue().to_pybytes())


def published(file: Path) -> dict[str, Record]:
    """Return the records of a parquet file by id, {} if there is none of this version; raises UserError for damage."""
    if not file.exists():
        return {}
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
        for row in rows:
            row.update({key: json.loads(row[key]) for key in _MAPS if key in row})
        records = [Record.model_validate_json(json.dumps(row)) for row in rows]
    except ValidationError as error:
        if not _of_another_version(error):
            raise UserError(f"{file} {_unusable(error)}; delete it or fetch it again") from error
        _say_once(f"{file} is of another version of prunekit and counts as not there")
        return {}
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(f"{file} {_unusable(error)}; delete it or fetch it again") from error
    return {record.id: record for record in records}


def replace(file: Path, content: bytes) -> None:
    """Write `content` to `file` by way of a temporary file beside it, so that no reader meets half of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _of_another_version(error: Exception) -> bool:
    return isinstance(error, ValidationError) and error.errors()[0]["loc"] == ("schema_version",)


def _begins_otherwise(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            start = _VERSION.match(content.read(40))
    except OSError:
        return False
    return start is not None and int(start[1]) != SCHEMA_VERSION


@cache
def _say_once(line: str) -> None:
    print(f"prunekit: {line}", file=sys.stderr)


def _unusable(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"is damaged ({'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']})"
    return f"is damaged ({' '.join(str(error).split())[:120]})"
