"""Hints for ControlNets from pictures: edges, blurs, tiles, black and white; each gives a PIL image in RGB.

``from calotype import hints`` and then ``hints.canny(picture)``. Depth, poses and the like are for their own libraries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import count, number
from calotype.generation.images import LONGEST_SIDE, VaeImageProcessor, loaded

__all__ = ["blur", "canny", "resize", "threshold", "tile"]

Picture = Image.Image | NDArray[Any]

# The tangent of an eighth of a turn's half: gradients flatter than this count as horizontal, its mirror as vertical.
TAN_22 = 2**0.5 - 1


def canny(image: Picture, low: float = 100, high: float = 200) -> Image.Image:
    """White edges on black (Canny, 1986): where the slope is above ``high``, and above ``low`` in touch with such.

    Slopes are those of Sobel's filter over bytes, the two directions added up, in the channel where they are steepest.
    """
    number(0)("low", low)
    number(0)("high", high)
    if low > high:
        raise InvalidArgument("low", f"at most high, {high:g}", f"{low:g}")
    levels = np.asarray(_picture(image)).astype(np.int32)
    across, down, slope = _slopes(levels)
    ridges = _ridges(across, down, slope)
    return _rgb(_touching(ridges & (slope > high), ridges & (slope > low)))


def blur(image: Picture, radius: float = 5) -> Image.Image:
    """The picture without its details: softened by a Gaussian of this many pixels."""
    number(0)("radius", radius)
    return _picture(image).filter(ImageFilter.GaussianBlur(radius))


def tile(image: Picture, factor: int = 8) -> Image.Image:
    """The picture's colours without its details: made smaller by this factor and large again."""
    count(1, LONGEST_SIDE)("factor", factor)
    whole = _picture(image)
    small = whole.resize((max(1, whole.width // factor), max(1, whole.height // factor)), Image.Resampling.BOX)
    return small.resize(whole.size, Image.Resampling.BICUBIC)


def threshold(image: Picture, level: int = 128) -> Image.Image:
    """Black and white: white from this grey level up."""
    count(0, 256)("level", level)
    return _rgb(np.asarray(_picture(image).convert("L")) >= level)


def resize(image: Picture, resolution: int = 512, multiple: int = 8) -> Image.Image:
    """The picture with its shorter side this long, both sides rounded to a multiple that the VAE divides by."""
    count(1, LONGEST_SIDE)("resolution", resolution)
    count(1, LONGEST_SIDE)("multiple", multiple)
    whole = _picture(image)
    scale = resolution / min(whole.size)
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in whole.size)
    return whole.resize((width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def _picture(image: Picture) -> Image.Image:
    """The picture in RGB, as it is to be seen."""
    if isinstance(image, np.ndarray) and image.ndim in (2, 3) and image.dtype == np.uint8 and image.size:
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InvalidArgument("image", "a PIL image, or an array of bytes (height, width, 3)", found)
    return VaeImageProcessor.convert_to_rgb(loaded(image, "image"))


def _rgb(white: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(white.astype(np.uint8) * 255).convert("RGB")


def _slopes(levels: NDArray[np.int32]) -> tuple[NDArray[np.int32], ...]:
    """Sobel's slopes across and down, and their sum, of the steepest channel of each pixel."""
    padded = np.pad(levels, ((1, 1), (1, 1), (0, 0)), "edge")
    above, here, below = padded[:-2], padded[1:-1], padded[2:]
    rows, columns = above + 2 * here + below, below - above
    across = rows[:, 2:] - rows[:, :-2]
    down = columns[:, :-2] + 2 * columns[:, 1:-1] + columns[:, 2:]
    slope = np.abs(across) + np.abs(down)
    steepest = slope.argmax(axis=-1)[..., None]
    across, down, slope = (np.take_along_axis(x, steepest, axis=-1)[..., 0] for x in (across, down, slope))
    return across, down, slope


def _ridges(across: NDArray[np.int32], down: NDArray[np.int32], slope: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where the slope is no less than on either side, along its own direction."""
    flat, steep = np.abs(down) < TAN_22 * np.abs(across), np.abs(across) < TAN_22 * np.abs(down)
    rising = across * down < 0
    around = np.pad(slope, 1)

    def at(rows: int, columns: int) -> NDArray[np.int32]:
        return around[1 + rows : 1 + rows + len(slope), 1 + columns : 1 + columns + slope.shape[1]]

    def tops(rows: int, columns: int, slack: int = 0) -> NDArray[np.bool_]:  # of two equals the first is kept
        return (slope > at(-rows, -columns)) & (slope + slack > at(rows, columns))

    slanted = np.where(rising, tops(1, -1), tops(1, 1))
    return np.where(flat, tops(0, 1, 1), np.where(steep, tops(1, 0, 1), slanted))


def _touching(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strong ones, and the weak ones that a chain of weak ones ties to a strong one."""
    found = strong
    while True:
        padded = np.pad(found, 1)
        rows = padded[:-2] | padded[1:-1] | padded[2:]
        grown = (rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]) & weak
        if (grown == found).all():
            return found
        found = grown
