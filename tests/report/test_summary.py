"""The first page: each sentence follows the numbers."""

import pandas as pd
from synthetic import layer, paper, record, recorded, with_records

from prunekit.report import audit, summary
from prunekit.report.audit import CONTRADICTED, REPRODUCED, UNTESTED

TOP1 = {  # of the seeds 0, 1, 2
    ("cifar10", 0.5): {"synflow": [80.0, 81.0, 82.0], "magnitude": [70.0, 71.0, 72.0], "random": [60.0, 10.0, 60.0]},
    ("cifar10", 2.0): {"synflow": [10.0] * 3, "magnitude": [10.0] * 3, "random": [10.0] * 3},
    ("cifar100", 0.5): {"synflow": [40.0, 44.0, 40.0], "magnitude": [41.0, 41.0, 41.0], "random": [9.0, 9.0, 9.0]},
    ("cifar100", 2.0): {"synflow": [1.0] * 3, "magnitude": [5.0, 5.0, 5.0], "random": [1.0] * 3},
}


def sweep(top1=TOP1):
    return pd.DataFrame(
        [
            {"dataset": dataset, "compression": c, "pruner": pruner, "seed": seed, "top1": value}
            for (dataset, c), cell in top1.items()
            for pruner, values in cell.items()
            for seed, value in enumerate(values)
        ]
    )


def test_leaders():
    """SynFlow leads by 10 each time; by -1, 3, -1 it does not, and 0.3 has the half-width 5.7."""
    first, second, rankings, *_ = summary.leaders(sweep()).splitlines()
    assert first == (
        "- **CIFAR-10, top-1:** at c = 0.5 SynFlow has 81.0 %, 10.0 ± 0.0 ahead of Magnitude; "
        "at c = 2 no pruner's networks train."
    )
    assert second == (
        "- **CIFAR-100, top-1:** at c = 0.5 SynFlow has 41.3 %, 0.3 ± 5.7 ahead of Magnitude, so the two are not told "
        "apart; at c = 2 Magnitude has 5.0 %, 4.0 ± 0.0 ahead of SynFlow."
    )
    assert "CIFAR-10 and CIFAR-100 rank the 3 pruners with a Kendall's tau of +1.0 at c = 0.5 (1" in rankings
    other = {key: {**cell, "random": [90.0] * 3} for key, cell in TOP1.items()}
    assert "c = 0.5 Random has 90.0 %" in summary.leaders(sweep(other))


def test_stops():
    first, second = summary.stops(sweep()).splitlines()
    assert first.endswith("(top-1 at most 20 %, twice chance): Random at c = 0.5, SynFlow and Magnitude at c = 2.")
    assert second.endswith(
        "(top-1 at most 2 %, twice chance): SynFlow and Random at c = 2, Magnitude at none of these."
    )


def test_collapses():
    study = paper()
    first, *others = study.trials.values()
    second = others.pop(next(i for i, trial in enumerate(others) if trial.dataset == "mnist"))
    records = {trial.id: record(trial) for trial in others}
    assert (
        summary.collapses(with_records(study, records)) == f"- **Collapse:** none of {len(others)} networks collapsed."
    )
    records[first.id] = record(first, collapsed=True, layers=[layer("conv1", 9, 4), layer("conv2", 9, 0)])
    records[second.id] = record(second, collapsed=True, layers=[layer("conv1", 9, 4)])
    said = summary.collapses(with_records(study, records))
    assert said.startswith(f"- **Collapse:** 2 of {len(others) + 2} networks have no path of kept weights: SynFlow on ")
    within = dict(list(records.items())[:5])
    beyond = first.model_copy(update={"labels": "5"})
    more = within | {beyond.id: record(beyond, collapsed=True)}
    assert summary.collapses(with_records(study, more)) == summary.collapses(with_records(study, within))
    assert "(1; conv2 kept nothing)" in said and "(1; every layer keeps weights, but they do not connect)" in said


def test_agreement():
    """Of five printed numbers the last is the first again, so there are four."""
    numbers = pd.DataFrame(
        {
            "table": ["I", "IV", "II", "III", "II"],
            "published": [81.4, 81.4, 9.3, 10.0, 81.4],
            "verdict": [REPRODUCED, REPRODUCED, CONTRADICTED, UNTESTED, REPRODUCED],
            "why": ["", "", "", "one seed", ""],
        }
    ).assign(dataset="cifar10", model="vgg16", compression=1.0, pruner="snip")
    said = summary.agreement(numbers, pd.Series([UNTESTED]))
    assert said == (
        "- **The paper:** of its 4 numbers, 3 can be tested here: 2 reproduced, 1 contradicted; "
        "none of its 1 claims can be tested here."
    )
    study = paper("sections.comparison=[{compression: 1}]", dataset=["digits"], model="vgg11")
    assert "unlike is not compared" in summary.agreement(audit.cells(recorded(study)), pd.Series([UNTESTED]))
