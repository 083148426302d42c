"""Films as the latents of their chunks, kept on disk: encoding them costs more than learning from them."""

from __future__ import annotations

import hashlib
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.models.wan_vae import AutoencoderKLWan
from training.films import CHUNK, Film, Take, film
from training.hoard import hoarded
from training.studio import Studio, as_pixels
from training.trainer import narrow

CHUNKS = 8  # of each film: the last of them remembers as much as any later one does
PART = 50  # films in a file
FRAMES = 1 + (CHUNK - 1) // 4  # of the latents of a chunk


class Reels:
    """So many films: what each chunk shows, and its latents, as wide as noise."""

    def __init__(self, studio: Studio, vae: AutoencoderKLWan, count: int) -> None:
        rngs = [studio.rng(10, part) for part in range(-(-count // PART))]
        reels = [[film(rng, CHUNKS) for _ in range(PART)] for rng in rngs]
        self.films = [one for films in reels for one in films]
        # (films, chunks, channels, frames, height, width), in half precision
        name = f"reels-{_mark(vae, self.films[0])}"
        self.latents = hoarded(studio.work, name, len(reels), lambda part: _latents(studio, vae, reels[part]))

    @cached_property
    def turns(self) -> NDArray[np.int64]:
        """The chunks that show what the one before them does not: (chunks, 2), of film and number."""
        pairs = ((row, pairwise(one.chunks)) for row, one in enumerate(self.films))
        return np.array(
            [(row, number) for row, pair in pairs for number, (old, new) in enumerate(pair, 1) if old != new]
        )

    def draw(
        self, rng: np.random.Generator, size: int, first: int = 0, turning: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Films drawn at random, and the number of a chunk of each, not before a first.

        This share of the chunks, beside those that are so by chance, shows what the one before it does not.
        """
        rows, numbers = rng.integers(len(self.films), size=size), rng.integers(first, CHUNKS, size=size)
        if turning and len(self.turns):
            turns = self.turns[rng.integers(len(self.turns), size=size)]
            rows, numbers = np.where(rng.random(size) < turning, turns.T, [rows, numbers])
        return rows, numbers

    def takes(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> list[Take]:
        """What chunks show."""
        return [self.films[row].chunks[number] for row, number in zip(rows, numbers, strict=True)]


def _mark(vae: AutoencoderKLWan, first: Film) -> str:
    """Another for each autoencoder, and for each world."""
    told = repr((vae.config.latents_mean, vae.config.latents_std, first))
    return hashlib.sha256(told.encode()).hexdigest()[:8]


@torch.no_grad()
def _latents(studio: Studio, vae: AutoencoderKLWan, films: list[Film]) -> NDArray[np.float16]:
    """The normalised latents of all chunks, each encoded on its own."""
    shown = list[Tensor]()
    for one in films:
        chunks = np.stack([one.frames(number * CHUNK) for number in range(CHUNKS)])
        with narrow(studio.device):
            latents = vae.encode(as_pixels(chunks).to(studio.device), return_dict=False)[0].mode().float()
        shown.append(normalised(vae, latents).cpu())
    return torch.stack(shown).numpy().astype(np.float16)


def normalised(vae: AutoencoderKLWan, latents: Tensor) -> Tensor:
    """Latents with the mean and the deviation of noise."""
    mean, deviation = (
        torch.tensor(each, device=latents.device).view(-1, 1, 1, 1)
        for each in (vae.config.latents_mean, vae.config.latents_std)
    )
    return (latents - mean) / deviation
