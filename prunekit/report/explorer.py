"""Sliders and menus in a notebook: what pruners do to a network at initialisation, seen at once."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets
from pydantic import ValidationError

from .. import plugins
from ..errors import UserError, describe, safe_repr
from ..names import BY_KIND
from ..study.artifacts import Artifacts
from ..study.trial import Trial
from ..study.worker import failure_summary
from . import formatting, look
from .figures import Figure
from .table import Table

_WIDTHS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_KINDS = {"dataset": "Data", "model": "Network", "pruner": "Pruner", "beside": "beside"}
_ROWS = (("dataset", "model", "width"), ("pruner", "beside", "seed"), ("compression",))
_TOO_FAR = 3.0  # the slider's last compression
_SCORED = 100  # images, by which the slowest answers soon
_TRAINED = {"learning_rate": 3e-3, "batch_size": 32}  # by which small networks learn digits in an epoch or two


class Explorer:
    """Two pruners beside each other on one network: shown last in a cell, it is menus, a slider and what they choose.

    Scores are computed from a hundred images, or one a class. `table` and `figure` give the same without menus; `offer`
    adds a pruner, network or dataset of your own to a menu. Raises UserError for an unknown name or a wrong value.
    """

    def __init__(
        self,
        dataset: str = "digits",
        model: str = "vgg11",
        width: float = 0.25,
        pruner: str = "synflow",
        beside: str = "snip",
        compression: float = 1.0,
        seed: int = 0,
    ):
        self._shared = Artifacts(), Artifacts()  # one a side: each holds the scores of its own pruner
        chosen = {"dataset": dataset, "model": model, "pruner": pruner, "beside": beside}
        try:  # before a slider makes it fit
            Trial(dataset=dataset, model=model, width=width, pruner=pruner, compression=compression, seed=seed)
        except ValidationError as error:
            raise UserError(describe(error, list(Trial.model_fields))) from None
        self._menus = {
            key: widgets.Dropdown(options=_offered(key, name), value=name, description=_KINDS[key])
            for key, name in chosen.items()
        }
        sizes = sorted({*_WIDTHS, width})
        self._menus["width"] = widgets.Dropdown(
            options=[(f"{size:g}", size) for size in sizes], value=width, description="Width"
        )
        self._menus["compression"] = widgets.FloatSlider(
            compression,
            min=0,
            max=max(_TOO_FAR, compression),
            step=0.05,
            description="Compression",
            continuous_update=False,
        )
        self._menus["compression"].style.description_width = "initial"
        self._menus["seed"] = widgets.BoundedIntText(seed, min=0, max=max(10**6, seed), description="Seed")
        self._epochs = widgets.IntSlider(2, min=1, max=10, description="Epochs", continuous_update=False)
        self._button = widgets.Button(description="Train both", button_style="primary")
        self._bar = widgets.IntProgress(0, 0, 1, layout={"visibility": "hidden"})
        self._said, self._kept, self._learnt = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._drawn, self._caption = widgets.Image(format="png"), widgets.HTML()
        for menu in self._menus.values():
            menu.observe(self._changed, "value")
        self._button.on_click(lambda _: self._pressed())
        self._looks: list[look.Look] = []
        self._look()

    def table(self) -> Table:
        """Return what the two pruners keep of each layer."""
        return look.table(self._look())

    def figure(self) -> Figure:
        """Return the density of each layer, and the scores' distributions with their thresholds."""
        return look.figure(self._look())

    def train(self, epochs: int = 2) -> Table:
        """Train both networks and return their accuracies after each epoch."""
        *_, last = look.learning(self._look(epochs), self._shared[0])
        return last

    def offer(self, name: str, kind: str = "pruner") -> None:
        """Add one of your own, registered or named as package.module:function, to its menu, and choose it.

        A pruner is chosen beside the other. Raises UserError if it is not known.
        """
        if kind not in BY_KIND:
            raise UserError(f"{safe_repr(kind)} is no kind; choose from {', '.join(BY_KIND)}")
        key = "beside" if kind == "pruner" else kind
        for other in ("pruner", "beside") if kind == "pruner" else (key,):
            menu = self._menus[other]
            if name not in dict(menu.options).values():
                chosen, added = menu.value, (_written(kind, plugins.check(kind, name)), name)
                menu.unobserve(self._changed, "value")  # new options choose the first
                menu.options, menu.value = [*menu.options, added], chosen
                menu.observe(self._changed, "value")
        self._menus[key].value = name
        self._changed()  # even if it was chosen: its source may be another

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        self._changed()
        row = widgets.HBox
        controls = [row([self._menus[key] for key in keys]) for keys in _ROWS]
        training = row([self._epochs, self._button, self._bar])
        box = widgets.VBox([*controls, self._said, self._drawn, self._caption, self._kept, training, self._learnt])
        bundle: dict[str, Any] = box._repr_mimebundle_()
        return bundle | {"text/plain": "Menus and sliders: run this notebook to have them."}

    def _trials(self, epochs: int = 0) -> list[Trial]:
        """Return the two trials that are chosen; raises UserError for what cannot be."""
        chosen = {key: menu.value for key, menu in self._menus.items()}
        sides = dict.fromkeys((chosen.pop("pruner"), chosen.pop("beside")))
        try:
            chosen |= _TRAINED | {"post_epochs": epochs}
            data, _ = self._shared[0].data(Trial(**chosen, pruner="random"))
            chosen["scoring_images_per_class"] = max(1, _SCORED // data.num_classes)
            return [Trial(**chosen, pruner=side) for side in sides]
        except ValidationError as error:
            raise UserError(describe(error, list(Trial.model_fields))) from None

    def _look(self, epochs: int = 0) -> list[look.Look]:
        trials = self._trials(epochs)
        if [one.trial for one in self._looks] != trials:
            self._looks = [look.look(trial, shared) for trial, shared in zip(trials, self._shared, strict=False)]
        return self._looks

    def _changed(self, _: Any = None) -> None:
        """Show what is chosen."""
        with self._told():
            figure = self.figure()._repr_mimebundle_()
            self._drawn.value, self._caption.value = figure["image/png"], html.escape(figure["text/plain"])
            self._kept.value = _html(self.table())

    def _pressed(self) -> None:
        """Train, and show accuracies as they come."""
        with self._told():
            looks = self._look(self._epochs.value)
            self._bar.value, self._bar.max = 0, len(looks) * self._epochs.value
            self._bar.layout.visibility = "visible"
            for table in look.learning(looks, self._shared[0]):
                self._bar.value += 1
                self._learnt.value = _html(table)
        self._bar.layout.visibility = "hidden"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say that something is under way, and in one line what came of it if it failed."""
        self._said.value = "<em>one moment …</em>"
        try:
            yield
            self._said.value = ""
        except Exception as error:  # there is no other place where it would be seen
            self._said.value = f"<b>{html.escape(failure_summary(error))}</b>"


def _html(table: Table) -> str:
    """As JupyterLab shows tables elsewhere."""
    return f'<div class="jp-RenderedHTMLCommon">{table._repr_mimebundle_()["text/html"]}</div>'


def _offered(key: str, name: str) -> list[tuple[str, str]]:
    kind = "pruner" if key == "beside" else key
    return [(_written(kind, one), one) for one in dict.fromkeys([*BY_KIND[kind], plugins.check(kind, name)])]


def _written(kind: str, name: str) -> str:
    return {
        "dataset": formatting.DATASETS.__getitem__,
        "model": formatting.model,
        "pruner": formatting.PRUNERS.__getitem__,
    }[kind](name)
