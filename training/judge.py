"""A plain reader of pictures of the world: regions by colour, shapes by geometry; it learns nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.world import COLOURS, PALETTE, SHAPES, SIDE, SIZES, Floats, Scene, Thing, coverage

APART = 55.0  # of 441: how far from the ground's colour a pixel has to be to belong to a thing
SMALLEST = 40.0  # pixels: less is a stain, not a thing
LIKE = 0.72  # of 1: what overlaps less with every shape is none of them
SIZE_LIMITS = (10.0, 14.0)  # pixels of radius, between small, medium and large
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """Which facts of a scene a picture shows; of two things, all facts of both."""

    colour: bool
    shape: bool
    place: bool  # of two things: how they lie to each other
    ground: bool
    size: bool
    count: bool

    @property
    def bound(self) -> bool:
        """Whether each thing has its own colour, shape and place."""
        return self.colour and self.shape and self.place


def read(picture: NDArray[np.uint8]) -> Scene:
    """What a picture (64, 64, 3) shows, the largest thing first."""
    pixels = _smooth(picture.astype(np.float32))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(border, axis=0)
    distance = np.sqrt(((pixels - ground) ** 2).sum(-1))
    regions = [region for region in _regions(distance > APART) if region.sum() >= SMALLEST / 2]
    things = [thing for region in regions if (thing := _thing(pixels, ground, region, distance)) is not None]
    return Scene(_colour(ground), tuple(sorted(things, key=lambda thing: -thing.radius)))


def judge(picture: NDArray[np.uint8], scene: Scene) -> Verdict:
    """How far a picture shows what a scene tells."""
    seen = read(picture)
    count = len(seen.things) == len(scene.things)
    ground = seen.ground == scene.ground
    if not count:
        return Verdict(False, False, False, ground, False, False)
    pairs = list(zip(_matched(seen.things, scene.things), scene.things, strict=True))

    def same(name: str) -> bool:
        return all(getattr(found, name) == getattr(wanted, name) for found, wanted in pairs)

    there = replace(seen, things=tuple(found for found, _ in pairs))
    place = same("place") if len(pairs) == 1 else there.relation == scene.relation
    return Verdict(same("colour"), same("shape"), place, ground, same("size"), count)


def _matched(found: tuple[Thing, ...], wanted: tuple[Thing, ...]) -> tuple[Thing, ...]:
    """What was found, in the order that agrees best in colours and shapes."""

    def agreement(order: tuple[Thing, ...]) -> int:
        pairs = list(zip(order, wanted, strict=True))
        return sum((one.colour == other.colour) + (one.shape == other.shape) for one, other in pairs)

    return max((found, found[::-1]), key=agreement)


def _thing(pixels: Floats, ground: Floats, region: NDArray[np.bool_], distance: Floats) -> Thing | None:
    """The thing in a region: its colour from the purest pixels, its shape from how much of each pixel it covers."""
    near = _grown(_grown(region))
    purest = region & (distance >= np.quantile(distance[region], 0.6))
    colour = np.median(pixels[purest], axis=0)
    ray = colour - ground
    cover = np.clip((pixels - ground) @ ray / (ray @ ray), 0, 1) * near
    cover[cover < 0.15] = 0  # noise on the ground
    area = float(cover.sum())
    if area < SMALLEST:
        return None
    middles = np.arange(SIDE) + 0.5
    centre = float(cover.sum(0) @ middles) / area, float(cover.sum(1) @ middles) / area
    likeness, thing = max(((_overlap(cover, fit), fit) for fit in _fits(area, centre)), key=lambda pair: pair[0])
    size = tuple(SIZES)[int(np.searchsorted(SIZE_LIMITS, thing.radius))]
    shape = thing.shape if likeness >= LIKE else UNKNOWN
    return replace(thing, shape=shape, colour=_colour(colour), size=size)


def _fits(area: float, centre: tuple[float, float]) -> list[Thing]:
    """Every shape at the one size and place that give it this area and this centre of mass: blur changes neither."""
    fits = list[Thing]()
    for shape in SHAPES:
        filled, lower = _mass(shape)
        radius = float(np.sqrt(area / filled))
        fits.append(Thing(shape, UNKNOWN, UNKNOWN, centre[0], centre[1] - lower * radius, radius))
    return fits


@cache
def _mass(shape: str) -> tuple[float, float]:
    """Area of a shape of radius 1, and how far below its middle its centre of mass lies."""
    radius = SIDE / 4
    cover = coverage([Thing(shape, UNKNOWN, UNKNOWN, SIDE / 2, SIDE / 2, radius)])[0]
    area = float(cover.sum())
    down = float(cover.sum(1) @ (np.arange(SIDE) + 0.5)) / area
    return area / radius**2, (down - SIDE / 2) / radius


def _overlap(cover: Floats, fit: Thing) -> float:
    """Shared cover over joint cover, the fit blurred as the picture was."""
    wanted = _smooth(coverage([fit])[0][..., None])[..., 0]
    return float(np.minimum(cover, wanted).sum() / np.maximum(cover, wanted).sum())


def _colour(levels: Floats) -> str:
    """The colour of the palette that lies nearest."""
    palette = np.array(list(PALETTE.values()), np.float32)
    return COLOURS[int(((palette - levels) ** 2).sum(-1).argmin())]


def _smooth(pixels: Floats) -> Floats:
    """Each pixel with some of its four neighbours: noise halves, edges stay where they are."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    beside = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return (2 * pixels + beside) / 6


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(region, 1)
    return region | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _regions(ink: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected regions of a bitmap."""
    left, regions = ink.copy(), list[NDArray[np.bool_]]()
    while left.any():
        region = np.zeros_like(left)
        region[np.unravel_index(left.argmax(), left.shape)] = True
        while (wider := _grown(region) & left).sum() > region.sum():
            region = wider
        regions.append(region)
        left &= ~region
    return regions
