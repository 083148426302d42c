"""What pocket-kandinsky draws of prompts that training never saw, and what lies between two of them, by the judge."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import calotype
from calotype.core.picture_files import read_recipe
from tests.pocket.conftest import quiet
from tests.pocket.test_command_line import run  # noqa: F401  (a fixture)
from training import exams
from training.judge import read

FEW = {"num_inference_steps": 20}
PAIRS = 24  # of scenes that share neither ground nor colour nor shape
NEARLY = 2 / PAIRS  # what lies halfway may be read either way
KNOWN = {"colour": 0.85, "shape": 0.75, "ground": 0.85}  # how often a fact is right where its scene is all there is
STRANGE = 0.15  # and where it is no part
TASKS = {"Text2Image": "", "Image2Image": "Img2Img", "Inpainting": "Inpaint"}


@pytest.fixture(scope="module")
def whole():
    return quiet(calotype.KandinskyV22CombinedPipeline.from_pretrained("pocket-kandinsky"))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_finds_the_prior_by_the_decoders_card(task):
    found = getattr(calotype, f"AutoPipelineFor{task}").from_pretrained("pocket-kandinsky")
    assert type(found).__name__ == f"KandinskyV22{TASKS[task]}CombinedPipeline"
    assert found.prior_prior.config._name_or_path == "pocket-kandinsky-prior"


@pytest.mark.timeout(600)
def test_a_hundred_prompts_are_drawn_as_they_tell_in_the_size_it_learnt(whole):
    scenes = exams.unseen(100)
    pictures = exams.drawn(whole, [exams.plain(one) for one in scenes], **FEW)
    assert pictures.shape == (100, 64, 64, 3)
    marks = exams.judged(pictures, scenes)
    assert marks["colour"] >= KNOWN["colour"]
    assert marks["shape"] >= KNOWN["shape"]
    assert exams.judged(pictures, scenes[1:] + scenes[:1])["bound"] <= 0.1


@pytest.fixture(scope="module", params=[False, True], ids=["two prompts", "a prompt and a picture"])
def passage(whole, request):
    """The marks of pictures that lie between a first scene and a second, by the second's share."""
    return [exams.mixed(whole, PAIRS, share, request.param, **FEW) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("fact", "known"), KNOWN.items())
def test_what_is_mixed_passes_from_the_first_to_the_second(passage, fact, known):
    first, second = ([marks[f"{fact} of the {which}"] for marks in passage] for which in ("first", "second"))
    assert first[0] >= known and second[-1] >= known
    assert first[-1] <= STRANGE and second[0] <= STRANGE
    assert all(after <= before + NEARLY for before, after in pairwise(first))
    assert all(after >= before - NEARLY for before, after in pairwise(second))
    assert first[1] > second[1] and first[3] < second[3]


def test_the_command_line_draws_with_it(run):  # noqa: F811
    asked = ("generate", "a red circle on a blue background", "-m", "pocket-kandinsky", "--seed", "1", "--steps", "20")
    assert run(*asked).stdout == "out.png\n"
    with Image.open("out.png") as picture:
        assert picture.size == (64, 64)
        assert [thing.colour for thing in read(np.asarray(picture)).things] == ["red"]
    assert read_recipe("out.png")["arguments"]["height"] == 64
    assert run("replay", "out.png").stdout == "identical\n"
    asked = (*asked, "--image", "out.png", "--strength", "0.2", "-o", "again.png")
    assert run(*asked).exit_code == 0
    with Image.open("again.png") as again, Image.open("out.png") as first:
        assert abs(np.asarray(again).astype(int) - np.asarray(first)).mean() < 30
    Image.new("L", (64, 64)).save("nothing.png")
    asked = (*asked[:-4], "--mask", "nothing.png", "-o", "kept.png")
    assert run(*asked).exit_code == 0
    with Image.open("kept.png") as kept, Image.open("out.png") as first:
        assert abs(np.asarray(kept).astype(int) - np.asarray(first)).mean() < 8
