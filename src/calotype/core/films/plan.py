"""What is known of a film before its first frame is encoded, and what an encoder is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOWEST, FASTEST = 0.01, 1000  # frames per second; a GIF shows a frame for eleven minutes at most


@dataclass(frozen=True)
class Plan:
    """How a film is to be written."""

    fps: Fraction
    recipe: Mapping[str, Any] | None = None
    quality: float | None = None  # from 0 to 10; None: the format's own
    bitrate: int | None = None  # bits per second, in place of a quality
    where: str = "the stream"


class Encoder(Protocol):
    """Takes frames of one size, and holds a few of them at most."""

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take one more frame."""
        ...

    def finish(self) -> None:
        """Write what is still held, and the end of the file; the file stays open."""
        ...


# (file, width, height, plan)
Begin = Callable[[BinaryIO, int, int, Plan], Encoder]


def planned(fps: object, recipe: Mapping[str, Any] | None, quality: object, bitrate: object, where: str) -> Plan:
    """A plan of checked values."""
    speeds = f"frames per second, {SLOWEST} to {FASTEST}"
    rate = _number(fps, "fps", speeds)
    if not SLOWEST <= rate <= FASTEST:
        raise InvalidArgument("fps", speeds, repr(fps))
    if quality is not None and not 0 <= _number(quality, "quality", "0 to 10") <= 10:
        raise InvalidArgument("quality", "0 (small) to 10 (good)", repr(quality))
    if bitrate is not None and (not isinstance(bitrate, int) or isinstance(bitrate, bool) or bitrate < 1):
        raise InvalidArgument("bitrate", "bits per second", repr(bitrate))
    if recipe is not None and not isinstance(recipe, Mapping):
        raise InvalidArgument("recipe", "a mapping", type(recipe).__name__)
    exact = fps if isinstance(fps, Fraction) else Fraction(rate).limit_denominator(1001)  # 24000/1001 is a usual one
    return Plan(exact, recipe, None if quality is None else float(quality), bitrate, where)  # pyright: ignore[reportArgumentType]


def _number(value: object, name: str, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)) or not math.isfinite(value):
        raise InvalidArgument(name, wanted, repr(value)[:80])
    return float(value)


def tick(plan: Plan, frame: int, per_second: int) -> int:
    """How long this frame is shown, in parts of a second, so that errors of rounding do not add up."""
    return round(Fraction(frame + 1) * per_second / plan.fps) - round(Fraction(frame) * per_second / plan.fps)
