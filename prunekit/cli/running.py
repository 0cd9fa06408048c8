"""What is to run: a study, of its trials those that are asked for, and of these those that are missing."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, shown, suggestion

if TYPE_CHECKING:
    from ..study.profile import Study


def study(profile: str, runs_dir: Path | None, assignments: list[str] | None) -> Study:
    from ..study.params import load_params
    from ..study.profile import Study

    return Study(load_params(profile, assignments or ()), runs_dir)


def ids(study: Study, only: list[str] | None) -> Collection[str]:
    """Return the ids of the trials of the sections named, of all if none is; raises UserError for an unknown one."""
    known = [str(section) for section in study.sections if section != "arithmetic"]
    for name in only or ():
        if name not in known:
            raise UserError(f"--only {shown(name)}: no such section; {suggestion(name[:80], known)}")
    wanted = (trials for section, trials in study.sections.items() if section in (only or known))
    return {trial.id for trials in wanted for trial in trials}


def only_show(study: Study) -> list[str]:
    """Say how many records there are; raises UserError where there are none."""
    there = sum(id_ in study.trials for id_ in study.records())
    if not there:
        lacks = f"no record of {study.params.profile} in {study.store.folder}, and none is published"
        raise UserError(f"{lacks}; run some first, or prunekit merge FOLDER")
    print(f"prunekit: {len(study.trials)} trials, {there} have a record, none is run", file=sys.stderr)
    return []


def run_missing(
    study: Study,
    data_dir: Path | None,
    device: str,
    workers: int | None,
    cluster: str | None,
    wanted: Collection[str] | None = None,
) -> list[str]:
    """Run those of the study's trials that are missing, and if `wanted` are given, among these ids."""
    from ..study import machine

    if cluster and workers:
        raise UserError("--workers is of this machine; with --cluster, start as many dask workers as are wanted")
    if device not in {"auto", "cpu"} and not cluster:
        machine.device(device)
    wanted = study.trials.keys() if wanted is None else wanted
    missing = [trial for trial in study.missing(study.store.load(study.trials)) if trial.id in wanted]
    done = len(wanted) - len(missing)
    print(f"prunekit: {len(wanted)} trials, {done} done, {len(missing)} to run", file=sys.stderr)
    if not missing:
        study.store.sweep()
        return []
    from ..study import engine

    trials, others = study.trials.values(), study.trials.keys() - wanted
    options: dict[str, Any] = {"done": others, "timed": study.timed, "ranks": study.ranks}
    errors = engine.run(trials, study.store, data_dir, device, workers, cluster, **options)
    return list(engine.lines(errors))
