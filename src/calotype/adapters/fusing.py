"""Adapters in the weights of a network, and the weights that were there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from calotype.adapters.choices import Choice
from calotype.core.errors import NotFinite
from calotype.models.layers.attention import Attention


class FusedWeights:
    """The adapters that are in the weights of a network, and what these were without them."""

    def __init__(self) -> None:
        self.adapters: frozenset[str] = frozenset()
        self._originals: dict[str, Tensor] = {}

    def put(self, network: nn.Module, adapters: Iterable[str], fresh: Mapping[str, Tensor]) -> None:
        """Put weights with these adapters in them in the place of what was there, which is kept."""
        for name, tensor in fresh.items():
            weight = network.get_parameter(name)
            self._originals.setdefault(name, weight.data)
            weight.data = tensor
        self.adapters |= {*adapters}
        stack_anew(network)

    def take_out(self, network: nn.Module) -> None:
        """Every weight as it was."""
        for name, original in self._originals.items():
            weight = network.get_parameter(name)
            weight.data = original.to(weight.device, weight.dtype)
        self._originals, self.adapters = {}, frozenset()
        stack_anew(network)


@torch.no_grad()
def with_adapters(network: nn.Module, choice: Choice, scale: float) -> dict[str, Tensor]:
    """The parameters of a network's layers with this choice in them."""
    fresh: dict[str, Tensor] = {}
    for layer, changes in choice.by_layer.items():
        base = network.get_parameter(f"{layer}.weight").data
        fresh[f"{layer}.weight"] = base + sum(change.added(base, weight * scale) for _, change, weight in changes)
        shifts = [change.shift(base, weight * scale) for _, change, weight in changes]
        told = [shift for shift in shifts if shift is not None]
        if told:
            fresh[f"{layer}.bias"] = network.get_parameter(f"{layer}.bias").data + sum(told)
    for name, tensor in fresh.items():
        if not tensor.isfinite().all():
            raise NotFinite(name, "finite numbers", "NaN or infinity with the adapters in it")
    return fresh


def stack_anew(network: nn.Module) -> None:
    """Layers that run as one (``fuse_qkv_projections``) hold a copy of the weights: make it again."""
    for attention in network.modules():
        if isinstance(attention, Attention) and (attention.to_qkv or attention.to_kv):
            attention.fuse_projections()
