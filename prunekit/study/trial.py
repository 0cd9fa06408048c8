"""What to do, a Trial, and what came out, its Record: plain data, read and written without torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .. import names, plugins
from ..errors import UserError, safe_repr


def _whole(value: Any) -> Any:
    """1 for 1.0, which is how some tools write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _grouping(labels: str) -> str:
    if not re.fullmatch(r"fine|coarse|[2-9]|[1-9]\d{1,5}", labels):
        raise ValueError(f"must be fine, coarse, or a number of groups from 2 on, not {safe_repr(labels)}")
    return labels


_Name = Annotated[str, Field(max_length=80)]
_Source = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$", validate_default=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_whole)]  # no dataset has so many images
Epochs = Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_whole)]
HISTOGRAM_CENTRES = np.linspace(-1.49, 1.49, 150).round(2)  # of the bins of a record's histograms
SCHEMA_VERSION: Literal[5] = 5
_SEE_NO_IMAGES = {"random", "magnitude", "synflow", names.UNPRUNED}
_Fields = dict[str, Any]


def _is_trained(fields: _Fields) -> bool:
    return bool(fields.get("pre_epochs", 1) or fields.get("post_epochs", 1))  # one that is not there was refused


def _is_pruned(fields: _Fields) -> bool:
    return fields.get("pruner") != names.UNPRUNED


def _sees_images(fields: _Fields) -> bool:
    return fields.get("pruner") not in _SEE_NO_IMAGES


_MATTERS: dict[str, Callable[[_Fields], bool]] = {  # when a field matters, by the fields before it
    **dict.fromkeys(["optimizer", "learning_rate", "batch_size", "precision", "train_subset"], _is_trained),
    **dict.fromkeys(["weight_decay", "lr_drops", "warmup_epochs"], _is_trained),
    "nesterov": lambda fields: fields.get("optimizer") == "sgd",
    "lr_factor": lambda fields: bool(fields.get("lr_drops")),
    **dict.fromkeys(["prune_steps", "scope"], _is_pruned),
    "schedule": lambda fields: fields.get("prune_steps") != 1,
    **dict.fromkeys(["scoring_images_per_class", "scoring_batch_size"], _sees_images),
    "reaugmented": lambda fields: fields.get("pruner") == "grasp",
}


def _ascending(drops: str) -> str:
    """The numbers of epochs in the one way that has an id: "60, 120"."""
    numbers = [part.strip() for part in drops.split(",")] if drops else []
    if not all(re.fullmatch("[1-9][0-9]{0,5}", one) for one in numbers):
        raise ValueError(f'must be numbers of epochs, as "60, 120", not {safe_repr(drops)}')
    if (epochs := [int(one) for one in numbers]) != sorted(set(epochs)):
        raise ValueError(f"must rise, not {safe_repr(drops)}")
    return ", ".join(numbers)


