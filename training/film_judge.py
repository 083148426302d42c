"""A plain reader of films: each frame turned until its thing lies in the middle, then read as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.films import DIRECTIONS, STILL, Take
from training.judge import APART, SMALLEST, UNKNOWN, read
from training.world import SIDE, Floats, Thing

LOOKS = 5  # frames, evenly spread, whose majority says what there is
SPEED_LIMITS = (0.45, 1.3)  # pixels a frame, between still, slow and fast
STRAIGHT = 3.0  # pixels: what strays further from a straight and even way has none


@dataclass(frozen=True)
class Verdict:
    """Which facts of a take a film shows."""

    colour: bool
    shape: bool
    ground: bool
    direction: bool
    speed: bool

    @property
    def all(self) -> bool:
        return all(vars(self).values())


def watch(frames: NDArray[np.uint8]) -> Take:
    """What a film (frames, 64, 64, 3) shows."""
    found = [look(frames[row]) for row in np.linspace(0, len(frames) - 1, LOOKS).astype(int)]
    shape, colour = (_most(getattr(thing, name) for _, thing in found) for name in ("shape", "colour"))
    return Take(shape, colour, _most(ground for ground, _ in found), *_way(frames))


def judge(frames: NDArray[np.uint8], take: Take) -> Verdict:
    """How far a film shows what a take tells."""
    seen = watch(frames)
    return Verdict(*(getattr(seen, name) == getattr(take, name) for name in Verdict.__dataclass_fields__))


def look(frame: NDArray[np.uint8]) -> tuple[str, Thing]:
    """The ground of a frame, and its largest thing if there is one."""
    x, y = _middle(_ink(frame[None]))[0]
    turned = np.roll(frame, (SIDE // 2 - round(y), SIDE // 2 - round(x)), (0, 1))
    scene = read(turned)
    return scene.ground, scene.things[0] if scene.things else Thing(UNKNOWN, UNKNOWN, UNKNOWN, 0, 0, 0)


def _way(frames: NDArray[np.uint8]) -> tuple[str, str]:
    """Direction and speed of the thing, unknown where it is not there in every frame or goes no straight way."""
    ink = _ink(frames)
    if (ink.sum((1, 2)) < SMALLEST).any():
        return UNKNOWN, UNKNOWN
    steps = np.diff(_middle(ink), axis=0)
    way = np.concatenate([np.zeros((1, 2)), ((steps + SIDE / 2) % SIDE - SIDE / 2).cumsum(0)])
    times = np.arange(len(way)) - (len(way) - 1) / 2
    velocity = times @ way / (times @ times)
    if abs(way - way.mean(0) - times[:, None] * velocity).max() > STRAIGHT:
        return UNKNOWN, UNKNOWN
    speed = (STILL, "slow", "fast")[int(np.searchsorted(SPEED_LIMITS, np.hypot(*velocity)))]
    direction = max(DIRECTIONS, key=lambda name: float(velocity @ DIRECTIONS[name]))
    return (STILL, STILL) if speed == STILL else (direction, speed)


def _ink(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where frames differ from their ground, the colour of most of their pixels in the middle of all levels."""
    pixels = frames.astype(np.float32)
    distance = np.sqrt(((pixels - _ground(pixels)[:, None, None]) ** 2).sum(-1))
    return distance > APART


def _ground(pixels: Floats) -> Floats:
    """The commonest colour of each frame, (frames, 3): the middle of all pixels that share its coarse levels."""
    found = list[Floats]()
    for frame in pixels.reshape(len(pixels), -1, 3):
        coarse = (frame / 16).round().astype(int) @ np.array([1, 32, 1024])
        commonest = np.bincount(coarse).argmax()
        found.append(np.median(frame[coarse == commonest], axis=0))
    return np.stack(found)


def _middle(ink: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The middle of each bitmap, (frames, 2): across and down, on a plane whose borders meet."""
    turns = np.exp(2j * np.pi * (np.arange(SIDE) + 0.5) / SIDE)
    across, down = ink.sum(1) @ turns, ink.sum(2) @ turns
    return np.stack([np.angle(across), np.angle(down)], axis=-1) / (2 * np.pi) * SIDE % SIDE


def _most(names: Iterable[str]) -> str:
    return Counter(names).most_common(1)[0][0]
