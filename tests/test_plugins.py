"""What users bring: known by its source, found by name or path, and whole in another process."""

import importlib
import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prunekit import plugins
from prunekit.errors import UserError

SOURCE = """
import math

POWER = 2
TABLE = {"a": [1, 2]}


class Scale:
    factor = 3

    def of(self, x):
        return x * self.factor


def helper(x):
    return x ** POWER


def first(net, batches, generator):
    return {name: Scale().of(helper(score)) for name, score in net.items()}, TABLE["a"]


def second(net, batches, generator):
    return math.pi
"""
_count = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of a new name with some of its source replaced; return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(old="", new=""):
        name = f"brought{next(_count)}"
        assert old in SOURCE
        (tmp_path / f"{name}.py").write_text(SOURCE.replace(old, new) if old else SOURCE)
        importlib.invalidate_caches()
        return name

    return write


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("POWER = 2", "POWER = 3"),
        ("x ** POWER", "x * POWER"),
        ("factor = 3", "factor = 4"),
        ("x * self.factor", "x + self.factor"),
        ("[1, 2]", "[1, 3]"),
        ("def first(net", "def first(  net"),
    ],
)
def test_digest_tells_an_edit_of_a_function_and_of_what_it_uses(module, old, new):
    before, after = module(), module(old, new)
    assert plugins.digest("pruner", f"{before}:first") != plugins.digest("pruner", f"{after}:first")
    assert plugins.digest("pruner", f"{before}:second") == plugins.digest("pruner", f"{after}:second")


def test_digest_heeds_no_variable_that_only_an_attribute_is_called_like(module):
    plain, same = (module("math.pi", f"math.pi\n\n\npi = {value}") for value in (1, 2))
    assert plugins.digest("pruner", f"{plain}:second") == plugins.digest("pruner", f"{same}:second")


def test_digest_of_what_uses_a_dataclass_or_classes_that_name_each_other(module):
    made = """x

@dataclasses.dataclass
class Choice:
    share: float = 0.5

class Other:
    choice = Choice

Choice.other = Other

"""
    names = []
    for share in ("0.5", "0.6"):
        text = made.replace("0.5", share).replace("x\n", "import dataclasses\n")
        names.append(module("import math\n\nPOWER = 2", f"import math\n{text}\nPOWER = 2"))
        file = Path(f"{names[-1]}.py")
        file.write_text(file.read_text().replace("return math.pi", "return Choice().share"))
    one, other = (plugins.digest("pruner", f"{name}:second") for name in names)
    assert one != other


def test_digest_is_the_same_in_every_process(module):
    name = f"{module()}:first"
    code = f"from prunekit import plugins; print(plugins.digest('pruner', {name!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == plugins.digest("pruner", name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", ["unknown pruner 'absent'", "package.module:function"]),
        ("sinp", ["'sinp'", "did you mean snip?"]),
        ("no_such_module:f", ["no_such_module:f", "ModuleNotFoundError"]),
        ("math:no_such", ["math:no_such", "AttributeError"]),
        ("math:pi", ["math:pi", "float", "must be a function"]),
        ("math:sqrt", ["math:sqrt", "must be a function"]),
        ("a b:c", ["'a b:c'"]),
        ("x" * 999, ["unknown pruner"]),
    ],
)
def test_what_cannot_be_found_is_one_line(name, words):
    with pytest.raises(UserError) as error:
        plugins.find("pruner", name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_module_that_fails_or_exits_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, line in {"failing": "1 / 0", "exiting": "raise SystemExit('bye')", "broken": "def f(:"}.items():
        (tmp_path / f"{name}_module.py").write_text(line)
        with pytest.raises(UserError, match=f"{name}_module:f cannot be imported"):
            plugins.find("pruner", f"{name}_module:f")


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("snip", lambda net, batches, generator: {}, "prunekit's own"),
        ("a b", lambda net, batches, generator: {}, "cannot name"),
        ("", lambda net, batches, generator: {}, "cannot name"),
        ("../x", lambda net, batches, generator: {}, "cannot name"),
        ("x" * 41, lambda net, batches, generator: {}, "cannot name"),
        ("mine", len, "must be a function"),
        ("mine", eval("lambda net: {}"), "cannot be read"),
    ],
)
def test_what_cannot_be_registered(name, function, words):
    with pytest.raises(UserError, match=words):
        plugins.register("pruner", name)(function)
    assert ("pruner", name) not in plugins._registered


def test_functions_travel_without_their_module(module, tmp_path):
    name = f"{module()}:first"
    (tmp_path / "packed").write_bytes(plugins.packed([("pruner", name)]))
    assert plugins.find("pruner", name)({"w": 2}, None, None) == ({"w": 12}, [1, 2])
    (tmp_path / f"{name.split(':')[0]}.py").unlink()
    code = f"""
from pathlib import Path
from prunekit import plugins
plugins.unpack(Path("packed").read_bytes())
print(plugins.find("pruner", {name!r})({{"w": 2}}, None, None))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "({'w': 12}, [1, 2])"


def test_what_cannot_travel_is_one_line(module, monkeypatch):
    name = module()
    function = plugins.find("pruner", f"{name}:second")
    monkeypatch.setattr(function, "__defaults__", (threading.Lock(),))
    with pytest.raises(UserError, match=f"{name}:second cannot be sent to another process .*--workers 1"):
        plugins.packed([("pruner", f"{name}:second")])
