"""The whole, through the real command line: a small study from an empty folder to a report that a browser shows."""

import contextlib
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbclient
import nbformat
import pandas as pd
import papermill
import psutil
import pytest
import yaml

from prunekit.report import build
from prunekit.study import store
from prunekit.study.params import load_params

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TABLES = ["table1_accuracy_by_dataset", "table2_accuracy_by_compression", "table3_time", "table4_flops"]
TABLES += ["table5_layer_compression"]
MORE = ["who_does_best", "leaders", "paired_by_dataset", "paired_digits", "density_by_layer", "labels", "controls"]
MORE += ["steps", "zeros", "learned_by_signal", "what_was_run", "where_it_ran", "health"]
FIGURES = ["fig1_digits_classes", "fig2_weights_digits", "fig3_weights_digit-pairs"]
FIGURES += ["accuracy_and_unpruned", "accuracy_by_compression", "time_by_compression", "flops_by_compression"]
FIGURES += ["accuracy_by_labels", "zeros", "signals"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.long


def environment():
    return {key: value for key, value in os.environ.items() if not key.startswith("PRUNEKIT_")}


def command(*words, cwd, **more):
    env = environment() | more
    return subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


def small(grid):
    """Return a grid of the demo profile with less to train, fewer steps and fewer labels."""
    fewer = {"pre_epochs": {3: 1}, "prune_steps": {100: 3}, "compression": {0.5: 1}, "labels": {}}
    lists = {"pre_epochs": [1, 0], "prune_steps": [1, 5], "compression": [1, 2], "labels": [2, "coarse", "fine"]}
    grid = {key: value for key, value in grid.items() if key not in ("width", "batch_size", "learning_rate")}
    for key in fewer.keys() & grid.keys():
        value = grid[key]
        grid[key] = (
            lists[key]
            if isinstance(value, list)
            else value
            if isinstance(value, dict)
            else fewer[key].get(value, value)
        )
    if grid.get("post_epochs"):
        del grid["post_epochs"]
    return grid | ({"pre_epochs": {"magnitude": 1}} if isinstance(grid.get("pre_epochs"), dict) else {})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A copy of the notebooks and of the demo profile, cut to a few seconds, in an otherwise empty folder."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    values = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text())
    few = {"model": "conv", "width": 0.05, "train_subset": 100, "post_epochs": 1, "batch_size": 50}
    values["defaults"] |= few | {"scoring_images_per_class": 1, "compression": [1, 2]}
    values["seeds"] = [0, 1]
    values["sections"] = {name: [small(grid) for grid in grids] for name, grids in values["sections"].items()}
    values["sections"]["speedups"][0]["compression"] = 1
    (folder / "params").mkdir()
    (folder / "params" / "demo.yaml").write_text(yaml.safe_dump(values))
    return folder


def copied(study, folder, whole):
    """Copy what a study is made of into `folder`, of the notebooks that are not `whole` their parameters alone."""
    for name in ("notebooks", "params"):
        shutil.copytree(study / name, folder / name)
    for path in (folder / "notebooks").glob("[0-9]*.ipynb"):
        if path.stem not in whole:
            nb = nbformat.read(path, as_version=4)
            nb.cells = [cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
            nbformat.write(nb, path)


@pytest.fixture(scope="module")
def first(study):
    """A report by a user whose own kernel python3 starts nothing."""
    kernel = study / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false"], "display_name": "Mine", "language": "python"}))
    words = ("report", "--workers", 1, "--out", "reports/demo")
    return command(BIN / "prunekit", *words, cwd=study, JUPYTER_DATA_DIR=str(study / "jupyter"))


@pytest.fixture(scope="module")
def folder(first, study):
    assert first.returncode == 0, first.stderr
    return study / "reports" / "demo"


def test_report_is_whole(folder):
    for name in TABLES + MORE:
        assert all((folder / "tables" / f"{name}.{kind}").stat().st_size for kind in ("csv", "md", "tex")), name
    for name in FIGURES:
        kinds = ("png", "svg", "pdf", "csv")
        assert all((folder / "figures" / f"{name}.{kind}").stat().st_size for kind in kinds), name
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["figures", "notebooks", "report.html", "report.md", "report.pdf", "tables", "trials.parquet"]
    )


def test_tables_are_filled(folder):
    for name in TABLES:
        tidy = pd.read_csv(folder / "tables" / f"{name}.csv")
        assert tidy["mean"].notna().all(), name
        assert (tidy["runs" if "runs" in tidy else "seeds"] == 2).all(), name
    text = (folder / "report.md").read_text()
    for word in ("Table I.", "Table V.", "Figure 3.", "top-1", "top-5", "† collapsed", "Seeds: 0, 1"):
        assert word in text
    assert "The audit" not in text, "which is of the paper's report"
    assert "{alt=" not in text and ": **Table" not in text, "as GitHub shows it"


def test_html_is_one_file_with_alt_texts_and_no_outside_address(folder):
    html = (folder / "report.html").read_text()
    sources = re.findall(r"""(?:src|href)=["']([^"'#][^"']{0,40})""", html)
    assert sources and all(source.startswith("data:") for source in sources), set(sources)
    assert not re.search(r"@import|url\(\s*['\"]?http", html)
    images = re.findall(r"<img[^>]*>", html)
    assert len(images) == len(FIGURES)
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_executed_notebooks_are_clean(folder):
    for notebook in (folder / "notebooks").glob("*.ipynb"):
        nb = nbformat.read(notebook, as_version=4)
        assert "papermill" not in nb.metadata
        assert all(cell.execution_count for cell in nb.cells if cell.cell_type == "code"), notebook.name


def test_plain_papermill_gives_the_same_table(folder, study):
    """From the published records alone: the runs are out of sight."""
    (study / "runs").rename(study / "runs.away")
    try:
        done = command(
            *(sys.executable, "-m", "papermill", "02_compression_sweep.ipynb", study / "out.ipynb"),
            *("-f", study / "params" / "demo.yaml", "-p", "out", study / "out", "-k", "python3", "--no-progress-bar"),
            cwd=study / "notebooks",
        )
        assert done.returncode == 0, done.stderr
        assert not (study / "runs").exists(), "published records are shown without running anything"
    finally:
        (study / "runs.away").rename(study / "runs")
    name = "tables/table2_accuracy_by_compression.csv"
    assert (study / "out" / name).read_text() == (folder / name).read_text()


def test_papermill_sets_knobs_and_a_misspelt_profile_stops_in_a_line(folder, study):
    """Its command gives lists as words."""
    words = ("-k", "python3", "--no-progress-bar", "-p", "out", study / "knobs")
    words += ("-p", "seeds", "[1]", "-p", "compressions", "[2]")
    notebook = study / "notebooks" / "04_flops.ipynb"
    done = command(sys.executable, "-m", "papermill", notebook, study / "knobs.ipynb", *words, cwd=study / "notebooks")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(study / "knobs" / "tables" / "table4_flops.csv")
    assert set(table.compression) == {2.0} and set(table.seeds) == {1}
    out = study / "bad.ipynb"
    with pytest.raises(papermill.PapermillExecutionError) as stopped:
        papermill.execute_notebook(
            *(notebook, out, {"profile": "papr"}),
            **{"cwd": study / "notebooks", "kernel_name": "python3", "progress_bar": False},
        )
    assert "no profile 'papr'" in str(stopped.value)
    nb = nbformat.read(out, as_version=4)
    (error,) = (output for cell in nb.cells for output in cell.get("outputs", ()) if output.output_type == "error")
    assert len(error.traceback) == 1 and error.traceback[0].startswith("prunekit: no profile 'papr'")


def test_what_is_set_in_a_later_cell_counts(folder, study):
    """And again in the same kernel."""
    nb = nbformat.read(study / "notebooks" / "04_flops.ipynb", as_version=4)
    (at,) = [place for place, cell in enumerate(nb.cells) if "parameters" in cell.metadata.get("tags", [])]
    nb.cells.insert(at + 1, nbformat.v4.new_code_cell("compressions, out = [1], 'later'"))
    nb.cells += [cell.copy() for cell in nb.cells[at + 2 :]]
    nbclient.NotebookClient(nb, resources={"metadata": {"path": str(study)}}).execute()
    assert set(pd.read_csv(study / "later" / "tables" / "table4_flops.csv").compression) == {1.0}


def test_what_an_earlier_report_left_goes_and_a_users_own_stays(tmp_path):
    out = tmp_path / "out"
    words = [BIN / "prunekit", "report", "demo", "--no-run", "--runs-dir", tmp_path / "runs", "--out", out]
    assert command(*words, "--set", "pages=[08_controls, 09_speed]", cwd=ROOT).returncode == 0
    assert (out / "tables" / "controls.csv").exists() and (out / "figures" / "zeros.png").exists()
    (out / "tables" / "mine.csv").write_text("mine")
    assert command(*words, "--set", "pages=[08_controls]", cwd=ROOT).returncode == 0
    assert {path.stem for path in (out / "tables").iterdir()} == {"controls", "steps", "mine"}
    assert not list((out / "figures").iterdir())
    assert [path.name for path in (out / "notebooks").iterdir()] == ["08_controls.ipynb"]


@pytest.mark.parametrize("metadata", [{}, {"kernelspec": {"name": "python3", "display_name": "Python 3"}}])
def test_a_notebook_without_a_kernel_is_told_so(tmp_path, metadata):
    """As Colab and scripts leave them; it is whole."""
    notebook = tmp_path / "00_mine.ipynb"
    nbformat.write(nbformat.v4.new_notebook(metadata=metadata), notebook)
    names, problem = build._taken(notebook)
    assert names == set() and "does not say which kernel" in problem and "damaged" not in problem


def test_second_report_runs_no_trial_and_a_notebook_that_raises_costs_only_its_section(folder, study, tmp_path):
    """Of ten notebooks one raises, one kills its kernel, one is missing, one damaged; most others hold little."""
    before = {path.name: path.stat().st_mtime_ns for path in (study / "runs").iterdir()}
    copied(study, tmp_path, whole=["03_timing", "04_flops", "05_layers_and_histograms"])
    last = {
        "03_timing": "raise ValueError('the <b>clock</b>\\nstopped')",
        "04_flops": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    }
    for name, source in last.items():
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        nb = nbformat.read(path, as_version=4)
        nb.cells[-1].source = source
        nbformat.write(nb, path)
    missing, damaged = (tmp_path / "notebooks" / f"{name}.ipynb" for name in ("00_overview", "10_seeds"))
    missing.unlink()
    damaged.write_bytes(damaged.read_bytes()[:200])
    again = command(BIN / "prunekit", "report", "--runs-dir", study / "runs", cwd=tmp_path)
    assert "0 to run" in again.stderr
    assert {path.name: path.stat().st_mtime_ns for path in (study / "runs").iterdir()} == before
    assert again.returncode == 1
    # A kernel that dies may leave lines of its own: libzmq's "Assertion failed", now and then.
    failures = [line for line in again.stderr.splitlines() if line.startswith("prunekit: failed")]
    assert f"00_overview.ipynb: {missing} is missing; fetch it again" in failures.pop(0)
    assert f"10_seeds.ipynb: {damaged} is damaged (" in failures.pop()
    assert failures == [
        "prunekit: failed: 03_timing.ipynb: ValueError: the <b>clock</b> stopped",
        "prunekit: failed: 04_flops.ipynb: DeadKernelError: Kernel died",
    ]
    text = (tmp_path / "reports" / "own" / "demo" / "report.md").read_text()
    assert "**This section stopped:** `ValueError: the <b>clock</b> stopped`" in text
    assert "**This section stopped:** `DeadKernelError: Kernel died`" in text
    assert "Table IV." in text and "Table V." in text
    assert all(f"**This section stopped:** `{name}" in text for name in (missing, damaged))


@pytest.mark.parametrize("done", [0, 1])
def test_a_signal_ends_a_report_and_its_kernels_in_one_line(folder, study, done):
    """While kernels start, and while notebooks are executed."""
    words = [BIN / "prunekit", "report", "--out", "stopped"]
    report = subprocess.Popen(
        words,
        cwd=study,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it for what it runs aside
    )

    def kernels():
        found = []
        for child in psutil.Process(report.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [child] if "ipykernel_launcher" in child.cmdline() else []
        return found if len(found) > 1 else []

    lines = []
    while len(lines) <= done:
        lines.append(report.stderr.readline())
        assert lines[-1], lines
    while not (alive := kernels()):
        assert report.poll() is None
        time.sleep(0.1)
    os.killpg(report.pid, signal.SIGINT)
    start, *some, end = [*lines, *report.communicate(timeout=60)[1].splitlines(keepends=True)]
    assert report.returncode == 130
    assert all(re.fullmatch(r"\[\d+/11\] \w+.ipynb: done\n", line) for line in some) and len(some) >= done, some
    assert "0 to run" in start and end == "prunekit: interrupted; run the same command again to go on\n"
    assert not psutil.wait_procs(alive, timeout=10)[1]


def test_a_report_of_what_is_there_starts_no_trial_says_what_lacks_and_leaves_the_published_one(
    folder, study, tmp_path
):
    """One seed of most sections, published and in the runs folder by turns, and nothing of some; of other parameters.

    And its own report may have a relative folder.
    """
    copied(study, tmp_path, whole=["00_overview", "02_compression_sweep", "09_speed", "11_runs"])
    records = store.Store(study / "runs").load(file.stem for file in (study / "runs").glob("*.json"))
    some = [one for one in records.values() if one.trial.seed == 1 and one.trial.labels == "fine"]
    some = [
        one
        for one in some
        if one.trial.prune_steps == 1 and one.trial.control == "none" and not one.trial.measure_speedup
    ]
    store.publish(some[::2], tmp_path / "reports" / "demo" / "trials.parquet")
    runs = store.Store(tmp_path / "runs")
    for one in some[1::2]:
        runs.save(one)
    before = {file: file.stat().st_mtime_ns for part in ("runs", "reports") for file in (tmp_path / part).rglob("*")}
    done = command(BIN / "prunekit", "report", "--no-run", "--set", "seeds=[0, 1, 7]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f" trials, {len(some)} have a record\n" in done.stderr
    (own,) = (tmp_path / "reports" / "own").iterdir()
    assert own.name.startswith("demo-") and done.stderr.rstrip().endswith(f"report in {own}/report.html, .pdf and .md")
    kept = {file: file.stat().st_mtime_ns for file in before}
    assert kept == before and set((tmp_path / "runs").iterdir()) == {file for file in before if file.suffix == ".json"}
    assert store.committed_records(own / "trials.parquet").keys() == {one.id for one in some}
    text = (own / "report.md").read_text()
    assert "Seeds: 0, 1, 7." in text
    sections = {part.partition("\n")[0]: part for part in f"\n{text}".split("\n# ")[1:]}
    assert "What a zero is worth" not in sections, "nothing is said of what was not run"
    lacks = pd.read_csv(own / "tables" / "what_was_run.csv").set_index("Section")
    assert lacks.loc["sweep", ["Trials", "Done", "Missing", "Seeds"]].tolist() == [60, 20, 40, "1"]
    assert lacks.loc["speedups", ["Trials", "Missing", "What"]].tolist() == [10, 10, "not run"]
    assert yaml.safe_load((own / "params.yaml").read_text())["seeds"] == [0, 1, 7]
    assert set(pd.read_csv(own / "tables" / "table2_accuracy_by_compression.csv").seeds) == {1}


def test_a_report_of_one_section_runs_its_trials_alone_and_shows_nothing_else(study, tmp_path):
    copied(study, tmp_path, whole=["00_overview", "04_flops", "10_seeds", "11_runs"])
    done = command(BIN / "prunekit", "report", "--only", "flops", "--set", "seeds=[5]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^prunekit: 20 trials, 0 done, 20 to run\n", done.stderr), done.stderr
    assert len(list((tmp_path / "runs").glob("*.json"))) == 20
    (own,) = (tmp_path / "reports" / "own").iterdir()
    text = (own / "report.md").read_text()
    assert [part.partition("\n")[0] for part in f"\n{text}".split("\n# ")[1:]] == ["FLOPs", "What was run, and where"]
    assert pd.read_csv(own / "tables" / "what_was_run.csv").Missing.tolist() == [0]
    assert set(yaml.safe_load((own / "params.yaml").read_text())["sections"]) == {"flops"}


def test_the_readmes_own_pruner_beside_the_five_needs_no_page_written_for_others(tmp_path):
    """A changed `paper` has other records than its pages by hand speak of: the plain overview takes their place."""
    own = 'defaults.pruner=[synflow, magnitude, snip, grasp, random, "prunekit.baselines:erk_random"]'
    pages = build.pages(load_params("paper", [own]))
    assert "00_overview" in pages and not set(pages) & set(build.AUDIT)
    folders = ["--runs-dir", tmp_path / "runs", "--out", tmp_path / "out"]
    words = ["paper", "--only", "sweep", "--no-run", *folders, "--set", own, "--set", "pages=[00_overview]"]
    done = command(BIN / "prunekit", "report", *words, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(tmp_path / "out" / "tables" / "who_does_best.csv")) == 12


def test_a_changed_profile_is_refused_the_published_folder(study, called):
    refused = called("report", "--set", "seeds=[0]", "--out", "reports/demo", cwd=study)
    assert refused.returncode == 2 and "--out reports/demo: is for the profile demo as it stands" in refused.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's package chromium, or Chrome")
def test_a_browser_shows_the_report(folder, tmp_path):
    """At 400 pixels, nothing beside the window, no console message, every picture drawn: the page itself tells."""
    page = tmp_path / "report.html"
    probe = (
        "<script>window.problems = []; addEventListener('error', e => problems.push(String(e.message)), true);"
        "addEventListener('load', () => { parent.postMessage(JSON.stringify({problems,"
        "images: [...document.images].map(i => i.complete && i.naturalWidth > 0),"
        "widths: [document.documentElement.scrollWidth, innerWidth]}), '*') })</script>"
    )
    page.write_text((folder / "report.html").read_text().replace("<head>", f"<head>{probe}", 1))
    frame = tmp_path / "frame.html"  # a window is no narrower than 500 pixels
    frame.write_text(
        f"<iframe src='{page.as_uri()}' width=400 height=900 style='border:0'></iframe>"
        "<script>addEventListener('message', e => { document.title = e.data })</script>"
    )
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    shown = command(
        *(CHROMIUM, *flags, profile, "--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"),
        frame.as_uri(),
        cwd=tmp_path,
    )
    title = re.search(r"<title>(.*?)</title>", shown.stdout, re.S)
    assert title, shown.stderr[-500:]
    state = json.loads(title[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert state["problems"] == []
    wide, window = state["widths"]
    assert window == 400 and wide <= window
    assert state["images"] == [True] * len(FIGURES)
    assert "CONSOLE" not in shown.stderr


def test_committed_notebooks_still_give_what_they_show_and_once_more_in_the_same_kernel(tmp_path):
    """nbval, from the records that were committed with them: no trial is run, and a report made since does no harm.

    All are one here, each followed by itself whatever the user called things in between, so that one kernel starts.
    """
    shutil.copytree(ROOT / "params", tmp_path / "params")
    for profile in ("demo", "cpu", "paper"):
        file = f"reports/{profile}/trials.parquet"
        records = subprocess.run(["git", "show", f":{file}"], cwd=ROOT, capture_output=True)
        if records.returncode:
            pytest.skip("not a git checkout: the committed records are not at hand")
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_bytes(records.stdout)
    between = nbformat.v4.new_code_cell(
        "dataset = model_name = 'mine'; epochs_done = 3; sweep = None", execution_count=1
    )
    notebooks = [nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    both = nbformat.v4.new_notebook(metadata=notebooks[0].metadata)
    both.cells = [copy.deepcopy(cell) for nb in notebooks for cell in (*nb.cells, between, *nb.cells)]
    for number, cell in enumerate(both.cells):
        cell.id = str(number)
    nbformat.write(both, tmp_path / "all.ipynb")
    words = ("-m", "pytest", "--nbval", "--nbval-sanitize-with", ROOT / "tests" / "nbval.cfg", "-q")
    words += ("-p", "no:cacheprovider", "all.ipynb")
    done = command(sys.executable, *words, cwd=tmp_path, PRUNEKIT_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count(".") == sum(cell.cell_type == "code" for cell in both.cells), "none is skipped"
    assert not (tmp_path / "runs").exists()
