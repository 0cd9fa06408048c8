"""The first page: each sentence follows the numbers."""

import pandas as pd
from synthetic import layer, paper, record, with_records

from prunekit.report import summary

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
            | {"started": value not in (10.0, 1.0)}
            for (dataset, c), cell in top1.items()
            for pruner, values in cell.items()
            for seed, value in enumerate(values)
        ]
    )


def test_leaders():
    """SynFlow leads by 10 each time; by -1, 3, -1 it does not, and 0.3 has the half-width 5.7."""
    first, second, *_ = summary.leaders(sweep()).splitlines()
    assert first == (
        "- **CIFAR-10, top-1:** at c = 0.5 SynFlow has 81.0 %, 10.0 ± 0.0 ahead of Magnitude; "
        "at c = 2 no pruner's networks started to learn."
    )
    assert second.endswith(
        "at c = 0.5 SynFlow has 41.3 %, not told apart from Magnitude; at c = 2 Magnitude has 5.0 %."
    )
    other = {key: {**cell, "random": [90.0] * 3} for key, cell in TOP1.items()}
    assert "c = 0.5 Random has 90.0 %" in summary.leaders(sweep(other))


def test_stops():
    first, second = summary.stops(sweep()).splitlines()
    assert first.endswith(
        "SynFlow 3 of 3 at c = 2; Magnitude 3 of 3 at c = 2; Random 1 of 3 at c = 0.5 and 3 of 3 at c = 2."
    )
    assert second.endswith(": SynFlow 3 of 3 at c = 2; Random 3 of 3 at c = 2.")
    assert summary.stops(sweep({("cifar10", 0.5): {"snip": [70.0]}})).endswith("all networks started to learn.")


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
