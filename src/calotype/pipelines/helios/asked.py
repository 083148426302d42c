"""What films are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from calotype.generation.film import Length
from calotype.pipelines.helios.past import Window


@dataclass(frozen=True)
class Film:
    """What is made: how many films of which size, how long, and what a chunk sees of the past."""

    shape: tuple[int, int, int, int]  # of a latent frame of all films: (film, channel, height, width)
    window: Window
    length: Length
    late_anchor: bool
    halvings: int = 0  # of the noise, before the first stage

    @property
    def chunk_shape(self) -> tuple[int, int, int, int, int]:
        """The shape of the latents of a chunk."""
        films, channels, height, width = self.shape
        return films, channels, self.window.chunk, height, width
