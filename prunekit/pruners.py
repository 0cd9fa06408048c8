"""Pruners: a network and a few images -> a score a weight. The highest scores are kept.

Each of the five is one short function, and so is one of your own (`register`); masks, schedules and scopes live
elsewhere. Scores are computed in the network's own precision, with the network in evaluation mode and left as it was.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from . import connectivity, masks, models, plugins
from .batches import slices
from .errors import UserError, exception_summary, safe_repr
from .names import PRUNERS, UNPRUNED

Scores = dict[str, Tensor]
Batches = list[tuple[Tensor, Tensor]]
SCHEDULES = ("exponential", "linear")
_PLAIN_ATTENTION = partial(sdpa_kernel, SDPBackend.MATH)  # the fused ones have no second derivative, for GraSP
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_MOST_FLOW = 1e30  # in float32, whose largest is 3e38: slopes are larger by 1/|w|


def random(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """Standard normal noise: the baseline that knows nothing."""
    return {
        name: torch.randn(weight.shape, dtype=weight.dtype, generator=generator).to(weight.device)
        for name, weight in models.prunable(net).items()
    }


def magnitude(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """|w| (Han et al. 2015, arXiv:1506.02626)."""
    return {name: weight.detach().abs() for name, weight in models.prunable(net).items()}


def snip(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """|w dL/dw| over the sum of all, L the summed batch losses (Lee et al. 2019, arXiv:1810.02340, equation 6)."""
    weights = models.prunable(net)
    slopes = _summed_gradients(net, weights, batches, temperature=1.0)
    return _normalised(
        {name: (w.detach() * g).abs() for (name, w), g in zip(weights.items(), slopes, strict=True)}, eps=0.0
    )


def grasp(net: nn.Module, batches: Batches, generator: Generator | None, again: Batches | None = None) -> Scores:
    """w (H g) over |sum of all|, with logits divided by 200 (Wang et al. 2020, arXiv:2002.07376, equation 8).

    The paper removes the highest -w (H g); so the highest w (H g) are kept. H is of the batches `again`, if given, g
    always of `batches`.
    """
    weights = models.prunable(net)
    products = [torch.zeros_like(w) for w in weights.values()]
    *others, last = batches
    slopes = _summed_gradients(net, weights, batches if again else others, temperature=200.0)
    if again:
        others = again
    else:
        gradients = _gradients(net, weights, last, temperature=200.0, create_graph=True)  # for slopes and product both
        _add(slopes, [g.detach() for g in gradients])
        _add_product(products, gradients, slopes, weights)
    for batch in others:
        gradients = _gradients(net, weights, batch, temperature=200.0, create_graph=True)
        _add_product(products, gradients, slopes, weights)
    return _normalised(
        {name: w.detach() * hg for (name, w), hg in zip(weights.items(), products, strict=True)}, eps=1e-10
    )


def synflow(net: nn.Module, batches: Batches, generator: Generator | None) -> Scores:
    """|w dR/dw|, R the summed outputs for an all-ones image and |w| for w (Tanaka et al. 2020, arXiv:2006.05467).

    Scale and shift of batch norm count like weights and biases; the mean that it subtracts counts as 0, or R would not
    grow with every weight. Scores are in float64 where R nears the largest float32.
    """
    means = {id(module.running_mean) for module in net.modules() if isinstance(module, _BATCH_NORMS)}
    positive = {name: parameter.detach().abs() for name, parameter in net.named_parameters()}
    positive |= {name: torch.zeros_like(buffer) for name, buffer in net.named_buffers() if id(buffer) in means}
    ones = torch.ones_like(batches[0][0][:1])
    weights, flow = _flow(net, positive, ones)
    if ones.dtype == torch.float32 and not flow.item() < _MOST_FLOW:
        others = {name: buffer for name, buffer in net.named_buffers() if buffer.is_floating_point()}
        doubles = {name: tensor.detach().double() for name, tensor in (others | positive).items()}
        weights, flow = _flow(net, doubles, ones.double())
    slopes = models.slopes(flow, weights)
    return {name: g.mul_(w.detach()).abs_() for (name, w), g in zip(weights.items(), slopes, strict=True)}


_PRUNERS: dict[str, Callable[..., Scores]] = {
    "random": random,
    "magnitude": magnitude,
    "snip": snip,
    "grasp": grasp,
    "synflow": synflow,
}
NAMES = tuple(PRUNERS)


def register(name: str) -> Callable[[Callable[..., Scores]], Callable[..., Scores]]:
    """Return a decorator that makes a function known as the pruner `name`, here and in what is run from here.

    The function takes what those above take: a copy of the network, batches [(images, labels)], a generator on the CPU;
    and returns what they return. If it takes a `density`, it is told what share is to be kept. What it draws without
    the generator comes from it all the same. Its source is part of a trial's id. Raises UserError for a name that is
    taken, and for what is not a function.
    """
    return plugins.register("pruner", name)  # type: ignore[return-value]


def takes_density(name: str) -> bool:
    """Return whether the named pruner's scores depend on the density; raises UserError for an unknown name."""
    return name not in _PRUNERS and "density" in inspect.signature(plugins.find("pruner", name)).parameters


