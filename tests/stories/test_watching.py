"""Previews, deadlines and seeds: what every call offers beside its pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import calotype
from calotype.core import story
from calotype.core.errors import Cancelled, DeadlinePassed, InvalidArgument, UnknownArgument
from calotype.generation.previews import KNOWN, line_of
from tests.tiny import tiny_inputs, tiny_pipeline, tiny_stable_diffusion, tiny_vae

KINDS = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLControlNetInpaintPipeline",
]


@pytest.fixture(scope="module", params=KINDS)
def pipe(request):
    return tiny_pipeline(getattr(calotype, request.param))


@pytest.fixture(scope="module")
def picture(pipe):
    """What a call makes that nobody watches."""
    return pipe(**given(pipe, generator=0)).images


def given(pipe, **changes):
    inputs = tiny_inputs(type(pipe).__name__)
    return {"prompt": "a cube", "num_inference_steps": 3, "output_type": "np", **inputs, **changes}


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows what the test says."""
    shown = [0.0]
    monkeypatch.setattr(story.time, "monotonic", lambda: shown[0])
    return shown


def test_every_step_shows_each_picture_a_pixel_for_each_latent(pipe):
    for step in pipe.stream(**given(pipe, prompt=["a cube", "a ball"], generator=0)):
        assert [picture.size for picture in step.previews] == [step.latents.shape[-1:-3:-1]] * 2
        assert step.preview is step.previews[0] and step.preview.mode == "RGB"


def test_looking_at_previews_changes_no_picture(pipe, picture):
    stream = pipe.stream(**given(pipe, generator=0))
    assert all(step.previews for step in stream)
    assert np.array_equal(stream.output.images, picture)


def test_a_preview_is_of_the_clean_picture_and_not_of_what_is_still_noise():
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    first, *_, last = pipe.stream(**given(pipe, generator=0))
    assert torch.equal(last.estimate.latents, last.latents)  # DDIM ends on its estimate
    assert not torch.equal(first.estimate.latents, first.latents)


def test_a_line_comes_from_the_config_or_is_known_or_is_fitted():
    vae = tiny_vae()
    fitted = line_of(vae).table
    known = tiny_vae()
    known.register_to_config(scaling_factor=0.13025)
    told = tiny_vae()
    told.register_to_config(latent_rgb=[[0.0, 0, 0]] * 4 + [[1, 0, -1]])
    assert fitted.shape == (5, 3) and fitted.isfinite().all()
    assert line_of(known).table.tolist() == torch.tensor(KNOWN[0.13025]).tolist()
    assert line_of(told).painted(torch.randn(1, 4, 2, 2))[0].getpixel((0, 0)) == (255, 128, 0)


def test_a_line_told_in_the_config_travels_with_the_files(tmp_path, caplog):
    vae = tiny_vae()
    vae.register_to_config(latent_rgb=[[0.5, 0, 0]] * 5)
    vae.save_pretrained(tmp_path)
    loaded = calotype.AutoencoderKL.from_pretrained(tmp_path)
    assert line_of(loaded).table[0].tolist() == [0.5, 0, 0]
    assert not caplog.records


def test_estimates_that_are_not_finite_are_painted_all_the_same():
    assert line_of(tiny_vae()).painted(torch.full((1, 4, 2, 2), torch.nan))[0].size == (2, 2)


def test_a_deadline_stops_before_the_next_step_and_leaves_a_state_to_go_on_from(pipe, picture, clock, tmp_path):
    stream = pipe.stream(**given(pipe, generator=0), deadline=10, state_file=tmp_path / "state", state_every=100)
    next(stream)
    clock[0] = 10.5
    with pytest.raises(DeadlinePassed, match=r"deadline: expected an end within 10 seconds.*pipe\.resume"):
        next(stream)
    assert list(stream) == []
    assert np.array_equal(pipe.resume(tmp_path / "state").output.images, picture)


def test_a_call_past_its_deadline_raises(pipe, clock):
    def late(call, index, timestep, tensors):
        clock[0] += 6
        return tensors

    with pytest.raises(DeadlinePassed) as caught:
        pipe(**given(pipe, generator=0), deadline=10, callback_on_step_end=late)
    assert isinstance(caught.value, (Cancelled, TimeoutError))
    assert len(pipe(**given(pipe, generator=0), deadline=100, callback_on_step_end=late).images) == 1


@pytest.mark.parametrize("deadline", [0, -1, True, float("nan")])
def test_a_deadline_is_a_number_of_seconds(pipe, deadline):
    with pytest.raises(InvalidArgument, match="deadline: expected a number of seconds above 0"):
        pipe(**given(pipe), deadline=deadline)


def test_a_picture_of_a_batch_is_the_picture_of_its_seed_alone(pipe):
    together = pipe(**given(pipe, prompt=["a cube", "a ball", "a cube"]), seeds=[7, 8, 9]).images
    for prompt, seed, picture in zip(["a cube", "a ball", "a cube"], [7, 8, 9], together, strict=True):
        alone = pipe(**given(pipe, prompt=prompt), seeds=[seed]).images[0]
        assert np.abs(picture - alone).max() <= 1e-5
    generator = [torch.Generator().manual_seed(9)]
    assert np.array_equal(alone, pipe(**given(pipe, prompt=prompt, generator=generator)).images[0])


def test_seeds_are_refused_beside_a_generator_or_in_another_number(pipe):
    with pytest.raises(InvalidArgument, match="seeds: expected no generator beside them"):
        pipe(**given(pipe, generator=1), seeds=[1])
    with pytest.raises(InvalidArgument, match=r"generator, or seeds: expected .* a list of 1"):
        pipe(**given(pipe), seeds=[1, 2])
    with pytest.raises(UnknownArgument, match="seed"):
        pipe(**given(pipe), seed=1)
