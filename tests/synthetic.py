"""Records of trials that nobody ran, for tests of what is said of records."""

from datetime import UTC, datetime
from functools import cache

from conftest import ROOT

from prunekit.study import profile
from prunekit.study.params import load_params
from prunekit.study.trial import Layer, Record, failed

_STUDIES = {}  # whose trials take a tenth of a second to make


def paper(**changes):
    """The study as the profile `paper` runs it, without what goes beyond it; of like changes the same one."""
    changes = {"labels": [], "control_compressions": [], "step_compressions": [], "pass_compressions": []} | changes
    params = load_params(str(ROOT / "params" / "paper.yaml")).model_copy(update=changes)
    return _STUDIES.setdefault(repr(params), profile.Study(params))


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
