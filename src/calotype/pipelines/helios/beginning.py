"""What a film goes on from: a picture, the end of another film, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from calotype.generation.decoding import latents_of
from calotype.generation.latents import spread
from calotype.ops.random import Generators, rand_tensor, randn_tensor
from calotype.pipelines.helios.past import Past


@dataclass(frozen=True)
class Blur:
    """Noise over what was given, as strong as is drawn between two bounds: in training the past was seen so."""

    on: bool = True
    low: float = 0.111
    high: float = 0.135

    def __call__(self, clean: torch.Tensor, generator: Generators, strengths: int = 1) -> torch.Tensor:
        """The latents under noise: all frames as strongly, or each (there are ``strengths``) as it is drawn."""
        if not self.on:
            return clean
        drawn = rand_tensor((len(clean), strengths), generator, clean.device)
        sigma = (drawn * (self.high - self.low) + self.low).view(len(clean), 1, strengths, 1, 1)
        return sigma * randn_tensor(clean.shape, generator, clean.device, clean.dtype) + (1 - sigma) * clean


@dataclass(frozen=True)
class Films:
    """A VAE for so many films: what is given once serves all, unless each draws noise of its own."""

    vae: Any
    count: int
    generator: Generators

    def rows(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents for what is drawn next."""
        return spread(latents, self.count) if isinstance(self.generator, list) else latents

    def latents(self, pixels: torch.Tensor) -> torch.Tensor:
        """A sample of the latents of (film, 3, frame, height, width)."""
        return latents_of(self.vae, self.rows(pixels), self.generator).float()


class Beginning(Protocol):
    """Something that a film goes on from."""

    def seen(self, films: Films) -> tuple[torch.Tensor, torch.Tensor]:
        """The anchor, and the latents that the first chunk sees last."""
        ...


@dataclass(frozen=True)
class FromPicture:
    """The picture is the anchor; the frame before the first is as if it had been held for a chunk."""

    picture: torch.Tensor | None  # (film, 3, 1, height, width) in [-1, 1]
    anchor: torch.Tensor | None
    held: torch.Tensor | None
    frames: int
    blurs: tuple[Blur, Blur]

    def seen(self, films: Films) -> tuple[torch.Tensor, torch.Tensor]:
        anchor, held = self.anchor, self.held
        if anchor is None:
            anchor = films.latents(needed(self.picture))
        if held is None:
            held = films.latents(needed(self.picture).expand(-1, -1, self.frames, -1, -1))[:, :, -1:]
        first, second = self.blurs
        anchor = first(films.rows(anchor), films.generator)
        return anchor, second(films.rows(held), films.generator)


@dataclass(frozen=True)
class FromFilm:
    """The film's first frame is the anchor; of its end as many chunks are seen as it has."""

    video: torch.Tensor | None  # (film, 3, frame, height, width) in [-1, 1]
    anchor: torch.Tensor | None
    known: torch.Tensor | None
    frames: int
    chunk: int
    blurs: tuple[Blur, Blur]

    def seen(self, films: Films) -> tuple[torch.Tensor, torch.Tensor]:
        anchor = films.latents(needed(self.video)[:, :, :1]) if self.anchor is None else self.anchor
        if self.known is None:
            video = needed(self.video)
            whole = video.shape[2] // self.frames * self.frames
            chunks = [films.latents(piece) for piece in video[:, :, -whole:].split(self.frames, dim=2)]
        else:
            chunks = [*self.known.split(self.chunk, dim=2)]
        first, rest = self.blurs
        anchor = first(films.rows(anchor), films.generator)
        blurred = [rest(films.rows(chunk), films.generator, chunk.shape[2]) for chunk in chunks]
        return anchor, torch.cat(blurred, dim=2)


def needed(pixels: torch.Tensor | None) -> torch.Tensor:
    """What the checks have seen to be there."""
    assert pixels is not None
    return pixels


def begin(
    blank: Past, beginning: Beginning | None, vae: Any, generator: Generators
) -> tuple[Past, torch.Tensor | None]:
    """What the first chunk sees, and the latents that were put there."""
    if beginning is None:
        return blank, None
    films = len(blank.latents)
    anchor, known = (spread(seen.to(blank.latents), films) for seen in beginning.seen(Films(vae, films, generator)))
    return blank.beginning_with(known, anchor), known
