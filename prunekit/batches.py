"""Images on a device: kept there as uint8, augmented and normalised a batch at a time, with no per-image Python."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from .datasets import Transform


class Batches:
    """A split's images and labels on `device`, given out as normalised float32 batches in channels-last layout.

    `images` are uint8 [N, C, H, W] and `labels` int64 [N]. Random numbers are drawn on the CPU, an epoch at a time, so
    every device sees the same batches.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Transform, device: torch.device | str = "cpu"):
        self.labels = labels.to(device)
        self._size = tuple(images.shape[2:])
        border = self._border = transform.crop_padding
        # Black borders stand ready for the crops, before normalisation; channels come last, so a crop is one gather.
        self._images = F.pad(images, [border] * 4).permute(0, 2, 3, 1).contiguous().to(device)
        self._flip = transform.flip
        std = torch.tensor(transform.std, device=device)
        self._scale = 1 / (255 * std)
        self._shift = -torch.tensor(transform.mean, device=device) / std

    def __len__(self) -> int:
        return len(self.labels)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all (images, labels) as they stand, not augmented."""
        height, width = self._size
        top = self._border
        for start in range(0, len(self), batch_size):
            images = self._images[start : start + batch_size, top : top + height, top : top + width]
            yield self._normalised(images), self.labels[start : start + batch_size]

    def shuffled(self, batch_size: int, order: Generator, augmentation: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all (images, labels) in an order drawn from `order`, augmented from `augmentation`."""
        permutation = torch.randperm(len(self), generator=order).to(self.labels.device, non_blocking=True)
        rows, columns = self._windows(len(self), augmentation)
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            chosen = permutation[part]
            yield self._cropped(chosen, rows[part], columns[part]), self.labels[chosen]

    def sample(self, per_class: int, order: Generator, augmentation: Generator) -> tuple[Tensor, Tensor]:
        """Return `per_class` images of each class, augmented, and their labels, in an order drawn from `order`."""
        chosen = per_class_indices(self.labels.cpu(), per_class, order)
        rows, columns = self._windows(len(chosen), augmentation)
        chosen = chosen.to(self.labels.device)
        return self._cropped(chosen, rows, columns), self.labels[chosen]

    def _windows(self, count: int, augmentation: Generator) -> tuple[Tensor, Tensor]:
        """Return the rows [count, H] and columns [count, W] that each image's crop takes, flipped ones backwards."""
        height, width = self._size
        device = self.labels.device
        offsets = torch.randint(0, 2 * self._border + 1, (count, 2), generator=augmentation)
        rows = offsets[:, :1] + torch.arange(height)
        columns = offsets[:, 1:] + torch.arange(width)
        if self._flip:
            backwards = torch.rand(count, 1, generator=augmentation) < 0.5
            columns = torch.where(backwards, columns.flip(1), columns)
        return rows.to(device, non_blocking=True), columns.to(device, non_blocking=True)

    def _cropped(self, chosen: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        return self._normalised(self._images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]])

    def _normalised(self, images: Tensor) -> Tensor:
        return images.float().mul_(self._scale).add_(self._shift).permute(0, 3, 1, 2)


def per_class_indices(labels: Tensor, per_class: int, order: Generator) -> Tensor:
    """Return the positions of `per_class` random examples of each class (all it has, if fewer), in random order."""
    shuffled = torch.randperm(len(labels), generator=order)
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    sizes = labels.bincount()
    rank = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    chosen = by_class[rank < per_class]
    return chosen[torch.randperm(len(chosen), generator=order)]
