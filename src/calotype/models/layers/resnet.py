"""Residual blocks of convolutions, and the layers that halve and double a picture."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.activations import activated, activation

TIME_NORMS = ("default", "scale_shift")


class Downsample2D(nn.Module):
    """Half the height and width: a convolution of stride 2 with ``use_conv``, else the mean of each 2 x 2."""

    def __init__(
        self, channels: int, use_conv: bool = False, out_channels: int | None = None, padding: int = 1
    ) -> None:
        super().__init__()
        self.padding = padding
        out_channels = out_channels or channels
        self.conv = nn.Conv2d(channels, out_channels, 3, stride=2, padding=padding) if use_conv else None

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if self.conv is None:
            return F.avg_pool2d(hidden_states, 2)
        if self.padding == 0:  # an autoencoder's way: a border on the right and below only
            hidden_states = F.pad(hidden_states, (0, 1, 0, 1))
        return self.conv(hidden_states)


class Upsample2D(nn.Module):
    """Twice the height and width, or ``output_size``, by the nearest pixel; then a convolution with ``use_conv``."""

    def __init__(self, channels: int, use_conv: bool = False, out_channels: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels or channels, 3, padding=1) if use_conv else None

    def forward(self, hidden_states: torch.Tensor, output_size: tuple[int, int] | None = None) -> torch.Tensor:
        height, width = hidden_states.shape[-2:]
        hidden_states = F.interpolate(hidden_states, output_size or (2 * height, 2 * width), mode="nearest")
        return hidden_states if self.conv is None else self.conv(hidden_states)


class ResnetBlock2D(nn.Module):
    """Two convolutions beside a shortcut, told the time by an embedding, halving or doubling the picture if asked."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        temb_channels: int | None = 512,
        groups: int = 32,
        groups_out: int | None = None,
        eps: float = 1e-6,
        non_linearity: str = "swish",
        dropout: float = 0.0,
        time_embedding_norm: str = "default",
        skip_time_act: bool = False,
        output_scale_factor: float = 1.0,
        resample: Literal["up", "down"] | None = None,
    ) -> None:
        super().__init__()
        if time_embedding_norm not in TIME_NORMS:
            raise InvalidArgument(
                "resnet_time_scale_shift", f"one of {', '.join(TIME_NORMS)}", repr(time_embedding_norm)
            )
        out_channels = out_channels or in_channels
        self.scale_shift = time_embedding_norm == "scale_shift"
        self.skip_time_act, self.output_scale_factor = skip_time_act, output_scale_factor
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        time_width = out_channels * (2 if self.scale_shift else 1)
        self.time_emb_proj = nn.Linear(temb_channels, time_width) if temb_channels else None
        self.norm2 = nn.GroupNorm(groups_out or groups, out_channels, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nonlinearity = activation(non_linearity)
        self.upsample = Upsample2D(in_channels) if resample == "up" else None
        self.downsample = Downsample2D(in_channels) if resample == "down" else None
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(
        self, sample: torch.Tensor, temb: torch.Tensor | None = None, output_size: tuple[int, int] | None = None
    ) -> torch.Tensor:
        hidden_states = activated(self.nonlinearity, self.norm1(sample))
        if self.upsample is not None:
            sample, hidden_states = self.upsample(sample, output_size), self.upsample(hidden_states, output_size)
        if self.downsample is not None:
            sample, hidden_states = self.downsample(sample), self.downsample(hidden_states)
        hidden_states = self.conv1(hidden_states)
        if self.time_emb_proj is None or temb is None:
            hidden_states = self.norm2(hidden_states)
        else:
            time = self.time_emb_proj(temb if self.skip_time_act else self.nonlinearity(temb))[:, :, None, None]
            if self.scale_shift:
                scale, shift = time.chunk(2, dim=1)
                hidden_states = self.norm2(hidden_states) * (1 + scale) + shift
            else:
                hidden_states = self.norm2(hidden_states + time)
        hidden_states = self.conv2(self.dropout(activated(self.nonlinearity, hidden_states)))
        hidden_states = hidden_states + (sample if self.conv_shortcut is None else self.conv_shortcut(sample))
        # a division by 1 is one more walk through memory
        return hidden_states if self.output_scale_factor == 1 else hidden_states / self.output_scale_factor
