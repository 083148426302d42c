"""What a chunk sees of those before it: a window of fixed size, however long the film is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from calotype.core.errors import InvalidArgument

FARTHEST = 1_000
"""Latent frames that a chunk can see, about two and a half minutes; published models see nineteen."""


@dataclass(frozen=True)
class Window:
    """How many latent frames are seen, far to near, and whether the film's first besides; the length of a chunk."""

    sizes: tuple[int, int, int]  # the far, those between, the near
    anchored: bool
    chunk: int

    @classmethod
    def of(cls, sizes: Any, anchored: bool, chunk: int) -> Window:
        """A window of sizes in any order; without the anchor the nearest piece is one frame longer in its place."""
        whole = isinstance(sizes, (list, tuple)) and all(type(size) is int and size > 0 for size in sizes)
        if not whole or len(sizes) != 3 or sum(sizes) > FARTHEST:
            wanted = f"three whole numbers above 0, such as [16, 2, 1], and {FARTHEST} at most together"
            raise InvalidArgument("history_sizes", wanted, repr(sizes)[:80])
        far, between, near = sorted(sizes, reverse=True)
        return cls((far, between, near if anchored else near + 1), anchored, chunk)

    @property
    def frames(self) -> int:
        """How many latent frames have to be remembered."""
        return sum(self.sizes)

    @property
    def indices(self) -> dict[str, torch.Tensor]:
        """The places in time of the pieces and of the chunk, as the transformer's arguments name them."""
        first, (far, between, near) = int(self.anchored), self.sizes
        places = torch.arange(first + self.frames + self.chunk)[None]
        anchor, long, mid, last, current = places.split([first, far, between, near, self.chunk], dim=1)
        return {
            "indices_hidden_states": current,
            "indices_latents_history_short": torch.cat([anchor, last], dim=1),
            "indices_latents_history_mid": mid,
            "indices_latents_history_long": long,
        }


@dataclass(frozen=True)
class Past:
    """The latents that the next chunk will see: the last few, and the film's first as an anchor."""

    window: Window
    latents: torch.Tensor  # (film, channel, window.frames, height, width), zeros where there was nothing yet
    anchor: torch.Tensor  # (film, channel, 1, height, width)
    chunks: int = 0  # made so far
    given: bool = False  # whether the anchor is of a picture or film that was given

    @classmethod
    def blank(cls, window: Window, shape: Sequence[int], device: torch.device) -> Past:
        """Nothing seen yet, of films with latents of this shape (film, channel, height, width)."""
        films, channels, *sides = shape
        latents = torch.zeros(films, channels, window.frames, *sides, device=device)
        return cls(window, latents, latents[:, :, :1])

    def beginning_with(self, known: torch.Tensor, anchor: torch.Tensor) -> Past:
        """The same after latents that were given, and with their anchor."""
        seen = torch.cat([self.latents, known.to(self.latents)], dim=2)
        return replace(self, latents=seen[:, :, -self.window.frames :], anchor=anchor, given=True)

    def after(self, chunk: torch.Tensor, late_anchor: bool = False) -> Past:
        """What is seen after a chunk. Its first frame becomes the anchor if the film began with it.

        With ``late_anchor`` that of the second chunk does, whatever the film began with.
        """
        anchors = (self.chunks == 0 and not self.given) or (self.chunks == 1 and late_anchor)
        seen = torch.cat([self.latents, chunk], dim=2)[:, :, -self.window.frames :]
        anchor = chunk[:, :, :1].clone() if anchors else self.anchor
        return replace(self, latents=seen.contiguous(), anchor=anchor, chunks=self.chunks + 1)

    def pieces(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """The pieces as the transformer's arguments name them."""
        long, mid, last = self.latents.to(dtype).split(list(self.window.sizes), dim=2)
        short = torch.cat([self.anchor.to(dtype), last], dim=2) if self.window.anchored else last
        return {
            "latents_history_short": short,
            "latents_history_mid": mid,
            "latents_history_long": long,
        }
