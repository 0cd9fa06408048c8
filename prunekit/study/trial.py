"""What to do, a Trial, and what came out, its Record: plain data, read and written without torch."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

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
_Source = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")]
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**63)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=1_000_000)]  # no dataset has so many images
Epochs = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=1_000_000)]
HISTOGRAM_CENTRES = np.linspace(-1.49, 1.49, 150).round(2)  # of the bins of a record's histograms
SCHEMA_VERSION: Literal[5] = 5
_ONLY_TRAINED = ("optimizer", "learning_rate", "batch_size", "precision", "train_subset")
_ONLY_SHOWN_IMAGES = ("scoring_images_per_class", "scoring_batch_size")
_SEE_NO_IMAGES = {"random", "magnitude", "synflow", names.UNPRUNED}


class Trial(BaseModel):
    """One network to prune, train and measure.

    Its id is a digest of the fields that differ from their defaults, so a new field with a default changes no id.
    Fields that cannot matter take their defaults, so equal work has equal ids: what trains, of a trial that trains
    nothing (which scores on all training images), the schedule of one step, the images of a pruner that sees none.
    The pruner "none" keeps all weights, whatever the compression, which is then 0. Random pruning at compression 0 is
    the same trial: earlier versions wrote it so, and its id stays.
    `labels`: the dataset's own ("fine"), those of its coarse classes, or a number of groups of like size that the
    classes are put into at random, drawn from the seed's own stream; the images are the same. `control`: the mask
    "shuffled" within each layer, or all weights drawn anew ("reinitialised") beneath it, as Frankle et al. 2021
    (arXiv:2009.08576) did. `passes`: what zeros are worth is measured too, see `Record.passes`.
    `precision`: see `training.epochs`; "bfloat16" is that of some early records and is for comparing with them only.
    `timed`: it is run for its seconds, so by itself.
    `reaugmented`: the second of GraSP's two passes sees its images augmented anew, as the study's code has it.
    `dataset_source`, `model_source` and `pruner_source` tell the source of a user's own, and are found where they are
    not given, but for JSON: to read a record runs no code. Raises ValidationError, a ValueError, for what cannot be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: _Name
    model: _Name
    width: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    pruner: _Name
    compression: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
    seed: Seed = 0
    pre_epochs: Epochs = 0
    post_epochs: Epochs = 10
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    batch_size: Count = 256
    prune_steps: Count = 1
    schedule: Literal["exponential", "linear"] = "exponential"
    scope: Literal["global", "local"] = "global"
    scoring_images_per_class: Count = 10
    scoring_batch_size: Count = 256
    train_subset: Count | None = None
    precision: Literal["float32", "bf16-mixed", "bfloat16"] = "float32"
    reaugmented: bool = False
    labels: Annotated[str, BeforeValidator(str), AfterValidator(_grouping)] = "fine"
    control: Literal["none", "shuffled", "reinitialised"] = "none"
    passes: bool = False
    timed: bool = False
    dataset_source: _Source = ""
    model_source: _Source = ""
    pruner_source: _Source = ""

    @model_validator(mode="before")
    @classmethod
    def _unpruned(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        if fields.get("pruner") == names.UNPRUNED or (fields.get("pruner"), fields.get("compression")) == ("random", 0):
            return {**fields, "pruner": names.UNPRUNED, "compression": 0.0}
        return fields

    @model_validator(mode="after")
    def _has_the_sources(self, info: ValidationInfo) -> Self:
        for kind, ours in names.BY_KIND.items():
            name, field = getattr(self, kind), f"{kind}_source"
            if name in ours:
                self.__dict__[field] = ""
            elif not getattr(self, field) and info.mode == "json":
                raise ValueError(f"it lacks the source of its {kind}")
            elif not getattr(self, field):
                try:
                    self.__dict__[field] = plugins.digest(kind, name)
                except UserError as error:
                    raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _has_the_labels(self) -> Self:
        dataset = names.DATASETS.get(self.dataset)
        if dataset and self.labels == "coarse" and not dataset.coarse_classes:
            raise ValueError(f"labels: {self.dataset} has no coarse classes; choose fine, or a number of groups")
        if dataset and self.labels.isdigit() and int(self.labels) >= (classes := len(dataset.classes)):
            if int(self.labels) > classes:
                raise ValueError(f"labels: {self.dataset} has {classes} classes, which make no {self.labels} groups")
            self.__dict__["labels"] = "fine"  # a group a class
        return self

    @model_validator(mode="after")
    def _one_value_where_none_matters(self) -> Self:
        idle: tuple[str, ...] = () if self.pre_epochs or self.post_epochs else _ONLY_TRAINED
        idle += _ONLY_SHOWN_IMAGES if self.pruner in _SEE_NO_IMAGES else ()
        idle += ("prune_steps", "schedule", "scope") if self.pruner == names.UNPRUNED else ()
        idle += ("schedule",) if self.prune_steps == 1 else ()
        idle += ("reaugmented",) if self.pruner != "grasp" else ()
        self.__dict__.update({name: type(self).model_fields[name].default for name in idle})
        return self

    @property
    def id(self) -> str:
        fields = self.model_dump(exclude_defaults=True)
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
    trained network takes a test image, see `metrics.latency`. `passes` are those that it takes in a batch of ten, by
    form: masked, compacted (`compaction`), csr (`sparse`); `flops_compacted` are the FLOPs of the compacted one.
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
    passes: dict[str, float] = {}
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
