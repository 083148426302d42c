"""The encoder and the decoder of picture autoencoders, under the key names of their checkpoint files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.activations import activation
from calotype.models.layers.attention import Attention
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D

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

    def resnet(self, before: int, after: int) -> ResnetBlock2D:
        return ResnetBlock2D(before, after, None, self.groups, eps=EPS, non_linearity=self.act_fn)

    def attention(self, channels: int) -> Attention:
        return Attention(
            channels,
            heads=1,
            dim_head=channels,
            bias=True,
            upcast_softmax=True,
            norm_num_groups=self.groups,
            eps=EPS,
            residual_connection=True,
        )


class Block(nn.Module):
    """Residual blocks, each followed by attention where the kind has it, then another size."""

    def __init__(self, shape: Shape, before: int, after: int, layers: int, attends: bool) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(shape.attention(after) for _ in range(layers)) if attends else None
        self.resnets = nn.ModuleList(shape.resnet(before if i == 0 else after, after) for i in range(layers))
        self.downsamplers: nn.ModuleList | None = None
        self.upsamplers: nn.ModuleList | None = None

    def forward(self, x: Tensor) -> Tensor:
        for i, resnet in enumerate(self.resnets):
            x = resnet(x)
            x = x if self.attentions is None else self.attentions[i](x)
        for resample in self.downsamplers or self.upsamplers or ():
            x = resample(x)
        return x


class MidBlock(nn.Module):
    """Attention over the whole picture between two residual blocks."""

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([shape.attention(channels)] if shape.mid_attention else [])
        self.resnets = nn.ModuleList(shape.resnet(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        return self.resnets[1](x)


class Encoder(nn.Module):
    """Pictures to ``out_channels`` values for each patch of 2 ** (levels - 1) pixels a side."""

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
        self.conv_norm_out = nn.GroupNorm(shape.groups, channels[-1], eps=EPS)
        self.conv_act = activation("silu")
        self.conv_out = nn.Conv2d(channels[-1], out_channels, 3, padding=1)

    def forward(self, sample: Tensor) -> Tensor:
        x = self.conv_in(sample)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(self.conv_act(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """Latents back to pictures."""

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
        self.conv_norm_out = nn.GroupNorm(shape.groups, channels[-1], eps=EPS)
        self.conv_act = activation("silu")
        self.conv_out = nn.Conv2d(channels[-1], out_channels, 3, padding=1)

    def forward(self, sample: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(sample))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(self.conv_act(self.conv_norm_out(x)))


def _kinds(block_types: Sequence[str], table: dict[str, bool], where: str, shape: Shape) -> list[bool]:
    levels = len(shape.channels)
    if len(block_types) != levels:
        raise InvalidArgument(where, f"{levels} names, as many as block_out_channels", str(len(block_types)))
    for name in block_types:
        if name not in table:
            raise InvalidArgument(where, f"one of {', '.join(table)}", repr(name))
    return [table[name] for name in block_types]
