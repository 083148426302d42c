"""What pocket-sd draws of prompts that training never saw, by the judge. Each number falls when its mechanism breaks."""

from __future__ import annotations

import numpy as np
import pytest

import calotype
from tests.pocket.conftest import quiet
from training import exams

FEW = {"num_inference_steps": 20}  # enough to see whether a mechanism works


@pytest.mark.timeout(600)
def test_two_hundred_prompts_are_drawn_as_they_tell(pipe):
    marks = exams.prompts(pipe, 200, **FEW)
    assert marks["colour"] >= 0.95
    assert marks["shape"] >= 0.90
    assert marks["bound"] >= 0.85


def test_pictures_of_other_prompts_do_not_pass(pipe):
    scenes = exams.unseen(50)
    pictures = exams.drawn(pipe, [exams.plain(one) for one in scenes[1:] + scenes[:1]], **FEW)
    assert exams.judged(pictures, scenes)["bound"] <= 0.1


def test_guidance_makes_more_of_them_right(pipe):
    with_it, without = (exams.prompts(pipe, 50, things=2, guidance_scale=scale, **FEW) for scale in (7.5, 1.0))
    assert with_it["bound"] >= 0.75 and with_it["bound"] >= without["bound"] + 0.2


def test_a_negative_prompt_removes_what_it_names_and_nothing_where_guidance_is_off(pipe):
    marks = exams.negatives(pipe, 16, **FEW)
    assert marks["gone"] >= 0.7
    assert marks["colour"] >= 0.65 and marks["shape"] >= 0.45  # of the thing, which it does not name; by chance: 0.14
    assert exams.negatives(pipe, 4, guidance_scale=1.0, **FEW)["gone"] == 0


def test_strength_is_how_far_a_picture_is_left(pipe):
    redrawn = quiet(calotype.AutoPipelineForImage2Image.from_pipe(pipe))
    little, much = (exams.strengths(redrawn, 16, strength, **FEW) for strength in (0.3, 0.9))
    assert little["kept"] >= 0.8 and much["kept"] <= 0.2
    assert little["ground kept against the prompt"] >= 0.5 and much["ground kept against the prompt"] <= 0.3
    assert little["followed"] <= 0.3 and much["followed"] >= 0.6


def test_inpainting_changes_what_is_masked_and_nothing_else(pipe):
    marks = exams.repainted(quiet(calotype.AutoPipelineForInpainting.from_pipe(pipe)), 40, **FEW)
    assert marks["there"] >= 0.65
    assert marks["moved"] <= 6  # levels of 255: what the autoencoder costs


def test_the_preview_of_the_last_step_shows_the_picture(pipe):
    stream = pipe.stream("a red circle on a blue background", generator=0)
    *_, last = stream
    picture = np.asarray(stream.output.images[0].resize(last.preview.size, 4)).astype(float)
    assert abs(np.asarray(last.preview) - picture).mean() < 40
    assert abs(np.asarray(last.preview)[..., ::-1] - picture).mean() > 60


def test_a_picture_of_a_batch_is_that_of_its_seed_alone(pipe):
    prompts = [exams.plain(one) for one in exams.unseen(4)]
    together = pipe(prompts, seeds=[1, 2, 3, 4], output_type="np").images
    for seed, prompt in enumerate(prompts, 1):
        alone = pipe(prompt, seeds=[seed], output_type="np").images[0]
        assert abs(alone - together[seed - 1]).max() <= 1e-5  # measured: 3e-6


def test_the_towers_find_a_caption_its_picture():
    parts = {
        "text_encoder": calotype.CLIPTextModelWithProjection,
        "image_encoder": calotype.CLIPVisionModelWithProjection,
        "tokenizer": calotype.CLIPTokenizer,
        "feature_extractor": calotype.CLIPImageProcessor,
    }
    towers = [kind.from_pretrained("pocket-clip", subfolder=name) for name, kind in parts.items()]
    assert exams.alike(*towers, count=100) >= 0.8
