"""A large picture through a function of small ones: overlapping tiles, blended where they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cut:
    """How the height or the width of a picture is cut into tiles, and sewn together from what is made of them."""

    tile: int  # the length of a tile
    stride: int  # from the beginning of a tile to that of the next
    kept: int  # of a tile's result, what the next one does not replace
    blend: int  # of a tile's result, what is faded in from the one before

    @classmethod
    def overlapping(cls, tile: int, result: int, overlap: float) -> Cut:
        """Tiles of which the neighbour sees this part too."""
        blend = int(result * overlap)
        return cls(tile, int(tile * (1 - overlap)), result - blend, blend)


def tiled(
    function: Callable[[Tensor], Tensor],
    picture: Tensor,  # (batch, channels, height, width)
    tile: int,  # height and width of what the function is given
    result: int,  # height and width of what it makes of that
    overlap: float,  # the part of a tile that its neighbour sees too
) -> Tensor:
    """``function(picture)``, a tile at a time: memory holds two rows of tiles and the result."""
    cut = Cut.overlapping(tile, result, overlap)
    return sewn((map(function, row) for row in tiles(picture, cut, cut)), cut, cut)


def tiles(picture: Tensor, rows: Cut, columns: Cut) -> list[list[Tensor]]:
    """Views of the picture's tiles, row by row."""
    height, width = picture.shape[-2:]
    return [
        [picture[..., top : top + rows.tile, left : left + columns.tile] for left in range(0, width, columns.stride)]
        for top in range(0, height, rows.stride)
    ]


def sewn(results: Iterable[Iterable[Tensor]], rows: Cut, columns: Cut) -> Tensor:
    """One picture of what was made of its tiles, which are blended in place."""
    above: list[Tensor] = []
    strips: list[Tensor] = []
    for pieces in results:
        row: list[Tensor] = []
        for piece in pieces:
            if above:
                blend_into(above[len(row)], piece, rows.blend, dim=-2)
            if row:
                blend_into(row[-1], piece, columns.blend, dim=-1)
            row.append(piece)
        strips.append(torch.cat([piece[..., : rows.kept, : columns.kept] for piece in row], dim=-1))
        above = row
    return torch.cat(strips, dim=-2)


def blend_into(before: Tensor, after: Tensor, extent: int, dim: int) -> None:
    """Fade the first ``extent`` lines of ``after`` in from the last of ``before``, in place."""
    extent = min(before.shape[dim], after.shape[dim], extent)
    shape = [1] * after.ndim
    shape[dim] = extent
    share = (torch.arange(extent, device=after.device) / max(extent, 1)).to(after.dtype).view(shape)
    first, last = after.narrow(dim, 0, extent), before.narrow(dim, before.shape[dim] - extent, extent)
    first.copy_(last * (1 - share) + first * share)
