"""prunekit beside the straightforward way (baseline.py), both measured in one run and in turn.

    python benchmarks/run.py [ROW ...] [--data-dir DIR] [--out DIR] [--quick]

Rows: fc, step, flops, synflow, threshold, zeros, report, help, memory, epoch and paper; all if none is named. What
needs a GPU or data that are not there is left out, with a line. Writes bench.csv, a row a measurement, and bench.md,
medians and ratios to be read. What was measured before on such a machine, and is not now, stays.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import baseline
import pandas as pd
import torch
from torch import Generator, nn
from torch.utils.benchmark import Timer

from prunekit import compaction, datasets, masks, metrics, models, pruners, training
from prunekit.batches import Batches
from prunekit.datasets import sources
from prunekit.names import DATASETS
from prunekit.study import engine, machine, runner
from prunekit.study.artifacts import Artifacts
from prunekit.study.params import load_params
from prunekit.study.store import Store
from prunekit.study.study import Study
from prunekit.study.trial import Trial

SHAPE, BATCH, SIDE = (3, 32, 32), 256, 4096  # SIDE: of the matrices whose product is a ruler
PRUNEKIT, BASELINE = "prunekit", "baseline"


class Sample(NamedTuple):
    """One measurement of some work, of prunekit or the baseline, in a unit."""

    work: str
    who: str
    value: float
    unit: str = "s"


@dataclass(frozen=True)
class Bench:
    """What rows measure with: the folder of the datasets, an empty one, and how often, where there is time."""

    data_dir: Path
    scratch: Path
    quick: bool

    def times(self, count: int) -> range:
        return range(1 if self.quick else count)

    def data(self, name: str) -> baseline.Data:
        """Return a dataset as the baseline holds it, from the decoded arrays that prunekit reads too."""
        return baseline.data(datasets.read(name, self.data_dir), datasets.TRANSFORMS[name])

    def run(self, trials: list[Trial]) -> float:
        """Return the seconds of running `trials` on the CPU, with no records and no caches to begin with."""
        store, start = Store(tempfile.mkdtemp(dir=self.scratch)), time.perf_counter()
        if errors := engine.run(trials, store, self.data_dir, "cpu"):
            raise RuntimeError(next(engine.lines(errors)))
        return time.perf_counter() - start


def clock(work: Callable[[], Any]) -> float:
    """Return the seconds of what takes many, once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], Any], times: int = 3) -> float:
    """Return the median seconds of what takes few, after runs to warm up, on all threads, a GPU's work waited for."""
    return Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads()).timeit(times).median


def fully_connected(bench: Bench) -> Iterator[Sample]:
    """Single trials; then one of each pruner in one run, for which the baseline needs as often the time of one."""
    rows = [trial for trial in one_seed("cpu").sections["comparison"] if trial.dataset == "mnist"]
    trials = [trial.model_copy(update={"pre_epochs": 0}) for trial in rows]  # the baseline trains after pruning alone
    one, work, all_work = trials[0], "MNIST FC trial, 10 epochs", "five such trials in one run, one a pruner"
    for _ in bench.times(3):
        alone = clock(lambda: baseline.run(bench.data("mnist"), "fc", one.pruner, one.density, one.post_epochs))
        yield Sample(work, BASELINE, alone)
        yield Sample(work, PRUNEKIT, clock(lambda: runner.run_trial(one, Artifacts(bench.data_dir))))
        yield Sample(all_work, BASELINE, len(trials) * alone)
        yield Sample(all_work, PRUNEKIT, bench.run(trials))


