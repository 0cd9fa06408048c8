"""The command line of prunekit. Exit status: 0 done, 1 something failed, 2 bad usage."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import UserError, advice, say, shown
from . import places, running

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading rich for the help's frames takes longer than all the rest
    help="Re-run, check and extend a study of pruning neural networks at initialisation.",
)

_BadUsage: Any = typer.BadParameter.__base__  # click's UsageError, or that of typer's own copy of click

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LONGEST = 1000  # characters of a line that says what is wrong

Profile = Annotated[str, typer.Argument(help="A name in params/ (demo, cpu, paper), or a YAML file.")]


def _path(given: str) -> Path:
    return Path(os.path.expanduser(given))  # as in --out=~/report, which no shell expands


DataDir = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="PATH", envvar="PRUNEKIT_DATA", help="Folder of the datasets.  [default: data]"),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="PATH", envvar="PRUNEKIT_RUNS", help="Folder of the records.  [default: runs]"),
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps.")]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="Processes.  [default: one a core, six a GPU]")]
Cluster = Annotated[str | None, typer.Option(help="A dask scheduler, tcp://HOST:8786 or its file.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="place=value over the profile: defaults.post_epochs=1, values YAML.")
]
Only = Annotated[list[str] | None, typer.Option(help="A section, such as sweep; give it again for more.")]
NoRun = Annotated[bool, typer.Option("--no-run", help="Start no trial: show the records there are, say what lacks.")]
Out = Annotated[
    Path | None, typer.Option(parser=_path, metavar="PATH", help="Folder of the report.  [default: in reports/own]")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prunekit {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def report(
    profile: Profile = "demo",
    data_dir: DataDir = None,
    runs_dir: RunsDir = None,
    out: Out = None,
    device: Device = "auto",
    workers: Workers = None,
    cluster: Cluster = None,
    assignments: Set = None,
    only: Only = None,
    no_run: NoRun = False,
) -> None:
    """Run what is missing, execute the notebooks, and write report.html, report.pdf and report.md."""
    from ..report import build
    from ..study.study import Study

    whole = running.opened(profile, runs_dir, assignments)
    wanted = running.ids(whole, only)
    study = Study(whole.params.only(only), runs_dir) if only else whole
    places.check_data(data_dir)
    running.check_machine(device, workers, cluster)
    folder = out or places.usual(study, profile)
    places.check_not_published(folder, study, profile)
    for part in ("", *build.FOLDERS):
        places.check_writable("--out", folder / part)
    places.check_writable("--runs-dir", study.store.folder)
    errors: list[str] = []
    if not no_run:
        build.check_notebooks(build.pages(study.params))  # before what may take hours
        errors = running.run_missing(whole, data_dir, device, workers, cluster, wanted)
    errors += build.build(study, folder, data_dir)
    _finish(errors, f"report in {folder}/report.html, .pdf and .md")


@app.command()
def run(
    profile: Profile = "demo",
    data_dir: DataDir = None,
    runs_dir: RunsDir = None,
    out: Annotated[
        Path | None, typer.Option(parser=_path, metavar="PATH", help="Folder to write trials.parquet into, too.")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    cluster: Cluster = None,
    assignments: Set = None,
    only: Only = None,
) -> None:
    """Run the trials that are missing, no Jupyter needed; with --out, also write OUT/trials.parquet."""
    study = running.opened(profile, runs_dir, assignments)
    wanted = running.ids(study, only)
    places.check_data(data_dir)
    running.check_machine(device, workers, cluster)
    if out:
        places.check_not_published(out, study, profile)
        places.check_writable("--out", out)
    places.check_writable("--runs-dir", study.store.folder)
    errors = running.run_missing(study, data_dir, device, workers, cluster, wanted)
    if out:
        study.publish(out)
    done = len(study.store.good(wanted))
    of = f" of {len(wanted)}" if done < len(wanted) else ""
    _finish(errors, f"{done}{of} trials in {study.store.folder}")


@app.command()
def status(
    profile: Profile = "demo", runs_dir: RunsDir = None, device: Device = "auto", assignments: Set = None
) -> None:
    """Show how many trials are done, missing and failed, and why, and about how long the rest takes, on a --device."""
    from ..study import estimate

    study = running.opened(profile, runs_dir, assignments)
    places.check_readable("--runs-dir", study.store.folder)
    records = study.store.load(study.trials)
    failures = [record for record in records.values() if record.status == "failed"]
    done = len(records) - len(failures)
    missing = len(study.trials) - len(records)
    typer.echo(f"{profile}: {len(study.trials)} trials, {done} done, {missing} missing, {len(failures)} failed")
    if published := sum(id_ not in records for id_ in study.good):
        typer.echo(f"  {published} of those missing here are published, and in the report all the same")
    if study.missing(records):
        left = estimate.time_left(study, device)
        typer.echo(f"  {left.told}" if left else "  how long they take is not known: no trial ran on such a machine")
    for record in failures:
        typer.echo(f"  {record.trial.label}: {record.error}")
    raise typer.Exit(1 if failures else 0)


@app.command()
def data(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all if none is named.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Read datasets, downloading what is missing, and say what is there."""
    from .. import datasets, plugins

    for name in names or ():
        plugins.check("dataset", name)
    errors = []
    for name in names or datasets.NAMES:
        try:
            arrays = datasets.read(name, data_dir)
        except UserError as error:
            errors.append(str(error))
            continue
        shape = "x".join(map(str, arrays.train.images.shape[1:]))
        counts = f"{len(arrays.train.images):,} training and {len(arrays.test.images):,} test images {shape}"
        coarse = f", {len(arrays.coarse_classes)} coarse" if arrays.coarse_classes else ""
        typer.echo(f"{name}: {counts}, {len(arrays.classes)} classes{coarse}")
    _finish(errors)


