"""What every pocket model of films is asked: prompts that training never saw, by the judge and on the command line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import calotype
from calotype.core.films import FilmReader
from tests.pocket.conftest import quiet
from tests.pocket.test_command_line import run  # noqa: F401  (a fixture)
from training import film_exams
from training.film_judge import watch

GOALS = {"colour": 0.9, "shape": 0.8, "direction": 0.8}
ASKED = {"pocket-helios": (30, 1), "pocket-helios-distilled": (60, 2)}  # how many prompts, and shots of each


@pytest.fixture(scope="module", params=ASKED)
def exam(request: pytest.FixtureRequest) -> Any:
    """Unseen takes, and the films of their prompts."""
    count, shots = ASKED[request.param]
    return film_exams.answers(quiet(calotype.DiffusionPipeline.from_pretrained(request.param)), count, shots)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("fact", "goal"), GOALS.items())
def test_prompts_are_filmed_as_they_tell(exam: Any, fact: str, goal: float) -> None:
    takes, made = exam
    assert film_exams.judged(made, takes)[fact] >= goal


def test_films_of_other_prompts_do_not_pass(exam: Any) -> None:
    takes, made = exam
    assert film_exams.mistaken(made, takes) <= 0.1


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ((), {"colour": "red", "shape": "circle", "direction": "right"}),
        (("-m", "pocket-helios-distilled"), {"colour": "red", "shape": "circle"}),
    ],
    ids=["usual", "distilled"],
)
def test_the_command_line_films_a_ball_that_moves_right(model: Any, shown: dict[str, str], run: Any) -> None:  # noqa: F811
    done = run("video", "a red ball moving right", *model, "--seconds", "2", "--seed", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["file"] == "out.mp4"
    with FilmReader("out.mp4") as film:
        frames = np.stack([np.asarray(frame) for frame in film])
    assert frames.shape == (48, 64, 64, 3)
    seen = watch(frames[: film_exams.SHOT])
    assert {fact: getattr(seen, fact) for fact in shown} == shown
    assert run("replay", "out.mp4").stdout == "identical\n"
