"""What is measured: each function measures prunekit, in turn with the baseline where it has a part in it."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Generator, nn

from .. import compaction, datasets, masks, metrics, models, pruners, sparse, training
from ..batches import Batches
from ..study import engine, machine, runner
from ..study.params import load_params
from ..study.profile import Study
from ..study.shared import Shared
from ..study.store import Store
from ..study.trial import Trial
from .measure import Measured, copy_rate, in_turn, product_rate, prunekit, python, step_operations, timed

SHAPE, BATCH = (3, 32, 32), 256


@dataclass(frozen=True)
class Place:
    """What rows measure with: the folder of the datasets, the baseline, and an empty folder; once each, if `quick`."""

    data_dir: Path
    baseline: ModuleType
    scratch: Path
    quick: bool

    def times(self, count: int) -> int:
        """Return how often to measure what is measured `count` times where there is time."""
        return 1 if self.quick else count

    def data(self, name: str) -> Any:
        """Load a dataset as the baseline holds it, from the decoded arrays that prunekit reads too."""
        return self.baseline.data(datasets.read(name, self.data_dir), datasets.TRANSFORMS[name])

    def run(self, trials: list[Trial]) -> float:
        """Return the seconds of running `trials` on the CPU, with no records and no caches to begin with."""
        store = Store(tempfile.mkdtemp(dir=self.scratch))
        errors: dict[Trial, str] = {}
        seconds = timed(lambda: errors.update(engine.run(trials, store, self.data_dir, "cpu")))
        if errors:
            raise RuntimeError(next(engine.lines(errors)))
        return seconds


def fully_connected(place: Place) -> list[Measured]:
    """Single trials; then one of each pruner in one run, for which the baseline needs as often the time of one."""
    rows = [trial for trial in _study("cpu").sections["comparison"] if trial.dataset == "mnist"]
    trials = [trial.model_copy(update={"pre_epochs": 0}) for trial in rows]  # the baseline trains after pruning alone
    together: list[float] = []
    one = trials[0]

    def ours() -> float:
        together.append(place.run(trials))
        return timed(lambda: runner.run_trial(one, Shared(place.data_dir)))

    def baseline() -> float:
        return timed(lambda: place.baseline.run(place.data("mnist"), "fc", one.pruner, one.density, one.post_epochs))

    single = in_turn(place.times(3), ours, baseline)
    return [single, Measured(together, [len(trials) * seconds for seconds in single.baseline])]


def training_step(place: Place) -> list[Measured]:
    """A batch of random pixels, forward, backward, optimiser, masks: the second of two steps; the first allocates."""
    pixels = torch.randint(256, (BATCH, *SHAPE), dtype=torch.uint8)
    labels = torch.randint(10, (BATCH,))
    recipe = datasets.TRANSFORMS["cifar10"]
    net, kept = _ours("cpu")
    batches, one = Batches(pixels, labels, recipe), Batches(pixels[:1], labels[:1], recipe)
    twin = _baseline(place, "cpu")
    part = datasets.sources.Part(pixels.numpy(), labels.numpy())
    data = place.baseline.data(datasets.sources.Arrays(part, part, datasets.sources.CLASSES["cifar10"], ()), recipe)
    loader = place.baseline.loader(data.train, "cpu", BATCH, shuffle=True)
    products, copies, steps = [], [], Measured()
    for _ in range(place.times(5)):
        products.append(product_rate("cpu", torch.float32))
        copies.append(copy_rate())
        steps.baseline.append(place.baseline.train(twin, loader, _one_image(), 2)[-1]["train_seconds"])
        steps.ours.append(_train(net, kept, batches, one, "float32"))
    shares = Measured(_shares(steps.ours, BATCH, products), _shares(steps.baseline, BATCH, products))
    return [steps, shares, Measured(products), Measured(copies)]


def table_iv(place: Place) -> list[Measured]:
    """The cells of one seed: VGG16 on CIFAR-10 and CIFAR-100, five pruners, six compressions, not trained.

    A cell takes the baseline as long at one compression as at another, so it is measured at the two outermost.
    """
    cells = _study("cpu").sections["flops"]
    compressions = sorted({cell.compression for cell in cells})

    def baseline(compression: float) -> float:
        chosen = [cell for cell in cells if cell.compression == compression]

        def run() -> None:
            for name in dict.fromkeys(cell.dataset for cell in chosen):
                data = place.data(name)
                for cell in (cell for cell in chosen if cell.dataset == name):
                    place.baseline.run(data, cell.model, cell.pruner, cell.density, epochs=0)

        return len(compressions) * timed(run)

    measured = Measured()
    for compression in (compressions[0], compressions[-1]):
        measured.baseline.append(baseline(compression))
        measured.ours.append(place.run(cells))
    return [measured]


def synflow(place: Place) -> list[Measured]:
    """SynFlow in 100 steps to compression 2, which needs no images."""
    image = torch.zeros(1, *SHAPE).contiguous(memory_format=torch.channels_last)
    label = torch.zeros(1, dtype=torch.int64)

    def ours() -> float:
        net, _ = _ours("cpu")
        return timed(lambda: pruners.prune("synflow", net, image, label, 0.01, 100))

    def baseline() -> float:
        net = place.baseline.vgg16(10)
        return timed(lambda: place.baseline.prune(net, "synflow", [], SHAPE, 0.01, 100))

    return [in_turn(place.times(3), ours, baseline)]


def threshold(place: Place) -> list[Measured]:
    """Masks of compression 1 from the random scores of VGG16, which have no ties."""
    net = models.build("vgg16", SHAPE, 10)
    scores = {name: torch.randn_like(weight) for name, weight in models.prunable(net).items()}

    def baseline() -> float:
        twin = place.baseline.vgg16(10)  # not one that is pruned already
        return timed(lambda: place.baseline.set_masks(twin, list(scores.values()), 0.1))

    return [in_turn(place.times(9), lambda: timed(lambda: masks.from_scores(scores, 0.1)), baseline)]


def zeros(place: Place) -> list[Measured]:
    """VGG16 pruned by SNIP to compression 2: milliseconds of a pass in each form, then seconds of a training step.

    A pass is of ten images, and given an image. Forms are masked, compacted and CSR, and the first two compiled.
    """
    data = datasets.load("cifar10", place.data_dir)
    train, one = (Batches(data.train.images[:n], data.train.labels[:n], data.transform) for n in (BATCH, 1))
    net = models.build("vgg16", SHAPE, 10).to(memory_format=torch.channels_last)
    kept = pruners.prune("snip", net, *next(train.in_order(100)), 0.01)
    masks.apply(net, kept)
    small = compaction.compact(net, kept, SHAPE)
    forms: list[Any] = [net, small.net, sparse.sparse(net, kept)]
    if shutil.which("g++"):
        forms += [torch.compile(net), torch.compile(small.net)]
    images, _ = next(train.in_order(10))
    passes: list[list[float]] = [[] for _ in forms]
    for _ in range(place.times(5)):
        for found, form in zip(passes, forms, strict=True):
            found.append(1000 * metrics.latency(form, images))
    steps: list[list[float]] = [[], []]
    for _ in range(place.times(5)):
        for found, form, left in zip(steps, forms[:2], (kept, small.masks(kept)), strict=True):
            found.append(_train(form, left, train, one, "float32"))
    lacking = [Measured(note="no g++, which torch.compile needs")] * (5 - len(forms))
    return [*map(Measured, passes), *lacking, *map(Measured, steps)]


def report(place: Place) -> list[Measured]:
    """`prunekit report demo` with no records at all, then with all of them."""
    folders = ["--runs-dir", str(place.scratch / "runs"), "--out", str(place.scratch / "report")]
    words = ["report", "demo", "--device", "cpu", *folders]
    return [Measured([prunekit(*words)]), Measured([prunekit(*words) for _ in range(2)])]


def command_line(place: Place) -> list[Measured]:
    """`prunekit --help`, and how much of torch it imports."""
    show_help = "from prunekit.cli import app; app(['--help'], standalone_mode=False)"
    count = "import sys; print(sum(name.split('.')[0] == 'torch' for name in sys.modules))"
    modules = int(python(f"{show_help}; {count}").stdout.splitlines()[-1])
    return [Measured([prunekit("--help") for _ in range(place.times(7))]), Measured([modules])]


def memory(place: Place) -> list[Measured]:
    """The peak of a process that runs `memory_trial`."""
    done = python(
        "import sys; from prunekit.bench.work import memory_trial; memory_trial(sys.argv[1])", str(place.data_dir)
    )
    return [Measured([int(done.stdout) / 1e9])]


def memory_trial(data_dir: str) -> None:
    """Run two steps of VGG16 and GraSP, which needs most, with all of CIFAR-10 in memory; print the peak, in bytes."""
    torch.set_num_threads(machine.cores())
    whole = _cifar10(Path(data_dir), "cpu")
    trial = Trial(dataset="cifar10", model="vgg16", pruner="grasp", compression=1.0, train_subset=512, post_epochs=1)
    record = runner.run_trial(trial, Shared(data_dir))
    assert len(whole) == 50_000  # it is held until here
    print(max(record.peak_memory.values()))


def gpu_epoch(place: Place) -> list[Measured]:
    """The training of an epoch of VGG16 on CIFAR-10, products in bfloat16, without the test after it."""
    net, kept = _ours("cuda")
    train, one = _cifar10(place.data_dir, "cuda"), _cifar10(place.data_dir, "cuda", 1)
    twin = _baseline(place, "cuda")
    loader = place.baseline.loader(place.data("cifar10").train, "cuda", BATCH, shuffle=True)
    epochs = in_turn(
        place.times(3),
        lambda: _train(net, kept, train, one, "bf16-mixed"),
        lambda: place.baseline.train(twin, loader, _one_image(), 1)[-1]["train_seconds"],
    )
    products = [product_rate("cuda", torch.bfloat16) for _ in range(3)]
    return [epochs, Measured(_shares(epochs.ours, len(train), products)), Measured(products)]


def paper(place: Place) -> list[Measured]:
    """`prunekit run paper` of one seed, beside all its epochs at the baseline's seconds for one of each network."""
    folders = ["--runs-dir", str(place.scratch / "paper"), "--data-dir", str(place.data_dir)]
    ours = prunekit("run", "paper", "--set", "seeds=[0]", "--device", "cuda", *folders)
    trials = _study("paper").trials.values()
    seconds: dict[tuple[str, str], float] = {}
    for name, model in dict.fromkeys((trial.dataset, trial.model) for trial in trials):
        (epoch,) = place.baseline.run(place.data(name), model, "random", 0.1, epochs=1, device="cuda")["curve"]
        seconds[name, model] = epoch["train_seconds"] + epoch["test_seconds"]
    return [Measured([ours], [projected(trials, seconds)])]


