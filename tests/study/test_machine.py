"""Devices by every name, without having one: beside a stand-in as strict as torch about how a GPU is named."""

import pytest
import torch
from torch.cuda._utils import _get_device_index

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


def test_what_is_not_here_is_refused(in_use):
    with pytest.raises(UserError, match="--device cuda:2 is not here; choose from auto, cpu, cuda, cuda:0, cuda:1"):
        machine.device("cuda:2")
    assert machine.device("cpu") == "cpu" and not in_use


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
    assert engine._processes(device, [Trial(**fields, seed=seed) for seed in range(groups)]) == count


@pytest.mark.parametrize("problem", [OSError(38, "Function not implemented"), OSError(28, "No space left on device")])
def test_without_semaphores_no_process_is_started(monkeypatch, problem):
    def none(*_):
        raise problem

    assert machine.processes_start()
    monkeypatch.setattr("multiprocessing.Lock", none)
    assert not machine.processes_start()
