"""The encoder and the decoder of Wan's video autoencoder, under the key names of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.wan_blocks import (
    CausalConv3d,
    ChannelNorm,
    Downsample,
    FrameAttention,
    Memory,
    MidBlock,
    ResidualBlock,
    Upsample,
)


@dataclass(frozen=True)
class Shape:
    """What encoder and decoder have in common."""

    widths: Sequence[int]  # channels per level, the largest frames first
    in_time: Sequence[bool]  # whether there are half as many frames from each level to the next
    blocks: int  # residual blocks per level
    dropout: float


class Encoder(nn.Module):
    """Frames to ``after`` values for each patch of space and time."""

    def __init__(self, before: int, after: int, shape: Shape, attn_scales: Sequence[float]) -> None:
        super().__init__()
        widths = shape.widths
        self.conv_in = CausalConv3d(before, widths[0], (3, 3, 3))
        self.down_blocks = nn.ModuleList()
        for level, (entering, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            for block in range(shape.blocks):
                self.down_blocks.append(ResidualBlock(width if block else entering, width, shape.dropout))
                if 0.5**level in attn_scales:
                    self.down_blocks.append(FrameAttention(width))
            if level < len(shape.in_time):
                self.down_blocks.append(Downsample(width, shape.in_time[level]))
        self.mid_block = MidBlock(widths[-1], shape.dropout)
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = CausalConv3d(widths[-1], after, (3, 3, 3))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = self.conv_in(x, memory)
        for layer in (*self.down_blocks, self.mid_block):
            x = layer(x, memory)
        x = self.conv_out(F.silu(self.norm_out(x), inplace=True), memory)
        memory.begun = True
        return x


class UpBlock(nn.Module):
    """Residual blocks, then larger frames, but on the last level."""

    def __init__(self, before: int, after: int, in_time: bool | None, shape: Shape) -> None:
        super().__init__()
        inner = range(shape.blocks + 1)
        self.resnets = nn.ModuleList(ResidualBlock(after if i else before, after, shape.dropout) for i in inner)
        self.upsamplers = None if in_time is None else nn.ModuleList([Upsample(after, in_time)])

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        for layer in (*self.resnets, *(self.upsamplers or ())):
            x = layer(x, memory)
        return x


class Decoder(nn.Module):
    """Latents back to frames."""

    def __init__(self, before: int, after: int, shape: Shape) -> None:
        super().__init__()
        widths = tuple(reversed(shape.widths))
        self.conv_in = CausalConv3d(before, widths[0], (3, 3, 3))
        self.mid_block = MidBlock(widths[0], shape.dropout)
        entering = (widths[0], *(width // 2 for width in widths))  # upsampling halves the channels
        steps = (*reversed(shape.in_time), None)
        levels = zip(entering, widths, steps, strict=False)
        self.up_blocks = nn.ModuleList(UpBlock(before, width, step, shape) for before, width, step in levels)
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = CausalConv3d(widths[-1], after, (3, 3, 3))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = self.conv_in(x, memory)
        for layer in (self.mid_block, *self.up_blocks):
            x = layer(x, memory)
        x = self.conv_out(F.silu(self.norm_out(x), inplace=True), memory)
        memory.begun = True
        return x
