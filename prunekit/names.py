"""What there is, by name: datasets, networks and pruners, with their classes and shapes, and how readers see them."""

from __future__ import annotations

from typing import NamedTuple

CIFAR100_SUPERCLASSES = {  # in the order of the coarse labels
    "aquatic mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit and vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household electrical devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large man-made outdoor things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large natural outdoor scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large omnivores and herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium-sized mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles 1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles 2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
_DIGITS = tuple("0123456789")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = tuple(sorted(fine for group in CIFAR100_SUPERCLASSES.values() for fine in group))


class DatasetInfo(NamedTuple):
    """A dataset: its name for readers, the shape of an image, its training and test images, its classes by label.

    `train_counts` and `test_counts`: how many images each class has, where they are not equally many.
    """

    title: str
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]
    coarse_classes: tuple[str, ...] = ()
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()


DATASETS = {
    "digits": DatasetInfo(
        "Digits", (3, 32, 32), 1_437, 360, _DIGITS, test_counts=(35, 36, 35, 37, 37, 37, 37, 36, 33, 37)
    ),
    "digit-pairs": DatasetInfo(
        title="Digit pairs",
        shape=(3, 32, 32),
        train=4_000,
        test=1_000,
        classes=tuple(f"{number:02d}" for number in range(100)),
        coarse_classes=tuple(f"{digit}x" for digit in range(10)),
    ),
    "mnist": DatasetInfo(
        title="MNIST",
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        classes=_DIGITS,
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
    "cifar10": DatasetInfo("CIFAR-10", (3, 32, 32), 50_000, 10_000, _CIFAR10),
    "cifar100": DatasetInfo("CIFAR-100", (3, 32, 32), 50_000, 10_000, _CIFAR100, tuple(CIFAR100_SUPERCLASSES)),
}
MODELS = {
    "fc": "FC",
    "conv": "CONV",
    "vgg11": "VGG11",
    "vgg13": "VGG13",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "vgg11_bn": "VGG11 with batch norm",
    "vgg13_bn": "VGG13 with batch norm",
    "vgg16_bn": "VGG16 with batch norm",
    "vgg19_bn": "VGG19 with batch norm",
    "resnet18": "ResNet-18",
    "resnet20": "ResNet-20",
}
PRUNERS = {  # in the order of the study's tables
    "synflow": "SynFlow",
    "magnitude": "Magnitude",
    "snip": "SNIP",
    "grasp": "GraSP",
    "random": "Random",
}
UNPRUNED = "none"  # the pruner that keeps all weights
BY_KIND = {"dataset": tuple(DATASETS), "model": tuple(MODELS), "pruner": (*PRUNERS, UNPRUNED)}  # by field of a trial


def title(kind: str, name: str) -> str:
    """Return how readers see a dataset, model or pruner: of a user's package.module:function, the function."""
    if kind == "dataset" and name in DATASETS:
        return DATASETS[name].title
    known = {"model": MODELS, "pruner": PRUNERS | {UNPRUNED: "Unpruned"}}.get(kind, {})
    return known.get(name) or name.rpartition(":")[2]


def compression(c: float) -> str:
    """Return a compression and the share of the weights that it keeps: 1 (10 % kept)."""
    return f"{c:g} ({share(c)} % kept)"


def share(c: float) -> str:
    """Return how much of the weights a compression keeps, in percent: 89, 10, 0.3."""
    kept = 100 * 10**-c
    return f"{kept:.0f}" if kept >= 9.5 else f"{kept:.1g}"


def listed(names: list[str]) -> str:
    """SynFlow, SNIP and GraSP; "" for none."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
