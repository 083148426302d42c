"""Transformers on pictures: every pixel looks at every other, and at the words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from calotype.core.outputs import BaseOutput
from calotype.models.layers.activations import GEGLU, GELU
from calotype.models.layers.attention import Attention


class FeedForward(nn.Module):
    """A layer four times as wide, or ``inner`` wide, gated as a rule, and back."""

    def __init__(
        self,
        dim: int,
        mult: int = 4,
        dropout: float = 0.0,
        wide: type[GEGLU] | type[GELU] = GEGLU,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        inner = inner or dim * mult
        self.net = nn.ModuleList([wide(dim, inner), nn.Dropout(dropout), nn.Linear(inner, dim)])

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        for layer in self.net:
            hidden_states = layer(hidden_states)
        return hidden_states


class BasicTransformerBlock(nn.Module):
    """Self-attention, cross-attention and a feed-forward layer, each with its norm and its residual.

    With ``only_cross_attention`` the first looks at the encoder's states too.
    """

    def __init__(
        self,
        dim: int,
        num_attention_heads: int,
        attention_head_dim: int,
        cross_attention_dim: int,
        only_cross_attention: bool = False,
        upcast_attention: bool = False,
    ) -> None:
        super().__init__()
        self.only_cross_attention = only_cross_attention
        self.norm1 = nn.LayerNorm(dim)
        first = cross_attention_dim if only_cross_attention else None
        self.attn1 = Attention(dim, first, num_attention_heads, attention_head_dim, upcast_attention=upcast_attention)
        self.norm2 = nn.LayerNorm(dim)
        second = cross_attention_dim
        self.attn2 = Attention(dim, second, num_attention_heads, attention_head_dim, upcast_attention=upcast_attention)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)

    def forward(
        self,
        hidden_states: torch.Tensor,  # (batch, length, channels)
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        told = cross_attention_kwargs or {}
        first = encoder_hidden_states if self.only_cross_attention else None
        hidden_states = self.attn1(self.norm1(hidden_states), first, attention_mask, **told) + hidden_states
        normed = self.norm2(hidden_states)
        hidden_states = self.attn2(normed, encoder_hidden_states, encoder_attention_mask, **told) + hidden_states
        return self.ff(self.norm3(hidden_states)) + hidden_states


@dataclass
class Transformer2DModelOutput(BaseOutput):
    """The picture after the transformer, in its shape."""

    sample: torch.Tensor


class Transformer2DModel(nn.Module):
    """Transformer blocks over the pixels of a picture, between two projections and beside a residual."""

    def __init__(
        self,
        num_attention_heads: int,
        attention_head_dim: int,
        in_channels: int,
        num_layers: int,
        cross_attention_dim: int,
        norm_num_groups: int = 32,
        use_linear_projection: bool = False,
        only_cross_attention: bool = False,
        upcast_attention: bool = False,
    ) -> None:
        super().__init__()
        inner = num_attention_heads * attention_head_dim
        self.use_linear_projection = use_linear_projection
        self.norm = nn.GroupNorm(norm_num_groups, in_channels, eps=1e-6)
        self.proj_in = nn.Linear(in_channels, inner) if use_linear_projection else nn.Conv2d(in_channels, inner, 1)
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(
                inner,
                num_attention_heads,
                attention_head_dim,
                cross_attention_dim,
                only_cross_attention,
                upcast_attention,
            )
            for _ in range(num_layers)
        )
        self.proj_out = nn.Linear(inner, in_channels) if use_linear_projection else nn.Conv2d(inner, in_channels, 1)

    def forward(
        self,
        hidden_states: torch.Tensor,  # (batch, channels, height, width)
        encoder_hidden_states: torch.Tensor | None = None,
        *,
        cross_attention_kwargs: dict[str, Any] | None = None,
        attention_mask: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        residual, size = hidden_states, hidden_states.shape[2:]
        hidden_states = self.norm(hidden_states)
        if self.use_linear_projection:
            hidden_states = self.proj_in(hidden_states.flatten(2).transpose(1, 2))
        else:
            hidden_states = self.proj_in(hidden_states).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            hidden_states = block(
                hidden_states,
                attention_mask=attention_mask,
                encoder_hidden_states=encoder_hidden_states,
                encoder_attention_mask=encoder_attention_mask,
                cross_attention_kwargs=cross_attention_kwargs,
            )
        # contiguous: else every later convolution copies its weights into another layout, a tenth of a step
        if self.use_linear_projection:
            hidden_states = self.proj_out(hidden_states).transpose(1, 2).unflatten(2, size).contiguous()
        else:
            hidden_states = self.proj_out(hidden_states.transpose(1, 2).unflatten(2, size).contiguous())
        sample = hidden_states + residual
        return Transformer2DModelOutput(sample) if return_dict else (sample,)
