"""Between the sizes of a pyramid: halving, doubling, and noise that is correlated within blocks of 2x2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from .random import Generators, randn_tensor


def halved(noise: torch.Tensor) -> torch.Tensor:
    """Noise (batch, channels, frames, height, width) at half the size, its variance as it was."""
    size = (noise.shape[-2] // 2, noise.shape[-1] // 2)
    return F.interpolate(noise.flatten(1, 2), size, mode="bilinear").unflatten(1, noise.shape[1:3]) * 2


def doubled(latents: torch.Tensor) -> torch.Tensor:
    """Latents (batch, channels, frames, height, width) at twice the size, each value a block of four."""
    return latents.repeat_interleave(2, -2).repeat_interleave(2, -1)


def block_noise(
    shape: Sequence[int],
    gamma: float,
    generator: Generators = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Noise of variance one, its values correlated by ``-gamma`` within each block of 2x2, and by nothing beyond.

    Drawn in float32 with the values of a block next to each other, the order in which the peer draws.
    """
    batch, *between, height, width = shape
    rows, columns = height // 2, width // 2
    drawn = randn_tensor((batch, *between, rows, columns, 4), generator, device, torch.float32)
    mixed = drawn @ torch.from_numpy(block_factor(gamma)).to(drawn).T
    blocks = mixed.unflatten(-1, (2, 2)).transpose(-3, -2)  # (..., rows, 2, columns, 2)
    return blocks.reshape(*shape).to(dtype)


def block_factor(gamma: float) -> np.ndarray:
    """The triangle ``L`` with ``L @ L.T`` the covariance of a block; in float64, as for a third it is singular."""
    covariance = (1 + gamma) * np.eye(4) - gamma
    return np.linalg.cholesky(covariance + 1e-8 * np.eye(4))
