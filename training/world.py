"""A world of coloured shapes on plain grounds: scenes drawn at random, painted fast, and known in every detail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32
Distance = Callable[[Floats, Floats], Floats]

SIDE = 64  # pixels
MARGIN = 2  # pixels of ground that every shape leaves free at the border, and to the middle where there are two

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 225, 60),
    "green": (35, 150, 70),
    "blue": (40, 85, 215),
    "purple": (140, 50, 170),
    "white": (245, 245, 245),
    "black": (22, 22, 26),
}
COLOURS = tuple(PALETTE)
SIZES: dict[str, tuple[float, float]] = {"small": (7, 9), "medium": (11, 13), "large": (15, 17)}  # radii in pixels
LIMITS = (26.0, 38.0)  # between left and centre, centre and right; likewise from top to bottom
COLUMNS, ROWS = ("left", "centre", "right"), ("top", "centre", "bottom")


def _radius(u: Floats, v: Floats) -> Floats:
    return np.sqrt(u * u + v * v)  # a third of the time of np.hypot


def _circle(u: Floats, v: Floats) -> Floats:
    return _radius(u, v) - 1


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(abs(u), abs(v)) - 0.9


def _triangle(u: Floats, v: Floats) -> Floats:
    slope = np.float32(np.sqrt(0.8)), np.float32(np.sqrt(0.2))
    return np.maximum(v - 0.9, abs(u) * slope[0] - (v + 1) * slope[1])


def _diamond(u: Floats, v: Floats) -> Floats:
    return (abs(u) + abs(v) - 1) * np.float32(np.sqrt(0.5))


def _cross(u: Floats, v: Floats) -> Floats:
    long, short = np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v))
    return np.maximum(long - 1, short - 0.33)


def _ring(u: Floats, v: Floats) -> Floats:
    return abs(_radius(u, v) - 0.77) - 0.23


def _star(u: Floats, v: Floats) -> Floats:
    """A pentagram holds what lies within at least four of its five lines; the tips are a little blunt."""
    turns = np.arange(5, dtype=np.float32) * np.float32(2 * np.pi / 5)
    lines = np.stack([np.sin(turn) * u + np.cos(turn) * v for turn in turns]) - np.float32(0.34)
    return np.maximum(np.partition(lines, 3, axis=0)[3], _radius(u, v) - 1.05)


def _moon(u: Floats, v: Floats) -> Floats:
    """A crescent that lies on its back."""
    return np.maximum(_radius(u, v) - 1, np.float32(0.85) - _radius(u, v + np.float32(0.55)))


# Signed distance from the edge in units of the radius, negative within: exact near the edges, which is all that counts.
SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "moon": _moon,
}
NAMELESS = ("moon",)  # shapes that are drawn and that no caption names: a new word can be learnt for them


@dataclass(frozen=True)
class Thing:
    """One shape: what it is, and where."""

    shape: str
    colour: str
    size: str
    x: float  # centre, in pixels
    y: float
    radius: float

    @property
    def place(self) -> tuple[str, str]:
        """Row and column of the nine fields of the picture."""
        return ROWS[int(np.searchsorted(LIMITS, self.y))], COLUMNS[int(np.searchsorted(LIMITS, self.x))]


@dataclass(frozen=True)
class Scene:
    """A ground with one thing or two; the first of two is the one that captions speak of first."""

    ground: str
    things: tuple[Thing, ...]
    shift: tuple[int, int, int] = (0, 0, 0)  # how far the ground's levels lie from the palette's

    @property
    def relation(self) -> str:
        """Where the first of two things lies, seen from the second."""
        first, second = self.things
        across, down = first.x - second.x, first.y - second.y
        if abs(across) > abs(down):
            return "left" if across < 0 else "right"
        return "above" if down < 0 else "below"

    @property
    def nameless(self) -> bool:
        """Whether something here has a shape that no caption names."""
        return any(thing.shape in NAMELESS for thing in self.things)

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept from training."""
        return any(held_out(thing.colour, thing.shape, self.ground) for thing in self.things)


def held_out(colour: str, shape: str, ground: str) -> bool:
    """One in eight combinations of colour, shape and ground, spread so that every pair of the three is trained."""
    places = COLOURS.index(colour), list(SHAPES).index(shape), COLOURS.index(ground)
    return (3 * places[0] + places[1] + 5 * places[2]) % 8 == 7


def scene(rng: np.random.Generator, things: int | None = None, unseen: bool = False) -> Scene:
    """A scene with so many things (one or two at random, if not told), from the trained combinations or the others.

    What training never sees is asked for by name: then every shape has one.
    """
    while True:
        count = things or int(rng.integers(1, 3))
        ground = COLOURS[rng.integers(len(COLOURS))]
        made = Scene(ground, _alone(rng, ground) if count == 1 else _pair(rng, ground), _shift(rng))
        if made.held_out == unseen and not (unseen and made.nameless):
            return made


