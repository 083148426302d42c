"""Latent films as tokens and back: a token is a block of a few frames, rows and columns."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Patches(nn.Conv3d):
    """Latents as tokens, one for each patch; what is missing of the last patches repeats what lies at the end.

    The convolution is written as the matrix product that it is: kernels for three dimensions are slow or absent.
    """

    def __init__(self, channels: int, dim: int, patch_size: tuple[int, int, int], pool: int = 1) -> None:
        time, rows, columns = (pool * side for side in patch_size)
        super().__init__(channels, dim, (time, rows, columns), (time, rows, columns))

    def forward(self, input: Tensor) -> Tensor:  # the name that ``nn.Conv3d`` gives it
        return F.linear(self.cut(input), self.weight.flatten(1), self.bias)

    def cut(self, input: Tensor) -> Tensor:
        """Latents as patches (batch, tokens, channels x frames x rows x columns)."""
        time, rows, columns = self.kernel_size
        missing = [-length % side for length, side in zip(input.shape[2:], self.kernel_size, strict=True)]
        if any(missing):
            input = F.pad(input, (0, missing[2], 0, missing[1], 0, missing[0]), mode="replicate")
        patches = input.unflatten(4, (-1, columns)).unflatten(3, (-1, rows)).unflatten(2, (-1, time))
        return patches.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3)


def grid_of(latents: Tensor, patch: tuple[int, int, int]) -> tuple[int, int, int]:
    """How many patches latents (batch, channels, frames, height, width) have along time, height and width."""
    frames, rows, columns = (length // side for length, side in zip(latents.shape[2:], patch, strict=True))
    return frames, rows, columns


def film(tokens: Tensor, grid: tuple[int, int, int], patch: tuple[int, int, int]) -> Tensor:
    """Latents of tokens (batch, tokens, rows x columns x channels), whose patches are one frame long."""
    cut = tokens.unflatten(2, (*patch[1:], -1)).unflatten(1, grid)
    return cut.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
