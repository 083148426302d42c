"""Offloading moves what works to the device, one at a time, and everything home at the end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from calotype.core.offload import ModelOffload, SequentialOffload, accelerator

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
    offload = ModelOffload([text, unet, vae], DEVICE)
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


def test_removing_gives_the_methods_back(networks):
    (text, *_), log = networks
    offload = ModelOffload([text], DEVICE)
    assert "forward" in vars(text) and "decode" in vars(text)
    offload.remove()
    assert "forward" not in vars(text) and "decode" not in vars(text)
    log.clear()
    text(torch.ones(1, 2))
    assert log == [("text", "works")]


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
