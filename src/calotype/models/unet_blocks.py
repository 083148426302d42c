"""The blocks of a UNet: one way down, one way up and one middle, of several kinds.

They are called by the keywords that the peer's are called by: scripts put a forward of their own in a block's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from calotype.models.layers.attention import Attention
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from calotype.models.layers.transformer import Transformer2DModel
from calotype.ops.fourier import scale_low_frequencies


@dataclass(frozen=True)
class Kind:
    """What a block is made of beside its residual blocks."""

    attention: Literal["transformer", "simple"] | None = None  # simple: one layer that reads pixels and words together
    # such blocks resample by residual blocks, and heed resnet_out_scale_factor and resnet_skip_time_act
    by_resnets: bool = False


@dataclass(frozen=True)
class Style:
    """What all blocks of a network have in common."""

    temb_channels: int
    eps: float
    act_fn: str
    groups: int
    dropout: float
    time_scale_shift: str
    skip_time_act: bool
    out_scale_factor: float
    downsample_padding: int
    use_linear_projection: bool
    upcast_attention: bool
    cross_attention_norm: str | None

    def resnet(
        self,
        kind: Kind,
        in_channels: int,
        out_channels: int,
        resample: Literal["up", "down"] | None = None,
        output_scale_factor: float | None = None,
    ) -> ResnetBlock2D:
        default = self.out_scale_factor if kind.by_resnets else 1.0
        return ResnetBlock2D(
            in_channels,
            out_channels,
            self.temb_channels,
            groups=self.groups,
            eps=self.eps,
            non_linearity=self.act_fn,
            dropout=self.dropout,
            time_embedding_norm=self.time_scale_shift,
            skip_time_act=self.skip_time_act and kind.by_resnets,
            output_scale_factor=default if output_scale_factor is None else output_scale_factor,
            resample=resample,
        )


@dataclass(frozen=True)
class Level:
    """What the blocks of one resolution have in common."""

    channels: int
    heads: int  # of transformers
    head_dim: int  # of simple attention layers
    cross_attention_dim: int
    only_cross_attention: bool

    def attention(self, kind: Kind, style: Style, depth: int) -> nn.Module:
        if kind.attention == "transformer":
            return Transformer2DModel(
                self.heads,
                self.channels // self.heads,
                self.channels,
                depth,
                self.cross_attention_dim,
                norm_num_groups=style.groups,
                use_linear_projection=style.use_linear_projection,
                only_cross_attention=self.only_cross_attention,
                upcast_attention=style.upcast_attention,
            )
        return Attention(
            self.channels,
            self.channels,
            heads=self.channels // self.head_dim,
            dim_head=self.head_dim,
            bias=True,
            upcast_softmax=True,
            added_kv_proj_dim=self.cross_attention_dim,
            norm_num_groups=style.groups,
            only_cross_attention=self.only_cross_attention,
            cross_attention_norm=style.cross_attention_norm,
            residual_connection=True,
        )


@dataclass(frozen=True)
class Told:
    """What every block is told beside the picture, by the names of its arguments."""

    temb: torch.Tensor  # (batch, width)
    encoder_hidden_states: torch.Tensor | None = None  # the words: (batch, length, width)
    attention_mask: torch.Tensor | None = None  # both masks: (batch, 1, keys), added to the scores
    encoder_attention_mask: torch.Tensor | None = None
    cross_attention_kwargs: dict[str, Any] | None = None  # for attention processors

    def to(self, block: nn.Module) -> dict[str, Any]:
        """What this block takes of it."""
        attending = getattr(block, "has_cross_attention", False)  # it may be a script's own
        return {"temb": self.temb, **self.words()} if attending else {"temb": self.temb}

    def words(self) -> dict[str, Any]:
        return {
            "encoder_hidden_states": self.encoder_hidden_states,
            "attention_mask": self.attention_mask,
            "encoder_attention_mask": self.encoder_attention_mask,
            "cross_attention_kwargs": self.cross_attention_kwargs,
        }

    def look(self, layer: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
        """The picture after an attention layer of either kind."""
        if isinstance(layer, Attention):
            mask = self.encoder_attention_mask if self.attention_mask is None else self.attention_mask
            return layer(hidden_states, self.encoder_hidden_states, mask, **self.cross_attention_kwargs or {})
        return layer(hidden_states, **self.words(), return_dict=False)[0]


class Block(nn.Module):
    """Residual blocks, and attention layers if the kind has any; abstract."""

    kind: ClassVar[Kind] = Kind()
    attentions: nn.ModuleList
    resnets: nn.ModuleList

    @property
    def has_cross_attention(self) -> bool:
        return self.kind.attention is not None

    def attend(self, style: Style, level: Level, depths: Sequence[int]) -> None:
        """Add an attention layer of each depth, or none."""
        wanted = depths if self.has_cross_attention else ()
        self.attentions = nn.ModuleList(level.attention(self.kind, style, depth) for depth in wanted)


class DownBlock(Block):
    """Residual blocks, each followed by attention if the kind has any, then half the size."""

    def __init__(self, style: Style, level: Level, in_channels: int, depths: Sequence[int], downsample: bool) -> None:
        super().__init__()
        kind, channels = self.kind, level.channels
        self.attend(style, level, depths)
        self.resnets = nn.ModuleList(
            style.resnet(kind, in_channels if i == 0 else channels, channels) for i in range(len(depths))
        )
        if not downsample:
            self.downsamplers = None
        elif kind.by_resnets:
            self.downsamplers = nn.ModuleList([style.resnet(kind, channels, channels, "down")])
        else:
            self.downsamplers = nn.ModuleList([Downsample2D(channels, True, padding=style.downsample_padding)])

    def forward(
        self,
        hidden_states: torch.Tensor,
        temb: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        additional_residuals: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The picture, and what the way up will look back at.

        ``additional_residuals`` join after the last attention, or at the very end of a block that has none.
        """
        told = Told(temb, encoder_hidden_states, attention_mask, encoder_attention_mask, cross_attention_kwargs)
        seen: list[torch.Tensor] = []
        for i, resnet in enumerate(self.resnets):
            hidden_states = resnet(hidden_states, temb)
            if self.has_cross_attention:
                hidden_states = told.look(self.attentions[i], hidden_states)
            seen.append(hidden_states)
        if additional_residuals is not None and self.has_cross_attention:
            hidden_states = seen[-1] = hidden_states + additional_residuals
        if self.downsamplers is not None:
            halve = self.downsamplers[0]
            hidden_states = halve(hidden_states, temb) if isinstance(halve, ResnetBlock2D) else halve(hidden_states)
            seen.append(hidden_states)
        if additional_residuals is not None and not self.has_cross_attention:
            hidden_states = seen[-1] = hidden_states + additional_residuals
        return hidden_states, tuple(seen)


