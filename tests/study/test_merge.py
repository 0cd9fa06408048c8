"""Records of several machines in one folder: what is taken, what stays, and what is said of the rest."""

import json

import pytest
from conftest import TINY
from synthetic import record

from prunekit.errors import UserError
from prunekit.study.merge import merge
from prunekit.study.params import Params
from prunekit.study.store import Store, publish
from prunekit.study.study import Study
from prunekit.study.trial import failed


@pytest.fixture
def trials():
    return list(Study(Params.model_validate(TINY)).trials.values())


@pytest.fixture
def here(tmp_path):
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path, trials):
    """Another machine's folder, with the first three trials."""
    store = Store(tmp_path / "there")
    for trial in trials[:3]:
        store.save(record(trial, where={"gpu": "H100", "commit": "abc"}))
    return store


def contents(store):
    return {file.name: file.read_bytes() for file in store.folder.iterdir()}


def test_records_come_over_and_their_folder_stays(here, there):
    before = contents(there)
    assert list(merge(there.folder, here)) == [f"records of {there.folder} taken into {here.folder}: 3"]
    assert contents(here) == contents(there) == before


def test_what_is_here_stays_and_a_failure_gives_way(here, there, trials):
    first, second, third, fourth = trials[:4]
    here.save(mine := record(first, top1=12.0))
    here.save(next(iter(there.load([second.id]).values())))
    here.save(failed(third, "it broke", {}))
    there.save(failed(fourth, "it broke there", {}))
    assert list(merge(there.folder, here)) == [
        f"records of {there.folder} taken into {here.folder}: 1",
        "of trials that had one there already, which stays: 2; of these ran twice: 1",
        "of failed trials, left where they are: 1",
    ]
    found = here.load(trial.id for trial in trials)
    assert found[first.id] == mine and found[third.id].status == "ok" and fourth.id not in found


def test_damaged_foreign_and_other_records_are_a_line_each_and_left_out(here, there, trials, capsys):
    first, second, third = (there.folder / f"{trial.id}.json" for trial in trials[:3])
    first.write_text(first.read_text().replace("50.0", "51.0"))  # altered
    second.write_bytes(second.read_bytes()[:300])  # half of it
    third.rename(there.folder / "0123456789abcdef.json")  # another's name
    (there.folder / "settings.json").write_text(json.dumps({"theme": "dark"}))
    old = {"schema_version": 4, "id": "ffffffffffffffff"}
    (there.folder / "ffffffffffffffff.json").write_text(json.dumps(old))
    there.save(record(trials[3]))
    before = contents(there)
    assert list(merge(there.folder, here)) == [f"records of {there.folder} taken into {here.folder}: 1"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" is damaged (")[0].rpartition("/")[2] for line in lines[:-1]] == sorted(
        [first.name, second.name, "0123456789abcdef.json", "settings.json"]
    )
    assert lines[-1].endswith("are of another version of prunekit and count as not run")
    assert contents(there) == before


def test_what_was_computed_in_another_precision_is_said(here, there, trials):
    there.save(record(trials[4], where={"precision": "float32"}))
    *_, last = merge(there.folder, here)
    assert last == "computed in float32, in place of bfloat16 that their GPU does not have: 1"


def test_published_records_are_a_source_too(here, there, trials, tmp_path):
    publish(there.load(trial.id for trial in trials).values(), tmp_path / "trials.parquet")
    list(merge(tmp_path / "trials.parquet", here))
    assert contents(here) == contents(there)


def test_a_source_without_records_is_one_line(here, tmp_path):
    for source in (tmp_path, tmp_path / "nowhere", tmp_path / "none.parquet"):
        with pytest.raises(UserError, match="holds no record; name a folder of records"):
            list(merge(source, here))