def training_step(bench: Bench) -> Iterator[Sample]:
    """A batch of random pixels, forward, backward, optimiser, masks: the second of two steps; the first allocates."""
    pixels, labels = torch.randint(256, (BATCH, *SHAPE), dtype=torch.uint8), torch.randint(10, (BATCH,))
    recipe, (net, kept) = datasets.TRANSFORMS["cifar10"], pruned_vgg16("cpu")
    batches, one = Batches(pixels, labels, recipe), Batches(pixels[:1], labels[:1], recipe)
    part = sources.Split(pixels.numpy(), labels.numpy())
    data = baseline.data(sources.Arrays(part, part, DATASETS["cifar10"].classes, ()), recipe)
    twin, loader = baseline_vgg16("cpu"), baseline.loader(data.train, "cpu", BATCH, shuffle=True)
    source, target = torch.ones(2, 2**27)
    for _ in bench.times(5):
        rate = product_rate("cpu", torch.float32)
        yield Sample("floor: matrix product, float32", PRUNEKIT, rate, "GFLOP/s")
        copied = 2 * source.nbytes / median(lambda: target.copy_(source)) / 1e9
        yield Sample("floor: copying memory", PRUNEKIT, copied, "GB/s")
        theirs = baseline.train(twin, loader, one_image(), 2)[-1]["train_seconds"]
        for who, seconds in ((BASELINE, theirs), (PRUNEKIT, train(net, kept, batches, one, "float32"))):
            yield Sample("VGG16 CIFAR-10 training step, batch 256, float32", who, seconds)
            yield Sample("its share of the matrix-product rate", who, share(seconds, BATCH, rate), "%")


def table_iv(bench: Bench) -> Iterator[Sample]:
    """The cells of one seed: VGG16 on CIFAR-10 and CIFAR-100, five pruners, six compressions, not trained.

    A cell takes the baseline as long at one compression as at another, so it is measured at the two outermost.
    """
    cells = one_seed("cpu").sections["flops"]
    compressions = sorted({cell.compression for cell in cells})

    def run(compression: float) -> None:
        for name in ("cifar10", "cifar100"):
            data = bench.data(name)
            for cell in cells:
                if (cell.dataset, cell.compression) == (name, compression):
                    baseline.run(data, cell.model, cell.pruner, cell.density, epochs=0)

    for compression in (compressions[0], compressions[-1]):
        yield Sample("Table IV, 60 cells", BASELINE, len(compressions) * clock(lambda c=compression: run(c)))
        yield Sample("Table IV, 60 cells", PRUNEKIT, bench.run(cells))


def synflow(bench: Bench) -> Iterator[Sample]:
    """SynFlow in 100 steps to compression 2, which needs no images."""
    image, label = torch.zeros(1, *SHAPE).contiguous(memory_format=torch.channels_last), torch.zeros(1).long()
    for _ in bench.times(3):
        twin, (net, _) = baseline.vgg16(10), pruned_vgg16("cpu")
        theirs = clock(lambda net=twin: baseline.prune(net, "synflow", [], SHAPE, 0.01, 100))
        yield Sample("SynFlow, 100 steps, VGG16", BASELINE, theirs)
        ours = clock(lambda net=net: pruners.prune("synflow", net, image, label, 0.01, 100))
        yield Sample("SynFlow, 100 steps, VGG16", PRUNEKIT, ours)


def threshold(bench: Bench) -> Iterator[Sample]:
    """Masks of compression 1 from the random scores of VGG16, which have no ties."""
    work, net = "one threshold on VGG16's 14.7 million scores", models.build("vgg16", SHAPE, 10)
    scores = {name: torch.randn_like(weight) for name, weight in models.prunable(net).items()}
    for _ in bench.times(9):
        twin = baseline.vgg16(10)  # not one that is pruned already
        yield Sample(work, BASELINE, clock(lambda net=twin: baseline.set_masks(net, list(scores.values()), 0.1)))
        yield Sample(work, PRUNEKIT, median(lambda: masks.from_scores(scores, 0.1)))


def zeros(bench: Bench) -> Iterator[Sample]:
    """VGG16 pruned by SNIP to compression 2: a pass an image in a batch of ten in each form, then a training step."""
    data = datasets.load("cifar10", bench.data_dir)
    pixels, one = (Batches(data.train.images[:n], data.train.labels[:n], data.transform) for n in (BATCH, 1))
    net: nn.Module = models.build("vgg16", SHAPE, 10).to(memory_format=torch.channels_last)
    kept = pruners.prune("snip", net, *next(pixels.in_order(100)), 0.01)
    masks.apply(net, kept)
    small = compaction.compact(net, kept, SHAPE)
    forms = {"masked": net, "without dead channels (compacted)": small.net}
    if shutil.which("g++"):  # which torch.compile needs
        forms |= {f"{name}, by torch.compile": torch.compile(forms[name]) for name in list(forms)}
    images, _ = next(pixels.in_order(10))
    for _ in bench.times(5):
        for name, form in forms.items():
            yield Sample(
                f"VGG16 pass an image, SNIP at c = 2, {name}", PRUNEKIT, 1e3 * metrics.latency(form, images), "ms"
            )
        for name, form, left in (("masked", net, kept), ("compacted", small.net, small.masks(kept))):
            yield Sample(f"its training step, batch 256, {name}", PRUNEKIT, train(form, left, pixels, one, "float32"))