def _alone(rng: np.random.Generator, ground: str) -> tuple[Thing, ...]:
    size = tuple(SIZES)[rng.integers(len(SIZES))]
    radius = rng.uniform(*SIZES[size])
    low = radius + MARGIN
    spans = (low, LIMITS[0] - 3), (LIMITS[0] + 3, LIMITS[1] - 3), (LIMITS[1] + 3, SIDE - low)
    x, y = (rng.uniform(*spans[rng.integers(3)]) for _ in range(2))
    return (_thing(rng, size, x, y, radius, {ground}),)


def _pair(rng: np.random.Generator, ground: str) -> tuple[Thing, ...]:
    """Two things side by side, or one above the other, that differ in colour and in shape."""
    things, sides = list[Thing](), bool(rng.integers(2))
    for half in rng.permutation(2):
        size = tuple(SIZES)[rng.integers(2)]
        radius = rng.uniform(*SIZES[size])
        low = radius + MARGIN
        along = rng.uniform(low, SIDE / 2 - low) + half * SIDE / 2
        across = SIDE / 2 + rng.uniform(-5, 5)
        x, y = (along, across) if sides else (across, along)
        taken = {ground, *(thing.colour for thing in things), *(thing.shape for thing in things)}
        things.append(_thing(rng, size, x, y, radius, taken))
    return tuple(things)


def _thing(rng: np.random.Generator, size: str, x: float, y: float, radius: float, taken: set[str]) -> Thing:
    shapes, colours = ([name for name in names if name not in taken] for names in (SHAPES, COLOURS))
    shape, colour = shapes[rng.integers(len(shapes))], colours[rng.integers(len(colours))]
    return Thing(shape, colour, size, float(x), float(y), float(radius))


def _shift(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(-8, 9, 3)
    return int(red), int(green), int(blue)


def coverage(things: Sequence[Thing], grow: float = 0.0, side: int = SIDE) -> Floats:
    """How much of each pixel each thing covers, (things, side, side); ``grow`` widens it by so many pixels."""
    return np.clip(0.5 - _distances(things, side) + np.float32(grow), 0, 1)


def _distances(things: Sequence[Thing], side: int) -> Floats:
    """Pixels from each pixel's middle to each thing's edge; things of one shape are reckoned together."""
    pixels = np.arange(side, dtype=np.float32) + np.float32(0.5)
    found = np.empty((len(things), side, side), np.float32)
    for name, distance in SHAPES.items():
        rows = [row for row, thing in enumerate(things) if thing.shape == name]
        if rows:
            told = np.array([(things[row].x, things[row].y, things[row].radius) for row in rows], np.float32)
            x, y, radius = told.T[:, :, None, None] * np.float32(side / SIDE)
            u, v = (pixels - x) / radius, (pixels[:, None] - y) / radius
            found[rows] = distance(u, v) * radius
    return found


def draw(
    scenes: Sequence[Scene], palette: Mapping[str, tuple[int, int, int]] = PALETTE, side: int = SIDE
) -> NDArray[np.uint8]:
    """The pictures of scenes, (scenes, side, side, 3)."""
    shifts = np.array([scene.shift for scene in scenes], np.float32)
    grounds = np.array([palette[scene.ground] for scene in scenes], np.float32) + shifts
    pictures = np.broadcast_to(grounds[:, None, None], (len(scenes), side, side, 3)).copy()
    for place in range(max(len(scene.things) for scene in scenes)):
        rows = [row for row, scene in enumerate(scenes) if len(scene.things) > place]
        things = [scenes[row].things[place] for row in rows]
        paint = np.array([palette[thing.colour] for thing in things], np.float32)[:, None, None]
        cover = coverage(things, side=side)[..., None]
        pictures[rows] += cover * (paint - pictures[rows])
    return (np.clip(pictures, 0, 255) + np.float32(0.5)).astype(np.uint8)


def edges(scenes: Sequence[Scene], side: int = SIDE) -> NDArray[np.uint8]:
    """White outlines on black, (scenes, side, side, 3): a hint that tells shape, size and place, and no colour."""
    lines = [np.clip(1.5 - abs(_distances(scene.things, side)), 0, 1).max(0) for scene in scenes]
    return _grey(np.stack(lines))


def layout(scenes: Sequence[Scene], side: int = SIDE) -> NDArray[np.uint8]:
    """White where there is a thing, black elsewhere, (scenes, side, side, 3)."""
    return _grey(np.stack([coverage(scene.things, side=side).max(0) for scene in scenes]))


def mask(thing: Thing, grow: float = 3.0, side: int = SIDE) -> NDArray[np.uint8]:
    """White over a thing and a little beyond, (side, side): what inpainting may repaint."""
    return (coverage([thing], grow, side)[0] * 255).astype(np.uint8)


def _grey(levels: Floats) -> NDArray[np.uint8]:
    return np.repeat((levels * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=-1)
