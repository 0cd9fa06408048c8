"""The straightforward way, as courses teach it: what benchmarks/run.py measures prunekit against.

The study's mathematics (same networks, pruners, counts and protocol) in the usual engineering: PIL images and
torchvision's transforms behind a DataLoader, layers that multiply their mask in the forward pass, torch's default Adam
and memory format, everything scored and trained again for each cell. It shares no code with prunekit;
tests/test_benchmarks.py shows that both compute the same.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

Loader = Iterable[tuple[Tensor, Tensor]]
Shape = tuple[int, int, int]  # channels, height, width
VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512]


class Images(Dataset):
    """Images as torchvision's datasets hold them: an array [N, H, W, C], a PIL image made of it at each access."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Callable):
        self.data = np.ascontiguousarray(images.transpose(0, 2, 3, 1))  # from [N, C, H, W]
        if self.data.shape[-1] == 1:
            self.data = self.data[..., 0]  # a grey picture
        self.targets = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


@dataclass(frozen=True)
class Data:
    """What a script makes at its top: the two splits, augmented and not."""

    train: Images
    test: Images
    image_shape: Shape
    num_classes: int


def data(arrays: Any, recipe: Any) -> Data:
    """Return `arrays` (train and test, each with images uint8 [N, C, H, W] and labels) transformed by a `recipe`.

    The recipe has mean and std a channel, crop_padding in pixels (0: no crop) and flip.
    """
    shape = arrays.train.images.shape[1:]
    normalise = [transforms.ToTensor(), transforms.Normalize(recipe.mean, recipe.std)]
    augment: list[Callable] = []
    if recipe.crop_padding:
        augment.append(transforms.RandomCrop(shape[1], recipe.crop_padding))
    if recipe.flip:
        augment.append(transforms.RandomHorizontalFlip())
    train = Images(arrays.train.images, arrays.train.labels, transforms.Compose(augment + normalise))
    test = Images(arrays.test.images, arrays.test.labels, transforms.Compose(normalise))
    return Data(train, test, shape, len(arrays.classes))


def loader(images: Dataset, device: str, batch_size: int = 256, shuffle: bool = False) -> DataLoader:
    """Return a loader with the settings of PyTorch's own examples: workers beside a GPU, none beside a CPU.

    On two cores, workers make the training of `fc` on MNIST slower, not faster: they take the cores that it runs on.
    """
    beside_gpu = {} if device == "cpu" else {"num_workers": 4, "pin_memory": True}
    return DataLoader(images, batch_size, shuffle, **beside_gpu)


def scoring_images(images: Images, per_class: int) -> Subset:
    """Return `per_class` random images of each class."""
    labels = torch.tensor(images.targets)
    chosen = []
    for one in labels.unique():
        members = (labels == one).nonzero().squeeze(1)
        chosen += members[torch.randperm(len(members))[:per_class]].tolist()
    return Subset(images, chosen)


class Linear(nn.Linear):
    """A linear layer whose weight is multiplied by a mask whenever it is used."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class Conv2d(nn.Conv2d):
    """A 3x3 convolution whose weight is multiplied by a mask whenever it is used."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, kernel_size=3, padding=1)
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=1)


def fc(inputs: int, classes: int) -> nn.Sequential:
    """Five hidden layers of 100 units, torch's default initialisation."""
    layers: list[nn.Module] = [nn.Flatten()]
    for _ in range(5):
        layers += [Linear(inputs, 100), nn.ReLU()]
        inputs = 100
    return nn.Sequential(*layers, Linear(inputs, classes))


def vgg16(classes: int) -> nn.Sequential:
    """VGG16 for 32x32 colour images, Kaiming-normal weights and zero biases."""
    layers: list[nn.Module] = []
    channels = 3
    for item in VGG16:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [Conv2d(channels, item), nn.ReLU()]
            channels = item
    net = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), Linear(channels, classes))
    for layer in masked_layers(net):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    return net


def masked_layers(net: nn.Module) -> list[Linear | Conv2d]:
    return [module for module in net.modules() if isinstance(module, (Linear, Conv2d))]


# The pruners: a score a weight, the highest are kept


def random(net: nn.Module, loader: Loader, image_shape: Shape) -> list[Tensor]:
    return [torch.randn_like(layer.weight) for layer in masked_layers(net)]


def magnitude(net: nn.Module, loader: Loader, image_shape: Shape) -> list[Tensor]:
    return [layer.weight.detach().abs() for layer in masked_layers(net)]


def snip(net: nn.Module, loader: Loader, image_shape: Shape) -> list[Tensor]:
    """|w dL/dw| over the sum of all."""
    device = next(net.parameters()).device
    net.zero_grad()
    for images, labels in loader:
        F.cross_entropy(net(images.to(device)), labels.to(device)).backward()
    scores = [(layer.weight.detach() * layer.weight.grad).abs() for layer in masked_layers(net)]
    total = torch.cat([score.flatten() for score in scores]).sum()
    return [score / total for score in scores]


