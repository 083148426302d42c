"""Attention in Helios: over all tokens of a chunk and its history, and from these to the text."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from calotype.models.helios_rope import Places, turned
from calotype.models.layers.spread import Attention
from calotype.ops.attention import attend

KeysAndValues = tuple[Tensor, Tensor]  # (batch, heads, tokens, head width) each
ScaleMode = Literal["per_head", "scalar"]

MOST = 10  # times that a key of the history may be amplified


class HeliosAttention(nn.Module):
    """Projections to heads and back; queries and keys are normed over all heads together."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.norm_q, self.norm_k = (nn.RMSNorm(dim, eps) for _ in range(2))

    def split(self, states: Tensor) -> Tensor:  # (batch, tokens, heads, head width)
        return states.unflatten(-1, (self.heads, -1))

    def merge(self, heads: Tensor) -> Tensor:
        """Back from (batch, heads, tokens, head width)."""
        return self.to_out[0](heads.transpose(1, 2).flatten(2))


class SelfAttention(HeliosAttention):
    """Every token looks at every other, and knows where it stands."""

    def __init__(self, dim: int, heads: int, eps: float, history_scale: ScaleMode | None = None) -> None:
        super().__init__(dim, heads, eps)
        counts = {"per_head": heads, "scalar": 1}
        self.history_key_scale = nn.Parameter(torch.ones(counts[history_scale])) if history_scale else None

    def forward(
        self,
        states: Tensor,  # (batch, tokens, width)
        places: Places,
        look: Attention,
        past: int,  # the first so many tokens are history
        silent: int = 0,  # the first so many tokens are looked at, and do not look
    ) -> Tensor:
        asking = Places(places.cos[:, silent:], places.sin[:, silent:])
        query = turned(self.split(self.norm_q(self.to_q(states[:, silent:]))), asking)
        key = self.amplified(turned(self.split(self.norm_k(self.to_k(states))), places), past)
        value = self.split(self.to_v(states))
        return self.merge(look(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)))

    def amplified(self, key: Tensor, past: int) -> Tensor:
        """The keys, those of the history larger, so that it is looked at more; by how much was learnt."""
        if self.history_key_scale is None:
            return key
        scale = 1 + self.history_key_scale.float().sigmoid() * (MOST - 1)
        larger = (key[:, :past].float() * scale[:, None]).to(key.dtype)
        return torch.cat([larger, key[:, past:]], dim=1)


class CrossAttention(HeliosAttention):
    """Tokens look at the text, whose keys and values are made once."""

    def read(self, text: Tensor) -> KeysAndValues:
        """The keys and values of a text (batch, words, width)."""
        key, value = self.split(self.norm_k(self.to_k(text))), self.split(self.to_v(text))
        return key.transpose(1, 2), value.transpose(1, 2)

    def forward(self, states: Tensor, text: KeysAndValues) -> Tensor:
        query = self.split(self.norm_q(self.to_q(states))).transpose(1, 2)
        key, value = (each.expand(len(states), -1, -1, -1) for each in text)  # one text may serve all
        return self.merge(attend(query, key, value))