def report(bench: Bench) -> Iterator[Sample]:
    """`prunekit report demo` with no records at all, then with all of them."""
    words = [
        "report",
        "demo",
        "--device",
        "cpu",
        "--runs-dir",
        bench.scratch / "runs",
        "--out",
        bench.scratch / "report",
    ]
    yield Sample("`prunekit report demo`, no records", PRUNEKIT, command(*words))
    for _ in bench.times(2):
        yield Sample("the same from existing records", PRUNEKIT, command(*words))


def command_line(bench: Bench) -> Iterator[Sample]:
    """`prunekit --help`, from the start of its process to the end."""
    for _ in bench.times(7):
        yield Sample("`prunekit --help`", PRUNEKIT, command("--help"))


def memory(bench: Bench) -> Iterator[Sample]:
    """The peak of a process with all of CIFAR-10 that scores with GraSP, which needs most, trains two steps, tests."""
    line = [sys.executable, "-c", "import sys, run; run.memory_trial(sys.argv[1])", str(bench.data_dir)]
    done = subprocess.run(line, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    yield Sample("peak memory of a CIFAR-10 VGG16 trial", PRUNEKIT, int(done.stdout) / 1e9, "GB")


def memory_trial(data_dir: str) -> None:
    """Print the peak, in bytes, of such a process."""
    machine.use_threads(machine.cores())
    whole = cifar10(data_dir, "cpu")
    trial = Trial(dataset="cifar10", model="vgg16", pruner="grasp", compression=1.0, train_subset=500, post_epochs=1)
    record = runner.run_trial(trial, Artifacts(data_dir))
    assert len(whole) == 50_000  # it is held until here
    print(max(record.peak_memory.values()))


def gpu_epoch(bench: Bench) -> Iterator[Sample]:
    """The training of an epoch of VGG16 on CIFAR-10, ours with products in bfloat16, without the test after it."""
    (net, kept), twin = pruned_vgg16("cuda"), baseline_vgg16("cuda")
    data, one = cifar10(bench.data_dir, "cuda"), cifar10(bench.data_dir, "cuda", 1)
    loader = baseline.loader(bench.data("cifar10").train, "cuda", BATCH, shuffle=True)
    rate, work = product_rate("cuda", torch.bfloat16), "VGG16 CIFAR-10 epoch, GPU, bfloat16"
    yield Sample("floor: matrix product, bfloat16, GPU", PRUNEKIT, rate, "GFLOP/s")
    for _ in bench.times(3):
        yield Sample(work, BASELINE, baseline.train(twin, loader, one_image(), 1)[-1]["train_seconds"])
        seconds = train(net, kept, data, one, "bf16-mixed")
        yield Sample(work, PRUNEKIT, seconds)
        yield Sample("its share of that rate", PRUNEKIT, share(seconds, len(data), rate), "%")


def paper(bench: Bench) -> Iterator[Sample]:
    """`prunekit run paper` of one seed, beside all its epochs at the baseline's seconds for one of each network."""
    work, folders = "`prunekit run paper`, one seed, GPU", ["--runs-dir", bench.scratch, "--data-dir", bench.data_dir]
    yield Sample(work, PRUNEKIT, command("run", "paper", "--set", "seeds=[0]", "--device", "cuda", *folders))
    total = 0.0
    trials = one_seed("paper").trials.values()
    for name, model in dict.fromkeys((trial.dataset, trial.model) for trial in trials):
        (epoch,) = baseline.run(bench.data(name), model, "random", 0.1, epochs=1, device="cuda")["curve"]
        alike = (trial for trial in trials if (trial.dataset, trial.model) == (name, model))
        epochs = sum(trial.pre_epochs + trial.post_epochs for trial in alike)
        total += epochs * (epoch["train_seconds"] + epoch["test_seconds"])
    yield Sample(work, BASELINE, total)


CIFAR = ("cifar10", "cifar100")
ROWS: dict[str, tuple[Callable[[Bench], Iterator[Sample]], tuple[str, ...]]] = {  # and the data that it reads
    "fc": (fully_connected, ("mnist",)),
    "step": (training_step, ()),
    "flops": (table_iv, CIFAR),
    "synflow": (synflow, ()),
    "threshold": (threshold, ()),
    "zeros": (zeros, ("cifar10",)),
    "report": (report, ()),
    "help": (command_line, ()),
    "memory": (memory, ("cifar10",)),
    "epoch": (gpu_epoch, ("cifar10",)),
    "paper": (paper, ("mnist", *CIFAR)),
}
ON_A_GPU, SLOW = {"epoch", "paper"}, {"flops", "zeros", "report", "paper"}  # slow: left out by --quick


def one_seed(profile: str) -> Study:
    return Study(load_params(profile, ["seeds=[0]"]))


def pruned_vgg16(device: str) -> tuple[nn.Module, masks.Masks]:
    """Return VGG16 for CIFAR-10 as a trial has it, and masks of compression 1."""
    net: nn.Module = models.build("vgg16", SHAPE, 10).to(device, memory_format=torch.channels_last)
    return net, pruners.prune("magnitude", net, torch.zeros(1, *SHAPE, device=device), torch.zeros(1).long(), 0.1)


def baseline_vgg16(device: str) -> nn.Module:
    net = baseline.vgg16(10).to(device)
    baseline.prune(net, "magnitude", [], SHAPE, 0.1)
    return net


def cifar10(data_dir: Path | str, device: str, count: int | None = None) -> Batches:
    """Return the first `count` training images (all if None), as a trial has them."""
    data = datasets.load("cifar10", data_dir)
    return Batches(data.train.images[:count], data.train.labels[:count], data.transform, device)


def one_image() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.zeros(1, *SHAPE), torch.zeros(1).long())]