def _study(profile: str) -> Study:
    """A profile's study with one seed."""
    return Study(load_params(profile, ["seeds=[0]"]))


def projected(trials: Iterable[Trial], seconds: dict[tuple[str, str], float]) -> float:
    """Return the seconds of all epochs of `trials`, before and after pruning, from those of one a (dataset, model)."""
    return sum((t.pre_epochs + t.post_epochs) * seconds[t.dataset, t.model] for t in trials)


def _ours(device: str) -> tuple[nn.Module, masks.Masks]:
    """VGG16 for CIFAR-10 as a trial has it, and masks of compression 1."""
    net: nn.Module = models.build("vgg16", SHAPE, 10)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.zeros(1, *SHAPE, device=device)
    return net, pruners.prune("magnitude", net, image, torch.zeros(1, dtype=torch.int64), 0.1)


def _cifar10(data_dir: Path, device: str, count: int | None = None) -> Batches:
    """The first `count` training images (all if None), as a trial has them."""
    data = datasets.load("cifar10", data_dir)
    return Batches(data.train.images[:count], data.train.labels[:count], data.transform, device)


def _baseline(place: Place, device: str) -> Any:
    """The same of the baseline, whose masks are in the network."""
    net = place.baseline.vgg16(10).to(device)
    place.baseline.prune(net, "magnitude", [], SHAPE, 0.1)
    return net


def _one_image() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """A test set of no weight, since the test is not what is measured."""
    return [(torch.zeros(1, *SHAPE), torch.zeros(1, dtype=torch.int64))]


def _train(net: nn.Module, kept: masks.Masks, train: Batches, test: Batches, precision: str) -> float:
    """Return the seconds of training the second of two epochs."""
    *_, (last,) = training.epochs(
        net,
        kept,
        train,
        test,
        2,
        optimizer="adam",
        learning_rate=1e-3,
        batch_size=BATCH,
        order=Generator(),
        augmentation=Generator(),
        precision=precision,
    )
    return last["train_seconds"]


def _shares(seconds: list[float], images: int, products: list[float]) -> list[float]:
    """Return the percentages of the matrix-product rate at which `images` are trained on in `seconds`."""
    return [100 * step_operations(images) / one / 1e9 / statistics.median(products) for one in seconds]
