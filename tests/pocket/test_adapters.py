"""The adapters of pocket-sd do what they say, by the judge, and nothing once they are unloaded."""

from __future__ import annotations

import pytest

import calotype
from tests.pocket.conftest import quiet
from training import exams

COUNT = 25
FEW = {"num_inference_steps": 20}


@pytest.fixture
def own(pipe):
    """A pipeline of its own for what changes it; the weights are shared with nobody."""
    return quiet(calotype.AutoPipelineForText2Image.from_pretrained("pocket-sd"))


def test_a_controlnet_follows_outlines_that_the_prompt_does_not_tell(pipe):
    net = calotype.ControlNetModel.from_pretrained("pocket-controlnet-edges")
    hinted = quiet(calotype.StableDiffusionControlNetPipeline.from_pipe(pipe, controlnet=net))
    marks = exams.hints(hinted, COUNT, **FEW)
    assert marks["place"] >= 0.95 and marks["size"] >= 0.9
    assert marks["shape"] >= 0.55 and marks["colour"] >= 0.95
    unheard = exams.hints(hinted, COUNT, controlnet_conditioning_scale=0.0, **FEW)
    assert unheard["place"] <= 0.35 and unheard["bound"] <= 0.15


def test_a_lora_paints_opposite_colours_until_it_is_unloaded(own):
    own.load_lora_weights("pocket-lora-opposites")
    marks = exams.opposites(own, COUNT, **FEW)
    assert marks["colour"] >= 0.9 and marks["ground"] >= 0.9 and marks["shape"] >= 0.75
    own.unload_lora_weights()
    without = exams.opposites(own, COUNT, **FEW)
    assert without["colour"] <= 0.05 and without["ground"] <= 0.05


def test_a_word_draws_the_shape_that_has_no_name(own):
    unknown = exams.moons(own, COUNT, word="thing", **FEW)
    own.load_textual_inversion("pocket-inversion-moon")
    known = exams.moons(own, COUNT, **FEW)
    assert known["shape"] >= 0.4 and known["colour"] >= 0.95
    assert unknown["shape"] <= known["shape"] - 0.2
    own.unload_textual_inversion()
    assert exams.moons(own, COUNT, **FEW)["shape"] <= known["shape"] - 0.2


def test_an_ip_adapter_takes_from_a_picture_what_the_words_leave_unsaid(own):
    own.load_ip_adapter("pocket-ip-adapter")
    marks = exams.pictured(own, COUNT, **FEW)
    assert marks["colour"] >= 0.9 and marks["ground"] >= 0.9 and marks["place"] >= 0.6 and marks["shape"] >= 0.6
    own.set_ip_adapter_scale(0)
    unseen = exams.pictured(own, COUNT, **FEW)
    assert unseen["colour"] <= 0.4 and unseen["ground"] <= 0.3 and unseen["place"] <= 0.35 and unseen["shape"] <= 0.25
    own.unload_ip_adapter()
    assert own.image_encoder is None
