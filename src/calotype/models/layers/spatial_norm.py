"""Norms that look at the latents a picture is decoded from (MoVQ, arXiv 2209.09002)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.layers.activations import activation

GROUPS = 32  # in every checkpoint there is


class SpatialNorm(nn.Module):
    """Group norm whose scale and shift, at each place, are told by the latents there."""

    def __init__(self, f_channels: int, zq_channels: int) -> None:
        super().__init__()
        self.norm_layer = nn.GroupNorm(GROUPS, f_channels, eps=1e-6)
        self.conv_y = nn.Conv2d(zq_channels, f_channels, 1)
        self.conv_b = nn.Conv2d(zq_channels, f_channels, 1)

    def forward(self, f: Tensor, zq: Tensor) -> Tensor:
        zq = F.interpolate(zq, size=f.shape[-2:], mode="nearest")
        return self.norm_layer(f) * self.conv_y(zq) + self.conv_b(zq)


class SpatialResnetBlock2D(nn.Module):
    """Two convolutions beside a shortcut, with spatial norms."""

    output_scale_factor = 1.0

    def __init__(self, in_channels: int, out_channels: int, latent_channels: int, non_linearity: str = "swish") -> None:
        super().__init__()
        self.norm1 = SpatialNorm(in_channels, latent_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = SpatialNorm(out_channels, latent_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nonlinearity = activation(non_linearity)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, sample: Tensor, latents: Tensor) -> Tensor:
        hidden_states = self.conv1(self.nonlinearity(self.norm1(sample, latents)))
        hidden_states = self.conv2(self.nonlinearity(self.norm2(hidden_states, latents)))
        return hidden_states + (sample if self.conv_shortcut is None else self.conv_shortcut(sample))
