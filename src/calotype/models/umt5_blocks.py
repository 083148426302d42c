"""UMT5's layers, under the key names of its checkpoint files: normed before each half, with distances in the scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.ops.attention import attend


class RMSNorm(nn.Module):
    """A state over its root mean square; the square is taken in fp32, and the scale is applied after the cast."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, states: Tensor) -> Tensor:
        full = states.float()
        unit = full * torch.rsqrt(full.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * unit.to(self.weight.dtype)


def buckets_of(length: int, buckets: int, furthest: int, device: torch.device | None = None) -> Tensor:
    """The bucket (queries, keys) of each distance: one side each for keys ahead; near ones alone, far ones together.

    On a side, half of the buckets hold one distance each; the others grow by a constant factor up to ``furthest``
    (Raffel et al. 2020, section 2.1).
    """
    places = torch.arange(length, device=device)
    offset = places - places[:, None]
    side, distance = buckets // 2, offset.abs()
    near = side // 2
    grown = torch.log(distance.clamp(min=1).float() / near) / math.log(furthest / near) * (side - near)
    far = (near + grown.long()).clamp(max=side - 1)
    return torch.where(distance < near, distance, far) + side * (offset > 0)


class SelfAttention(nn.Module):
    """Every token looks at all that stand there; scores are not scaled, and a table adds what the distance is worth."""

    def __init__(self, width: int, heads: int, head_width: int, buckets: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_width
        self.q, self.k, self.v = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, width, bias=False)
        self.relative_attention_bias = nn.Embedding(buckets, heads)

    def forward(self, states: Tensor, buckets: Tensor, hidden: Tensor | None) -> Tensor:
        query, key, value = (
            project(states).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in (self.q, self.k, self.v)
        )
        worth = self.relative_attention_bias(buckets).permute(2, 0, 1)[None]
        if hidden is not None:
            worth = worth.masked_fill(hidden, torch.finfo(worth.dtype).min)
        return self.o(attend(query, key, value, worth, scale=1.0).transpose(1, 2).flatten(2))


class Attending(nn.Module):
    """A norm, attention, and what came before them."""

    def __init__(self, width: int, heads: int, head_width: int, buckets: int, eps: float) -> None:
        super().__init__()
        self.SelfAttention = SelfAttention(width, heads, head_width, buckets)
        self.layer_norm = RMSNorm(width, eps)

    def forward(self, states: Tensor, buckets: Tensor, hidden: Tensor | None) -> Tensor:
        return states + self.SelfAttention(self.layer_norm(states), buckets, hidden)


class Gated(nn.Module):
    """A linear layer gated by the GELU of another, and one back (arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.wi_0, self.wi_1 = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.wo = nn.Linear(inner, width, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        return self.wo(F.gelu(self.wi_0(states), approximate="tanh") * self.wi_1(states))


class Thinking(nn.Module):
    """A norm, gated linear layers, and what came before them."""

    def __init__(self, width: int, inner: int, eps: float) -> None:
        super().__init__()
        self.DenseReluDense = Gated(width, inner)
        self.layer_norm = RMSNorm(width, eps)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.DenseReluDense(self.layer_norm(states))


class Block(nn.Module):
    """Attention, then gated linear layers."""

    def __init__(self, attending: Attending, thinking: Thinking) -> None:
        super().__init__()
        self.layer = nn.ModuleList([attending, thinking])

    def forward(self, states: Tensor, buckets: Tensor, hidden: Tensor | None) -> Tensor:
        attending, thinking = self.layer
        return thinking(attending(states, buckets, hidden))


class Stack(nn.Module):
    """Words, blocks and a final norm."""

    def __init__(self, embed_tokens: nn.Embedding, blocks: list[Block], norm: RMSNorm) -> None:
        super().__init__()
        self.embed_tokens = embed_tokens
        self.block = nn.ModuleList(blocks)
        self.final_layer_norm = norm

    def forward(self, input_ids: Tensor, buckets: Tensor, hidden: Tensor | None, keep: bool) -> tuple[Tensor, ...]:
        """The states after the final norm, and before them, when they are to be kept, what each block reads."""
        states, kept = self.embed_tokens(input_ids), list[Tensor]()
        for block in self.block:
            kept += [states] if keep else []
            states = block(states, buckets, hidden)
        return *kept, self.final_layer_norm(states)
