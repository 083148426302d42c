"""What pocket-helios-distilled films in few steps of prompts that training never saw; how it lasts, how it follows."""

from __future__ import annotations

import json

import numpy as np
import pytest

import calotype
from calotype.core.films import FilmReader
from tests.pocket.conftest import FILMED, quiet
from tests.pocket.test_command_line import run  # noqa: F401  (a fixture)
from training import film_exams
from training.film_judge import watch


@pytest.fixture(scope="module")
def films():
    return quiet(calotype.HeliosPyramidPipeline.from_pretrained("pocket-helios-distilled"))


@pytest.fixture(scope="module")
def exam(films):
    """Unseen takes, and the films of their prompts."""
    return film_exams.answers(films, 60, shots=2)


def test_it_is_a_distilled_model_that_takes_four_steps_at_each_size_and_twice_as_many_at_first(films):
    steps = list[int]()
    told = {"callback_on_step_end": lambda pipe, step, *_: steps.append(step) or {}}
    films("a red ball moving right", num_frames=18, exact_frames=True, generator=0, **told)
    assert films.distilled
    assert len(steps) == 24 + 12


@pytest.mark.parametrize(("fact", "goal"), FILMED.items())
def test_prompts_are_filmed_as_they_tell(exam, fact, goal):
    takes, made = exam
    assert film_exams.judged(made, takes)[fact] >= goal


def test_films_of_other_prompts_do_not_pass(exam):
    takes, made = exam
    assert film_exams.mistaken(made, takes) <= 0.1


def test_what_a_film_shows_is_still_there_after_a_while(films):
    marks = film_exams.drift(films, 20, seconds=15)
    for fact, least in {"colour": 0.85, "shape": 0.7, "direction": 0.5}.items():
        assert marks[f"{fact}, last tenth"] >= max(least, marks[f"{fact}, first tenth"] - 0.05), fact


def test_a_new_prompt_is_followed_within_three_chunks(films):
    marks = film_exams.changes(films, 20, before=1, after=3)
    assert np.mean([*marks.values()]) >= 0.8


def test_a_ground_that_no_prompt_tells_stays_what_it_was(films):
    assert film_exams.untold(films, 20)["ground"] >= 0.95


def test_the_command_line_films_a_ball(run):  # noqa: F811
    done = run(
        "video", "a red ball moving right", "-m", "pocket-helios-distilled", "--seconds", "2", "--seed", "1", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["file"] == "out.mp4"
    with FilmReader("out.mp4") as film:
        frames = np.stack([np.asarray(frame) for frame in film])
    seen = watch(frames[: film_exams.SHOT])
    assert (seen.colour, seen.shape) == ("red", "circle")
    assert run("replay", "out.mp4").stdout == "identical\n"
