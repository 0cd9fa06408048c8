"""The real command line: what it prints, its exit status, and that it never shows a traceback."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
import yaml
from conftest import CAMPAIGN, FIGURES, ROOT, TINY, TINY_TRIALS, command

from prunekit.cli import places as folders
from prunekit.study.params import load_params
from prunekit.study.study import Study

HOOK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""
REPORT_ONLY = {"jupyter", "jupyterlab", "papermill", "matplotlib", "seaborn", "nbformat", "IPython", "ipykernel"}
SLOW = {"torch", "torchvision", "pandas", "pyarrow", "sklearn", "matplotlib"}


@pytest.fixture
def without(tmp_path):
    """Return the environment in which the named packages cannot be imported."""

    def environment(packages):
        (tmp_path / "hook").mkdir()
        (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK.format(blocked=packages))
        path = [str(tmp_path / "hook"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(path)}

    return environment


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "--help"]])
def test_help_needs_no_torch(prunekit, without, words):
    result = prunekit(*words, env=without(SLOW))
    assert result.returncode == 0 and not result.stderr
    if words != ["run", "--help"]:
        assert all(re.search(rf"\b{verb}\b", result.stdout) for verb in ("report", "run", "status", "data", "export"))


CONTROLS = ["--set", "sections.controls=[{pruner: 'prunekit.baselines:erk_random', compression: 1}]"]


@pytest.mark.parametrize("given", ["option", "environment"])
def test_a_home_folder_that_no_shell_expands_is_meant(called, tiny_profile, tmp_path, monkeypatch, given):
    """As in --runs-dir=~/runs, or in a file of environment variables."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "data").mkdir(parents=True)
    wanted = {"PRUNEKIT_RUNS": "~/runs", "PRUNEKIT_DATA": "~/data"}
    words = ["--runs-dir", "~/runs", "--data-dir", "~/data"] if given == "option" else []
    env = {} if words else wanted
    monkeypatch.delenv("PRUNEKIT_RUNS", raising=False)
    done = called("run", tiny_profile, "--workers", 1, "--out", "~/out", *words, env=env)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"data", "runs", "out"}
    assert called("init", "~/copy").returncode == 0 and (tmp_path / "home" / "copy" / "params").is_dir()
    assert not list(tmp_path.glob("**/~"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here, which is a full disk")
def test_a_log_on_a_full_disk_costs_no_trial(tiny_profile, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("run", tiny_profile, "--workers", 2), cwd=tmp_path, stderr=full, timeout=300)
    assert done.returncode == 0
    assert len(list((tmp_path / "runs").glob("*.json"))) == TINY_TRIALS


def test_what_an_encoding_lacks_is_replaced(prunekit, tmp_path):
    odd = tmp_path / "größe.yaml"
    odd.write_text(yaml.safe_dump(TINY))
    shown = prunekit("status", odd, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert shown.returncode == 0 and "0 done" in shown.stdout, shown.stderr


@pytest.mark.parametrize("words", [[], CONTROLS])
def test_status_needs_no_torch(prunekit, without, tiny_profile, words):
    """Nor does it with ERK-random, a pruner from outside whose source is part of a trial's id."""
    result = prunekit("status", tiny_profile, *words, env=without(SLOW - {"pyarrow"}))  # which reads published records
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["rnu"], ["rnu", "run"]),
        (["run", "--nope"], ["--nope"]),
        (["run", "--workers", "0"], ["--workers", "1"]),
        (["run", "--workers", "9" * 5000], ["--workers"]),
        (["run", "zzz"], ["zzz", "cpu, demo, paper"]),
        (["status", "zzz"], ["zzz", "cpu, demo, paper"]),
        (["run", "--data-dir", "absent"], ["--data-dir absent"]),
        (["run", "--set", "width"], ["--set width", "key=value"]),
        (["run", "--set", "defaults.widht=1"], ["widht", "width"]),
        (["run", "--set", "defaults.width=-1"], ["width", "-1", "greater than 0"]),
        (["run", "--device", "abacus"], ["--device abacus", "choose from auto, cpu"]),
        (["data", "imagenet"], ["imagenet", "digits, digit-pairs, mnist"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_usage_is_one_line_and_status_2(called, words, named):
    result = called(*words)
    *progress, line = result.stderr.splitlines()
    assert result.returncode == 2 and not result.stdout
    assert all("to run" in other for other in progress)
    assert line.startswith("prunekit: ")
    assert [word for word in named if word not in line] == [], line


@pytest.mark.parametrize(
    "words",
    [["run", "demo"], ["report", "demo"], ["run", "demo", "--out", "new/out"], ["export", "demo", "--out", "new/a.pt"]],
    ids=" ".join,
)
@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_wrong_device_leaves_nothing_behind(called, tmp_path, monkeypatch, words, device):
    monkeypatch.chdir(tmp_path)
    result = called(*words, "--device", device, "--runs-dir", "new/runs")
    assert result.returncode == 2 and f"--device {device} is not here" in result.stderr
    assert not (tmp_path / "new").exists()


def test_python_m_is_the_same(tmp_path):
    line = [sys.executable, "-m", "prunekit", "--version"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"prunekit {version('prunekit')}\n"), done.stderr


def test_a_process_says_what_a_call_says(prunekit, called, tiny_profile):
    """So that all else of one line may be tried without a process each."""
    for words in (["rnu"], ["data", "imagenet"], ["status", tiny_profile]):
        ours, theirs = called(*words), prunekit(*words)
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


@pytest.fixture
def places(tmp_path):
    """What cannot be written to, by name, and what is said of it."""
    (tmp_path / "file").touch()
    return {
        "file": (tmp_path / "file", "(File exists); name a folder"),
        "in a file": (tmp_path / "file" / "x", "(Not a directory); name a folder"),
        "system": ("/proc", "make it writable or name another"),
        "long": (tmp_path / ("x" * 300), "(File name too long); give it a shorter name"),
    }


@pytest.mark.parametrize("place", ["file", "system", "long"])
@pytest.mark.parametrize(
    "words", [("run", "--out"), ("run", "--runs-dir"), ("report", "--out"), ("report", "--runs-dir")]
)
def test_folders_are_tried_before_anything_runs(called, tiny_profile, places, tmp_path, words, place):
    folder, advice = places[place]
    verb, option = words
    result = called(verb, tiny_profile, option, folder)
    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and line.startswith(f"prunekit: {option} ") and "cannot be written to (" in line
    assert line.endswith(advice) and len(line) < 250, line
    assert not [file for file in tmp_path.rglob("*.json") if tmp_path / "cache" not in file.parents]


@pytest.mark.parametrize("place", ["in a file", "long"])
def test_status_of_no_folder(called, tiny_profile, places, place):
    result = called("status", tiny_profile, "--runs-dir", places[place][0])
    assert result.returncode == 2 and not result.stdout
    assert re.fullmatch(r"prunekit: --runs-dir .{1,90} cannot be read \(.*\); name another\n", result.stderr)


def test_a_file_of_the_users_own_never_writes_over_a_profile_of_that_name(called, tmp_path, monkeypatch):
    for folder in ("params", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "demo.yaml").write_text(yaml.safe_dump(TINY | {"profile": "demo"}))
    monkeypatch.chdir(tmp_path)
    mine, ours = (folders.usual(Study(load_params(name)), name) for name in ("mine/demo.yaml", "params/demo.yaml"))
    assert ours == tmp_path / "reports" / "own" / "demo" and mine.parent == ours.parent and mine != ours
    refused = called("run", "mine/demo.yaml", "--out", tmp_path / "reports" / "demo")
    assert refused.returncode == 2 and "is for the profile demo as it stands in params/" in refused.stderr
    assert not (tmp_path / "reports").exists()


def test_a_reader_that_leaves_is_no_error(tiny_profile):
    both = f"{shlex.join(command('status', tiny_profile))} | true"
    result = subprocess.run(["bash", "-c", both], capture_output=True, text=True)
    assert not result.stderr


def test_run_status_and_run_again(prunekit, called, tiny_profile, without, tmp_path):
    missing = called("status", tiny_profile)
    assert (missing.returncode, missing.stderr) == (0, "")
    assert f"{TINY_TRIALS} trials, 0 done, {TINY_TRIALS} missing, 0 failed\n" in missing.stdout

    first = prunekit("run", tiny_profile, "--workers", 1, "--out", tmp_path / "out", env=without(REPORT_ONLY))
    assert first.returncode == 0 and not first.stdout, first.stderr
    start, *lines, end = first.stderr.splitlines()
    assert start == f"prunekit: {TINY_TRIALS} trials, 0 done, {TINY_TRIALS} to run"
    counts = [f"[{i}/{TINY_TRIALS}] done" for i in range(1, TINY_TRIALS + 1)]
    assert [re.sub(r"\] .*: ", "] ", line) for line in lines] == counts
    assert end == f"prunekit: {TINY_TRIALS} trials in {tmp_path / 'runs'}"
    assert (tmp_path / "out" / "trials.parquet").exists()

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").iterdir()}
    second = called("run", tiny_profile)
    assert second.returncode == 0 and f"{TINY_TRIALS} done, 0 to run" in second.stderr
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").iterdir()} == before
    done = called("status", tiny_profile)
    assert done.stdout.endswith(f"{TINY_TRIALS} done, 0 missing, 0 failed\n")

    for file in [file for file in before if file.suffix == ".json"][:4]:
        file.unlink()
    some = called("status", tiny_profile)
    told = r"about \d+ seconds to go, and [\d.]+ GB of memory a process, by what like trials took.* \(.+ cores\)"
    assert re.search(rf"4 missing, 0 failed\n  {told}\n$", some.stdout)
    published = called("status", tiny_profile, "--device", "cuda").stdout
    assert "no like trial ran on such a machine: by the size of others (NVIDIA H100" in published, (
        "no GPU was seen here"
    )


def test_a_section_is_run_alone(called, tiny_profile, tmp_path):
    result = called("run", tiny_profile, "--only", "comparison", "--only", "flops", "--workers", 1)
    assert result.returncode == 0 and "prunekit: 6 trials, 0 done, 6 to run" in result.stderr
    assert result.stderr.splitlines()[-1] == f"prunekit: 6 trials in {tmp_path / 'runs'}"
    assert "6 done, 1 missing" in called("status", tiny_profile).stdout
    for wrong, advice in (("swep", "did you mean sweep?"), ("precision_check", "choose from comparison, sweep,")):
        refused = called("run", tiny_profile, "--only", wrong)
        assert refused.returncode == 2 and refused.stderr.startswith(f"prunekit: --only {wrong}: no such section; ")
        assert advice in refused.stderr


def test_a_report_of_no_record_is_one_line(called, tiny_profile, tmp_path):
    result = called("report", tiny_profile, "--no-run")
    assert result.returncode == 2 and not list(tmp_path.rglob("*.html"))
    assert result.stderr == (
        f"prunekit: no record of tiny in {tmp_path / 'runs'}, and none is published; run some first, or prunekit merge "
        "FOLDER\n"
    )


def test_records_of_two_machines_are_merged(called, tiny_profile, tmp_path):
    for section, folder in (("comparison", "a"), ("flops", "b")):
        words = ("--only", section, "--workers", 1, "--runs-dir", tmp_path / folder)
        assert called("run", tiny_profile, *words).returncode == 0
    merged = called("merge", tmp_path / "a", tmp_path / "b")
    assert (
        merged.returncode == 0 and ": 4\n" in merged.stderr and "which stays: 2; of these ran twice: 2" in merged.stderr
    )
    assert "6 done, 1 missing" in called("status", tiny_profile).stdout
    nothing = called("merge", tmp_path / "c")
    assert nothing.returncode == 2 and "holds no record" in nothing.stderr


def test_failed_trials_are_named_and_status_1(called, tiny_profile, tmp_path):
    offline = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    places = ("defaults.dataset=mnist", "defaults.compression=1", "defaults.pruner=random", "sections.as_described=[]")
    words = [
        tiny_profile,
        *(word for place in (*places, "sections.as_described_flops=[]") for word in ("--set", place)),
    ]
    result = called("run", *words, "--data-dir", tmp_path, "--workers", 1, env=offline)
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("prunekit: failed: ")]
    assert "2 trials (first: mnist/fc random c=1 seed=0): mnist is not at hand" in line
    status = called("status", *words)
    assert status.returncode == 1 and "4 trials, 2 done, 0 missing, 2 failed" in status.stdout


def test_data_says_what_is_there(called):
    result = called("data", "digits", "digit-pairs")
    assert result.returncode == 0 and not result.stderr
    assert result.stdout.splitlines() == [
        "digits: 1,437 training and 360 test images 3x32x32, 10 classes",
        "digit-pairs: 4,000 training and 1,000 test images 3x32x32, 100 classes, 10 coarse",
    ]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The command of a wheel with the extra `report`, installed in an environment of its own with nothing else."""
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which(ROOT / ".tools" / "bin" / "uv")
    if not uv:
        pytest.skip("no uv to build and install a wheel with")
    folder = tmp_path_factory.mktemp("installed")

    def call(*words):
        done = subprocess.run([uv, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    versions = folder / "versions.txt"  # the lock file's, so that nothing is downloaded twice
    versions.write_text(call("export", "--frozen", "--no-hashes", "--no-emit-project", "--all-extras"))
    call("build", "--wheel", "--out-dir", folder)
    call("venv", "--python", sys.executable, folder / "env")
    (wheel,) = folder.glob("*.whl")
    into = ("--python", folder / "env" / "bin" / "python")
    call("pip", "install", *into, "--constraints", versions, f"prunekit[report] @ {wheel.as_uri()}")
    return folder / "env" / "bin" / "prunekit"


@pytest.mark.slow
def test_wheel_works_in_an_empty_folder(installed, tmp_path):
    """In a campaign it makes a report there."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PRUNEKIT_", "VIRTUAL_ENV"))}
    empty = tmp_path / "empty"
    empty.mkdir()

    def call(*words):
        return subprocess.run([installed, *words], cwd=empty, env=env, capture_output=True, text=True, timeout=600)

    assert call("--version").stdout == f"prunekit {version('prunekit')}\n"
    assert call("status").stdout.startswith("demo: 484 trials, 0 done, 484 missing")
    assert call("init", "copies").returncode == 0
    copied = {path.name for path in (empty / "copies" / "notebooks").iterdir()}
    assert copied == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    if not CAMPAIGN:
        return
    shutil.rmtree(empty / "copies")
    (empty / "small.yaml").write_text(yaml.safe_dump(TINY))
    done = call("report", "small.yaml")
    assert done.returncode == 0, done.stderr
    (report,) = empty.glob("reports/own/tiny-*/report.html")
    assert "Table II" in report.read_text()
    assert sorted(path.name for path in empty.iterdir()) == ["reports", "runs", "small.yaml"]
    FIGURES["reports made by a wheel"] += 1


def test_init_copies_what_is_to_be_edited_and_nothing_over_it(called, tmp_path):
    done = called("init", "mine")
    assert done.returncode == 0 and done.stderr == "prunekit: params and notebooks in mine\n"
    copied = {str(file.relative_to(tmp_path / "mine")): file.read_bytes() for file in tmp_path.rglob("*.*")}
    assert copied == {
        f"{part}/{file.name}": file.read_bytes() for part in ("params", "notebooks") for file in (ROOT / part).iterdir()
    }
    edited = tmp_path / "mine" / "params" / "demo.yaml"
    edited.write_text(edited.read_text().replace("profile: demo", "profile: other"))
    again = called("init", "mine")
    assert (
        again.returncode == 2
        and again.stderr == "prunekit: mine/params/cpu.yaml is there already; name another folder\n"
    )
    assert "other" in edited.read_text()
    assert called("status", "demo", cwd=tmp_path / "mine").stdout.startswith("demo: ")
    assert called("init", "/proc/x").returncode == 2
