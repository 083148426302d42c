"""What can be said of a scene: a small grammar with synonyms and several orders, so that text has to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.world import Scene, Thing

UNTOLD = 0.1  # of the captions are dropped, so that guidance has something to compare with
WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "disc", "dot"),
    "square": ("square", "square", "box"),
    "triangle": ("triangle", "triangle", "wedge"),
    "diamond": ("diamond", "diamond", "rhombus"),
    "cross": ("cross", "cross", "plus sign"),
    "ring": ("ring", "ring", "hoop"),
    "star": ("star", "star", "pentagram"),
    "moon": ("thing", "figure"),
    "red": ("red", "red", "crimson"),
    "orange": ("orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "golden"),
    "green": ("green", "green", "emerald"),
    "blue": ("blue", "blue", "azure"),
    "purple": ("purple", "purple", "violet"),
    "white": ("white", "white", "snowy"),
    "black": ("black", "black", "dark"),
    "small": ("small", "little", "tiny"),
    "medium": ("medium", "mid-sized", "medium-sized"),
    "large": ("large", "big", "huge"),
}
ANYTHING = WORDS["moon"]  # what has no name, and now and then what has one
PLACES: dict[tuple[str, str], tuple[str, ...]] = {
    ("top", "left"): ("in the top left corner", "at the top left", "in the upper left"),
    ("top", "centre"): ("at the top", "near the top", "in the upper middle"),
    ("top", "right"): ("in the top right corner", "at the top right", "in the upper right"),
    ("centre", "left"): ("on the left", "at the left side", "at the left edge"),
    ("centre", "centre"): ("in the middle", "in the center", "in the centre"),
    ("centre", "right"): ("on the right", "at the right side", "at the right edge"),
    ("bottom", "left"): ("in the bottom left corner", "at the bottom left", "in the lower left"),
    ("bottom", "centre"): ("at the bottom", "near the bottom", "in the lower middle"),
    ("bottom", "right"): ("in the bottom right corner", "at the bottom right", "in the lower right"),
}
RELATIONS: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
GROUNDS = (  # {0} bare, {1} with its article
    "on {1} background",
    "on {1} background",
    "on {0}",
    "against {1} backdrop",
    "over {1} ground",
)
# thing, place, ground; what is left unsaid leaves no trace
ALONE = ("{0} {1} {2}", "{0} {2} {1}", "{0} {2}, {1}", "{1} {0} {2}", "{2} {0} {1}", "{2}, {1}, {0}")
# first thing, relation, second thing, ground
PAIR = ("{0} {1} {2} {3}", "{3} {0} {1} {2}", "{0} {3}, {1} {2}")
OPENINGS = ("", "", "", "a picture of ", "a drawing of ", "there is ")


@dataclass(frozen=True)
class Told:
    """Which facts a caption tells, beside colours and the relation of two."""

    ground: float = 0.9  # how often, from 0 to 1
    place: float = 0.7
    size: float = 0.4
    shape: float = 0.75


EVERYTHING = Told(1, 1, 1, 1)


def caption(scene: Scene, rng: np.random.Generator, told: Told = Told()) -> str:
    """Something true of the scene, in words drawn at random."""
    things = [_phrase(thing, rng, told) for thing in scene.things]
    ground = _ground(_word(scene.ground, rng), _one(GROUNDS, rng)) if rng.random() < told.ground else ""
    if len(things) == 2:
        relation = _one(RELATIONS[scene.relation], rng)
        text = _one(PAIR, rng).format(things[0], relation, things[1], ground)
    else:
        place = _one(PLACES[scene.things[0].place], rng) if rng.random() < told.place else ""
        text = _one(ALONE, rng).format(things[0], place, ground)
    opening = _one(OPENINGS, rng) if text.startswith("a") and not text.startswith(("at", "against")) else ""
    return " ".join((opening + text).replace(" ,", ",").split()).strip(", ")


def plain(scene: Scene) -> str:
    """The shortest caption that tells shape, colour, ground and place, or relation."""
    first = scene.things[0]
    ground = _ground(scene.ground, GROUNDS[0])
    if len(scene.things) == 1:
        return f"{_bare(first)} {ground}, {PLACES[first.place][0]}"
    return f"{_bare(first)} {RELATIONS[scene.relation][0]} {_bare(scene.things[1])} {ground}"


def every_text() -> Iterator[str]:
    """All that the grammar can put into a caption, piece by piece."""
    tables: Sequence[dict[str, tuple[str, ...]] | dict[tuple[str, str], tuple[str, ...]]] = (WORDS, PLACES, RELATIONS)
    for table in tables:
        for choices in table.values():
            yield from choices
    yield from (_ground("a", text) for text in GROUNDS)
    yield from OPENINGS


def _ground(colour: str, text: str) -> str:
    return text.format(colour, with_article(colour))


def _bare(thing: Thing) -> str:
    return with_article(f"{thing.colour} {thing.shape}")


def _phrase(thing: Thing, rng: np.random.Generator, told: Told) -> str:
    size = [_word(thing.size, rng)] if rng.random() < told.size else []
    shape = _word(thing.shape, rng) if rng.random() < told.shape else _one(ANYTHING, rng)
    return with_article(" ".join([*size, _word(thing.colour, rng), shape]))


def with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _word(name: str, rng: np.random.Generator) -> str:
    return _one(WORDS[name], rng)


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]
