"""The rows of the report, and what each must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import work
from .measure import Goal, Measured
from .work import Place


@dataclass(frozen=True)
class Row:
    """What a function measures: the goals in the order of its return, the data it reads, whether it wants a GPU.

    `slow` ones take minutes.
    """

    measure: Callable[[Place], list[Measured]]
    goals: tuple[Goal, ...]
    datasets: tuple[str, ...] = ()
    gpu: bool = False
    slow: bool = False


_SHARE = "its share of the matrix-product rate"
ROWS = {
    "fc": Row(
        work.fully_connected,
        (Goal("MNIST FC trial, 10 epochs", ratio=10), Goal("five such trials in one run, one a pruner", ratio=15)),
        ("mnist",),
    ),
    "step": Row(
        work.training_step,
        (
            Goal("VGG16 CIFAR-10 training step, batch 256, float32", ratio=1.15),
            Goal(_SHARE, "%", least=65),
            Goal("floor: matrix product, float32", "GFLOP/s"),
            Goal("floor: copying memory", "GB/s"),
        ),
    ),
    "flops": Row(work.table_iv, (Goal("Table IV, 60 cells", ratio=20, most=45),), ("cifar10", "cifar100"), slow=True),
    "synflow": Row(work.synflow, (Goal("SynFlow, 100 steps, VGG16", ratio=4, most=8),)),
    "threshold": Row(work.threshold, (Goal("one threshold on VGG16's 14.7 million scores", most=0.06),)),
    "zeros": Row(
        work.zeros,
        (
            Goal("VGG16 CIFAR-10 pass an image, SNIP at c = 2, masked", "ms"),
            Goal("the same without dead channels (compacted)", "ms"),
            Goal("the same skipping each zero (CSR)", "ms"),
            Goal("the same masked, by torch.compile", "ms"),
            Goal("the same compacted, by torch.compile", "ms"),
            Goal("its training step, batch 256, masked"),
            Goal("its training step, batch 256, compacted"),
        ),
        ("cifar10",),
        slow=True,
    ),
    "report": Row(
        work.report,
        (Goal("`prunekit report demo`, no records", most=240), Goal("the same from existing records", most=15)),
        slow=True,
    ),
    "help": Row(
        work.command_line, (Goal("`prunekit --help`", most=0.4), Goal("what it imports of torch", "modules", most=0))
    ),
    "memory": Row(work.memory, (Goal("peak memory of a CIFAR-10 VGG16 trial", "GB", most=2.5),), ("cifar10",)),
    "epoch": Row(
        work.gpu_epoch,
        (
            Goal("VGG16 CIFAR-10 epoch, GPU, bfloat16", most=0.6),
            Goal(_SHARE, "%"),
            Goal("floor: matrix product, bfloat16, GPU", "GFLOP/s"),
        ),
        ("cifar10",),
        gpu=True,
    ),
    "paper": Row(
        work.paper,
        (Goal("`prunekit run paper`, one seed, GPU", ratio=20, most=600),),
        ("mnist", "cifar10", "cifar100"),
        gpu=True,
        slow=True,
    ),
}
