"""Records on disk: one JSON a trial while a study runs, one parquet file when it is published."""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from ..errors import UserError, exception_summary, say
from ..files import remove_leftovers, replace
from ..names import UNPRUNED
from . import parquet_rows
from .trial import SCHEMA_VERSION, Record

_VERSION = re.compile(rb'{"schema_version": ?(\d+)')  # how a record's file begins
_ROWS = b"prunekit.checksum"  # in a parquet file's metadata: the digest of its rows' checksums


class Store:
    """The folder of a study's records, `FOLDER/<trial id>.json`. Records appear whole or not at all."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def save(self, record: Record) -> None:
        """Write `record` under its trial's id, in place of an earlier one; raises OSError if the disk will not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(self.folder / f"{record.id}.json", as_json(record).encode(), durable=True)

    def remove_leftovers(self) -> None:
        """Delete what killed runs left of files they did not finish."""
        remove_leftovers(self.folder)

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
                record = _unsealed(json.loads(file.read_bytes()))
                if record.id != id_:
                    raise ValueError("it describes another trial")
                found[id_] = record
            except (FileNotFoundError, _OtherVersionError):
                continue
            except (OSError, ValueError, RecursionError) as error:
                say(f"{file} {_unusable(error)}; its trial counts as not run")
        if len(found) < len(wanted) and (others := sum(map(_begins_otherwise, self.folder.glob("*.json")))):
            _say_once(f"{others} records in {self.folder} are of another version of prunekit and count as not run")
        return found


def publish(records: Iterable[Record], file: Path) -> None:
    """Write `records` to a parquet file, a row each, sorted by id; see `flat` for its columns. Raises OSError."""
    import pyarrow
    import pyarrow.parquet

    rows = [json.loads(as_json(record)) for record in sorted(records, key=lambda record: record.id)]
    checksum = _of_rows(row["checksum"] for row in rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    sink = pyarrow.BufferOutputStream()
    columns = parquet_rows.schema().with_metadata({_ROWS: checksum})
    table = pyarrow.Table.from_pylist([parquet_rows.row(row) for row in rows], columns)
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    replace(file, sink.getvalue().to_pybytes(), durable=True)


def committed_records(file: Path) -> dict[str, Record]:
    """Return the records of a parquet file by id, {} if there is none of this version; raises UserError for damage."""
    if not file.exists():
        return {}
    try:
        records = _read(file.read_bytes())
    except _OtherVersionError:
        _say_once(f"{file} is of another version of prunekit and counts as not there")
        return {}
    except Exception as error:  # of damaged bytes any kind comes
        raise UserError(f"{file} {_unusable(error)}; delete it or fetch it again") from error
    return {record.id: record for record in records}


def _read(content: bytes) -> list[Record]:
    """Return the records in the bytes of a parquet file; raises any kind of exception if they are damaged."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)).read()
    rows = table.to_pylist()
    records = [_unsealed(parquet_rows.content(row)) for row in rows]
    if (table.schema.metadata or {}).get(_ROWS) != _of_rows(row.get("checksum") for row in rows):
        raise ValueError("its rows are not those that were written")
    return records


class _OtherVersionError(ValueError):
    """A record that another version of prunekit wrote."""


def as_json(record: Record) -> str:
    """Return a record as JSON, with a checksum of its content at the end."""
    return f'{record.model_dump_json()[:-1]},"checksum":"{_checksum(record)}"}}'


def _unsealed(content: Any) -> Record:
    """Return the record that was sealed as this object; raises ValueError if it is not what was written."""
    if not isinstance(content, dict) or type(content.get("schema_version")) is not int:
        raise ValueError("it has no schema_version")
    if content["schema_version"] != SCHEMA_VERSION:
        raise _OtherVersionError
    rest = {key: value for key, value in content.items() if key != "checksum"}
    record = Record.model_validate_json(to_json(rest))
    if record.id != record.trial.id:
        raise ValueError("it describes another trial")
    if content.get("checksum") != _checksum(record):
        raise ValueError("its checksum does not fit")
    return record


def _checksum(record: Record) -> str:
    """A digest of what differs from its default, so that a new field with a default changes none."""
    text = record.model_dump_json(exclude_defaults=True, by_alias=True)
    text = text.replace(f'"pruner":"{UNPRUNED}"', '"pruner":"random"')  # as earlier versions wrote it
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _of_rows(checksums: Iterable[str | None]) -> bytes:
    return hashlib.sha256(" ".join(map(str, checksums)).encode()).hexdigest()[:32].encode()


def _begins_otherwise(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            start = _VERSION.match(content.read(40))
    except OSError:
        return False
    return start is not None and int(start[1]) != SCHEMA_VERSION


@cache
def _say_once(line: str) -> None:
    say(line)


def _unusable(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"is damaged ({'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']})"
    return f"is damaged ({exception_summary(error)})"
