"""What users bring: known by its source, found by name or path, and whole in another process."""

import importlib
import inspect
import itertools
import linecache
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
import torch

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


USES = "\ndef f(net, batches, generator):\n    return P()\n"
REACHED = [  # what f uses, and an edit of it, at §
    ("S = [{1, §}, 3]\ndef P(): return S", "2", "4"),
    ("S = {'a': (1, frozenset('§'))}\ndef P(): return S", "b", "c"),
    ("import numpy as np\nS = np.float§(1)\ndef P(): return S", "32", "64"),
    ("import torch\nS = torch.zeros(§)\ndef P(): return S", "2, 3", "3, 2"),
    ("import torch\nS = {'w': torch.§s(2).bfloat16()}\ndef P(): return S", "one", "zero"),
    ("class C:\n    def __init__(self, a): self.a = a\nS = C([§])\ndef P(): return S.a", "1", "2"),
    ("class C:\n    __slots__ = ('a',)\nS = C()\nS.a = len('x§')\ndef P(): return S.a", "", "y"),
    ("class C:\n    def __call__(self): return §\nP = C()", "1", "2"),
    ("class C:\n    def g(self): return §\nP = C().g", "1", "2"),
    ("import functools\ndef g(a, b): return a\nP = functools.partial(g, b=[§], a=0)", "1", "2"),
    ("import functools\n@functools.cache\ndef g(): return §\ndef P(): return g()", "1", "2"),
    ("P = [lambda: 0, lambda: 1][§]\nQ = 0", "1", "0"),
    ("def make(n):\n    def h(): return n\n    return h\nT = [make(1), make(§)]\ndef P(): return T[1]()", "2", "3"),
    ("Z = §\ndef P(*, p=[Z]): return p", "1", "2"),
    ("from math import § as A\ndef P(): return A", "sin", "cos"),
    ("from torch.nn.functional import §elu as A\ndef P(): return A", "r", "g"),
    ("import torch.nn.§ as A\ndef P(): return A", "functional", "init"),
    ("from torch import nn\nclass B(nn.§): pass\nclass C(B): pass\nA = C\ndef P(): return A", "Tanh", "ReLU"),
    ("import enum\nclass E(enum.Enum):\n    a = 1\n    b = 2\nS = E.§\ndef P(): return S", "a", "b"),
    (
        "def twice(n):\n"
        "    def of(g):\n"
        "        def h(): return n * g()\n"
        "        return h\n"
        "    return of\n"
        "@twice(§)\n"
        "def P(): return 1\n"
        "Q = 0",
        "2",
        "3",
    ),
    ("import torch\n@torch.no_grad()\ndef P(): return §\nQ = 0", "1", "2"),
    ("from helper import P", "1", "2"),
    ("import helper as h\ndef P(): return h.P()", "1", "2"),
    ("def P():\n    from helper import P\n    return P()", "1", "2"),
]


@pytest.mark.parametrize(("text", "one", "other"), REACHED)
def test_digest_tells_what_a_function_reaches(tmp_path, monkeypatch, text, one, other):
    """The module helper is the user's own too, and is edited each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    name, digests = f"reaches{next(_count)}", []
    for number, words in enumerate((one, other, one)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delitem(sys.modules, "helper", raising=False)
        Path("helper.py").write_text(f"def P(): return {1 + number % 2}\n")
        now = text.replace("§", words)
        Path(f"{name}.py").write_text(
            f"#{' ' * 9 * number}\n{now}{USES}"
        )  # of another size, or the compiled one would do
        importlib.invalidate_caches()
        linecache.clearcache()
        digests.append(plugins.digest("pruner", f"{name}:f"))
    assert digests[0] != digests[1] and digests[0] == digests[2]


def test_digest_heeds_nothing_that_another_version_of_python_or_torch_would_add(tmp_path, monkeypatch):
    """Python 3.13 keeps a table in an Enum that 3.11 does not; the text of torch's own wrapper is torch's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name, body = f"reaches{next(_count)}", "def f(*_):\n    return Kind.A\n"
    kind = "import enum\nimport torch\nclass Kind(enum.Enum):\n    A = 1\n@torch.no_grad()\n"
    Path(f"{name}.py").write_text(kind + body)
    before = plugins.digest("pruner", f"{name}:f")
    type.__setattr__(sys.modules[name].Kind, "_some_later_table_", {})
    wrapper = inspect.getsourcefile(sys.modules[name].f.__code__)
    size, time, lines, file = linecache.getlines(wrapper) and linecache.cache[wrapper]
    monkeypatch.setitem(
        linecache.cache, wrapper, (size, time, [line.replace("ctx", "context") for line in lines], file)
    )
    assert plugins.digest("pruner", f"{name}:f") == before


