"""The paper's numbers and others': whole, and beside the right cells."""

import math

import pandas as pd
import pytest

from prunekit import published
from prunekit.errors import UserError
from prunekit.published import protocol
from prunekit.study.trial import Trial


def test_published_tables_are_whole():
    sizes = {
        table: (len(published.printed(table)), int(published.printed(table).isna().sum()))
        for table in ("I", "II", "III", "IV", "V")
    }
    assert sizes == {"I": (15, 0), "II": (60, 1), "III": (60, 0), "IV": (60, 1), "V": (10, 0)}
    assert published.printed("IV")["cifar100", "vgg16", 0.2, "synflow"] == 9.3
    assert math.isnan(published.printed("IV")["cifar100", "vgg16", 0.05, "snip"])


def test_numbers_stand_beside_the_very_same_cell():
    cells = [("cifar10", "vgg16", 0.1, "snip"), ("cifar10", "vgg11", 0.1, "snip"), ("digits", "fc", 0.1, "snip")]
    frame = pd.DataFrame([*cells, ("cifar10", "vgg16", 0.3, "snip")], columns=published.CELL, index=[5, 6, 7, 8])
    assert published.beside(frame, "II").published.fillna(-1).tolist() == [76.59, -1, -1, -1]
    assert published.beside(frame[:0], "II").empty


def test_every_published_number_has_its_row_and_its_source():
    """The study's 205 places, ten of them twice; nine groups' 1,785 and 176 of three more."""
    rows = published.frame()
    counts = rows.source.replace({"G10": "more", "G11": "more", "G12": "more"}).where(
        lambda s: s.isin(["study", "more"])
    )
    assert counts.fillna("nine").value_counts().to_dict() == {"nine": 1785, "study": 205, "more": 176}
    assert set(rows.source) == set(published.sources().source) and not rows.duplicated().all()
    assert not rows[["dataset", "model", "pruner", "compression", "quantity", "runs"]].isna().any().any()
    printed = rows[rows.source == published.STUDY].dropna(subset="value")
    assert len(printed) == 203 and set(printed.place) == {f"Table {one}" for one in ("I", "II", "III", "IV", "V")}


def test_what_others_have_is_dense_where_it_is_used():
    rows = published.others()
    seven = published.elsewhere("top1").query("source == 'G4' and dataset == 'cifar10' and model == 'vgg16'")
    counts = seven.groupby(["compression", "pruner"]).size()
    assert len(counts) == 29 and counts.min() >= 6, "SNIP at 0.05 quit"
    assert seven.query("pruner == 'grasp' and compression == 0.1").value.agg(["min", "max"]).tolist() == [25.41, 30.31]
    quit_ = rows.query("source == 'G4' and pruner == 'snip' and compression == 0.05 and quantity == 'top1'")
    assert quit_.value.isna().all() and quit_.doubt.str.startswith("quit: 12249879").all()
    synflow = rows.query(
        "dataset == 'mnist' and compression == 1 and pruner == 'synflow' and quantity == 'top1' and doubt == ''"
    )
    assert set(synflow.value) == {11.35} and synflow.source.nunique() >= 5


def test_a_damaged_file_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=r"published\.csv cannot be read .*; install prunekit again"):
        published._read("published", ["source"])
    (tmp_path / "data" / "published.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="must have the columns source"):
        published._read("published", ["source"])


def test_only_the_papers_protocol_stands_beside_it():
    """A narrower network has no published accuracy, and no published FLOPs; an untrained one has FLOPs."""
    cells = [{"width": 1.0}, {"width": 0.5}, {"post_epochs": 3}]
    base = {"dataset": "cifar10", "model": "vgg16", "pruner": "snip", "compression": 0.1}
    frame = pd.DataFrame([Trial(**base | cell).model_dump() for cell in cells]).assign(status=["failed", "ok", "ok"])
    assert protocol.beside(frame, "II").published.fillna(-1).tolist() == [76.59, -1, -1]
    assert protocol.beside(frame, "IV").published.fillna(-1).tolist() == [290.6, -1, 290.6]