class Trial(BaseModel):
    """One network to prune, train and measure.

    Its id is a digest of the fields that differ from their defaults, so a new field with a default changes no id.
    Fields that cannot matter take their defaults, so that equal work has equal ids. Raises ValidationError, a
    ValueError, for what cannot be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: Annotated[_Name, Field(description="its name, or package.module:function of your own")]
    model: Annotated[_Name, Field(description="its name, or package.module:function of your own")]
    width: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="factor on every layer's width")] = 1.0
    pruner: Annotated[
        _Name, Field(description="its name, or package.module:function of your own; none: all weights are kept")
    ]
    compression: Annotated[
        float, Field(ge=0, le=10, allow_inf_nan=False, description="c: the share 10^-c of the weights is kept")
    ]
    seed: Annotated[Seed, Field(description="draws initial weights, order of images, augmentation, labels, ties")] = 0
    pre_epochs: Annotated[Epochs, Field(description="epochs of training before pruning")] = 0
    post_epochs: Annotated[Epochs, Field(description="epochs of training after pruning")] = 10
    optimizer: Annotated[Literal["adam", "sgd"], Field(description="sgd has a momentum of 0.9")] = "adam"
    learning_rate: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="constant but for drops and warm-up")
    ] = 1e-3
    batch_size: Annotated[Count, Field(description="training images in a step")] = 256
    prune_steps: Annotated[Count, Field(description="times to score and prune; 1: one-shot")] = 1
    schedule: Annotated[
        Literal["exponential", "linear"], Field(description="how the density falls from step to step")
    ] = "exponential"
    scope: Annotated[
        Literal["global", "local"], Field(description="scores are compared in the whole network, or within each layer")
    ] = "global"
    scoring_images_per_class: Annotated[Count, Field(description="training images of each class that pruners see")] = 10
    scoring_batch_size: Annotated[Count, Field(description="images that are scored at once")] = 256
    train_subset: Annotated[
        Count | None, Field(description="training images, evenly from all classes; null: all of them")
    ] = None
    precision: Annotated[
        Literal["float32", "bf16-mixed", "bfloat16"],
        Field(description="of products; bfloat16 (loss too) is that of some early records, for comparisons only"),
    ] = "float32"
    reaugmented: Annotated[
        bool, Field(description="GraSP's second pass sees its images augmented anew, as in the study's code")
    ] = False
    labels: Annotated[
        str,
        BeforeValidator(str),
        AfterValidator(_grouping),
        Field(description="fine, coarse, or a number: as many random groups of classes, drawn from the seed"),
    ] = "fine"
    control: Annotated[
        Literal["none", "shuffled", "reinitialised"],
        Field(description="masks shuffled within layers, or weights drawn anew (arXiv:2009.08576)"),
    ] = "none"
    weight_decay: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="times the weights, added to their slopes, of adam's too")
    ] = 0.0
    nesterov: Annotated[bool, Field(description="Nesterov's momentum, of sgd")] = False
    lr_drops: Annotated[
        str,
        BeforeValidator(str),
        AfterValidator(_ascending),
        Field(description='epochs after which the learning rate falls, as "60, 120"; counted anew after pruning'),
    ] = ""
    lr_factor: Annotated[float, Field(gt=0, lt=1, description="of the learning rate at each drop")] = 0.1
    warmup_epochs: Annotated[Epochs, Field(description="over which the learning rate rises, step by step")] = 0
    measure_speedup: bool = Field(
        False,
        description="times the network masked and without its dead channels",
        validation_alias=AliasChoices("measure_speedup", "passes"),
        serialization_alias="passes",  # as it was called before, so that ids stay
    )
    timed: Annotated[bool, Field(description="run for its seconds, so while no other trial runs")] = False
    dataset_source: Annotated[_Source, Field(description="digest of a dataset of your own")] = ""
    model_source: Annotated[_Source, Field(description="digest of a network of your own")] = ""
    pruner_source: Annotated[_Source, Field(description="digest of a pruner of your own")] = ""

    @model_validator(mode="before")
    @classmethod
    def _unpruned(cls, fields: Any) -> Any:
        """Random pruning at compression 0 is the unpruned network: earlier versions wrote it so, and its id stays."""
        if not isinstance(fields, dict):
            return fields
        if fields.get("pruner") == names.UNPRUNED or (fields.get("pruner"), fields.get("compression")) == ("random", 0):
            return {**fields, "pruner": names.UNPRUNED, "compression": 0.0}
        return fields

    @field_validator(*_MATTERS)
    @classmethod
    def _takes_its_default_where_it_cannot_matter(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name
        return value if _MATTERS[info.field_name](info.data) else cls.model_fields[info.field_name].default

    @field_validator("labels")
    @classmethod
    def _has_the_labels(cls, labels: str, info: ValidationInfo) -> str:
        dataset = names.DATASETS.get(info.data.get("dataset", ""))
        if dataset and labels == "coarse" and not dataset.coarse_classes:
            raise ValueError(f"{info.data['dataset']} has no coarse classes; choose fine, or a number of groups")
        if dataset and labels.isdigit() and int(labels) >= (classes := len(dataset.classes)):
            if int(labels) > classes:
                raise ValueError(f"{info.data['dataset']} has {classes} classes, which make no {labels} groups")
            return "fine"  # one class per group
        return labels

    @field_validator("dataset_source", "model_source", "pruner_source")
    @classmethod
    def _has_its_source(cls, source: str, info: ValidationInfo) -> str:
        kind = str(info.field_name).removesuffix("_source")
        name = info.data.get(kind)
        if name is None or name in names.BY_KIND[kind]:
            return ""
        if not source and info.mode == "json":  # to read a record runs no code
            raise ValueError(f"it lacks the source of its {kind}")
        try:
            return source or plugins.digest(kind, name)
        except UserError as error:
            raise ValueError(str(error)) from None

    @property
    def id(self) -> str:
        fields = self.model_dump(exclude_defaults=True, by_alias=True)
        if self.pruner == names.UNPRUNED:
            fields["pruner"] = "random"
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def sources(self) -> dict[tuple[str, str], str]:
        """What it has of the user's own, as (kind, name), and the source of each."""
        found = {(kind, getattr(self, kind)): getattr(self, f"{kind}_source") for kind in names.BY_KIND}
        return {key: source for key, source in found.items() if source}

    def check_sources(self) -> None:
        """Raise UserError if something of the user's own was edited since the trial was made."""
        for (kind, name), source in self.sources.items():
            if plugins.digest(kind, name) != source:
                raise UserError(f"{kind} {name} was edited after its trials were made; make them again")

    @property
    def density(self) -> float:
        """The share of weights to keep: 10^-compression."""
        return 10**-self.compression

    @property
    def label(self) -> str:
        more = "" if self.labels == "fine" else f", {self.labels} labels"
        more += "" if self.control == "none" else f", {self.control}"
        pruned = "unpruned" if self.pruner == names.UNPRUNED else f"{self.pruner} c={self.compression:g}"
        return f"{self.dataset}/{self.model} {pruned} seed={self.seed}{more}"