def train(net: nn.Module, kept: masks.Masks, data: Batches, test: Batches, precision: str) -> float:
    """Return the seconds of training the second of two epochs."""
    words = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": BATCH, "precision": precision}
    streams = {"order": Generator(), "augmentation": Generator()}
    *_, last = training.epochs(net, kept, data, test, 2, **words, **streams)
    return last["train_seconds"]


def product_rate(device: str, dtype: torch.dtype) -> float:
    """Return the billions of operations a second of a product of two square matrices.

    On a CPU that of the faster library: torch multiplies float32 matrices with MKL and convolves, which is most of
    training, with oneDNN; on AMD's processors the former is half as fast.
    """
    a, b = torch.randn(2, SIDE, SIDE, device=device).to(dtype)
    ways = [lambda: a @ b]
    if device == "cpu" and torch.backends.mkldnn.is_available():
        theirs = a.to_mkldnn(), b.to_mkldnn()
        ways.append(torch.no_grad()(lambda: nn.functional.linear(*theirs)))
    return 2 * SIDE**3 / min(map(median, ways)) / 1e9


def share(seconds: float, images: int, rate: float) -> float:
    """Return the percentage of the matrix-product rate at which `images` are trained on in `seconds`."""
    return 100 * step_operations(images) / seconds / 1e9 / rate


def step_operations(images: int) -> int:
    """Return the operations that training VGG16 on `images` of CIFAR-10 takes: a multiply-add is two of them.

    Forward, the gradients of the weights and those of the inputs take a multiply-add each, but the first layer's input
    needs no gradient. Convolutions count as they are defined, whatever algorithm computes them.
    """
    costs = metrics.flops(models.build("vgg16", SHAPE, 10), {}, SHAPE)
    weights = costs.flops[costs.kind == "weight"]
    return 2 * images * int(3 * weights.sum() - weights.iloc[0])


