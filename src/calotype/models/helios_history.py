"""What a chunk of a film remembers: latents from long ago in coarse patches, later ones in finer patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from calotype.core.errors import InvalidArgument
from calotype.models.helios_rope import Places

POOLS = {"short": 1, "mid": 2, "long": 4}  # so many patches along each side are one token


@dataclass(frozen=True)
class History:
    """The tokens of the past, where they stand, and their modulation: read once per chunk, used in every step."""

    tokens: Tensor  # (1 or batch, tokens, width), of those of this device
    places: Places  # of all
    rows: Tensor | None  # (1, 6, width): as tokens without noise; None: as noisy as the current frames


@dataclass(frozen=True)
class Piece:
    """Latents of one distance, and when each of their frames was."""

    distance: str
    latents: Tensor  # (batch, channels, frames, height, width)
    indices: Tensor  # (1 or batch, frames)

    @property
    def pool(self) -> int:
        return POOLS[self.distance]


def pieces(
    latents: Sequence[Tensor | None], indices: Sequence[Tensor | None], channels: int, patch: tuple[int, int]
) -> list[Piece]:
    """What there is of a history, short, mid and long, checked; in the order of its tokens, what is oldest first."""
    short = latents[0]
    found: list[Piece] = []
    for distance, given, frames in zip(POOLS, latents, indices, strict=True):
        name = f"latents_history_{distance}"
        if given is None:
            continue
        check_latents(name, given, channels, patch)
        if short is None:
            raise InvalidArgument("latents_history_short", f"latents, as there are {name}", "None")
        if (given.shape[0], *given.shape[3:]) != (short.shape[0], *short.shape[3:]):
            like = f"batch, height and width as latents_history_short {tuple(short.shape)}"
            raise InvalidArgument(name, like, f"shape {tuple(given.shape)}")
        if frames is None:
            raise InvalidArgument(f"indices_{name}", f"the index of each frame of {name}", "None")
        found.append(Piece(distance, given, checked_indices(f"indices_{name}", frames, given)))
    return found[::-1]


def check_latents(name: str, latents: Tensor, channels: int, patch: tuple[int, int]) -> None:
    """Refuse what is no film of so many channels, or cannot be cut into patches."""
    if latents.ndim != 5 or latents.shape[1] != channels or 0 in latents.shape:
        expected = f"shape (batch, {channels}, frames, height, width)"
        raise InvalidArgument(name, expected, f"shape {tuple(latents.shape)}")
    if any(length % side for length, side in zip(latents.shape[3:], patch, strict=True)):
        expected = f"height and width in multiples of {patch[0]} and {patch[1]}, the sides of a patch"
        raise InvalidArgument(name, expected, f"{latents.shape[3]} and {latents.shape[4]}")


def checked_indices(name: str, indices: Tensor, latents: Tensor) -> Tensor:
    """The indices (1 or batch, frames) of these frames, where the latents are."""
    rows = torch.atleast_2d(indices)
    batch, _, frames = latents.shape[:3]
    if rows.ndim != 2 or rows.shape[1] != frames or len(rows) not in (1, batch):
        expected = f"shape (1 or {batch}, {frames}): an index for each frame"
        raise InvalidArgument(name, expected, f"shape {tuple(indices.shape)}")
    return rows.to(latents.device)
