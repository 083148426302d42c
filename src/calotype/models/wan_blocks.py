"""The layers of Wan's video autoencoder: each looks back in time and never ahead, under the key names of its files."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.ops.attention import attend
from calotype.ops.convolution import convolve

EPS = 1e-12


@dataclass
class Memory:
    """What the layers have seen last of one video, which goes through them in groups of frames.

    It belongs to a call, not to the layers: videos on several threads do not meet.
    """

    begun: bool = False  # the first frame, which stands for one frame in the latents too, has gone by
    ending: bool = False  # no group follows, so nothing need be remembered
    last: dict[nn.Module, Tensor] = field(default_factory=dict[nn.Module, Tensor])

    def keep(self, layer: nn.Module, frames: Tensor) -> None:
        """Remember these frames for the layer's next group."""
        if self.ending:
            self.last.pop(layer, None)
        else:
            self.last[layer] = frames.clone()  # not a view, which would keep all frames


class CausalConv3d(nn.Conv3d):
    """A convolution whose frames see those before them; before the first frame is nothing."""

    def __init__(self, before: int, after: int, kernel: tuple[int, int, int]) -> None:
        super().__init__(before, after, kernel, padding=(0, kernel[1] // 2, kernel[2] // 2))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        past = self.kernel_size[0] - 1
        if past:
            earlier = memory.last.get(self)
            if earlier is None:
                earlier = x.new_zeros(*x.shape[:2], past, *x.shape[3:])
            x = torch.cat([earlier, x], dim=2)
            memory.keep(self, x[:, :, -past:])
        return convolve(x, self)


class ChannelNorm(nn.Module):
    """Each place of each frame scaled to a root mean square of ``gamma`` over its channels."""

    def __init__(self, channels: int, spread: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * spread))  # spread: dimensions after the channels

    def forward(self, x: Tensor) -> Tensor:
        # not vector_norm nor F.normalize, which took 28 times as long over this dimension on a CPU
        squares = x.to(torch.promote_types(x.dtype, torch.float32)).square().sum(dim=1, keepdim=True)
        scale = x.shape[1] ** 0.5 * squares.clamp_min(EPS**2).rsqrt()
        return (x * scale * self.gamma).to(x.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions beside a way around them."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(before)
        self.conv1 = CausalConv3d(before, after, (3, 3, 3))
        self.norm2 = ChannelNorm(after)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = CausalConv3d(after, after, (3, 3, 3))
        self.conv_shortcut = None if before == after else CausalConv3d(before, after, (1, 1, 1))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(x), inplace=True), memory)
        inner = self.conv2(self.dropout(F.silu(self.norm2(inner), inplace=True)), memory)
        return inner + (x if self.conv_shortcut is None else self.conv_shortcut(x, memory))


class FrameAttention(nn.Module):
    """Every place of a frame looks at all places of that frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, spread=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        frames = as_pictures(x)
        told = self.to_qkv(self.norm(frames)).flatten(2).transpose(1, 2)  # (frames, places, 3 * channels)
        seen = attend(*(part.unsqueeze(1) for part in told.chunk(3, dim=-1)))  # one head
        seen = seen.squeeze(1).transpose(1, 2).unflatten(2, frames.shape[-2:])
        return x + as_video(self.proj(seen), x)


class Downsample(nn.Module):
    """Frames of half the size and, if ``in_time``, half as many after the video's first."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if in_time else None

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        x = as_video(self.resample(as_pictures(x)), x)
        if self.time_conv is None:
            return x
        first = x[:, :, :0] if memory.begun else x[:, :, :1]
        seen = torch.cat([memory.last[self], x], dim=2) if memory.begun else x
        memory.keep(self, x[:, :, -1:])
        return torch.cat([first, self.time_conv(seen)], dim=2) if seen.shape[2] > 1 else first


class Upsample(nn.Module):
    """Frames of twice the size with half the channels and, if ``in_time``, two for each after the video's first."""

    def __init__(self, channels: int, in_time: bool) -> None:
        super().__init__()
        nearest = nn.Upsample(scale_factor=2, mode="nearest-exact")
        self.resample = nn.Sequential(nearest, nn.Conv2d(channels, channels // 2, 3, padding=1))
        self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1)) if in_time else None

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        if self.time_conv is not None:
            alone = 0 if memory.begun else 1
            first, rest = x[:, :, :alone], x[:, :, alone:]  # the others never see the first
            if rest.shape[2]:
                pairs = self.time_conv(rest, memory).unflatten(1, (2, -1))  # (batch, 2, channels, frames, ...)
                rest = pairs.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
            x = torch.cat([first, rest], dim=2)
        return as_video(self.resample(as_pictures(x)), x)


class MidBlock(nn.Module):
    """Attention between two residual blocks."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([FrameAttention(channels)])
        self.resnets = nn.ModuleList(ResidualBlock(channels, channels, dropout) for _ in range(2))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        for layer in (self.resnets[0], self.attentions[0], self.resnets[1]):
            x = layer(x, memory)
        return x


def as_pictures(video: Tensor) -> Tensor:
    """The frames of all videos as one batch of pictures."""
    return video.transpose(1, 2).flatten(0, 1)


def as_video(pictures: Tensor, like: Tensor) -> Tensor:
    """Pictures as the frames of as many videos as ``like`` has."""
    return pictures.unflatten(0, (len(like), -1)).transpose(1, 2)
