"""Where the tokens of a film stand, told to attention as angles (arXiv 2104.09864) along time, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Places:
    """The cosines and sines by which the queries and keys of tokens are turned, in float32."""

    cos: Tensor  # (1 or batch, tokens, 1, head width / 2)
    sin: Tensor

    @property
    def tokens(self) -> int:
        return self.cos.shape[1]


def places(
    indices: Tensor,  # (1 or batch, frames): when each frame is
    grid: tuple[int, int],  # rows and columns of tokens in a frame
    widths: tuple[int, int, int],  # channels of a head that tell time, row and column
    theta: float,
    pool: int = 1,  # so many frames, rows and columns are one token, which stands at their mean
) -> Places:
    """The places of all tokens of these frames, frame after frame and row after row."""
    rows, columns = (torch.arange(length, device=indices.device)[None] for length in grid)
    axes = [_axis(*axis, theta, pool) for axis in zip((indices, rows, columns), widths, strict=True)]
    return Places(*(_grid(*tables) for tables in zip(*axes, strict=True)))


def together(parts: Sequence[Places]) -> Places:
    """The places of tokens that follow each other in a sequence."""
    batch = max(len(part.cos) for part in parts)
    cos, sin = (
        torch.cat([table.expand(batch, -1, -1, -1) for table in tables], dim=1)
        for tables in ([part.cos for part in parts], [part.sin for part in parts])
    )
    return Places(cos, sin)


def turned(states: Tensor, places: Places) -> Tensor:  # (batch, tokens, heads, head width)
    """Queries or keys, each pair of neighbouring channels turned by the angle of its token."""
    even, odd = states.float().unflatten(-1, (-1, 2)).unbind(-1)
    pairs = even * places.cos - odd * places.sin, even * places.sin + odd * places.cos
    return torch.stack(pairs, dim=-1).flatten(-2).to(states.dtype)


def _axis(positions: Tensor, width: int, theta: float, pool: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (1 or batch, positions, width / 2) along one axis; the last position fills an uneven group."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device) / width
    angles = positions[..., None].float() / theta**exponents
    length = positions.shape[1]
    groups = torch.arange(-(-length // pool) * pool, device=positions.device).clamp(max=length - 1)
    cos, sin = (wave[:, groups].unflatten(1, (-1, pool)).mean(dim=2) for wave in (angles.cos(), angles.sin()))
    return cos, sin


def _grid(time: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The tables of three axes beside each other, for every point of their grid."""
    size = time.shape[0], time.shape[1], rows.shape[1], columns.shape[1]
    tables = time[:, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
    return torch.cat([table.expand(*size, -1) for table in tables], dim=-1).flatten(1, 3).unsqueeze(2)
