"""Images on a device: kept there as uint8, augmented and normalised a batch at a time, with no per-image Python."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from .datasets import Transform


class Batches:
    """A split's images and labels on `device`, given out as normalised float32 batches in channels-last layout.

    `images` are uint8 [N, C, H, W] and `labels` int64 [N]. Random numbers are drawn on the CPU, an epoch at a time, so
    every device sees the same batches.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Transform, device: torch.device | str = "cpu"):
        self.labels = labels.to(device)
        self._classes = labels.cpu()
        count, channels, height, width = images.shape
        self._border, self._flip, self._augments = transform.crop_padding, transform.flip, transform.augments
        # Channels come last, so a pixel is one gather; after all others a black one, for what crops show of no image.
        pixels = images.new_zeros(count * height * width + 1, channels)
        pixels[:-1].view(count, height, width, channels).copy_(images.permute(0, 2, 3, 1))
        self._pixels = pixels.to(device)
        self._images = self._pixels[:-1].view(count, height, width, channels)
        std = torch.tensor(transform.std, device=device)
        self._scale = 1 / (255 * std)
        self._shift = -torch.tensor(transform.mean, device=device) / std

    def __len__(self) -> int:
        return len(self.labels)

    def grouped(self, groups: Tensor) -> Batches:
        """Return the same images with their classes' `groups`, int64 [classes], for labels; samples stay a class's."""
        other = copy.copy(self)
        other.labels = groups[self._classes].to(self.labels.device)
        return other

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all (images, labels) as they stand, not augmented."""
        for part in slices(len(self), batch_size):
            yield self._normalised(self._images[part]), self.labels[part]

    def shuffled(self, batch_size: int, order: Generator, augmentation: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all (images, labels) in an order drawn from `order`, augmented from `augmentation`."""
        permutation = torch.randperm(len(self), generator=order).to(self.labels.device, non_blocking=True)
        rows, columns = self._windows(len(self), augmentation)
        for part in slices(len(self), batch_size):
            chosen = permutation[part]
            yield self._augmented(chosen, rows[part], columns[part]), self.labels[chosen]

    def sample(self, per_class: int, order: Generator, augmentation: Generator) -> tuple[Tensor, Tensor]:
        """Return `per_class` images of each class, augmented, and their labels, in an order drawn from `order`."""
        chosen = per_class_indices(self._classes, per_class, order)
        rows, columns = self._windows(len(chosen), augmentation)
        chosen = chosen.to(self.labels.device)
        return self._augmented(chosen, rows, columns), self.labels[chosen]

    def _windows(self, count: int, augmentation: Generator) -> tuple[Tensor, Tensor]:
        """Return the rows [count, H] and columns [count, W] that each image's crop takes, flipped ones backwards.

        Those of the border lie below 0, or at H or W and above.
        """
        _, height, width, _ = self._images.shape
        device = self.labels.device
        offsets = torch.randint(0, 2 * self._border + 1, (count, 2), generator=augmentation) - self._border
        offsets = offsets.to(device, non_blocking=True)
        rows = offsets[:, :1] + torch.arange(height, device=device)
        columns = offsets[:, 1:] + torch.arange(width, device=device)
        if self._flip:
            backwards = (torch.rand(count, 1, generator=augmentation) < 0.5).to(device, non_blocking=True)
            columns = torch.where(backwards, columns.flip(1), columns)
        return rows, columns

    def _augmented(self, chosen: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        if not self._augments:
            return self._normalised(self._images.index_select(0, chosen))
        _, height, width, channels = self._images.shape
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
        pixels = (chosen[:, None] * height + rows)[:, :, None] * width + columns[:, None]
        black = len(self._pixels) - 1
        windows = self._pixels.index_select(0, torch.where(inside, pixels, black).flatten())
        return self._normalised(windows.view(len(chosen), height, width, channels))

    def _normalised(self, images: Tensor) -> Tensor:
        return (images * self._scale).add_(self._shift).permute(0, 3, 1, 2)


def slices(count: int, batch_size: int) -> list[slice]:
    """Return the slices of consecutive batches of `count` images.

    A final batch of one image, which batch norm cannot train on, is merged into the one before, unless batch_size is 1.
    """
    starts = [*range(0, count, batch_size), count]
    if batch_size > 1 < len(starts) - 1 and count % batch_size == 1:
        del starts[-2]
    return [slice(*ends) for ends in itertools.pairwise(starts)]


def stream(seed: int, name: str) -> Generator:
    """Return the CPU generator of the named random stream: each stage has its own, so none disturbs another."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7]))


def groups_of_seed(classes: int, count: int, seed: int) -> Tensor:
    """Return the groups of `random_groups` that the trials of a seed have for labels."""
    return random_groups(classes, count, stream(seed, "labels"))


def random_groups(classes: int, count: int, order: Generator) -> Tensor:
    """Return the group of each class, int64 [classes]: `count` groups, drawn from `order`, of sizes at most one apart.

    Raises ValueError for fewer than two groups, and for more than there are classes.
    """
    if not 2 <= count <= classes:
        raise ValueError(f"{classes} classes make 2 to {classes} groups, not {count}")
    return torch.randperm(classes, generator=order) % count


def coarse_groups(labels: Tensor, coarse_labels: Tensor) -> Tensor:
    """Return the coarse class of each class, int64 [classes], from the images' labels and coarse labels, int64 [N]."""
    return torch.zeros(int(labels.max()) + 1, dtype=torch.int64).scatter_(0, labels, coarse_labels)


def per_class_indices(labels: Tensor, per_class: int, order: Generator) -> Tensor:
    """Return the positions of `per_class` random examples of each class (all it has, if fewer), in random order."""
    shuffled = torch.randperm(len(labels), generator=order)
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    sizes = labels.bincount()
    rank = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    chosen = by_class[rank < per_class]
    return chosen[torch.randperm(len(chosen), generator=order)]
