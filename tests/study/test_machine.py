"""Devices by every name, without having one: beside a stand-in as strict as torch about how a GPU is named."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.cuda._utils import _get_device_index

from prunekit import batches, datasets, masks, metrics, models, plugins, pruners
from prunekit.errors import UserError
from prunekit.study import engine, machine
from prunekit.study.artifacts import Artifacts
from prunekit.study.trial import Trial


@pytest.fixture
def in_use(monkeypatch):
    """Two GPUs: the numbers of those that were made current. All that torch.cuda is asked for goes by number."""
    numbers = []

    def checked(device=None):
        """Refuse what torch refuses: "cuda" without a number, and a number that is not there."""
        number = numbers[-1] if device is None else _get_device_index(device)
        if not 0 <= number < 2:
            raise RuntimeError("CUDA error: invalid device ordinal")
        return number

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "synchronize", checked)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: numbers.append(checked(device)))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU {checked(device)}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: ((10, 90)[checked(device)] * 10**9, 10**11))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", checked)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 5 + checked(device))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: checked() == 1)
    return numbers


def test_the_stand_in_is_as_strict_as_torch(in_use):
    for refused in ("cuda", torch.device("cuda"), 2):
        with pytest.raises((ValueError, RuntimeError)):
            torch.cuda.set_device(refused)


@pytest.mark.parametrize(("name", "number"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_by_any_name_is_known_by_its_number(in_use, name, number):
    device = machine.device(name)
    assert device == Artifacts(device=name).device == f"cuda:{number}"
    assert set(in_use) == {number}
    assert machine.processor(device) == f"GPU {number}"
    assert machine.measured(device, lambda: "made")[0] == "made"
    assert machine.measured(device, lambda: None)[1].peak_memory == 5 + number
    assert machine.computes_in("bf16-mixed", device) == (number == 1)
    told = machine.where(device, 1)
    assert (told["device"], told["gpu"]) == (f"cuda:{number}", f"GPU {number}")


def on_a_gpu(net):
    """Put a network there: tensors without content, of which torch says where each lies and refuses two of two."""
    for module in net.modules():
        for tensors, make in ((module._parameters, torch.nn.Parameter), (module._buffers, torch.Tensor.detach)):
            for name in [name for name, tensor in tensors.items() if tensor is not None]:
                tensors[name] = make(torch.zeros(tensors[name].shape, device="cuda:1"))
    return net


def test_nothing_on_a_gpu_meets_what_lies_elsewhere(monkeypatch):
    """What needs no content: none of it is there."""
    waits = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: waits.append(True))
    data, random = datasets.load("digits"), torch.Generator().manual_seed(0)
    net = models.build("vgg11", data.image_shape, 10, 0.125, random)
    with FakeTensorMode(allow_non_fake_inputs=True):
        net = on_a_gpu(net)
        with pytest.raises(RuntimeError, match="on the same device"):
            net(torch.zeros(2, *data.image_shape))
        split = batches.Batches(data.test.images, data.test.labels, data.transform, "cuda:1")
        images, labels = next(split.shuffled(20, random, random))
        kept = {name: weight > 0 for name, weight in models.prunable(net).items()}
        masks.apply(net, kept)
        made = [images, labels, net(images), next(split.in_order(5))[0], *masks.shuffled(kept, random).values()]
        for pruner in (pruners.random, pruners.magnitude):
            made += pruner(net, [(images, labels)], random).values()
        assert {str(one.device) for one in made} == {"cuda:1"}
        assert metrics.latency(net, images) > 0 and len(waits) == 6


def test_the_random_numbers_of_the_gpu_in_use_are_given_back(in_use, monkeypatch):
    states = {0: "first", 1: "second"}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[_get_device_index(device)])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: states.update({_get_device_index(device): state})
    )
    with plugins.drawing_from(0, [torch.device("cuda:1")]):
        states[1] = "drawn from"
    assert states == {0: "first", 1: "second"}


def test_what_is_not_here_is_refused(in_use):
    with pytest.raises(UserError, match="--device cuda:2 is not here; choose from auto, cpu, cuda, cuda:0, cuda:1"):
        machine.device("cuda:2")
    assert machine.device("cpu") == "cpu" and not in_use


def test_a_quota_counts(monkeypatch):
    """loky reads those of cgroups; this is the one that can be set from here."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert machine.cores() == machine.threads(1) == 1


def test_apples_gpu_by_either_name(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    assert machine.device("mps") == machine.device("mps:0") == "mps:0"
    assert torch.device(machine.device("mps")).type == "mps" and machine.device("auto") == "cpu"
    assert machine.where("mps:0", 1)["gpu"] is None and machine.free_memory("mps:0") == 0


@pytest.mark.parametrize(
    ("device", "cores", "groups", "count"),
    [("cuda:0", 16, 30, 2), ("cuda:1", 16, 30, 6), ("cuda:1", 4, 30, 4), ("cuda:1", 16, 3, 3), ("mps:0", 16, 30, 1)],
)
def test_a_gpu_has_as_many_processes_as_it_has_room_for(in_use, monkeypatch, device, cores, groups, count):
    """GPU 0 has 10 GB free, GPU 1 has 90."""
    monkeypatch.setattr(machine, "cores", lambda: cores)
    in_use.append(int(device[-1]))
    fields = {"dataset": "cifar10", "model": "vgg16", "pruner": "snip", "compression": 1.0}
    assert engine.processes(device, [Trial(**fields, seed=seed) for seed in range(groups)]) == count


@pytest.mark.parametrize("problem", [OSError(38, "Function not implemented"), OSError(28, "No space left on device")])
def test_without_semaphores_no_process_is_started(monkeypatch, problem):
    def none(*_):
        raise problem

    assert machine.processes_start()
    monkeypatch.setattr("multiprocessing.Lock", none)
    assert not machine.processes_start()
