"""A world of films: one thing of the world on its ground, on its way across a plane whose borders meet, for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.world import COLOURS, NAMELESS, PALETTE, SHAPES, SIDE, Floats
from training.world import held_out as held_out_look

CHUNK = 9  # frames: a film changes only where a chunk of so many begins
RATE = 24  # frames a second
STILL = "still"
DIRECTIONS: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    STILL: (0, 0),
}
GRID = 16  # pixels between the places where films begin, which is what the transformer sees as one patch
SPEEDS: dict[str, float] = {"slow": GRID / 2 / CHUNK, "fast": GRID / CHUNK, STILL: 0.0}  # pixels a frame
RADIUS = 12.0  # pixels, of everything
NAMED = tuple(shape for shape in SHAPES if shape not in NAMELESS)


@dataclass(frozen=True)
class Take:
    """All that a prompt can tell: what there is, and where it goes."""

    shape: str
    colour: str
    ground: str
    direction: str
    speed: str  # still where the direction is, and nowhere else

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept from training."""
        return held_out_look(self.colour, self.shape, self.ground) or _held_out_way(self)

    @property
    def velocity(self) -> tuple[float, float]:
        """Pixels a frame, to the right and down."""
        across, down = DIRECTIONS[self.direction]
        return across * SPEEDS[self.speed], down * SPEEDS[self.speed]


@dataclass(frozen=True)
class Film:
    """A place to start from, and what each chunk shows; the last goes on for ever."""

    start: tuple[float, float]
    chunks: tuple[Take, ...]

    def frames(self, first: int, count: int = CHUNK) -> NDArray[np.uint8]:
        """So many frames from a first one on, (count, side, side, 3)."""
        places = self.places(first, count)
        shown = np.empty((count, SIDE, SIDE, 3), np.uint8)
        for chunk in np.unique(numbers := self._chunks(first, count)):
            rows = numbers == chunk
            shown[rows] = _painted(self.chunks[int(chunk)], places[rows])
        return shown

    def places(self, first: int, count: int = CHUNK) -> NDArray[np.float64]:
        """Where the thing's middle is in each frame, (count, 2)."""
        ways = np.array([take.velocity for take in self.chunks])[self._chunks(0, first + count)]
        ways[0] = self.start
        return (ways.cumsum(0) % SIDE)[first:]

    def _chunks(self, first: int, count: int) -> NDArray[np.int64]:
        return np.minimum(np.arange(first, first + count) // CHUNK, len(self.chunks) - 1)


def take(rng: np.random.Generator, unseen: bool = False) -> Take:
    """What a film can show, from the trained combinations; or from those that are new in look and in way."""
    while True:
        direction = _one(rng, tuple(DIRECTIONS))
        speed = STILL if direction == STILL else _one(rng, ("slow", "fast"))
        look = (_one(rng, NAMED), _one(rng, COLOURS), _one(rng, COLOURS))
        made = Take(*look, direction, speed)
        fits = new(made) if unseen else not made.held_out
        if fits and made.colour != made.ground:
            return made


def new(one: Take) -> bool:
    """Whether training saw neither this look nor this way of this thing."""
    return held_out_look(one.colour, one.shape, one.ground) and _held_out_way(one)


def changed(one: Take, rng: np.random.Generator, unseen: bool = False) -> Take:
    """The same with one part or several as in another take."""
    while True:
        other = take(rng, unseen)
        parts = {name: getattr(other, name) for name in ("shape", "colour", "ground") if rng.random() < 0.4}
        if rng.random() < 0.6:
            parts |= {"direction": other.direction, "speed": other.speed}
        made = replace(one, **parts)
        if made != one and made.colour != made.ground and (new(made) if unseen else not made.held_out):
            return made


def film(rng: np.random.Generator, chunks: int = 1, change: float = 0.15) -> Film:
    """A film of so many chunks, of which each but the first may change what there is and where it goes."""
    now = take(rng)
    shown = [now]
    for _ in range(chunks - 1):
        now = changed(now, rng) if rng.random() < change else now
        shown.append(now)
    return playing(shown, rng)


def playing(takes: Sequence[Take], rng: np.random.Generator) -> Film:
    """A film that shows these, a chunk each."""
    return Film(_start(rng), tuple(takes))


def _held_out_way(one: Take) -> bool:
    """One in eight combinations of colour, shape and direction, spread so that every pair of the three is trained."""
    places = COLOURS.index(one.colour), list(SHAPES).index(one.shape), list(DIRECTIONS).index(one.direction)
    return (places[0] + 3 * places[1] + 2 * places[2]) % 8 == 5


def _start(rng: np.random.Generator) -> tuple[float, float]:
    x, y = GRID * rng.integers(SIDE // GRID, size=2)
    return float(x), float(y)


def _one(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _painted(one: Take, places: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The thing at these places, (places, side, side, 3): painted once for each fraction of a pixel, then moved."""
    whole = np.floor(places).astype(int)
    parts, which = np.unique((places - whole).round(6), axis=0, return_inverse=True)
    ground, paint = (np.array(PALETTE[name], np.float32) for name in (one.ground, one.colour))
    cover = _coverage(one.shape, parts.astype(np.float32))[..., None]
    stamps = (ground + cover * (paint - ground) + np.float32(0.5)).astype(np.uint8)
    rows, columns = ((np.arange(SIDE) - whole[:, axis, None]) % SIDE for axis in (1, 0))
    return stamps[which.reshape(-1)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _coverage(shape: str, middles: Floats) -> Floats:
    """How much of each pixel a thing covers whose middle is near the corner where all borders meet."""
    pixels = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    across, down = ((pixels - middles[:, axis, None] + SIDE / 2) % SIDE - SIDE / 2 for axis in (0, 1))
    distance = SHAPES[shape](across[:, None, :] / np.float32(RADIUS), down[:, :, None] / np.float32(RADIUS))
    return np.clip(0.5 - distance * np.float32(RADIUS), 0, 1)
