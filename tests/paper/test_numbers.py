"""The paper's numbers and others': whole, and beside the right cells."""

import math

import pandas as pd
import pytest

from prunekit.errors import UserError
from prunekit.paper import numbers, protocol
from prunekit.study.trial import Trial


def test_published_tables_are_whole():
    sizes = {
        table: (len(numbers.printed(table)), int(numbers.printed(table).isna().sum()))
        for table in ("I", "II", "III", "IV", "V")
    }
    assert sizes == {"I": (15, 0), "II": (60, 1), "III": (60, 0), "IV": (60, 1), "V": (10, 0)}
    assert numbers.printed("IV")["cifar100", "vgg16", 0.2, "synflow"] == 9.3
    assert math.isnan(numbers.printed("IV")["cifar100", "vgg16", 0.05, "snip"])


def test_numbers_stand_beside_the_very_same_cell():
    cells = [("cifar10", "vgg16", 0.1, "snip"), ("cifar10", "vgg11", 0.1, "snip"), ("digits", "fc", 0.1, "snip")]
    frame = pd.DataFrame([*cells, ("cifar10", "vgg16", 0.3, "snip")], columns=numbers.CELL, index=[5, 6, 7, 8])
    assert numbers.beside(frame, "II").published.fillna(-1).tolist() == [76.59, -1, -1, -1]
    assert numbers.beside(frame[:0], "II").empty


def test_what_others_have_is_of_known_sources_and_dense_where_it_is_used():
    rows = numbers.others()
    assert set(rows.source) == set(numbers.sources().source) and len(numbers.sources()) == 9
    assert set(rows.quantity) == {"top1", "top5", "test_seconds", "flops_millions"}
    seven = numbers.elsewhere("top1").query("source == 'F4' and dataset == 'cifar10' and model == 'vgg16'")
    counts = seven.groupby(["compression", "pruner"]).size()
    assert len(counts) == 29 and counts.min() >= 6, "SNIP at 0.05 quit"
    assert seven.query("pruner == 'grasp' and compression == 0.1").value.agg(["min", "max"]).tolist() == [25.41, 30.31]
    quit_ = rows.query("source == 'F4' and pruner == 'snip' and compression == 0.05 and quantity == 'top1'")
    assert quit_.value.isna().all() and quit_.doubt.str.startswith("quit: 12249879").all()
    synflow = rows.query(
        "dataset == 'mnist' and compression == 1 and pruner == 'synflow' and quantity == 'top1' and doubt == ''"
    )
    assert set(synflow.value) == {11.35} and synflow.source.nunique() >= 5


def test_a_damaged_file_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(numbers, "__file__", str(tmp_path / "numbers.py"))
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=r"others\.csv cannot be read .*; install prunekit again"):
        numbers._read("others", ["source"])
    (tmp_path / "data" / "others.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="must have the columns source"):
        numbers._read("others", ["source"])


def test_only_the_papers_protocol_stands_beside_it():
    """A narrower network has no published accuracy, and no published FLOPs; an untrained one has FLOPs."""
    cells = [{"width": 1.0}, {"width": 0.5}, {"post_epochs": 3}]
    base = {"dataset": "cifar10", "model": "vgg16", "pruner": "snip", "compression": 0.1}
    frame = pd.DataFrame([Trial(**base | cell).model_dump() for cell in cells]).assign(status=["failed", "ok", "ok"])
    assert protocol.beside(frame, "II").published.fillna(-1).tolist() == [76.59, -1, -1]
    assert protocol.beside(frame, "IV").published.fillna(-1).tolist() == [290.6, -1, 290.6]
