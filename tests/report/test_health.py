"""What the report says of the study's health."""

import pytest
from conftest import TINY
from synthetic import record, with_records

from prunekit.report import health
from prunekit.study.params import Params
from prunekit.study.results import Results


@pytest.fixture
def tiny():
    return Results(Params.model_validate(TINY))


def test_health_by_hand(tiny):
    """Two of the sweep's four trials are done; each stage's seconds add up, memory is the highest of any stage."""
    first, second, third, *_ = (t for t in tiny.trials.values() if t.dataset == "digits")
    records = {
        first.id: record(
            first,
            signal=1e-6,
            dense_signal=0.1,
            seconds={"score": 2.0, "train": 10.4},
            peak_memory={"train": 10**9, "test": 3 * 10**8},
        ),
        second.id: record(
            second, seconds={"train": 20.4}, peak_memory={"score": 24 * 10**8}, collapsed=True, dense_signal=0.1
        ),
        third.id: record(third, status="failed"),
    }
    table = health.table(with_records(tiny, records))
    digits = table[table.Dataset == "Digits"].iloc[0]
    assert (digits.Trials, digits.Done, digits.Failed, digits.Collapsed) == (5, 2, 1, 1)
    assert (digits.Vanished, digits.Exploded) == (1, 0), "what collapsed counts as that alone"
    assert (digits["Scoring, s"], digits["Training, s"], digits["Peak memory, GB"]) == ("2", "31", "2.4")
    assert table.iloc[-1]["Peak memory, GB"] == "–"


def test_memory_that_no_record_tells_has_no_column(tiny):
    table = health.table(with_records(tiny, {trial.id: record(trial) for trial in tiny.trials.values()}))
    assert "Peak memory, GB" not in table


def test_records_of_another_machine_or_commit_are_named(tiny):
    here = {"cpu": "EPYC", "cores": 2, "commit": "abc"}
    records = {trial.id: record(trial, where=here) for trial in tiny.trials.values()}
    assert "than the rest" not in health.facts(with_records(tiny, records))
    first, second, *_ = tiny.trials.values()
    records[first.id] = record(first, where=here | {"gpu": "H100"})
    records[second.id] = record(second, where=here | {"commit": "def-dirty"})
    said = health.facts(with_records(tiny, records))
    assert "**1 of 7 trials ran on another machine than the rest:** H100 (1 trials)." in said
    assert "**1 of 7 trials ran at another commit than the rest:** def-dirty (1 trials)." in said


def test_what_lacks_is_said_a_line_a_section(tiny):
    """Of the tiny study's seven trials, two of the sweep's four are there; SynFlow in steps is not."""
    first, second, *_ = tiny.sections["sweep"]
    records = {trial.id: record(trial) for trial in (first, second)}
    lines = health.lacking(with_records(tiny, records), ["sweep", "unpruned", "described", "arithmetic"]).splitlines()
    assert lines == [
        "- **Table II:** 2 of its 4 trials are missing: Digits 2.",
        "- **Beside Tables I and II, in many steps or after other epochs before pruning:** none of its 1 trials has "
        "been run.",
    ]
    assert health.not_known(with_records(tiny, records)) == (
        "**In part:** accuracy by dataset, accuracy by compression, seconds, FLOPs and layers. "
        "[What is missing](#what-is-missing)"
    )
    assert health.not_known(with_records(tiny, {})).startswith("**Not run:** accuracy by dataset, ")
    assert "2 of 7 trials of the profile `tiny` ran on " in health.how_it_ran(with_records(tiny, records))
    assert health.how_it_ran(with_records(tiny, {})) == ""
    assert health.failures(with_records(tiny, records)) == "No trial failed and 5 have not been run."
    whole = {trial.id: record(trial) for trial in tiny.trials.values()}
    assert health.not_known(with_records(tiny, whole)) == health.lacking(with_records(tiny, whole)) == ""


def test_seeds_that_lack_are_named_where_others_do_not():
    study = Results(Params.model_validate(TINY | {"seeds": [0, 1, 2]}))
    records = {trial.id: record(trial) for trial in study.sections["sweep"] if trial.seed != 1}
    assert (
        health.lacking(with_records(study, records), ["sweep"])
        == "- **Table II:** 4 of its 12 trials are missing: Digits 4 (seed 1)."
    )


def test_an_error_is_one_line_of_code(tiny):
    """Whatever is in it: lines, backticks, HTML."""
    first, *_ = tiny.trials.values()
    records = {trial.id: record(trial) for trial in tiny.trials.values()}
    records[first.id] = record(first, status="failed", error="<b>no\n`memory`</b>")
    assert health.failures(with_records(tiny, records)) == f"- {first.label}: `<b>no 'memory'</b>`"
