"""The blocks of a UNet: one way down, one way up and one middle; what a block's type name means is a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from calotype.core.errors import InvalidArgument
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


DOWN = {
    "DownBlock2D": Kind(),
    "CrossAttnDownBlock2D": Kind("transformer"),
    "ResnetDownsampleBlock2D": Kind(by_resnets=True),
    "SimpleCrossAttnDownBlock2D": Kind("simple", by_resnets=True),
}
MID = {
    "UNetMidBlock2D": Kind(),
    "UNetMidBlock2DCrossAttn": Kind("transformer"),
    "UNetMidBlock2DSimpleCrossAttn": Kind("simple", by_resnets=True),
}
UP = {
    "UpBlock2D": Kind(),
    "CrossAttnUpBlock2D": Kind("transformer"),
    "ResnetUpsampleBlock2D": Kind(by_resnets=True),
    "SimpleCrossAttnUpBlock2D": Kind("simple", by_resnets=True),
}


def kind_of(table: dict[str, Kind], name: str, where: str) -> Kind:
    """What this type name means; ``where`` is the argument that named it."""
    if name not in table:
        raise InvalidArgument(where, f"one of {', '.join(table)}", repr(name))
    return table[name]


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
    """What every block is told beside the picture."""

    time: torch.Tensor  # (batch, width)
    states: torch.Tensor | None  # the words: (batch, length, width)
    attention_mask: torch.Tensor | None  # both masks: (batch, 1, keys), added to the scores
    states_mask: torch.Tensor | None
    kwargs: dict[str, Any]  # for attention processors

    def look(self, layer: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
        """The picture after an attention layer of either kind."""
        if isinstance(layer, Attention):
            mask = self.states_mask if self.attention_mask is None else self.attention_mask
            return layer(hidden_states, self.states, mask, **self.kwargs)
        return layer(hidden_states, self.states, self.attention_mask, self.states_mask, self.kwargs)


class DownBlock(nn.Module):
    """Residual blocks, each followed by attention if the kind has any, then half the size."""

    def __init__(
        self, kind: Kind, style: Style, level: Level, in_channels: int, depths: Sequence[int], downsample: bool
    ) -> None:
        super().__init__()
        channels = level.channels
        self.attentions = _attentions(kind, style, level, depths)
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
        self, hidden_states: torch.Tensor, told: Told, adapted: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The picture, and what the way up will look back at.

        ``adapted`` joins after the last attention, or at the very end of a block that has none.
        """
        seen: list[torch.Tensor] = []
        for i, resnet in enumerate(self.resnets):
            hidden_states = resnet(hidden_states, told.time)
            if self.attentions is not None:
                hidden_states = told.look(self.attentions[i], hidden_states)
            seen.append(hidden_states)
        if adapted is not None and self.attentions is not None:
            hidden_states = seen[-1] = hidden_states + adapted
        if self.downsamplers is not None:
            halve = self.downsamplers[0]
            hidden_states = (
                halve(hidden_states, told.time) if isinstance(halve, ResnetBlock2D) else halve(hidden_states)
            )
            seen.append(hidden_states)
        if adapted is not None and self.attentions is None:
            hidden_states = seen[-1] = hidden_states + adapted
        return hidden_states, seen


class MidBlock(nn.Module):
    """A residual block, then pairs of attention and residual block."""

    def __init__(
        self, kind: Kind, style: Style, level: Level, depths: Sequence[int], output_scale_factor: float
    ) -> None:
        super().__init__()
        self.attentions = _attentions(kind, style, level, depths)
        pairs = 0 if self.attentions is None else len(self.attentions)
        self.resnets = nn.ModuleList(
            style.resnet(kind, level.channels, level.channels, output_scale_factor=output_scale_factor)
            for _ in range(pairs + 1)
        )

    def forward(self, hidden_states: torch.Tensor, told: Told) -> torch.Tensor:
        hidden_states = self.resnets[0](hidden_states, told.time)
        for attention, resnet in zip(self.attentions or (), self.resnets[1:], strict=True):
            hidden_states = resnet(told.look(attention, hidden_states), told.time)
        return hidden_states


class UpBlock(nn.Module):
    """Residual blocks that look back at the way down, attention after each if there is any, then twice the size."""

    def __init__(
        self,
        kind: Kind,
        style: Style,
        level: Level,
        prev_channels: int,  # of what comes from below
        skip_channels: int,  # of the last picture to look back at: it comes from the level above
        depths: Sequence[int],
        upsample: bool,
    ) -> None:
        super().__init__()
        channels, last = level.channels, len(depths) - 1
        self.heeds_freeu = not kind.by_resnets
        self.attentions = _attentions(kind, style, level, depths)
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
        seen: list[torch.Tensor],  # what to look back at, the last first; each is let go
        told: Told,
        freeu: tuple[float, float] | None = None,
    ) -> torch.Tensor:
        for i, resnet in enumerate(self.resnets):
            skip = seen.pop()
            if freeu is not None and self.heeds_freeu:
                hidden_states, skip = _free(hidden_states, skip, *freeu)
            hidden_states = resnet(torch.cat([hidden_states, skip], dim=1), told.time)
            if self.attentions is not None:
                hidden_states = told.look(self.attentions[i], hidden_states)
        if self.upsamplers is not None:
            double, size = self.upsamplers[0], seen[-1].shape[2:]  # odd where the sample's size does not divide
            if isinstance(double, ResnetBlock2D):
                return double(hidden_states, told.time, size)
            return double(hidden_states, size)
        return hidden_states


def _attentions(kind: Kind, style: Style, level: Level, depths: Sequence[int]) -> nn.ModuleList | None:
    return nn.ModuleList(level.attention(kind, style, depth) for depth in depths) if kind.attention else None


def _free(hidden_states: torch.Tensor, skip: torch.Tensor, s: float, b: float) -> tuple[torch.Tensor, torch.Tensor]:
    """FreeU: half of the backbone's channels louder by ``b``, the skip's low frequencies softer by ``s``."""
    loud, rest = hidden_states.tensor_split([hidden_states.shape[1] // 2], dim=1)
    return torch.cat([loud * b, rest], dim=1), scale_low_frequencies(skip, s)