class MidBlock(Block):
    """A residual block, then pairs of attention and residual block."""

    def __init__(self, style: Style, level: Level, depths: Sequence[int], output_scale_factor: float) -> None:
        super().__init__()
        self.attend(style, level, depths)
        self.resnets = nn.ModuleList(
            style.resnet(self.kind, level.channels, level.channels, output_scale_factor=output_scale_factor)
            for _ in range(len(self.attentions) + 1)
        )

    def forward(
        self,
        hidden_states: torch.Tensor,
        temb: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        told = Told(temb, encoder_hidden_states, attention_mask, encoder_attention_mask, cross_attention_kwargs)
        hidden_states = self.resnets[0](hidden_states, temb)
        for attention, resnet in zip(self.attentions, self.resnets[1:], strict=True):
            hidden_states = resnet(told.look(attention, hidden_states), temb)
        return hidden_states


class UpBlock(Block):
    """Residual blocks that look back at the way down, attention after each if there is any, then twice the size."""

    def __init__(
        self,
        style: Style,
        level: Level,
        prev_channels: int,  # of what comes from below
        skip_channels: int,  # of the last picture to look back at: it comes from the level above
        depths: Sequence[int],
        upsample: bool,
    ) -> None:
        super().__init__()
        kind, channels, last = self.kind, level.channels, len(depths) - 1
        self.freeu: tuple[float, float] | None = None  # factors of what it looks back at, and of what comes to it
        self.attend(style, level, depths)
        self.resnets = nn.ModuleList(
            style.resnet(
                kind,
                (prev_channels if i == 0 else channels) + (skip_channels if i == last else channels),
                channels,
            )
            for i in range(len(depths))
        )
        if not upsample:
            self.upsamplers = None
        elif kind.by_resnets:
            self.upsamplers = nn.ModuleList([style.resnet(kind, channels, channels, "up")])
        else:
            self.upsamplers = nn.ModuleList([Upsample2D(channels, True)])

    def forward(
        self,
        hidden_states: torch.Tensor,
        res_hidden_states_tuple: Sequence[torch.Tensor],  # what to look back at, the last first
        temb: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        upsample_size: tuple[int, int] | None = None,  # odd where the sample's size does not divide
        attention_mask: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        told = Told(temb, encoder_hidden_states, attention_mask, encoder_attention_mask, cross_attention_kwargs)
        # a list is emptied on the way: each picture is let go once it was looked at
        seen = res_hidden_states_tuple if isinstance(res_hidden_states_tuple, list) else [*res_hidden_states_tuple]
        for i, resnet in enumerate(self.resnets):
            skip = seen.pop()
            if self.freeu is not None and not self.kind.by_resnets:
                hidden_states, skip = _free(hidden_states, skip, *self.freeu)
            hidden_states = resnet(torch.cat([hidden_states, skip], dim=1), temb)
            if self.has_cross_attention:
                hidden_states = told.look(self.attentions[i], hidden_states)
        if self.upsamplers is not None:
            double = self.upsamplers[0]
            if isinstance(double, ResnetBlock2D):
                return double(hidden_states, temb, upsample_size)
            return double(hidden_states, upsample_size)
        return hidden_states


def _free(hidden_states: torch.Tensor, skip: torch.Tensor, s: float, b: float) -> tuple[torch.Tensor, torch.Tensor]:
    """FreeU: half of the backbone's channels louder by ``b``, the skip's low frequencies softer by ``s``."""
    loud, rest = hidden_states.tensor_split([hidden_states.shape[1] // 2], dim=1)
    return torch.cat([loud * b, rest], dim=1), scale_low_frequencies(skip, s)