def score(
    name: str,
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    batch_size: int = 256,
    generator: Generator | None = None,
    again: Tensor | None = None,
    density: float | None = None,
) -> Scores:
    """Return the named pruner's scores, {parameter name: tensor of its shape} in definition order; higher = keep.

    `images` are normalised, [N, C, H, W] on the network's device, `labels` int64 [N]; they are scored in batches of
    `batch_size`. `generator`, on the CPU, draws the scores of `random` (torch's global one if None). `again` are the
    same images, augmented anew, for the second pass of `grasp`, the one pruner that makes two; `density` is for those
    that take it. Raises ValueError for an unknown name or no images, if another pruner is given `again` or one that
    takes a density is given none, and if one that was registered, or is named as package.module:function, fails or
    returns anything but a finite score for each weight.
    """
    if name == UNPRUNED:
        raise ValueError(f"the pruner {name} keeps all weights and scores none; leave the network as it is")
    try:
        pruner = _PRUNERS[name] if name in _PRUNERS else plugins.find("pruner", name)
    except UserError as error:
        raise ValueError(str(error)) from None
    if len(images) == 0:
        raise ValueError("scoring needs at least one image")
    if again is not None and name != "grasp":
        raise ValueError(f"{name} makes no second pass over images")
    models.check_uses(net, images[:1])
    with torch.inference_mode(False):
        batches = _batches(images, labels, batch_size)
        second = [] if again is None else [_batches(again, labels, batch_size)]
    was_training = net.training
    net.eval()
    copies = net.register_forward_pre_hook(_copied)
    try:
        if name in _PRUNERS:
            weights, state = models.prunable(net), torch.get_rng_state()
            with torch.inference_mode(False), torch.enable_grad(), _PLAIN_ATTENTION():
                scores = pruner(net, batches, generator, *second)
            if name != "random" and not torch.equal(state, torch.get_rng_state()):
                raise ValueError(f"the network {models.RANDOM}")
            if problem := _alike(scores, weights):
                raise ValueError(f"{name} gives {problem}: it cannot rank those of this network")
            return scores
        told = {}
        if takes_density(name):
            if density is None:
                raise ValueError(f"pruner {name} takes a density; give one")
            told = {"density": density}
        return _scored_by(name, partial(pruner, **told), net, batches, generator)
    finally:
        copies.remove()
        net.train(was_training)


def prune(
    name: str,
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    density: float,
    steps: int = 1,
    schedule: str = "exponential",
    scope: str = "global",
    batch_size: int = 256,
    generator: Generator | None = None,
    ties: Generator | None = None,
    again: Tensor | None = None,
) -> masks.Masks:
    """Return the named pruner's masks at `density`, after `steps` rounds of scoring and pruning; `net` is unchanged.

    `schedule` sets the density after each round: "exponential" density^(k/steps), "linear" 1 - (1 - density) k/steps.
    Which of equal scores go is drawn from `ties`, as in `masks.from_scores`; `again` is as in `score`. Raises as these
    two do, and ValueError for an unknown schedule or fewer than one step.
    """
    models.prunable(net)  # refuses what deepcopy would in words of its own
    pruned = copy.deepcopy(net)
    kept: masks.Masks | None = None
    for target in _densities(density, steps, schedule):
        scores = score(name, pruned, images, labels, batch_size, generator, again, target)
        kept = masks.from_scores(scores, target, scope, within=kept, ties=ties)
        masks.apply(pruned, kept)
    assert kept is not None
    return kept


