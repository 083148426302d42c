"""The judge of films reads what they show rightly, softened and noisy too, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from training.film_exams import SHOT
from training.film_judge import judge, watch
from training.films import STILL, Film, Take, playing, take
from training.judge import UNKNOWN

RNG = np.random.default_rng(11)
TAKES = [take(RNG, unseen=bool(place % 2)) for place in range(60)]
FILMS = [playing([one], RNG).frames(0, SHOT) for one in TAKES]
ONE = Take("square", "red", "white", "right", "slow")
SHOWN = Film((10.0, 60.0), (ONE,)).frames(0, SHOT)


def soft(frames: np.ndarray) -> np.ndarray:
    blurred = [np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(0.8))) for frame in frames]
    return np.clip(np.stack(blurred) + np.random.default_rng(8).normal(0, 4, frames.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("seen", "least"), [(lambda film: film, 0.99), (soft, 0.97)], ids=["clean", "soft and noisy"])
def test_the_judge_finds_everything(seen: object, least: float):
    right = [judge(seen(film), one).all for film, one in zip(FILMS, TAKES, strict=True)]  # type: ignore[operator]
    assert np.mean(right) >= least


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("colour", "orange"),
        ("shape", "circle"),
        ("ground", "yellow"),
        ("direction", "left"),
        ("direction", "up"),
        ("speed", "fast"),
    ],
)
def test_the_judge_names_what_is_wrong(name: str, other: str):
    assert judge(SHOWN, ONE).all
    verdict = judge(SHOWN, replace(ONE, **{name: other}))
    assert [fact for fact, right in vars(verdict).items() if not right] == [name]


def test_what_stands_still_has_no_direction():
    seen = watch(np.repeat(SHOWN[:1], SHOT, axis=0))
    assert (seen.direction, seen.speed) == (STILL, STILL)


def test_backwards_is_the_other_direction():
    assert watch(SHOWN[::-1]).direction == "left"


def test_what_jumps_or_vanishes_goes_no_way():
    away = SHOWN.copy()
    away[10] = SHOWN[0, 30, 60]
    jumps = np.concatenate([SHOWN[:16], np.roll(SHOWN[16:], 20, axis=1)])
    assert (watch(away).direction, watch(jumps).direction) == (UNKNOWN, UNKNOWN)


def test_the_majority_of_frames_says_what_there_is():
    mostly = SHOWN.copy()
    mostly[:5] = Film((10.0, 60.0), (replace(ONE, colour="blue"),)).frames(0, 5)
    assert watch(mostly).colour == "red"


def test_an_empty_film_shows_nothing():
    seen = watch(np.full((SHOT, 64, 64, 3), 200, np.uint8))
    assert (seen.colour, seen.shape, seen.direction) == (UNKNOWN, UNKNOWN, UNKNOWN)