def grasp(net: nn.Module, loader: Loader, image_shape: Shape) -> list[Tensor]:
    """w (H g) over |the sum of all|, at temperature 200."""
    device = next(net.parameters()).device
    weights = [layer.weight for layer in masked_layers(net)]
    first = [torch.zeros_like(weight) for weight in weights]
    for images, labels in loader:
        loss = F.cross_entropy(net(images.to(device)) / 200, labels.to(device))
        for total, gradient in zip(first, torch.autograd.grad(loss, weights), strict=True):
            total += gradient
    net.zero_grad()
    for images, labels in loader:
        loss = F.cross_entropy(net(images.to(device)) / 200, labels.to(device))
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        sum((g * f).sum() for g, f in zip(gradients, first, strict=True)).backward()
    scores = [weight.detach() * weight.grad for weight in weights]
    total = torch.cat([score.flatten() for score in scores]).sum().abs() + 1e-10
    return [score / total for score in scores]


def synflow(net: nn.Module, loader: Loader, image_shape: Shape) -> list[Tensor]:
    """|w dR/dw|, R the summed outputs for an all-ones image of the network with |w| for w."""
    device = next(net.parameters()).device
    signs = {name: tensor.sign() for name, tensor in net.state_dict().items()}
    for tensor in net.state_dict().values():
        tensor.abs_()
    net.zero_grad()
    net(torch.ones(1, *image_shape, device=device)).sum().backward()
    scores = [(layer.weight.detach() * layer.weight.grad).abs() for layer in masked_layers(net)]
    for name, tensor in net.state_dict().items():
        tensor.mul_(signs[name])
    return scores


PRUNERS = {"random": random, "magnitude": magnitude, "snip": snip, "grasp": grasp, "synflow": synflow}


def prune(net: nn.Module, pruner: str, loader: Loader, image_shape: Shape, density: float, steps: int = 1) -> None:
    """Set the masks of `net`, in place, in `steps` rounds of scoring and pruning to density^(k/steps)."""
    net.eval()
    for step in range(1, steps + 1):
        set_masks(net, PRUNERS[pruner](net, loader, image_shape), density ** (step / steps))


@torch.no_grad()
def set_masks(net: nn.Module, scores: list[Tensor], density: float) -> None:
    """Remove the int((1 - density) N) weights of the lowest scores; a pruned weight never comes back."""
    layers = masked_layers(net)
    before = torch.cat([layer.mask.flatten() for layer in layers]) == 1
    flat = torch.cat([score.flatten() for score in scores]).masked_fill(~before, -torch.inf)
    removed = int((1 - density) * len(flat))
    threshold = flat.kthvalue(removed).values
    kept = flat > threshold
    if missing := len(flat) - removed - int(kept.sum()):  # scores that tie at the threshold
        kept[(flat == threshold).nonzero()[-missing:]] = True
    for layer, mask in zip(layers, kept.split([layer.mask.numel() for layer in layers]), strict=True):
        layer.mask.copy_(mask.view_as(layer.mask))


def flops(net: nn.Module, image_shape: Shape) -> int:
    """Return the multiply-adds of the kept weights for one image; a bias add counts one."""
    counts = []

    def count(layer: Linear | Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        positions = output[0, 0].numel()
        counts.append(positions * (int(layer.mask.sum()) + layer.bias.numel()))

    hooks = [layer.register_forward_hook(count) for layer in masked_layers(net)]
    with torch.no_grad():
        net(torch.zeros(1, *image_shape, device=next(net.parameters()).device))
    for hook in hooks:
        hook.remove()
    return sum(counts)


# Training


def train(
    net: nn.Module, train_loader: Loader, test_loader: Loader, epochs: int, learning_rate: float = 1e-3
) -> list[dict[str, float]]:
    """Train `net` in place with Adam, testing after each epoch; return one row an epoch."""
    device = next(net.parameters()).device
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    curve = []
    for _ in range(epochs):
        start = time.perf_counter()
        net.train()
        total, count = 0.0, 0
        for images, labels in train_loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            count += len(labels)
        train_seconds = time.perf_counter() - start
        curve.append({"train_loss": total / count, "train_seconds": train_seconds, **test(net, test_loader)})
    return curve


@torch.no_grad()
def test(net: nn.Module, loader: Loader) -> dict[str, float]:
    """Return the mean loss, top-1 and top-5 accuracy in percent, and the seconds they took."""
    start = time.perf_counter()
    device = next(net.parameters()).device
    net.eval()
    loss, top1, top5, count = 0.0, 0, 0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = net(images)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        hits = logits.topk(5).indices == labels[:, None]
        top1 += hits[:, 0].sum().item()
        top5 += hits.sum().item()
        count += len(labels)
    seconds = time.perf_counter() - start
    return {"test_loss": loss / count, "top1": 100 * top1 / count, "top5": 100 * top5 / count, "test_seconds": seconds}


# One run of the script


def run(
    data: Data, model: str, pruner: str, density: float, epochs: int, seed: int = 0, device: str = "cpu"
) -> dict[str, Any]:
    """Build, score, prune, train and test; return the FLOPs, the kept weights of each layer and the curve."""
    torch.manual_seed(seed)
    inputs = data.image_shape[0] * data.image_shape[1] * data.image_shape[2]
    net = (fc(inputs, data.num_classes) if model == "fc" else vgg16(data.num_classes)).to(device)
    scoring = loader(scoring_images(data.train, 10), device, shuffle=True)
    prune(net, pruner, scoring, data.image_shape, density)
    curve = train(net, loader(data.train, device, shuffle=True), loader(data.test, device), epochs)
    kept = [int(layer.mask.sum()) for layer in masked_layers(net)]
    return {"flops": flops(net, data.image_shape), "kept": kept, "curve": curve}
