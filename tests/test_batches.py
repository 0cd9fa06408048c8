"""Images a batch at a time: each image once, each crop a window of its original, pixels normalised."""

import pytest
import torch
from torch.nn import functional as F

from prunekit.batches import Batches, coarse_groups, per_class_indices, random_groups, slices
from prunekit.datasets import TRANSFORMS, Transform

MEAN, STD = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
PLAIN = Transform(MEAN, STD)
FLIPPED = Transform(MEAN, STD, flip=True)
CROPPED = Transform(MEAN, STD, crop_padding=2)
AUGMENTED = Transform(MEAN, STD, crop_padding=2, flip=True)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(count=40, height=6, width=5):
    return torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=seeded(9))


def numbered(images, transform):
    """Batches whose labels say which original each image is."""
    return Batches(images, torch.arange(len(images)), transform)


def epoch(batches, size=16, order=0, augmentation=0):
    """One epoch's images and labels, each in one tensor."""
    images, labels = zip(*batches.shuffled(size, seeded(order), seeded(augmentation)), strict=True)
    return torch.cat(images), torch.cat(labels)


def pixels(normalised):
    """Undo the normalisation: uint8 again."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((normalised * std + mean) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("transform", [PLAIN, AUGMENTED, TRANSFORMS["cifar10"]])
def test_in_order_is_the_normalised_originals(transform):
    images = random_images()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (transform.mean, transform.std))
    given, labels = zip(*numbered(images, transform).in_order(16), strict=True)
    assert [len(batch) for batch in given] == [16, 16, 8]
    torch.testing.assert_close(torch.cat(given), (images / 255 - mean) / std, rtol=1e-5, atol=1e-5)
    assert torch.cat(labels).tolist() == list(range(40))
    assert given[0].is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_shuffled_is_a_permutation():
    images = random_images()
    batches = numbered(images, PLAIN)
    shuffled, labels = epoch(batches)
    assert sorted(labels.tolist()) == list(range(40))
    assert labels.tolist() != list(range(40))
    assert torch.equal(pixels(shuffled), images[labels])


@pytest.mark.parametrize("transform", [PLAIN, FLIPPED, CROPPED, AUGMENTED])
def test_batches_are_channels_last_and_own_their_pixels(transform):
    batches = numbered(random_images(), transform)
    (images, _), *_ = batches.shuffled(16, seeded(), seeded())
    assert images.is_contiguous(memory_format=torch.channels_last)
    before = [given.clone() for given, _ in batches.in_order(16)]
    images.zero_()
    assert all(torch.equal(given, same) for (given, _), same in zip(batches.in_order(16), before, strict=True))


@pytest.mark.parametrize(("transform", "directions"), [(FLIPPED, 2), (CROPPED, 1), (AUGMENTED, 2)])
def test_augmented_images_are_windows_of_the_padded_original(transform, directions):
    """Every window, straight and mirrored, is searched; over some epochs each place is hit, mirrors half the time."""
    images = random_images()
    border, (height, width) = transform.crop_padding, images.shape[2:]
    padded = F.pad(images, [border] * 4)
    places = 2 * border + 1
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # [N, C, places, places, H, W]
    straight = windows.permute(0, 2, 3, 1, 4, 5)
    known = torch.stack([straight, straight.flip(-1)][:directions], 1).flatten(1, 3)
    hits = torch.zeros(directions * places * places, dtype=torch.int64)
    epochs = 10
    for seed in range(epochs):
        augmented, labels = epoch(numbered(images, transform), augmentation=seed)
        assert sorted(labels.tolist()) == list(range(40))
        matches = (pixels(augmented)[:, None] == known[labels]).flatten(2).all(2)
        assert (matches.sum(1) == 1).all()
        hits += matches.sum(0)
    assert hits.all()
    if directions == 2:
        mirrored = hits[places * places :].sum() / (40 * epochs)
        assert mirrored.item() == pytest.approx(0.5, abs=0.1)  # four standard errors


def test_generators_decide_order_and_augmentation_separately():
    batches = numbered(random_images(), AUGMENTED)
    images, labels = epoch(batches, order=1, augmentation=2)
    again, same_labels = epoch(batches, order=1, augmentation=2)
    assert torch.equal(images, again)
    assert torch.equal(labels, same_labels)
    other, still_same_labels = epoch(batches, order=1, augmentation=3)
    assert torch.equal(labels, still_same_labels)
    assert not torch.equal(images, other)
    assert not torch.equal(labels, epoch(batches, order=4, augmentation=2)[1])


def test_batch_size_changes_no_image():
    batches = numbered(random_images(), AUGMENTED)
    small, large = epoch(batches, size=7), epoch(batches, size=100)
    assert torch.equal(small[0], large[0])
    assert torch.equal(small[1], large[1])


def test_a_generator_goes_on_to_another_epoch():
    batches, order, augmentation = numbered(random_images(), PLAIN), seeded(), seeded()
    one, two = (
        torch.cat([labels for _, labels in batches.shuffled(16, order, augmentation)]).tolist() for _ in range(2)
    )
    assert one != two


def test_sample_takes_each_class_equally():
    images, labels = random_images(), torch.arange(40) % 4
    chosen, classes = Batches(images, labels, PLAIN).sample(3, seeded(1), seeded(2))
    assert classes.bincount().tolist() == [3] * 4
    for image, label in zip(pixels(chosen), classes, strict=True):
        assert any(torch.equal(image, original) for original in images[labels == label])


@pytest.mark.parametrize("per_class", [1, 3, 5, 100])
def test_per_class_indices(per_class):
    """Exactly so many of each class, or all that it has; none twice; a class without examples is no matter."""
    sizes = [5, 3, 0, 8]
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))[torch.randperm(16, generator=seeded())]
    chosen = per_class_indices(labels, per_class, seeded(1))
    assert labels[chosen].bincount(minlength=4).tolist() == [min(size, per_class) for size in sizes]
    assert len(chosen.unique()) == len(chosen)
    assert torch.equal(chosen, per_class_indices(labels, per_class, seeded(1)))
    assert per_class == 1 or not torch.equal(chosen, per_class_indices(labels, per_class, seeded(2)))


def test_per_class_indices_reach_every_example():
    labels = torch.arange(12) % 3
    picked = [per_class_indices(labels, 1, seeded(seed)) for seed in range(100)]
    assert torch.cat(picked).unique().tolist() == list(range(12))


@pytest.mark.parametrize(("classes", "count"), [(10, 2), (10, 3), (100, 20), (100, 100), (7, 7)])
def test_groups_partition_the_classes_evenly_and_each_seed_otherwise(classes, count):
    groups = random_groups(classes, count, seeded())
    assert groups.shape == (classes,)
    sizes = groups.bincount(minlength=count)
    assert len(sizes) == count and sizes.min() >= 1 and sizes.max() - sizes.min() <= 1
    assert torch.equal(groups, random_groups(classes, count, seeded()))
    assert not torch.equal(groups, random_groups(classes, count, seeded(1)))


@pytest.mark.parametrize("count", [0, 1, 11])
def test_groups_that_cannot_be_are_refused(count):
    with pytest.raises(ValueError, match=f"10 classes make 2 to 10 groups, not {count}"):
        random_groups(10, count, seeded())


def test_coarse_groups_are_read_from_the_images():
    labels, coarse = torch.tensor([2, 0, 1, 0, 3]), torch.tensor([1, 0, 1, 0, 0])
    assert coarse_groups(labels, coarse).tolist() == [0, 1, 1, 0]


def test_groups_change_labels_and_not_images():
    """Neither those of an epoch, nor which are drawn a class to score on."""
    images = random_images()
    labels, groups = torch.arange(40) % 4, torch.tensor([1, 0, 0, 1])
    fine = Batches(images, labels, AUGMENTED)
    grouped = fine.grouped(groups)
    for (x, y), (same, group) in (
        (epoch(fine), epoch(grouped)),
        (fine.sample(3, seeded(1), seeded(2)), grouped.sample(3, seeded(1), seeded(2))),
    ):
        assert torch.equal(x, same) and torch.equal(groups[y], group)
    assert len(grouped.sample(3, seeded(), seeded())[1]) == 12


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(7, 3, [3, 4]), (7, 2, [2, 2, 3]), (8, 3, [3, 3, 2]), (6, 3, [3, 3]), (3, 1, [1, 1, 1]), (1, 3, [1]), (0, 3, [])],
)
def test_a_last_image_alone_joins_the_batch_before_it(count, size, sizes):
    found = [range(count)[part] for part in slices(count, size)]
    assert [len(part) for part in found] == sizes
    assert [place for part in found for place in part] == list(range(count))


def test_every_way_through_the_images_gives_no_batch_of_one():
    images = torch.zeros(9, 1, 2, 2, dtype=torch.uint8)
    some = Batches(images, torch.arange(9) % 3, Transform((0.5,), (0.5,)))
    assert [len(labels) for _, labels in some.in_order(4)] == [4, 5]
    streams = torch.Generator(), torch.Generator()
    assert [len(labels) for _, labels in some.shuffled(2, *streams)] == [2, 2, 2, 3]
