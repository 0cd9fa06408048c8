"""Records on disk: whole or not at all."""

import errno
import json
import os
from datetime import UTC, datetime

import pandas as pd
import pytest

from prunekit.errors import UserError
from prunekit.study import store
from prunekit.study.trial import Epoch, Layer, Record, Trial, failed


def record(compression=1.0, **fields):
    """Return a record with every field filled, odd floats among them."""
    trial = Trial(dataset="digits", model="fc", pruner="snip", compression=compression, train_subset=100)
    epoch = Epoch(
        epoch=1, train_loss=0.1 + 0.2, train_seconds=1e-9, test_loss=1e300, top1=100 / 3, top5=99.9, test_seconds=0.5
    )
    layer = Layer(
        name="0.weight",
        total=2**40,
        kept=10,
        effective=9,
        channels=4,
        dead_channels=1,
        zero_scores=3,
        flops=2**50,
        flops_kept=7,
        histogram=[1, 0, 2],
    )
    values = {
        "status": "ok",
        "top1": 100 / 3,
        "top5": 99.9,
        "pre_curve": [epoch],
        "curve": [epoch, epoch],
        "density": 0.1,
        "effective_density": 0.1 / 3,
        "collapsed": False,
        "tied_scores": 0.25,
        "signal": 1e-8,
        "dense_signal": 0.1,
        "flops": 313_478_154,
        "flops_kept": 1,
        "parameters": 2**40,
        "parameters_kept": 10,
        "layers": [layer, layer.model_copy(update={"zero_scores": None})],
        "seconds": {"score": 0.1, "train": 2.0},
        "peak_memory": {"score": 2**40},
        "latency": 0.25,
        "flops_compacted": 2**40,
        "latency_by_form": {"masked": 0.5, "csr": 0.1},
        "where": {"device": "cpu", "gpu": None, "cores": 2},
        "finished": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    }
    return Record(**{"id": trial.id, "trial": trial} | values | fields)


def test_record_names_every_field():
    assert record().model_fields_set == set(Record.model_fields) - {"schema_version", "error"}


def test_records_of_before_fields_were_renamed_are_read(tmp_path):
    """Fields were called passes, in the trial and beside it; ids and checksums are the same."""
    speedup = Trial(dataset="digits", model="fc", pruner="snip", compression=1.0, measure_speedup=True)
    first = record(id=speedup.id, trial=speedup)
    runs = store.Store(tmp_path)
    runs.save(first)
    file = tmp_path / f"{first.id}.json"
    file.write_text(file.read_text().replace("measure_speedup", "passes").replace("latency_by_form", "passes"))
    assert "passes" in file.read_text() and runs.load([first.id]) == {first.id: first}


def test_saved_records_come_back_equal(tmp_path):
    records = {r.id: r for r in (record(1.0), record(2.0))}
    for r in records.values():
        store.Store(tmp_path / "deep" / "runs").save(r)
    assert store.Store(tmp_path / "deep" / "runs").load([*records, "absent"]) == records


def test_later_record_replaces_the_earlier(tmp_path):
    runs = store.Store(tmp_path)
    runs.save(failed(record().trial, "out of memory", {}))
    runs.save(record())
    assert runs.load([record().id]) == {record().id: record()}
    assert [path.name for path in tmp_path.iterdir()] == [f"{record().id}.json"]


def altered(**fields):
    """Return a saved record with other content, and without the fields that are None."""
    content = json.loads(store.as_json(record())) | fields
    return json.dumps({key: value for key, value in content.items() if fields.get(key, "") is not None}).encode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "damaged"),
        (store.as_json(record()).encode()[:200], "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b"[]", "damaged"),
        (altered(status="fine"), "damaged (status"),
        (altered(surprise=1), "damaged (surprise"),
        (store.as_json(record(2.0)).encode(), "another trial"),
        (altered(id="0" * 16), "another trial"),
        (altered(top1=33.0), "its checksum does not fit"),
        (altered(checksum="0" * 32), "its checksum does not fit"),
        (altered(checksum=None), "its checksum does not fit"),
        (altered(schema_version=None), "no schema_version"),
        (altered(schema_version=True), "no schema_version"),
        (altered(schema_version="4"), "no schema_version"),
        (b"[" * 99_999, "damaged"),
    ],
)
def test_unusable_record_counts_as_missing_with_one_line(tmp_path, capsys, content, complaint):
    good = record(0.5)
    store.Store(tmp_path).save(good)
    (tmp_path / f"{record().id}.json").write_bytes(content)
    assert store.Store(tmp_path).load([record().id, good.id]) == {good.id: good}
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line and f"{record().id}.json" in line


