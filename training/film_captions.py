"""What can be said of a film, and in which words: the words of the world, and those for ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from training import captions
from training.captions import ANYTHING, GROUNDS, with_article
from training.films import STILL, Take

WORDS: Mapping[str, tuple[str, ...]] = {
    **captions.WORDS,
    "circle": (*captions.WORDS["circle"], "ball", "ball"),
    "square": (*captions.WORDS["square"], "block"),
    "left": ("left", "left", "to the left", "leftwards"),
    "right": ("right", "right", "to the right", "rightwards"),
    "up": ("up", "up", "upwards", "upward"),
    "down": ("down", "down", "downwards", "downward"),
    "slow": ("slowly", "slowly", "at a slow pace"),
    "fast": ("fast", "quickly", "at a fast pace"),
    STILL: ("standing still", "that stands still", "at rest", "not moving"),
}
MOVES = ("moving", "moving", "going", "travelling", "gliding", "that moves", "moves", "drifting")
WAYS = ("{0} {1} {2}", "{0} {1} {2}", "{0} {2} {1}")  # move, direction, speed; what is left unsaid leaves no trace
ORDERS = ("{0} {1} {2}", "{0} {1} {2}", "{0} {2} {1}", "{0} {2}, {1}", "{2}, {0} {1}")  # thing, way, ground
OPENINGS = ("", "", "", "", "a film of ", "a video of ", "there is ")


@dataclass(frozen=True)
class Told:
    """Which facts a caption tells, beside the colour."""

    shape: float = 0.85  # how often, from 0 to 1
    ground: float = 0.6
    way: float = 0.9
    speed: float = 0.4  # of what moves, where its way is told


EVERYTHING = Told(1, 1, 1, 1)


def news(before: Take, now: Take) -> Told:
    """As much as usual, and whatever is not as before."""
    usual, turned = Told(), before.speed != now.speed
    return Told(
        shape=1 if before.shape != now.shape else usual.shape,
        ground=1 if before.ground != now.ground else usual.ground,
        way=1 if turned or before.direction != now.direction else usual.way,
        speed=1 if turned else usual.speed,
    )


def caption(take: Take, rng: np.random.Generator, told: Told = Told()) -> str:
    """Something true of the take, in words drawn at random."""
    shape = _word(take.shape, rng) if rng.random() < told.shape else _one(ANYTHING, rng)
    thing = with_article(f"{_word(take.colour, rng)} {shape}")
    way = _way(take, rng, told) if rng.random() < told.way else ""
    colour = _word(take.ground, rng)
    ground = _one(GROUNDS, rng).format(colour, with_article(colour)) if rng.random() < told.ground else ""
    text = _one(ORDERS, rng).format(thing, way, ground)
    opening = _one(OPENINGS, rng) if text.startswith(thing) else ""
    return " ".join((opening + text).replace(" ,", ",").split()).strip(", ")


def plain(take: Take, ground: bool = False, speed: bool = False) -> str:
    """The shortest caption that tells colour, shape and way; ground and speed where they are asked for."""
    thing = with_article(f"{take.colour} {take.shape}")
    pace = f" {WORDS[take.speed][0]}" if speed and take.direction != STILL else ""
    way = WORDS[STILL][0] if take.direction == STILL else f"moving {take.direction}{pace}"
    return f"{thing} {way}" + (f" on {with_article(take.ground)} background" if ground else "")


def every_text() -> Iterator[str]:
    """All that the grammar can put into a caption, piece by piece."""
    for choices in WORDS.values():
        yield from choices
    yield from (text.format("a", "a") for text in GROUNDS)
    yield from MOVES
    yield from OPENINGS
    yield "a an the , ."


def _way(take: Take, rng: np.random.Generator, told: Told) -> str:
    if take.direction == STILL:
        return _word(STILL, rng)
    speed = _word(take.speed, rng) if rng.random() < told.speed else ""
    return _one(WAYS, rng).format(_one(MOVES, rng), _word(take.direction, rng), speed)


def _word(name: str, rng: np.random.Generator) -> str:
    return _one(WORDS[name], rng)


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]
