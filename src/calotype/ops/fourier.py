"""Filters in the frequency domain."""

from __future__ import annotations

import math

import torch


def scale_low_frequencies(pictures: torch.Tensor, scale: float) -> torch.Tensor:
    """Pictures (..., height, width), their frequencies 0 and -1 along both sides scaled (arXiv 2309.11497, eq. 5).

    Four frequencies need no Fourier transform: they are the projection onto eight waves, a product with a thin matrix.
    """
    height, width = pictures.shape[-2:]
    rows, columns = (
        torch.arange(size, device=pictures.device, dtype=torch.float32) * (2 * math.pi / size)
        for size in (height, width)
    )
    angles = [  # a side of one pixel knows one frequency only
        (u * rows[:, None] + v * columns).flatten() for u in range(-(height > 1), 1) for v in range(-(width > 1), 1)
    ]
    phase = torch.stack(angles)
    waves = torch.cat([phase.cos(), phase.sin()]) / math.sqrt(height * width)
    flat = pictures.flatten(-2).float()
    low = (flat @ waves.T) @ waves
    return (flat + (scale - 1) * low).unflatten(-1, (height, width)).to(pictures.dtype)
