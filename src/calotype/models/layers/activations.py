"""Activations by the names that configs use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from calotype.core.errors import InvalidArgument


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU that CLIP was trained with."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states * torch.sigmoid(1.702 * hidden_states)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "quick_gelu": QuickGELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
}


def activation(name: str, where: str = "act_fn") -> nn.Module:
    """The activation of this name; ``where`` is the argument to blame for an unknown one."""
    if name not in ACTIVATIONS:
        raise InvalidArgument(where, f"one of {', '.join(ACTIVATIONS)}", repr(name))
    return ACTIVATIONS[name]()


class GEGLU(nn.Module):
    """A linear layer of which one half is gated by the GELU of the other (arXiv 2002.05202)."""

    def __init__(self, dim_in: int, dim_out: int, bias: bool = True) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, dim_out * 2, bias=bias)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        value, gate = self.proj(hidden_states).chunk(2, dim=-1)
        return value * F.gelu(gate)
