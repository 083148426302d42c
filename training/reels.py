"""Films as the latents of their chunks, kept on disk: encoding them costs more than learning from them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.core.atomic import write_atomic
from calotype.models.wan_vae import AutoencoderKLWan
from training import team
from training.films import CHUNK, Film, Take, film
from training.studio import Studio, as_pixels, log

CHUNKS = 8  # of each film: the last of them remembers as much as any later one does
PART = 50  # films in a file
FRAMES = 1 + (CHUNK - 1) // 4  # of the latents of a chunk


class Reels:
    """So many films: what each chunk shows, and its latents, as wide as noise."""

    def __init__(self, studio: Studio, vae: AutoencoderKLWan, count: int) -> None:
        (member, members), self.films, paths = team.place(), list[Film](), list[Path]()
        for part in range(-(-count // PART)):
            rng = studio.rng(10, part)
            films = [film(rng, CHUNKS) for _ in range(PART)]
            path = studio.work / f"reels-{_mark(vae)}-{part:03}.npy"
            paths.append(path)
            if part % members == member and not path.exists():
                content = io.BytesIO()
                np.save(content, _latents(studio, vae, films))
                write_atomic(path, [content.getbuffer()])
                log.info("%d films encoded", (part + 1) * PART)
            self.films += films
        team.wait()
        # (films, chunks, channels, frames, height, width), in half precision
        self.latents = torch.cat([torch.from_numpy(np.load(path)) for path in paths])

    def draw(self, rng: np.random.Generator, size: int) -> tuple[list[Take], Tensor, Tensor]:
        """Films drawn at random and a chunk of each: what it shows; the film's latents; and its number."""
        rows, numbers = rng.integers(len(self.films), size=size), rng.integers(CHUNKS, size=size)
        takes = [self.films[row].chunks[number][0] for row, number in zip(rows, numbers, strict=True)]
        return takes, self.latents[torch.from_numpy(rows)].float(), torch.from_numpy(numbers)


def _mark(vae: AutoencoderKLWan) -> str:
    """Another for each autoencoder."""
    told = repr((vae.config.latents_mean, vae.config.latents_std))
    return hashlib.sha256(told.encode()).hexdigest()[:8]


@torch.no_grad()
def _latents(studio: Studio, vae: AutoencoderKLWan, films: list[Film]) -> NDArray[np.float16]:
    """The normalised latents of all chunks, each encoded on its own."""
    shown = list[Tensor]()
    for one in films:
        chunks = np.stack([one.frames(number * CHUNK) for number in range(CHUNKS)])
        with torch.autocast(studio.device.type, torch.bfloat16):
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
