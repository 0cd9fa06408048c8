"""The data as pictures: Figure 1, and the images that both CIFARs have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from ..datasets.sources import Arrays
from . import formatting
from .figures import Figure

_SPLITS = {"train": "training", "test": "test"}


def classes(arrays: Arrays | None, dataset: str, per_class: int = 10) -> Figure | None:
    """Figure 1: ten random training images of each class (of each coarse class, where there are too many)."""
    if arrays is None:
        return None
    coarse = arrays.train.coarse_labels is not None
    labels = arrays.train.coarse_labels if arrays.train.coarse_labels is not None else arrays.train.labels
    names = arrays.coarse_classes if coarse else arrays.classes
    random = np.random.Generator(np.random.PCG64(0))
    chosen = np.array(
        [random.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in range(len(names))]
    )
    mosaic = _mosaic(arrays.train.images, chosen)
    drawing = Drawing(figsize=(5.0, 5.0 * mosaic.shape[0] / mosaic.shape[1]), layout="constrained")
    axes = drawing.subplots()
    axes.imshow(mosaic.squeeze(), cmap="gray" if mosaic.shape[2] == 1 else None, interpolation="none")
    step = mosaic.shape[0] / len(names)
    axes.set_yticks([step * (row + 0.5) for row in range(len(names))], names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    data = pd.DataFrame(
        [
            (
                names[row],
                column + 1,
                chosen[row, column],
                arrays.classes[arrays.train.labels[chosen[row, column]]],
            )
            for row, column in np.ndindex(chosen.shape)
        ],
        columns=["row", "position", "training image", "class"],
    )
    title = formatting.DATASETS[dataset]
    caption = f"{per_class} random training images of each of the {len(names)} classes of {title}."
    alt = f"A grid of {title} images, a row a class: {', '.join(names)}."
    return Figure("fig1_cifar10_classes", "Figure 1", caption, alt, data, drawing)


def shared(places: Sequence[Sequence[tuple[str, int]]], sources: dict[str, Arrays]) -> Figure:
    """The images that several datasets have, at the `places` (split, position) of each, with what each calls them."""
    drawing = Drawing(figsize=(7.2, 2.7), layout="constrained")
    rows = []
    panels = drawing.subplots(1, len(places), squeeze=False)[0]
    for number, (axes, image) in enumerate(zip(panels, places, strict=True), start=1):
        titles = []
        for (name, arrays), (split, position) in zip(sources.items(), image, strict=True):
            part = getattr(arrays, split)
            label = arrays.classes[part.labels[position]].replace("_", " ")
            rows.append((number, name, split, position, label))
            titles.append(f"{formatting.DATASETS[name]}, {_SPLITS[split]} image {position:,}:\n“{label}”")
        axes.imshow(part.images[position].transpose(1, 2, 0), interpolation="none")
        axes.set_title("\n".join(titles), fontsize=8)
        axes.set_axis_off()
    data = pd.DataFrame(rows, columns=["image", "dataset", "split", "position", "class"])
    names = " and ".join(formatting.DATASETS[name] for name in sources)
    called = "; ".join(data.groupby("image")["class"].agg(" and ".join))
    caption = f"The images that are, pixel by pixel, in both {names}, and what each calls them: {called}."
    alt = f"{len(places)} photographs."
    return Figure("finding7_shared_images", "Figure F7", caption, alt, data, drawing)


def _mosaic(images: np.ndarray, chosen: np.ndarray, gap: int = 2) -> np.ndarray:
    """Return one picture [H, W, C] of the images at `chosen` [rows, columns], on white."""
    rows, columns = chosen.shape
    _, channels, height, width = images.shape
    tiles = np.full((rows, columns, channels, height + gap, width + gap), 255, dtype=np.uint8)
    tiles[..., :height, :width] = images[chosen]
    return tiles.transpose(0, 3, 1, 4, 2).reshape(rows * (height + gap), columns * (width + gap), channels)
