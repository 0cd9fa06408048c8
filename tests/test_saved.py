"""Networks on disk: what is read is what was written, or one line that says why not."""

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune

from prunekit import masks, models, pruners, saved
from prunekit.errors import UserError

SHAPE = (3, 32, 32)


def pruned(name="vgg11_bn"):
    """A network with weights in the layout of training, its masks, and what is said about it."""
    generator = torch.Generator().manual_seed(1)
    net = models.build(name, SHAPE, 7, 1 / 16, generator).to(memory_format=torch.channels_last)
    net(torch.randn(8, *SHAPE, generator=generator))  # so that batch norm has seen something
    kept = pruners.prune("magnitude", net, torch.zeros(1, *SHAPE), torch.tensor([0]), 0.2)
    masks.apply(net, kept)
    return net, kept, {"model": name, "input_shape": SHAPE, "num_classes": 7, "width": 1 / 16, "seed": 3}


def logits(net):
    with torch.no_grad():
        return net.eval()(torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("given", [False, True])
def test_a_network_comes_back_in_its_own_precision(tmp_path, kind, given):
    net, kept, about = pruned()
    net = net.to(kind)
    saved.write(tmp_path / "net.safetensors", net, kept, about)
    back, *_ = saved.read(tmp_path / "net.safetensors", models.build("vgg11_bn", SHAPE, 7, 1 / 16) if given else None)
    state, wanted = back.state_dict(), net.state_dict()
    assert all(state[name].dtype == wanted[name].dtype for name in wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert all(parameter.requires_grad for parameter in back.parameters())


@pytest.mark.parametrize("name", ["fc", "vgg11_bn", "resnet20"])
@pytest.mark.parametrize("given", [False, True])
def test_safetensors_are_read_back(tmp_path, name, given):
    net, kept, about = pruned(name)
    before = logits(net)
    saved.write(tmp_path / "net.safetensors", net, kept, about)
    other = models.build(name, SHAPE, 7, 1 / 16) if given else None
    back, masks_back, told = saved.read(tmp_path / "net.safetensors", other)
    assert (back is other) is given
    torch.testing.assert_close(logits(back), before)
    assert list(masks_back) == list(kept) and all(torch.equal(masks_back[key], kept[key]) for key in kept)
    assert told == about | {"input_shape": list(SHAPE)}
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_safetensors_load_without_prunekit(tmp_path):
    net, kept, about = pruned()
    saved.write(tmp_path / "net.safetensors", net, kept, about)
    tensors = safetensors.torch.load_file(tmp_path / "net.safetensors")
    assert torch.equal(tensors["conv2.weight"], net.conv2.weight)
    assert torch.equal(tensors["conv2.weight_mask"], kept["conv2.weight"])
    assert torch.equal(tensors["conv2.weight"] != 0, kept["conv2.weight"])


def test_torch_prunes_go_on_from_a_pt_file(tmp_path):
    """As torch's own documentation has it; no pickled code is needed to load one."""
    net, kept, about = pruned()
    before = logits(net)
    saved.write(tmp_path / "net.pt", net, kept, about)
    assert not prune.is_pruned(net), "what was written is as it was"
    fresh = models.build("vgg11_bn", SHAPE, 7, 1 / 16)
    for module in fresh.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            prune.identity(module, "weight")
    fresh.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    torch.testing.assert_close(logits(fresh), before)
    assert torch.equal(fresh.conv1.weight_mask.bool(), kept["conv1.weight"])
    prune.remove(fresh.conv1, "weight")
    assert torch.equal(fresh.conv1.weight, net.conv1.weight)


def test_a_file_of_another_kind_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"net.pth: name it \*.safetensors or \*.pt"):
        saved.write(tmp_path / "net.pth", *pruned())
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_one_line(tmp_path):
    net, kept, about = pruned()
    file = tmp_path / "net.safetensors"

    def fails(match, given=None):
        with pytest.raises(UserError, match=match) as error:
            saved.read(file, given)
        assert "\n" not in str(error.value) and len(str(error.value)) < 600

    fails("net.safetensors cannot be read")
    saved.write(file, net, kept, about)
    whole = file.read_bytes()
    for damaged in (whole[:100], whole[:-1], b"\xff" * 100, b""):
        file.write_bytes(damaged)
        fails("net.safetensors cannot be read")
    safetensors.torch.save_file({"a": torch.zeros(1)}, file)
    fails("net.safetensors lacks prunekit")
    saved.write(file, net, kept, about | {"model": "os:system"})
    fails("its model os:system is a user's own; give it as net=")
    saved.write(file, net, kept, about | {"num_classes": 8})
    fails("net.safetensors cannot be read")
    saved.write(file, net, kept, about)
    fails("net.safetensors lacks conv9.weight_mask", models.build("vgg13_bn", SHAPE, 7, 1 / 16))


class Named(nn.Module):
    """Has a buffer that is called as a mask is, or as torch calls a weight that is masked."""

    def __init__(self, name):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.fc.register_buffer(name, torch.ones(3))

    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize("suffix", saved.SUFFIXES)
@pytest.mark.parametrize("name", ["weight_mask", "weight_orig"])
def test_a_network_with_a_masks_name_is_refused(tmp_path, name, suffix):
    with pytest.raises(UserError, match=rf"fc\.{name} .*rename it"):
        saved.write(tmp_path / f"net{suffix}", Named(name), {"fc.weight": torch.ones(3, 4, dtype=torch.bool)}, {})
    assert not list(tmp_path.iterdir())


def test_weights_that_two_layers_share_are_written(tmp_path):
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    saved.write(tmp_path / "net.safetensors", net, {}, {})
    assert safetensors.torch.load_file(tmp_path / "net.safetensors").keys() == {"0.weight", "1.weight"}