def test_records_of_another_version_are_refused_with_one_line(tmp_path, capsys):
    """Those under ids of before, and one under an id that is asked for; said once, however often it is asked."""
    runs = store.Store(tmp_path)
    for name in ("a" * 16, "b" * 16, record().id):
        (tmp_path / f"{name}.json").write_bytes(altered(schema_version=1))
    for _ in range(2):
        assert runs.load([record().id]) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"prunekit: 3 records in {tmp_path} are of another version of prunekit and count as not run"


def test_publication_of_another_version_counts_as_none(tmp_path, capsys, monkeypatch):
    file = tmp_path / "trials.parquet"
    older = altered(schema_version=1)
    monkeypatch.setattr(store, "as_json", lambda _: older)
    store.publish([record()], file)
    assert store.committed_records(file) == store.committed_records(file) == {}
    assert capsys.readouterr().err == f"prunekit: {file} is of another version of prunekit and counts as not there\n"


def test_publishing_loses_nothing(tmp_path):
    records = [record(2.0), record(1.0), failed(record(0.1).trial, "loss is not a number", {"device": "cpu"})]
    store.publish(records, tmp_path / "a" / "trials.parquet")
    assert store.committed_records(tmp_path / "a" / "trials.parquet") == {r.id: r for r in records}
    store.publish(reversed(records), tmp_path / "b.parquet")
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a" / "trials.parquet").read_bytes()


def test_every_publication_has_the_same_columns_and_reads_as_one_table_with_others(tmp_path):
    """Whatever is null in one: a subset, an error, layers, curves."""
    lost = failed(Trial(dataset="digits", model="conv", pruner="random", compression=0.5), "no luck", {})
    for name, records in {"a": [record()], "b": [lost], "none": []}.items():
        store.publish(records, tmp_path / f"{name}.parquet")
    for first, second in (("a", "b"), ("b", "a"), ("none", "a")):
        both = pd.read_parquet([tmp_path / f"{name}.parquet" for name in (first, second)])
        assert set(both.pruner) <= {"snip", "random"} and {"compression", "top1", "flops_kept"} <= set(both)
    rows = pd.read_parquet(tmp_path / "a.parquet")
    assert rows.train_subset.item() == 100 and rows.top1.item() == 100 / 3 and rows.measure_speedup.item() == False  # noqa: E712
    assert json.loads(rows.seconds.item()) == {"score": 0.1, "train": 2.0}
    assert [layer["kept"] for layer in rows.layers.item()] == [10, 10]


def test_what_was_published_before_a_column_was_added_is_read(tmp_path):
    """A field of a record or a trial that takes its default may have none; what holds other values is missed."""
    import pyarrow.parquet

    file = tmp_path / "trials.parquet"
    earlier = [record(compression, tied_scores=None) for compression in (1.0, 2.0)]
    store.publish(earlier, file)
    whole = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(whole.drop_columns(["tied_scores", "timed"]), file)
    assert store.committed_records(file) == {one.id: one for one in earlier}
    pyarrow.parquet.write_table(whole.drop_columns("top1"), file)
    with pytest.raises(UserError, match="its checksum does not fit"):
        store.committed_records(file)
    pyarrow.parquet.write_table(whole.drop_columns("pruner"), file)
    with pytest.raises(UserError, match="it has no column pruner"):
        store.committed_records(file)


def test_nothing_published_is_no_records(tmp_path):
    assert store.committed_records(tmp_path / "trials.parquet") == {}
    store.publish([], tmp_path / "trials.parquet")
    assert store.committed_records(tmp_path / "trials.parquet") == {}


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"", lambda content: b"PAR1" * 9])
def test_damaged_publication_is_one_line(tmp_path, damage):
    file = tmp_path / "trials.parquet"
    store.publish([record()], file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match="damaged") as error:
        store.committed_records(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_full_disk_keeps_the_old_record_and_leaves_nothing_behind(tmp_path, monkeypatch):
    runs = store.Store(tmp_path)
    runs.save(record())

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        runs.save(record(top1=1.0))
    monkeypatch.undo()
    assert runs.load([record().id]) == {record().id: record()}
    assert [path.name for path in tmp_path.iterdir()] == [f"{record().id}.json"]


def test_rows_that_were_taken_out_or_put_in_are_noticed(tmp_path):
    import pyarrow.parquet

    file = tmp_path / "trials.parquet"
    store.publish([record(1.0), record(2.0)], file)
    whole = pyarrow.parquet.read_table(file)
    for other in (whole.slice(1), whole.take([1, 0]), whole.replace_schema_metadata({})):
        pyarrow.parquet.write_table(other, file)
        with pytest.raises(UserError, match="its rows are not those that were written"):
            store.committed_records(file)
    pyarrow.parquet.write_table(whole.drop_columns("checksum"), file)
    with pytest.raises(UserError, match="its checksum does not fit"):
        store.committed_records(file)
