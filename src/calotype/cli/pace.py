"""How fast a film is made, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from calotype.generation.film import Chunk


class Pace:
    """Watches chunks; what was made before it began to watch counts for nothing."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fps, self._clock, self._began = fps, clock, clock()
        self._chunks = self._frames = 0
        self._to_come: int | None = None

    def note(self, chunk: Chunk) -> None:
        """A chunk is finished."""
        self._chunks, self._frames = self._chunks + 1, self._frames + chunk.frame_count
        self._to_come = None if chunk.total is None else chunk.total - chunk.index - 1

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return max(self._clock() - self._began, 1e-9)

    @property
    def frames_a_second(self) -> float:
        """Frames that were made in a second."""
        return self._frames / self.elapsed

    @property
    def left(self) -> float | None:
        """Seconds until the film is whole, if chunks to come take as long as those before; None where there is no end.

        It is known after the first chunk.
        """
        return None if self._to_come is None else self._to_come * self.elapsed / self._chunks

    def said(self) -> str:
        """All of it in a few words."""
        if not self._chunks:
            return ""
        speed = f"{self.frames_a_second:.3g} frames/s, {self.frames_a_second / self._fps:.2g} s of film/s"
        return speed if self.left is None else f"{speed}, {clock_said(self.left)} left"


def clock_said(seconds: float) -> str:
    """Hours, minutes and seconds as a clock says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
