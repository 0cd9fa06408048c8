"""What a user may type: each is one short line that names what is wrong, and exit status 2."""

import random

import pytest
from conftest import FIGURES, share

from prunekit.study.params import Params
from prunekit.study.trial import Trial

VALUES = [  # that no parameter takes
    *("2020-13-45", "!!int x", "!!float x", "!!bool x", "!!binary x", "!!python/object/apply:os.system [ls]"),
    *("9" * 5000, "[" * 9000, "&a [*a]", "{a: 1, a: 2}", "{a: 1}", ".nan", "-1", "x" * 2000),
    *("'\x1b[31m\\n'", "!!omap x", "[1", "2020-01-01"),
]
PLACES = [*Params.model_fields, *(f"defaults.{field}" for field in Trial.model_fields), "sections.sweep"]
SETS = [("status", "--set", f"{place}={value}") for place in PLACES for value in VALUES]
ODD = ("../demo", "", ".", "..", "a/b", "x" * 300, "/", "demo\n", "\x1b[31m", "absent.yaml")
NOWHERE = ("/proc", "/proc/x", "/dev/null", "y" * 300)
WORDS = [
    *(("status", name) for name in ODD),
    *(("run", "--device", device) for device in ("meta", "cpu:99", "hpu", "xla", "cuda:77", "", "x" * 999, "mps")),
    *(("run", "--workers", count) for count in ("0", "-1", "1e9", "9" * 5000, "x")),
    *(("run", option, place) for option in ("--out", "--runs-dir") for place in NOWHERE),
    *(("run", "--data-dir", place) for place in ("absent", "/dev/null", "z" * 300)),
    *(("status", "--runs-dir", place) for place in ("/dev/null", "y" * 300)),
    *(("data", name) for name in ("imagenet", "", "x" * 2000, "\x1b[31m")),
    *((verb,) for verb in ("rnu", "\x1b[31m", "x" * 2000, "--nope")),
    ("run", "--cluster", "absent.json", "--workers", "2"),
]


@pytest.mark.slow
def test_bad_inputs(called, tmp_path):
    inputs = [*SETS, *WORDS]
    random.Random(15).shuffle(inputs)
    wrong = []
    for words in inputs[: share(None, 12)]:
        result = called(*words)
        *before, line = result.stderr.splitlines() or [""]
        if (
            (result.returncode == 2 and not result.stdout)
            and (not before or (len(before) == 1 and "to run" in before[0]))
            and (line.startswith("prunekit: ") and line.isprintable() and len(line) <= 1010)
            and all(len(word) < 200 for word in line.split())
        ):
            FIGURES["bad inputs refused"] += 1
        else:
            wrong.append(f"{[word[:100] for word in words]}: {result.returncode} {result.stderr[-500:]}")
    assert not wrong
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