@app.command()
def fields() -> None:
    """List the fields of a trial, for a profile's defaults and grids: default, what is allowed, meaning."""
    from ..names import BY_KIND
    from ..study.trial import Trial

    bounds = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    for name, field in Trial.model_json_schema()["properties"].items():
        if name.endswith("_source"):  # found by prunekit
            continue
        kind = field["anyOf"][0] if "anyOf" in field else field
        allowed = [*kind.get("enum", BY_KIND.get(name, [kind["type"]]))]
        limits = [text.format(f"{kind[key]:,}") for key, text in bounds.items() if key in kind]
        default = f" = {json.dumps(field['default'])}" if "default" in field else ""
        typer.echo(f"{name}{default}: {' '.join([', '.join(allowed), *limits])}\n    {field['description']}")


@app.command()
def export(
    trial: Annotated[str, typer.Argument(help="A profile; or a trial's id, or as much of it as no other has.")],
    out: Annotated[
        Path, typer.Option(parser=_path, metavar="PATH", help="FILE.safetensors, or FILE.pt for torch.nn.utils.prune.")
    ],
    dataset: Annotated[str | None, typer.Option(help="Of a profile's trial, as all options down to --seed.")] = None,
    model: Annotated[str | None, typer.Option()] = None,
    pruner: Annotated[str | None, typer.Option()] = None,
    compression: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    only: Annotated[str, typer.Option(help="The section that it is in.")] = "sweep",
    assignments: Set = None,
    data_dir: DataDir = None,
    runs_dir: RunsDir = None,
    device: Device = "auto",
) -> None:
    """Train a trial's network (once more, if it has run), and write it with its masks to a file."""
    from .. import saved
    from ..study import export as export_room
    from ..study import machine, params
    from ..study.artifacts import Artifacts
    from ..study.project import project_root
    from ..study.store import Store

    saved.check(out)
    places.check_data(data_dir)
    artifacts = Artifacts(data_dir, machine.device(device))
    places.check_writable("--out", out.parent)
    wanted = {"dataset": dataset, "model": model, "pruner": pruner, "compression": compression, "seed": seed}
    if params.is_profile(trial) or any(value is not None for value in wanted.values()):
        study = running.opened(trial, runs_dir, assignments)
        running.ids(study, [only])
        one = export_room.chosen(study, only, wanted)
        record = study.good.get(one.id)
    else:
        store = Store(runs_dir or project_root() / "runs")
        record = export_room.find(trial, store, sorted(project_root().glob("reports/*/trials.parquet")))
        one = record.trial
    _finish([], export_room.export(one, record, out, artifacts))


@app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(parser=_path, help="Folders of records, or trials.parquet files.")],
    runs_dir: RunsDir = None,
) -> None:
    """Take the records of other machines into the runs folder; what is there already stays."""
    from ..study.merge import merge as merged
    from ..study.project import project_root
    from ..study.store import Store

    store = Store(runs_dir or project_root() / "runs")
    places.check_writable("--runs-dir", store.folder)
    for source in sources:
        for line in merged(source, store):
            _say(0, line)


@app.command()
def init(folder: Annotated[Path, typer.Argument(parser=_path, help="Where to.")] = Path(".")) -> None:
    """Copy params/ and notebooks/ into a folder, to be edited: prunekit takes them wherever it is run inside it."""
    from ..study.project import copy_shipped

    places.check_writable("folder", folder)
    copy_shipped(folder)
    _say(0, f"params and notebooks in {folder}")


def main() -> None:
    """Run the command line; every error that a user can mend is one line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what its encoding lacks
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except _BadUsage as error:
        status = _say(2, " ".join(map(shown, error.format_message().split())))  # which quotes words in full
    except UserError as error:
        status = _say(2, str(error))
    except BrokenPipeError:  # as `head` leaves it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _say(1, f"{shown(error.filename or 'a file')}: {error.strerror}; {advice(error)}, then run again")
    except _StoppedError as stopped:
        status = _say(128 + stopped.number, "interrupted; run the same command again to go on")
    sys.exit(status)


class _StoppedError(BaseException):
    """A signal of that number asked the run to end."""

    def __init__(self, number: int):
        self.number = number


def _stop(number: int, _: object) -> None:
    for other in _SIGNALS:  # a second Ctrl-C must not break what the first has begun
        signal.signal(other, signal.SIG_IGN)
    raise _StoppedError(number)


def _say(status: int, message: str) -> int:
    line = "".join(c if c.isprintable() else " " for c in message)
    say(" ".join(line.split())[:_LONGEST])
    return status


def _finish(errors: list[str], done: str = "") -> None:
    for error in errors:
        _say(1, f"failed: {error}")
    if done:
        _say(0, done)
    if errors:
        raise typer.Exit(1)
