"""A block of Helios: self-attention, a look at the text, and a feed-forward layer, told how noisy each token is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from calotype.models.helios_attention import CrossAttention, KeysAndValues, ScaleMode, SelfAttention
from calotype.models.helios_rope import Places
from calotype.models.layers.activations import TanhGELU
from calotype.models.layers.norms import LayerNorm32
from calotype.models.layers.spread import Attention
from calotype.models.layers.transformer import FeedForward


@dataclass(frozen=True)
class Told:
    """What all blocks are told of the tokens, those of the history first."""

    past: int  # how many tokens are history
    places: Places
    rows: Tensor  # (batch, 2, 6, width): the modulation of the history's tokens and of the others; or one row for all
    attend: Attention  # over the tokens of all devices


class HeliosBlock(nn.Module):
    """One block; the text is told to the current frames alone unless ``everyone_reads``."""

    def __init__(
        self,
        dim: int,
        ffn_dim: int,
        heads: int,
        eps: float,
        norms_before_text: bool = True,
        everyone_reads: bool = False,
        history_scale: ScaleMode | None = None,
    ) -> None:
        super().__init__()
        self.everyone_reads = everyone_reads
        self.norm1 = LayerNorm32(dim, eps, elementwise_affine=False)
        self.attn1 = SelfAttention(dim, heads, eps, history_scale)
        self.norm2 = LayerNorm32(dim, eps) if norms_before_text else nn.Identity()
        self.attn2 = CrossAttention(dim, heads, eps)
        self.norm3 = LayerNorm32(dim, eps, elementwise_affine=False)
        self.ffn = FeedForward(dim, wide=TanhGELU, inner=ffn_dim)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(
        self,
        states: Tensor,  # (batch, tokens, width)
        told: Told,
        text: KeysAndValues,
        forgets: bool = False,  # gives the current frames' tokens alone
    ) -> Tensor:
        rows = (self.scale_shift_table.float() + told.rows.float()).unbind(2)
        shift1, scale1, gate1, shift3, scale3, gate3 = rows
        past, silent = told.past, told.past if forgets else 0
        normed = by_age(past, partial(modulated, self.norm1), [states], [shift1, scale1])
        seen = self.attn1(normed, told.places, told.attend, past, silent)
        states, past = states[:, silent:], past - silent
        states = by_age(past, gated, [states, seen], [gate1])
        states = self.read(states, text, 0 if self.everyone_reads else past)
        normed = by_age(past, partial(modulated, self.norm3), [states], [shift3, scale3])
        return by_age(past, gated, [states, self.ffn(normed)], [gate3])

    def read(self, states: Tensor, text: KeysAndValues, first: int) -> Tensor:
        """The states, those from ``first`` on after a look at the text."""
        readers = states[:, first:]
        readers = readers + self.attn2(self.norm2(readers).to(states.dtype), text)
        return torch.cat([states[:, :first], readers], dim=1) if first else readers


class OutputNorm(nn.Module):
    """The last norm, shifted and scaled by the time."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.norm = LayerNorm32(dim, eps, elementwise_affine=False)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)

    def forward(self, states: Tensor, time: Tensor) -> Tensor:  # time: (batch, width)
        shift, scale = (self.scale_shift_table.float() + time[:, None].float()).chunk(2, dim=1)
        return modulated(self.norm, states, shift, scale)


def modulated(norm: LayerNorm32, states: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return (norm(states) * (1 + scale) + shift).to(states.dtype)


def gated(states: Tensor, added: Tensor, gate: Tensor) -> Tensor:
    return (states.float() + added.float() * gate).to(states.dtype)


def by_age(past: int, use: Callable[..., Tensor], tokens: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """``use`` on the history's tokens with the first of two rows (batch, 2, width), and on the others with the last."""
    if not past or rows[0].shape[1] == 1:
        return use(*tokens, *(row[:, -1:] for row in rows))
    old = use(*(each[:, :past] for each in tokens), *(row[:, :1] for row in rows))
    new = use(*(each[:, past:] for each in tokens), *(row[:, 1:] for row in rows))
    return torch.cat([old, new], dim=1)
