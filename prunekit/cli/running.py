"""What a command runs: the trials of a study that are asked for and missing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError, say, shown, suggestion

if TYPE_CHECKING:
    from ..study.study import Study


def opened(profile: str, runs_dir: Path | None, assignments: list[str] | None) -> Study:
    from ..study.params import load_params
    from ..study.study import Study

    return Study(load_params(profile, assignments or ()), runs_dir)


def ids(study: Study, only: list[str] | None) -> Collection[str]:
    """Return the ids of the trials of the sections named, of all if none is; raises UserError for an unknown one."""
    known = [str(section) for section in study.sections if section != "precision_check"]
    for name in only or ():
        if name not in known:
            raise UserError(f"--only {shown(name)}: no such section; {suggestion(name[:80], known)}")
        if not any(section == name and trials for section, trials in study.sections.items()):
            raise UserError(f"--only {name}: {study.params.profile} has no trials there")
    wanted = (trials for section, trials in study.sections.items() if section in (only or known))
    return {trial.id for trials in wanted for trial in trials}


def check_machine(device: str, workers: int | None, cluster: str | None) -> None:
    """Raise UserError for a device that is not here, and options that exclude each other: before a folder is made."""
    from ..study import machine

    if cluster and workers:
        raise UserError("--workers is of this machine; with --cluster, start as many dask workers as are wanted")
    if device not in {"auto", "cpu"} and not cluster:
        machine.device(device)


def run_missing(
    study: Study,
    data_dir: Path | None,
    device: str,
    workers: int | None,
    cluster: str | None,
    wanted: Collection[str] | None = None,
) -> list[str]:
    """Run those of the study's trials that are missing, and if `wanted` are given, among these ids."""
    wanted = study.trials.keys() if wanted is None else wanted
    missing = [trial for trial in study.missing(study.store.load(study.trials)) if trial.id in wanted]
    done = len(wanted) - len(missing)
    say(f"{len(wanted)} trials, {done} done, {len(missing)} to run")
    if not missing:
        study.store.remove_leftovers()
        return []
    from ..study import engine, estimate, machine

    among = {trial.id for trial in missing}
    left = None if cluster else estimate.time_left(study, machine.device(device), among)
    if left and left.seconds > 60:
        say(left.told)
    trials, others = study.trials.values(), study.trials.keys() - wanted
    options: dict[str, Any] = {"done": others, "alone": study.alone, "ranks": study.ranks}
    errors = engine.run(trials, study.store, data_dir, device, workers, cluster, **options)
    return list(engine.lines(errors))