def _scored_by(
    name: str, pruner: Callable[..., Scores], net: nn.Module, batches: Batches, generator: Generator | None
) -> Scores:
    """Return the scores of a user's pruner, checked; raises ValueError with its name for what is wrong with them."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with plugins.drawing_from(seed, [batches[0][0].device] if batches[0][0].is_cuda else []):
        try:
            scores = pruner(copy.deepcopy(net), batches, generator)
        except Exception as error:
            raise ValueError(f"pruner {name} raised {type(error).__name__}: {exception_summary(error)}") from error
    weights = models.prunable(net)
    if problem := _wrong(scores, weights):
        raise ValueError(f"pruner {name} returned {problem}")
    kinds = {score.dtype for score in scores.values()}
    if not any(kind.is_floating_point for kind in kinds):
        kind = torch.int64  # float32 takes those beyond 2^24 for their neighbours
    elif torch.float64 in kinds or not all(kind.is_floating_point for kind in kinds):
        kind = torch.float64
    else:
        kind = next(iter(weights.values())).dtype
    return {key: scores[key].detach().to(weight.device, kind) for key, weight in weights.items()}


def _wrong(scores: object, weights: dict[str, Tensor]) -> str:
    """Return what is wrong with scores of `weights`, "" if nothing is."""
    if not isinstance(scores, Mapping):
        return f"{safe_repr(scores)}; it must return a dict, a tensor of scores for each weight's name"
    if missing := [key for key in weights if key not in scores]:
        return f"no scores for {missing[0]}; it must score what models.prunable(net) names"
    if odd := [key for key in scores if key not in weights]:
        return f"scores for {safe_repr(odd[0])}, which is no weight that can be pruned"
    for key, weight in weights.items():
        score = scores[key]
        if not isinstance(score, Tensor) or score.is_complex():
            return f"{safe_repr(score)} for {key}; it must be a tensor of real numbers"
        if score.shape != weight.shape:
            return f"scores of shape {list(score.shape)} for {key}, whose shape is {list(weight.shape)}"
        if not score.isfinite().all():
            return f"scores for {key} that hold NaN or infinity"
    return _alike(scores, weights)


def _alike(scores: Mapping[str, Tensor], weights: dict[str, Tensor]) -> str:
    """Return that all scores are equal, "" if they are not, or some weights of a layer are gone: perhaps all signal is.

    A layer that is zero as a whole was not pruned so: heads and last layers of blocks are that before training.
    """
    first = next(iter(scores.values())).flatten()[0].item()  # the others may lie on another device
    alike = all(bool((score == first).all()) for score in scores.values())
    lost = alike and any(bool((weight == 0).any()) and bool(weight.any()) for weight in weights.values())
    return f"the same score for every weight, {first:g}" if alike and not lost else ""


def _batches(images: Tensor, labels: Tensor, batch_size: int) -> Batches:
    return [(images[part].clone(), labels[part].clone()) for part in slices(len(images), batch_size)]


def _copied(net: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A hook before a network that may write to its images: a pruner shows it the same ones twice."""
    return tuple(one.clone() for one in given)


def _densities(final: float, steps: int, schedule: str) -> Iterator[float]:
    if steps < 1:
        raise ValueError(f"pruning takes at least one step, not {steps}")
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; choose from {', '.join(SCHEDULES)}")
    for step in range(1, steps):
        part = step / steps
        yield final**part if schedule == "exponential" else 1 - (1 - final) * part
    yield final  # exactly, whatever the schedule's rounding


def _summed_gradients(net: nn.Module, weights: dict[str, Tensor], batches: Batches, temperature: float) -> list[Tensor]:
    total = [torch.zeros_like(w) for w in weights.values()]
    for batch in batches:
        _add(total, _gradients(net, weights, batch, temperature))
    return total


def _add(totals: list[Tensor], more: Sequence[Tensor]) -> None:
    for total, one in zip(totals, more, strict=True):
        total.add_(one)


def _flow(net: nn.Module, positive: dict[str, Tensor], ones: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return the weights in `positive` that can be pruned, and the summed output of `net` with it for `ones`."""
    weights = {name: positive[name].requires_grad_() for name in models.prunable(net)}
    with connectivity.Unbounded():
        return weights, connectivity.with_values(net, positive, ones).sum()


def _gradients(
    net: nn.Module,
    weights: dict[str, Tensor],
    batch: tuple[Tensor, Tensor],
    temperature: float,
    create_graph: bool = False,
) -> list[Tensor]:
    images, labels = batch
    logits = models.logits(net(images))
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        found = f"labels run from {int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"{found}, yet the network has {logits.shape[1]} outputs; labels start at 0")
    if frozen := [name for name, weight in weights.items() if not weight.requires_grad]:
        raise ValueError(f"{frozen[0]} is frozen, so no gradient tells its scores; call requires_grad_() on it")
    loss = F.cross_entropy(logits / temperature, labels)
    return models.slopes(loss, weights, create_graph)


def _add_product(
    products: list[Tensor], gradients: list[Tensor], slopes: list[Tensor], weights: dict[str, Tensor]
) -> None:
    """Add to `products` the Hessian of the loss behind `gradients` times `slopes`."""
    inner = sum((g * s).sum() for g, s in zip(gradients, slopes, strict=True))
    assert isinstance(inner, Tensor)
    try:
        _add(products, torch.autograd.grad(inner, list(weights.values())))
    except RuntimeError as error:
        if "not implemented" not in str(error):
            raise
        raise ValueError(f"grasp needs second derivatives, which torch lacks: {exception_summary(error)}") from None


def _normalised(scores: Scores, eps: float) -> Scores:
    whole = torch.cat([s.flatten() for s in scores.values()]).sum().abs() + eps
    whole = whole.where(whole != 0, 1)  # no slope in a collapsed network: its scores are zero
    return {name: s / whole for name, s in scores.items()}