def command(*words: object) -> float:
    """Return the seconds of a prunekit command, from the start of its process to the end."""
    code = "from prunekit.cli import main; main()"
    line = [sys.executable, "-c", code, *map(str, words)]
    return clock(lambda: subprocess.run(line, capture_output=True, text=True, check=True))


def lacks(name: str, data_dir: Path, quick: bool) -> str:
    """Return why a row is not measured, nothing if it is."""
    if quick and name in SLOW:
        return "left out by --quick"
    if name in ON_A_GPU and not torch.cuda.is_available():
        return "no GPU"
    missing = [one for one in ROWS[name][1] if not sources.files(one, data_dir)]
    return f"no {', '.join(missing)} in {data_dir}" if missing else ""


def summary(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a row a work: medians with extremes and counts, and the baseline's median over prunekit's."""

    def told(values: pd.Series) -> str:
        spread = f"{values.min():.3g} to {values.max():.3g}, " if len(values) > 1 else ""
        return f"{values.median():.3g} {samples.unit[values.index[0]]} ({spread}n = {len(values)})"

    cells = samples.groupby(["row", "work", "who"], sort=False).value
    medians = cells.median().unstack("who").reindex(columns=[PRUNEKIT, BASELINE])
    seconds = samples.groupby(["row", "work"], sort=False).unit.first() == "s"
    text = cells.apply(told).unstack("who").reindex(index=medians.index, columns=[PRUNEKIT, BASELINE])
    ratio = (medians[BASELINE] / medians[PRUNEKIT]).where(seconds)
    return text.assign(ratio=ratio.map("{:.2f}".format, na_action="ignore")).astype(object).fillna("").reset_index()


def with_earlier(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Return measurements, and those in `file` of other rows from such a machine, in the order of ROWS."""
    if file.exists():
        earlier, alike = pd.read_csv(file), table.columns.difference(["row", *Sample._fields, "commit"])
        of_rows = ~earlier.row.isin(table.row)
        machines, here = (rows[alike].astype(object).fillna("").astype(str) for rows in (earlier, table))
        of_machines = machines.eq(here.iloc[0]).all(axis=1)
        table = pd.concat([earlier[of_rows & of_machines], table])
    return table.sort_values("row", key=lambda rows: rows.map(list(ROWS).index), kind="stable", ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--data-dir", type=Path, default=datasets.data_root())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--quick", action="store_true", help="once each, without what takes minutes")
    given = parser.parse_args()
    if unknown := [name for name in given.rows if name not in ROWS]:
        parser.error(f"no row {unknown[0]}; choose from {', '.join(ROWS)}")
    machine.use_threads(machine.cores())  # the baseline has these too, and the memory settings that trials have
    machine.keep_memory()
    samples, missing = [], []
    for name in given.rows or ROWS:
        if why := lacks(name, given.data_dir, given.quick):
            missing.append(f"{name}: {why}")
            continue
        print(f"measuring {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(given.data_dir.resolve(), Path(scratch), given.quick)
            samples += [{"row": name, **sample._asdict()} for sample in ROWS[name][0](bench)]
    here = machine.where("cuda" if torch.cuda.is_available() else "cpu", workers=1)
    table = pd.DataFrame(samples, columns=["row", *Sample._fields]).assign(**here)
    if samples:
        table = with_earlier(table, given.out / "bench.csv")
    where = f"{here['cpu']}, {here['cores']} cores, {here['gpu'] or 'no GPU'}, {here['system']}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "prunekit"))
    text = [f"{datetime.now(UTC):%Y-%m-%d}: {where}; Python {here['python']}, {packages}."]
    if samples:
        told = summary(table)
        told["commit"] = told.row.map(table.drop_duplicates("row").set_index("row").commit)
        text.append(told.to_markdown(index=False, disable_numparse=True))
    text += [f"Not measured: {'; '.join(missing)}."] if missing else []
    given.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out / "bench.csv", index=False, lineterminator="\n")
    (given.out / "bench.md").write_text("\n\n".join(["# Benchmarks", *text]) + "\n", encoding="utf-8")
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
