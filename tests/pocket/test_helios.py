"""What pocket-helios films of prompts that training never saw, by the judge; how it lasts, and how it follows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import calotype
from tests.pocket.conftest import quiet
from training import film_exams
from training.film_judge import watch
from training.films import CHUNK, Take, playing


@pytest.fixture(scope="module")
def films():
    return quiet(calotype.HeliosPipeline.from_pretrained("pocket-helios"))


@pytest.mark.timeout(600)
def test_a_long_film_does_not_drift(films):
    marks = film_exams.drift(films, 2, seconds=15)
    for fact in ("colour", "shape"):
        assert marks[f"{fact}, last tenth"] >= marks[f"{fact}, first tenth"] - 0.05
        assert marks[f"{fact}, first tenth"] >= 0.75


@pytest.mark.timeout(600)
def test_a_new_prompt_is_followed_within_three_chunks(films):
    marks = film_exams.changes(films, 8, before=1, after=3)
    assert np.mean([*marks.values()]) >= 0.8


@pytest.mark.parametrize("kind", ["image", "video"])
def test_a_film_goes_on_from_what_was_given(films, kind):
    shown = playing([Take("circle", "red", "blue", "right", "fast")], np.random.default_rng(0))
    frames = shown.frames(0, 1 if kind == "image" else 2 * CHUNK)
    pictures = [Image.fromarray(frame) for frame in frames]
    given = {"image": pictures[0]} if kind == "image" else {"video": pictures}
    made = film_exams.filmed(films, 4, prompt="a red circle moving right fast on a blue background", **given)[0]
    seen = watch(made)
    assert (seen.colour, seen.shape, seen.ground, seen.direction) == ("red", "circle", "blue", "right")
    assert apart(made[0], frames[-1]) < 0.5 * apart(np.roll(frames[-1], 32, 0), frames[-1])


def apart(one, other):
    return np.abs(one.astype(int) - other).mean()
