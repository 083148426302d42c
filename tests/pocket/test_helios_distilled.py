"""What pocket-helios-distilled films in few steps of prompts that training never saw; how it lasts, how it follows."""

from __future__ import annotations

import numpy as np
import pytest

import calotype
from tests.pocket.conftest import quiet
from training import film_exams


@pytest.fixture(scope="module")
def films():
    return quiet(calotype.HeliosPyramidPipeline.from_pretrained("pocket-helios-distilled"))


def test_it_is_a_distilled_model_that_takes_four_steps_at_each_size_and_twice_as_many_at_first(films):
    steps = list[int]()
    told = {"callback_on_step_end": lambda pipe, step, *_: steps.append(step) or {}}
    films("a red ball moving right", num_frames=18, exact_frames=True, generator=0, **told)
    assert films.distilled
    assert len(steps) == 24 + 12


def test_what_a_film_shows_is_still_there_after_a_while(films):
    marks = film_exams.drift(films, 20, seconds=15)
    for fact, least in {"colour": 0.85, "shape": 0.7, "direction": 0.5}.items():
        assert marks[f"{fact}, last tenth"] >= max(least, marks[f"{fact}, first tenth"] - 0.05), fact


def test_a_new_prompt_is_followed_within_three_chunks(films):
    marks = film_exams.changes(films, 20, before=1, after=3)
    assert np.mean([*marks.values()]) >= 0.8


def test_a_ground_that_no_prompt_tells_stays_what_it_was(films):
    assert film_exams.untold(films, 20)["ground"] >= 0.95
