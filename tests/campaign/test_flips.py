"""One bit of a file flipped: what is read then is what was written, or nothing."""

import random

import numpy as np
import pytest
from conftest import FIGURES, TINY, share

from prunekit import datasets
from prunekit.datasets import sources
from prunekit.errors import UserError
from prunekit.study import engine, store
from prunekit.study.params import Params
from prunekit.study.study import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study that was run."""
    study = Study(Params.model_validate(TINY), tmp_path_factory.mktemp("flips") / "runs")
    assert engine.run(study.trials.values(), study.store, device="cpu", workers=1) == {}
    return study


def flips(file, count):
    """Yield while one bit of `file` after another is flipped."""
    whole, places = file.read_bytes(), random.Random(file.name)
    for _ in range(count):
        place, bit = places.randrange(len(whole)), 1 << places.randrange(8)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        yield
        FIGURES["flips of a bit seen or harmless"] += 1
    file.write_bytes(whole)


@pytest.mark.slow
def test_records(study):
    for id_, record in study.store.load(study.trials).items():
        for _ in flips(study.store.folder / f"{id_}.json", share(150, 10)):
            assert study.store.load([id_]).get(id_, record) == record


@pytest.mark.slow
def test_published_records(study, tmp_path):
    records, file = study.store.load(study.trials), tmp_path / "trials.parquet"
    store.publish(records.values(), file)
    for _ in flips(file, share(600, 40)):
        try:
            assert store.committed_records(file) in (records, {})
        except UserError as error:
            assert str(error).isprintable() and "delete it or fetch it again" in str(error)


@pytest.mark.slow
def test_caches(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 5), dtype=np.uint8)
    part, file = sources.Split(pixels, np.arange(7), np.arange(7) % 3), tmp_path / "x.npz"
    datasets.write_cache(file, part, part, tmp_path)
    for _ in flips(file, share(600, 40)):
        for found in datasets.read_cache(file) or ():
            for name, array in vars(part).items():
                assert np.array_equal(getattr(found, name), array)