@pytest.mark.parametrize(
    "text",
    [
        "import threading\nS = threading.Lock()",
        "S = open(__file__)",
        "S = (n for n in [1])",
        "import torch\nS = torch.Generator()",
        "import numpy\nS = numpy.random.default_rng(0).normal",
        "import numpy\nclass S: draws = [numpy.random.RandomState(0)]",
        "import random\nS = random.Random(0).gauss",
    ],
)
def test_what_an_edit_of_cannot_be_told_is_refused_by_name(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"reaches{next(_count)}"
    Path(f"{name}.py").write_text(f"{text}\ndef f(net, batches, generator):\n    return S\n")
    with pytest.raises(UserError, match=rf"{name}:f uses S[ ,.].*make it inside the function"):
        plugins.digest("pruner", f"{name}:f")


@pytest.mark.parametrize(
    "text",
    [
        "from random import gauss as S",
        "from numpy.random import randn as S",
        "from torch import default_generator as S",
    ],
)
def test_digest_does_not_depend_on_what_was_drawn_from_a_global_generator(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"reaches{next(_count)}"
    Path(f"{name}.py").write_text(f"{text}\ndef f(net, batches, generator):\n    return S\n")
    before = plugins.digest("pruner", f"{name}:f")
    random.random(), numpy.random.rand(), torch.rand(())
    assert plugins.digest("pruner", f"{name}:f") == before


SETTINGS = {
    "torch.set_default_dtype(torch.float64)": torch.get_default_dtype,
    "torch.set_grad_enabled(False)": torch.is_grad_enabled,
    "torch.set_default_device('meta')": torch.get_default_device,
    "torch.set_float32_matmul_precision('medium')": torch.get_float32_matmul_precision,
    "torch.set_num_threads(torch.get_num_threads() + 1)": torch.get_num_threads,
    "torch.use_deterministic_algorithms(True)": torch.are_deterministic_algorithms_enabled,
    "torch.backends.cudnn.benchmark = True": lambda: torch.backends.cudnn.benchmark,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_a_users_code_sets_of_torch_is_put_back(tmp_path, monkeypatch, setting):
    """As its module is imported, here and in a worker, and as its function runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"sets{next(_count)}"
    Path(f"{name}.py").write_text(f"import torch\n{setting}\ndef f(net, batches, generator): pass\n")
    before = SETTINGS[setting]()
    plugins.find("pruner", f"{name}:f")
    assert SETTINGS[setting]() == before
    with plugins.drawing_from(0):
        exec(setting)
        assert SETTINGS[setting]() != before
    assert SETTINGS[setting]() == before


def test_digest_is_the_same_in_every_process(module):
    name = f"{module()}:first"
    code = f"from prunekit import plugins; print(plugins.digest('pruner', {name!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == plugins.digest("pruner", name)


def test_published_records_are_of_this_source():
    """Whoever changes erk_random, or how digests are made, runs the published trials of `controls` anew."""
    assert plugins.digest("pruner", "prunekit.baselines:erk_random") == "e14935a0600e0ce9"


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
    monkeypatch.setattr(function, "lock", threading.Lock(), raising=False)
    with pytest.raises(UserError, match=f"{name}:second cannot be sent to another process .*--workers 1"):
        plugins.packed([("pruner", f"{name}:second")])


@pytest.mark.parametrize("name", ["random", "statistics", "email.message", "tqdm.utils", "time"])
def test_a_module_that_an_installed_one_hides_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = Path(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    file.write_text("def mode(net, batches, generator): return {}\n")
    with pytest.raises(UserError, match=f"{name}:mode: .*{file.name} is hidden by .*rename it"):
        plugins.find("pruner", f"{name}:mode")


@pytest.mark.parametrize("name", ["élagage:à_moi", "剪枝:分数", "_mine:_f1"])
def test_names_are_those_that_python_takes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    module, _, function = name.partition(":")
    Path(f"{module}.py").write_text(f"def {function}(net, batches, generator): return 7\n", encoding="utf-8")
    assert plugins.find("pruner", name)(0, 0, 0) == 7


def test_what_is_drawn_from_any_global_generator_is_seeded_and_leaves_them():
    def draw():
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    def seeded(seed):
        with plugins.drawing_from(seed):
            return draw()

    states = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first, again, other = seeded(2**61), seeded(2**61), seeded(5)
    assert first == again and not set(first) & set(other)
    assert states == (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


@pytest.mark.parametrize("where", ["its module", "a module that it uses"])
def test_after_an_edit_what_runs_is_what_the_digest_tells(module, where):
    name = module()
    if where == "a module that it uses":
        helper = name
        Path(f"{name}_user.py").write_text(f"from {helper} import helper\ndef first(*_): return helper(3)\n")
        name = f"{name}_user"
        assert plugins.find("pruner", f"{name}:first")() == 9
        file = Path(f"{helper}.py")
    else:
        assert plugins.find("pruner", f"{name}:first")({"w": 3}, 0, 0)[0] == {"w": 27}
        file = Path(f"{name}.py")
    before = plugins.digest("pruner", f"{name}:first")
    file.write_text(file.read_text().replace("x ** POWER", "x ** 3 + POWER"))
    linecache.checkcache()
    if where == "its module":
        assert plugins.digest("pruner", f"{name}:first") != before
        assert plugins.find("pruner", f"{name}:first")({"w": 3}, 0, 0)[0] == {"w": 87}
    else:
        with pytest.raises(UserError, match=f"{name}:first uses .*{file.name}, which was edited"):
            plugins.digest("pruner", f"{name}:first")
