"""How the paper's tables can be read: as values of the records of our trials, as labelled first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...study.params import Section
from ...study.trial import Record
from .. import formatting

DESCRIBED_PRE_EPOCHS = 100  # of training before magnitude pruning, as the paper says
_FEWER_PRE_EPOCHS = 10  # as many as it trains after pruning
_MAGNITUDE = ("magnitude",)
_OTHERS = tuple(pruner for pruner in formatting.PRUNERS if pruner != "magnitude")


@dataclass(frozen=True)
class Reading:
    """One way to read a published table for some pruners: as a value of the records of a section's trials.

    `pre_epochs` are those that the trials must have had; `what` is empty for how the paper labels the table. One for
    magnitude pruning alone is of the trials "described" too, those trained before pruning or those that are not.
    """

    section: Section
    value: Callable[[Record], float | None]
    what: str = ""
    pruners: tuple[str, ...] = tuple(formatting.PRUNERS)
    pre_epochs: int = 0

    @property
    def of_magnitude(self) -> bool:
        return self.pruners == _MAGNITUDE


@dataclass(frozen=True)
class Part:
    """A published table: its readings (as labelled first), half a unit of its last digit, what its values rest on.

    A tolerance beyond `widest`, which may depend on the published number, decides nothing.
    """

    name: str
    number: str
    readings: tuple[Reading, ...]
    rounding: float
    widest: Callable[[float], float]
    trained: bool
    another_machine: bool = False


def _top1(record: Record) -> float | None:
    return record.top1


def _top5(record: Record) -> float | None:
    return record.top5


def _millions(record: Record) -> float | None:
    return None if record.flops_kept is None else record.flops_kept / 1e6


def _oddest_layer(record: Record) -> float:
    """The density of the layer furthest from that of all weights, in percent."""
    whole = sum(layer.kept for layer in record.layers) / sum(layer.total for layer in record.layers)
    return 100 * max((layer.kept / layer.total for layer in record.layers), key=lambda density: abs(density - whole))


def _all_parameters(record: Record) -> float | None:
    if not record.parameters or record.parameters_kept is None:
        return None
    return 100 * record.parameters_kept / record.parameters


def _accuracies(section: Section) -> tuple[Reading, ...]:
    return (
        Reading(section, _top1, "", _OTHERS),
        Reading(section, _top1, "", _MAGNITUDE, DESCRIBED_PRE_EPOCHS),
        Reading(section, _top1, "pruned at initialisation (Finding 2)", _MAGNITUDE),
        Reading(section, _top1, f"pruned after {_FEWER_PRE_EPOCHS} epochs (Finding 2)", _MAGNITUDE, _FEWER_PRE_EPOCHS),
        Reading(section, _top5, "a top-5 value (Finding 4)", _OTHERS),
        Reading(section, _top5, "a top-5 value (Finding 4)", _MAGNITUDE, DESCRIBED_PRE_EPOCHS),
        Reading(section, _top5, "a top-5 value, pruned at initialisation (Findings 2 and 4)", _MAGNITUDE),
    )


_FLOPS = (
    Reading("flops", _millions, "", _OTHERS),
    Reading("flops", _millions, "", _MAGNITUDE, DESCRIBED_PRE_EPOCHS),
    Reading("flops", _millions, "pruned at initialisation (Finding 2)", _MAGNITUDE),
)
_DENSITIES = (  # which do not depend on epochs before pruning
    Reading("layers", _oddest_layer),
    Reading("layers", _all_parameters, "the density of all parameters, biases included (Finding 6)"),
)
PARTS = (
    Part("table1_accuracy_by_dataset", "I", _accuracies("comparison"), 0.005, lambda _: 5, True),
    Part("table2_accuracy_by_compression", "II", _accuracies("sweep"), 0.005, lambda _: 5, True),
    Part("table3_time", "III", (Reading("timing", lambda r: r.trial_seconds),), 0.05, lambda n: n / 10, True, True),
    Part("table4_flops", "IV", _FLOPS, 0.05, lambda number: number / 5, False),
    Part("table5_layer_compression", "V", _DENSITIES, 0.005, lambda _: 5, False),
)
