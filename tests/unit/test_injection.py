"""Changes stand beside layers for as long as somebody wants them, in compiled networks and in others."""

from __future__ import annotations

import gc
from copy import deepcopy

import pytest
import torch
from torch import nn

from calotype.adapters.changes import LowRank
from calotype.adapters.choices import Choice
from calotype.adapters.injection import injected
from calotype.core.model import ModelMixin


class Network(ModelMixin):
    """Two layers."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(self.one(x))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


def change(inputs, outputs, rank=2):
    return LowRank({"down": torch.randn(rank, inputs), "up": torch.randn(outputs, rank)}, 1.0)


def chosen(adapter, weight=1.0):
    return Choice(((adapter, dict.fromkeys(adapter.changes, weight)),))


def listeners(network):
    return [name for name, layer in network.named_modules() if layer._forward_hooks]


def test_an_adapter_counts_once_it_is_chosen(network):
    x = torch.randn(5, 3)
    plain = network(x)
    adapters = injected(network)
    adapter = adapters.add("a", {"one": change(3, 4)})
    assert torch.equal(network(x), plain)
    adapters.choice = chosen(adapter, 0.5)
    tensors = adapter.changes["one"].tensors
    expected = network.two(x @ (network.one.weight + 0.5 * tensors["up"] @ tensors["down"]).T + network.one.bias)
    torch.testing.assert_close(network(x), expected)


def test_layers_are_left_alone_when_their_last_adapter_goes(network):
    adapters = injected(network)
    adapters.add("a", {"one": change(3, 4)})
    adapters.add("b", {"one": change(3, 4), "two": change(4, 2)})
    adapters.remove("b")
    gc.collect()
    assert listeners(network) == ["one"]
    adapters.remove("a")
    gc.collect()
    assert listeners(network) == []


def test_who_holds_an_adapter_keeps_it_at_work(network):
    x = torch.randn(5, 3)
    plain = network(x)
    adapters = injected(network)
    held = chosen(adapters.add("a", {"one": change(3, 4)}))
    with adapters.wearing(held):
        worn = network(x)
        adapters.remove("a")
        gc.collect()
        assert torch.equal(network(x), worn)
    assert torch.equal(network(x), plain)
    assert not torch.equal(worn, plain)


def test_what_is_worn_inside_ends_inside(network):
    x = torch.randn(5, 3)
    adapters = injected(network)
    adapters.choice = chosen(adapters.add("a", {"one": change(3, 4)}))
    outer = network(x)
    with adapters.wearing(scale=0.5):
        half = network(x)
        with pytest.raises(KeyError), adapters.wearing(Choice()):
            raise KeyError
        assert torch.equal(network(x), half)
    assert torch.equal(network(x), outer)


def test_compiled_networks_see_adapters_that_come_later(network):
    x = torch.randn(5, 3)
    network.compile(backend="eager")
    plain = network(x)
    adapters = injected(network)
    adapters.choice = chosen(adapters.add("a", {"one": change(3, 4)}))
    worn = network(x)
    assert not torch.allclose(worn, plain)
    adapters.choice = Choice()
    torch.testing.assert_close(network(x), plain)


def test_code_compiled_without_adapters_serves_no_network_with_them(network):
    x, other = torch.randn(5, 3), deepcopy(network)
    adapters = injected(other)
    adapters.choice = chosen(adapters.add("a", {"one": change(3, 4)}))
    worn = other(x)
    for each in (network, other):
        each.compile(backend="eager")
    assert not torch.allclose(network(x), worn)
    torch.testing.assert_close(other(x), worn)


def test_gradients_flow_through_layers_with_adapters(network):
    x = torch.randn(5, 3, requires_grad=True)
    adapters = injected(network)
    adapters.choice = chosen(adapters.add("a", {"one": change(3, 4)}))
    network(x).sum().backward()
    assert x.grad is not None and network.one.weight.grad is not None
