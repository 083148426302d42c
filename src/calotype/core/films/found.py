"""What stands in a film, and how much of it may be read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from calotype.core.errors import CorruptFile, InvalidArgument

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MediaLimits:
    """How large a film or a picture may be that is read."""

    bytes: int = 2**31  # of the file
    pixels: int = 2**26  # of a frame
    frames: int = 100_000
    memory: int = 2**33  # bytes of all frames, where all are wanted at once
    seconds: float = 600.0  # of a download

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise InvalidArgument(f"limits.{name}", "a number above 0", repr(value))

    def check_size(self, width: int, height: int, where: str) -> None:
        """Refuse a frame that is too large before it is decoded."""
        if width * height > self.pixels:
            fix = "Pass limits=MediaLimits(pixels=...) to read it."
            raise InvalidArgument(where, f"at most {self.pixels:,} pixels a frame", f"{width} x {height}", fix)

    def check_count(self, count: int, where: str) -> None:
        """Refuse a film that is too long."""
        if count > self.frames:
            fix = "Pass limits=MediaLimits(frames=...) to read it."
            raise InvalidArgument(where, f"at most {self.frames:,} frames", f"{count:,} or more", fix)


USUAL = MediaLimits()


@dataclass(frozen=True)
class Found:
    """Frames that come when they are asked for, and what is said of them beforehand."""

    frames: Iterator[Image.Image]
    fps: float | None  # None: pictures without a speed
    expected: int | None = None  # frames, as the file says


def until_damage(frames: Iterator[Image.Image], where: str) -> Iterator[Image.Image]:
    """The frames before the first that cannot be read, which is said; a film without any is refused."""
    count = 0
    try:
        for frame in frames:
            yield frame
            count += 1
    except CorruptFile as error:
        if not count:
            raise
        logger.warning("%s is damaged after %d frames, which are used: %s", where, count, error.found)
