"""Records of trials that nobody ran, for tests of what is said of records."""

import copy
import json
from datetime import UTC, datetime
from functools import cache

import pandas as pd
from conftest import ROOT

from prunekit.study.params import load_params
from prunekit.study.study import Study
from prunekit.study.trial import Layer, Record, failed

_PLACES = {"seeds": "seeds", "comparison": "sections.comparison", "described": "sections.as_described.compression"}
_PAPERS = {}  # whose trials take a tenth of a second to make


def paper(*assignments, **defaults):
    """The trials of the profile `paper`, without what goes beyond the study; `assignments` as of --set."""
    beyond = [f"sections.{name}=[]" for name in ("init_seeds", "labels", "controls", "steps", "speedups")]
    words = (
        *beyond,
        *assignments,
        *(f"{_PLACES.get(key, f'defaults.{key}')}={json.dumps(value)}" for key, value in defaults.items()),
    )
    if words not in _PAPERS:
        _PAPERS[words] = Study(load_params(str(ROOT / "params" / "paper.yaml"), words))
    return _PAPERS[words]


def record(trial, **values):
    """A record of `trial` with a network of two layers, 90 and 10 weights, two biases each."""
    kept = round(100 * trial.density)
    base = {
        "status": "ok",
        "top1": 50.0,
        "top5": 90.0,
        "density": trial.density,
        "effective_density": trial.density,
        "collapsed": False,
        "flops": 313_478_154,
        "flops_kept": 100_000_000,
        "parameters": 104,
        "parameters_kept": kept + 4,
        "layers": _two_layers(kept),
        "seconds": {"pretrain": 0.0, "score": 1.0, "train": 8.0, "test": 1.0},
        "latency": 1e-5,
    }
    return Record(id=trial.id, trial=trial, finished=datetime.now(UTC), **base | values)


@cache
def _two_layers(kept):
    return [layer("first", 90, max(0, kept - 10)), layer("second", 10, min(10, kept))]


def layer(name, total, kept, zero_scores=0, histogram=None):
    counts = histogram or [0] * 75 + [kept] + [0] * 74
    return Layer(
        name=f"{name}.weight",
        total=total,
        kept=kept,
        effective=kept,
        channels=2,
        dead_channels=0,
        zero_scores=zero_scores,
        flops=total,
        flops_kept=kept,
        histogram=counts,
    )


def records(of, values=lambda trial: {}):
    """A record of every trial of a study, with `values(trial)` in place of what every record has; None is a failure."""
    found = {}
    for id_, trial in of.trials.items():
        changes = values(trial)
        found[id_] = failed(trial, "it broke", {}) if changes is None else record(trial, **changes)
    return found


def with_records(study, found):
    """The same trials with these records, by id."""
    study = copy.copy(study)
    study.reread()
    study.records = found
    return study


def recorded(study, values=lambda trial: {}):
    """The same trials with a record of each, as `records` makes them."""
    return with_records(study, records(study, values))


def trials(values, **columns):
    """A row a seed of each pruner, of VGG16 on CIFAR-10; a top-1 of 10.00 is at chance."""
    cell = {
        "dataset": "cifar10",
        "model": "vgg16",
        "compression": 1.0,
        "status": "ok",
        "collapsed": False,
        "tied_scores": None,
        "top5": 90.0,
    }
    rows = [
        cell | {"pruner": pruner, "seed": seed, "top1": top1} | columns
        for pruner, seeds in values.items()
        for seed, top1 in enumerate(seeds)
    ]
    return pd.DataFrame(rows).assign(learned=lambda rows: rows.top1 != 10.0)
