"""What a page says of the study's health."""

import pytest
from conftest import TINY
from synthetic import record

from prunekit.report import page
from prunekit.study import profile


@pytest.fixture
def overview(tmp_path, monkeypatch):
    """The page of a tiny study; its records are set by the test."""
    monkeypatch.setattr(profile.Study, "missing", lambda self, records: [])
    return page.Page({"profile": "tiny", **TINY})


def test_health_by_hand(overview):
    """Two of the sweep's four trials are done; each stage's seconds add up, memory is the highest of any stage."""
    first, second, third, *_ = (t for t in overview.study.trials.values() if t.dataset == "digits")
    overview.records = {
        first.id: record(first, seconds={"score": 2.0, "train": 10.4}, peak_memory={"train": 10**9, "test": 3 * 10**8}),
        second.id: record(second, seconds={"train": 20.4}, peak_memory={"score": 24 * 10**8}, collapsed=True),
        third.id: record(third, status="failed"),
    }
    table = overview.health()
    digits = table.tidy[table.tidy.Dataset == "Digits"].iloc[0]
    assert (digits.Trials, digits.Done, digits.Failed, digits.Collapsed) == (5, 2, 1, 1)
    assert (digits["Scoring, s"], digits["Training, s"], digits["Peak memory, GB"]) == ("2", "31", "2.4")
    assert table.tidy.iloc[-1]["Peak memory, GB"] == "–"
    assert "Peak memory is the most" in table.caption


def test_memory_that_no_record_tells_has_no_column(overview):
    overview.records = {trial.id: record(trial) for trial in overview.study.trials.values()}
    table = overview.health()
    assert "Peak memory, GB" not in table.tidy and "Peak memory" not in table.caption
