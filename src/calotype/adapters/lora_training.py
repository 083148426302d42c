"""Fresh low-rank pairs to be trained beside a frozen network, and saved as a LoRA."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.changes import Layer
from calotype.core.errors import InvalidArgument

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")


class LowRankPair(nn.Module):
    """Two small layers that add nothing until ``lora_B`` has learnt something."""

    def __init__(self, layer: Layer, rank: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if isinstance(layer, nn.Linear):
            self.lora_A = nn.Linear(layer.in_features, rank, bias=False)
            self.lora_B = nn.Linear(rank, layer.out_features, bias=False)
        else:
            shape: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
            kernel: Any = layer.kernel_size
            self.lora_A = nn.Conv2d(layer.in_channels, rank, kernel, bias=False, **shape)
            self.lora_B = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=5**0.5, generator=generator)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.lora_B(self.lora_A(x))


class LowRankPairs(nn.Module):
    """A pair for each of some layers; its ``state_dict`` is what ``save_lora_weights`` takes as ``..._lora_layers``."""

    def __init__(self, pairs: dict[str, LowRankPair]) -> None:
        super().__init__()
        self.layers = tuple(pairs)
        for name, pair in pairs.items():
            *path, last = name.split(".")
            home: nn.Module = self
            for part in path:
                if part not in home._modules:
                    home.add_module(part, nn.Module())
                home = home.get_submodule(part)
            home.add_module(last, pair)

    @contextmanager
    def beside(self, network: nn.Module) -> Generator[None, None, None]:
        """Add what the pairs make to the outputs of the network's layers; gradients flow to the pairs."""
        layers = {name: network.get_submodule(name) for name in self.layers}
        handles = [layer.register_forward_hook(_adding(self.get_submodule(name))) for name, layer in layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def fresh_pairs(
    network: nn.Module, layers: Iterable[str] = ATTENTION, rank: int = 8, generator: torch.Generator | None = None
) -> LowRankPairs:
    """Pairs to be trained for the layers with these names, or names that end so; by default those of attention."""
    endings = list(layers)
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise InvalidArgument("rank", "a whole number from 1", repr(rank))
    changeable = {n: module for n, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))}
    found = {name: layer for name, layer in changeable.items() if any(f".{name}".endswith(f".{e}") for e in endings)}
    if not found:
        kinds = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in changeable}))
        raise InvalidArgument("layers", f"names, or ends of names, of layers ({kinds})", repr(endings))
    return LowRankPairs({name: LowRankPair(layer, rank, generator) for name, layer in found.items()})


def _adding(pair: nn.Module) -> Any:
    def add(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + pair(args[0])

    return add
