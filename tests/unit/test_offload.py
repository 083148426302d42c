"""Offloading moves what works to the device, one at a time, and everything home at the end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from calotype.core.errors import InvalidArgument
from calotype.core.group_offload import groups_of
from calotype.core.offload import ModelOffload, SequentialOffload, accelerator
from tests.tiny import tiny_unet

DEVICE = torch.device("cpu", 0)  # stands for an accelerator: another name, the same memory


class Network(nn.Module):
    """Two layers, and a log of where it was sent."""

    def __init__(self, name, log):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.name, self.log = name, log

    def to(self, device):
        self.log.append((self.name, "away" if torch.device(device) == DEVICE else "home"))
        return self

    def forward(self, x):
        self.log.append((self.name, "works"))
        return self.second(self.first(x))

    def decode(self, x):
        return self.forward(x)


@pytest.fixture
def networks():
    log = []
    return [Network(name, log) for name in ("text", "unet", "vae")], log


def test_one_network_at_a_time_is_away(networks):
    (text, unet, vae), log = networks
    offload = ModelOffload([[text], [unet], [vae]], DEVICE)
    log.clear()
    x = torch.ones(1, 2)
    text(x), unet(x), unet(x), vae.decode(x)
    offload.free()
    away = set()
    for name, what in log:
        if what == "works":
            assert away == {name}
        away = away | {name} if what == "away" else away - {name} if what == "home" else away
    assert not away
    assert log.count(("unet", "away")) == 1  # it stays for its second step


def test_networks_of_one_turn_stay_together(networks):
    (text, unet, vae), log = networks
    offload = ModelOffload([[text], [unet, vae]], DEVICE)
    log.clear()
    x = torch.ones(1, 2)
    text(x), vae(x), unet(x), vae(x), unet(x)
    assert [entry for entry in log if entry[1] != "works"] == [
        ("text", "away"),
        ("text", "home"),
        ("vae", "away"),
        ("unet", "away"),
    ]
    offload.free()
    assert {("vae", "home"), ("unet", "home")} <= {*log[-2:]}


def test_removing_gives_the_methods_back(networks):
    (text, *_), log = networks
    offload = ModelOffload([[text]], DEVICE)
    assert "forward" in vars(text) and "decode" in vars(text)
    offload.remove()
    assert "forward" not in vars(text) and "decode" not in vars(text)
    log.clear()
    text(torch.ones(1, 2))
    assert log == [("text", "works")]


def test_removing_gives_back_what_was_compiled_before_and_keeps_what_was_since(networks):
    (text, *_), _ = networks
    before, since = (lambda x: x), (lambda x: -x)
    text.decode = before
    offload = ModelOffload([[text]], DEVICE)
    text.forward = since
    offload.remove()
    assert vars(text)["decode"] is before and vars(text)["forward"] is since


def test_layers_come_one_by_one_and_go_even_when_one_fails(networks):
    (_, unet, _), _ = networks
    seen = []

    def watch(layer, name):
        layer.register_forward_hook(lambda *_: seen.append((name, hasattr(layer.weight, "home"))))

    watch(unet.first, "first"), watch(unet.second, "second")
    kept = {name: p.data_ptr() for name, p in unet.named_parameters()}
    expected = unet(torch.ones(1, 2))
    seen.clear()
    offload = SequentialOffload([unet], DEVICE)
    assert torch.equal(unet(torch.ones(1, 2)), expected)
    with pytest.raises(RuntimeError):
        unet(torch.ones(1, 3))
    assert {name: p.data_ptr() for name, p in unet.named_parameters()} == kept
    assert not any(hasattr(p, "home") for p in unet.parameters())
    assert seen == [("first", True), ("second", True)]
    offload.remove()
    assert not any(layer._forward_pre_hooks for layer in unet.modules())


def test_a_device_is_what_was_named_or_what_the_machine_has():
    assert accelerator(None, "cpu") == torch.device("cpu")
    assert accelerator(1, "cuda") == torch.device("cuda", 1)
    assert accelerator(0, None).type == (torch.accelerator.current_accelerator() or torch.device("cpu")).type


def test_groups_hold_each_layer_once():
    unet = tiny_unet()
    layers = {layer for layer in unet.modules() if [*layer.parameters(recurse=False)]}
    for kind, size in (("leaf_level", None), ("block_level", 1), ("block_level", 2)):
        groups = groups_of(unet, kind, size)
        held = [layer for group in groups for layer in group.layers]
        assert len(held) == len(layers) and {*held} == layers
    assert [group.block for group in groups_of(unet, "block_level", 1)] == [True] * 7 + [False]
    assert [group.block for group in groups_of(unet, "block_level", 2)] == [True] * 4 + [False]
    named = groups_of(unet, "block_level", 1, ["mid_block"])
    assert {*named[0].layers} <= {*unet.mid_block.modules()} and len(named) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("layer_level", None), "offload_type.*block_level, leaf_level.*'layer_level'"),
        (("block_level", 0), "num_blocks_per_group.*found 0"),
        (("block_level", True), "num_blocks_per_group.*True"),
        (("block_level", 1, ["odd"]), "block_modules.*UNet2DConditionModel.*'odd'"),
    ],
)
def test_groups_that_cannot_be_are_refused(options, words):
    with pytest.raises(InvalidArgument, match=words):
        groups_of(tiny_unet(), *options)


def test_a_network_alone_is_offloaded_by_groups():
    unet, given = tiny_unet(), (torch.ones(1, 4, 16, 16), 1, torch.ones(1, 3, 32))
    with torch.no_grad():
        expected = unet(*given).sample
        for options in ({}, {"offload_type": "leaf_level"}, {"num_blocks_per_group": 2}):
            unet.enable_group_offload(DEVICE, **options)
            assert torch.equal(unet(*given).sample, expected)
    with pytest.raises(InvalidArgument, match="offload_to_disk_path"):
        unet.enable_group_offload(DEVICE, offload_to_disk_path="here")
