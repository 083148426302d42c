"""Small films whose every frame can be told from the next, and what is left of them after a codec."""

from __future__ import annotations

import numpy as np
from PIL import Image

from calotype.core.films.reader import FilmReader
from calotype.core.films.writer import FilmWriter

RECIPE = {"recipe": 1, "prompt": 'a ball "moving right"\nby 月 & Ærø 🚢', "seed": 2**64 - 1, "size": [64, 48]}
CODED = ["mp4", "webm"]
FILES = [*CODED, "gif", "webp", "y4m"]


def reel(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Frames (count, height, width, 3) of smooth colours that change in time."""
    down, right = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    passed = np.linspace(0, 1, count)[:, None, None]
    red, green = np.broadcast_to(right, (count, height, width)), np.broadcast_to(down, (count, height, width))
    return (np.stack([red, green, np.broadcast_to(passed, red.shape)], -1) * 200 + 20).round().astype(np.uint8)


def shown(path) -> np.ndarray:
    """All frames of a film, as an array."""
    with FilmReader(path) as film:
        return np.stack([np.asarray(frame) for frame in film])


def apart(one, other) -> float:
    """How far two films are apart, in levels out of 255, on average over the worst frame."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean((1, 2, 3)).max())


def written(path, count: int = 6, **options):
    """A small film at this place."""
    with FilmWriter(path, options.pop("fps", 10), **options) as film:
        film.write(reel(count))
    return path


def picture(value: int = 0, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new("RGB", size, (value, 255 - value, 7))
