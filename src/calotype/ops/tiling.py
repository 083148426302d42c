"""A large picture through a function of small ones: overlapping tiles, blended where they meet."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def tiled(
    function: Callable[[Tensor], Tensor],
    picture: Tensor,  # (batch, channels, height, width)
    tile: int,  # height and width of what the function is given
    result: int,  # height and width of what it makes of that
    overlap: float,  # the part of a tile that its neighbour sees too
) -> Tensor:
    """``function(picture)``, a tile at a time: memory holds two rows of tiles and the result."""
    stride, blend = int(tile * (1 - overlap)), int(result * overlap)
    kept = result - blend
    height, width = picture.shape[-2:]
    above: list[Tensor] = []
    rows: list[Tensor] = []
    for top in range(0, height, stride):
        row: list[Tensor] = []
        for left in range(0, width, stride):
            piece = function(picture[..., top : top + tile, left : left + tile])
            if above:
                blend_into(above[len(row)], piece, blend, dim=-2)
            if row:
                blend_into(row[-1], piece, blend, dim=-1)
            row.append(piece)
        rows.append(torch.cat([piece[..., :kept, :kept] for piece in row], dim=-1))
        above = row
    return torch.cat(rows, dim=-2)


def blend_into(before: Tensor, after: Tensor, extent: int, dim: int) -> None:
    """Fade the first ``extent`` lines of ``after`` in from the last of ``before``, in place."""
    extent = min(before.shape[dim], after.shape[dim], extent)
    shape = [1] * after.ndim
    shape[dim] = extent
    share = (torch.arange(extent, device=after.device) / max(extent, 1)).to(after.dtype).view(shape)
    first, last = after.narrow(dim, 0, extent), before.narrow(dim, before.shape[dim] - extent, extent)
    first.copy_(last * (1 - share) + first * share)
