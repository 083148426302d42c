"""The encoder and the decoder of picture autoencoders, under the key names of their checkpoint files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

from torch import Tensor, nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.activations import activation
from calotype.models.layers.attention import Attention
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from calotype.models.layers.spatial_norm import SpatialNorm, SpatialResnetBlock2D

# Which blocks have an attention layer after each residual block.
DOWN_BLOCKS = {"DownEncoderBlock2D": False, "AttnDownEncoderBlock2D": True}
UP_BLOCKS = {"UpDecoderBlock2D": False, "AttnUpDecoderBlock2D": True}
EPS = 1e-6


@dataclass(frozen=True)
class Shape:
    """What encoder and decoder have in common."""

    channels: Sequence[int]  # per level, the largest picture first
    layers_per_block: int
    act_fn: str
    groups: int
    mid_attention: bool = True
    looks_at: int | None = None  # channels of the latents that norms look at

    def norm(self, channels: int) -> nn.Module:
        if self.looks_at:
            return SpatialNorm(channels, self.looks_at)
        return nn.GroupNorm(self.groups, channels, eps=EPS)

    def resnet(self, before: int, after: int) -> nn.Module:
        if self.looks_at:
            return SpatialResnetBlock2D(before, after, self.looks_at, self.act_fn)
        return ResnetBlock2D(before, after, None, self.groups, eps=EPS, non_linearity=self.act_fn)

    def attention(self, channels: int) -> Attention:
        return Attention(
            channels,
            heads=1,
            dim_head=channels,
            bias=True,
            upcast_softmax=True,
            norm_num_groups=None if self.looks_at else self.groups,
            spatial_norm_dim=self.looks_at,
            eps=EPS,
            residual_connection=True,
        )


def passed(layer: nn.Module, x: Tensor, latents: Tensor | None) -> Tensor:
    """The picture after a layer, which may look at the latents that it is decoded from."""
    if isinstance(layer, Attention):
        return layer(x, temb=latents)
    return layer(x, latents) if isinstance(layer, (SpatialResnetBlock2D, SpatialNorm)) else layer(x)


class Chain(nn.Module):
    """Layers that a picture goes through one after the other."""

    shrinks: ClassVar[bool] = False  # whether what comes out is smaller than what goes in

    def layers(self) -> list[nn.Module]:
        """The layers in the order that a picture goes through them."""
        raise NotImplementedError

    def forward(self, x: Tensor, latents: Tensor | None = None) -> Tensor:
        for layer in self.layers():
            x = passed(layer, x, latents)
        return x


class Block(Chain):
    """Residual blocks, each followed by attention where the kind has it, then another size."""

    def __init__(self, shape: Shape, before: int, after: int, layers: int, attends: bool) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(shape.attention(after) for _ in range(layers)) if attends else None
        self.resnets = nn.ModuleList(shape.resnet(before if i == 0 else after, after) for i in range(layers))
        self.downsamplers: nn.ModuleList | None = None
        self.upsamplers: nn.ModuleList | None = None

    def layers(self) -> list[nn.Module]:
        rows = zip(self.resnets, self.attentions, strict=True) if self.attentions else zip(self.resnets, strict=True)
        return [*chain(*rows), *(self.downsamplers or self.upsamplers or ())]


class MidBlock(Chain):
    """Attention over the whole picture between two residual blocks."""

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([shape.attention(channels)] if shape.mid_attention else [])
        self.resnets = nn.ModuleList(shape.resnet(channels, channels) for _ in range(2))

    def layers(self) -> list[nn.Module]:
        return [self.resnets[0], *self.attentions, self.resnets[1]]


class Encoder(Chain):
    """Pictures to ``out_channels`` values for each patch of 2 ** (levels - 1) pixels a side."""

    shrinks = True

    def __init__(self, in_channels: int, out_channels: int, block_types: Sequence[str], shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        kinds = _kinds(block_types, DOWN_BLOCKS, "down_block_types", shape)
        for level, (before, after, attends) in enumerate(zip((channels[0], *channels), channels, kinds, strict=False)):
            block = Block(shape, before, after, shape.layers_per_block, attends)
            if level < len(channels) - 1:
                block.downsamplers = nn.ModuleList([Downsample2D(after, use_conv=True, padding=0)])
            self.down_blocks.append(block)
        self.mid_block = MidBlock(shape, channels[-1])
        self.conv_norm_out = shape.norm(channels[-1])
        self.conv_act = activation("silu")
        self.conv_out = nn.Conv2d(channels[-1], out_channels, 3, padding=1)

    def layers(self) -> list[nn.Module]:
        blocks: list[Any] = [*self.down_blocks, self.mid_block]
        return [
            self.conv_in,
            *chain(*(block.layers() for block in blocks)),
            self.conv_norm_out,
            self.conv_act,
            self.conv_out,
        ]


class Decoder(Chain):
    """Latents back to pictures, which norms may look at once more on the way."""

    def __init__(self, in_channels: int, out_channels: int, block_types: Sequence[str], shape: Shape) -> None:
        super().__init__()
        channels = tuple(reversed(shape.channels))
        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.mid_block = MidBlock(shape, channels[0])
        self.up_blocks = nn.ModuleList()
        kinds = _kinds(block_types, UP_BLOCKS, "up_block_types", shape)
        for level, (before, after, attends) in enumerate(zip((channels[0], *channels), channels, kinds, strict=False)):
            block = Block(shape, before, after, shape.layers_per_block + 1, attends)
            if level < len(channels) - 1:
                block.upsamplers = nn.ModuleList([Upsample2D(after, use_conv=True)])
            self.up_blocks.append(block)
        self.conv_norm_out = shape.norm(channels[-1])
        self.conv_act = activation("silu")
        self.conv_out = nn.Conv2d(channels[-1], out_channels, 3, padding=1)

    def layers(self) -> list[nn.Module]:
        blocks: list[Any] = [self.mid_block, *self.up_blocks]
        return [
            self.conv_in,
            *chain(*(block.layers() for block in blocks)),
            self.conv_norm_out,
            self.conv_act,
            self.conv_out,
        ]


def _kinds(block_types: Sequence[str], table: dict[str, bool], where: str, shape: Shape) -> list[bool]:
    levels = len(shape.channels)
    if len(block_types) != levels:
        raise InvalidArgument(where, f"{levels} names, as many as block_out_channels", str(len(block_types)))
    for name in block_types:
        if name not in table:
            raise InvalidArgument(where, f"one of {', '.join(table)}", repr(name))
    return [table[name] for name in block_types]