class Epoch(BaseModel):
    """One row of a learning curve: losses in nats, accuracies in percent."""

    epoch: int
    train_loss: float
    train_seconds: float
    test_loss: float
    top1: float
    top5: float
    test_seconds: float


class Layer(BaseModel):
    """A prunable layer after pruning; FLOPs for one image; `histogram` counts kept weights at the trial's end."""

    name: str
    total: int
    kept: int
    effective: int
    channels: int
    dead_channels: int
    zero_scores: int | None = None
    flops: int
    flops_kept: int
    histogram: list[int]


class Record(BaseModel):
    """What came out of a trial. Accuracies in percent, None where nothing was trained; times in seconds.

    `signal` tells how much the pruned network's logits depend on the image before it is trained, `dense_signal` the
    same of the unpruned one: see `metrics.signal`; None where a logit overflowed. `tied_scores` is the share of scores
    that are equal to the most common one; None after several steps. `latency` is the seconds that the
    trained network takes a test image, see `metrics.latency`. `latency_by_form` is the same in a batch of ten: masked
    and compacted (`compaction`), in earlier records csr too; `flops_compacted` are the FLOPs of the compacted one.
    `peak_memory` is in bytes by stage, of the whole process on a CPU; without the stages where it is unknown.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[5] = SCHEMA_VERSION
    id: str
    trial: Trial
    status: Literal["ok", "failed"]
    error: str | None = None
    top1: float | None = None
    top5: float | None = None
    pre_curve: list[Epoch] = []
    curve: list[Epoch] = []
    density: float | None = None
    effective_density: float | None = None
    collapsed: bool | None = None
    signal: float | None = None
    dense_signal: float | None = None
    tied_scores: float | None = None
    flops: int | None = None
    flops_kept: int | None = None
    parameters: int | None = None
    parameters_kept: int | None = None
    layers: list[Layer] = []
    seconds: dict[str, float] = {}
    peak_memory: dict[str, int] = {}
    latency: float | None = None
    flops_compacted: int | None = None
    latency_by_form: Annotated[
        dict[str, float],
        Field(validation_alias=AliasChoices("latency_by_form", "passes"), serialization_alias="passes"),
    ] = {}
    where: dict[str, str | int | None] = {}
    finished: datetime

    @property
    def together(self) -> int:
        """How many trials trained side by side and shared their seconds."""
        return int(self.where.get("together") or 1)

    @property
    def alone(self) -> bool:
        """Whether no other trial ran beside it, in its own process or another of its run."""
        return self.where.get("workers") == 1 and self.together == 1

    @property
    def threads(self) -> int:
        """How many threads it computed in on a processor; 0 where that is not known."""
        return int(self.where.get("threads") or 0)

    @property
    def machine(self) -> str:
        """What seconds depend on: the GPU, or the processor and how many cores it has."""
        return str(self.where.get("gpu") or f"{self.where.get('cpu')}, {self.where.get('cores')} cores")

    @property
    def trial_seconds(self) -> float:
        """What the study timed: training, scoring, pruning and testing, without loading data or our own measuring."""
        return sum(self.seconds.get(stage, 0.0) for stage in ("pretrain", "score", "train", "test"))


def failed(trial: Trial, error: str, where: dict[str, Any]) -> Record:
    """Return the record of a trial that came to nothing, with the error in one line."""
    return Record(id=trial.id, trial=trial, status="failed", error=error, where=where, finished=datetime.now(UTC))
