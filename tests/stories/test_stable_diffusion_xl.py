"""What Stable Diffusion XL promises beside what every pipeline does: an ensemble, half precision, marks, what is told."""

from __future__ import annotations

import sys
from types import ModuleType
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import calotype
from calotype.core.errors import InvalidArgument, MissingDependency, NotFinite
from calotype.generation import decoding
from tests.tiny import tiny_inputs, tiny_stable_diffusion_xl, tiny_unet

Base, Refiner, Inpaint = (
    calotype.StableDiffusionXLPipeline,
    calotype.StableDiffusionXLImg2ImgPipeline,
    calotype.StableDiffusionXLInpaintPipeline,
)
KINDS = [Base, Refiner, Inpaint]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def pipe(request):
    return tiny_stable_diffusion_xl(request.param)


@pytest.fixture(scope="module")
def picture(pipe):
    """What a call makes that is told nothing more."""
    return run(pipe)


@pytest.fixture(scope="module")
def base():
    return tiny_stable_diffusion_xl(Base)


def run(pipe, **changes):
    inputs = tiny_inputs(type(pipe).__name__)
    given = {"prompt": "a cube", "num_inference_steps": 4, "output_type": "np", "generator": 0, **inputs, **changes}
    return pipe(**given).images


def halved(pipe):
    """The same pipeline in half precision, on components of its own."""
    return tiny_stable_diffusion_xl(type(pipe)).to(torch.float16)


# ------------------------------------------------------------------ base and refiner


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"])
def test_a_walk_cut_in_two_ends_where_the_whole_one_does(base, scheduler):
    chosen = getattr(calotype, scheduler).from_config(base.scheduler.config)
    first, second = Base.from_pipe(base, scheduler=chosen), Refiner.from_pipe(base, scheduler=chosen)
    given = {"prompt": "a cube", "num_inference_steps": 10, "output_type": "np"}
    drawn = torch.Generator().manual_seed(0)
    whole = first(**given, height=32, width=32, generator=drawn).images
    for share in (0.3, 0.5, 0.8):
        begin = {"output_type": "latent", "generator": drawn.manual_seed(0), "denoising_end": share}
        begun = first(**given | begin, height=32, width=32).images
        ended = second(**given, image=begun, generator=drawn, denoising_start=share).images
        assert np.abs(whole - ended).max() < 1e-5, share


def test_the_two_halves_walk_every_timestep_once(base):
    walked = []

    def note(call, i, t, tensors):
        walked.append(int(t))

    for share in ({}, {"denoising_end": 0.7}):
        run(base, num_inference_steps=10, callback_on_step_end=note, output_type="latent", **share)
    whole, begun = walked[:10], walked[10:]
    walked.clear()
    refiner = Refiner.from_pipe(base)
    refiner(
        "a", image=torch.randn(1, 4, 16, 16), denoising_start=0.7, num_inference_steps=10, callback_on_step_end=note
    )
    assert begun + walked == whole and begun and walked


def test_a_refiner_reads_with_one_encoder_and_is_told_a_score():
    refiner = tiny_stable_diffusion_xl(Refiner, refiner=True)
    picture = run(refiner)
    assert np.array_equal(picture, run(refiner))
    assert not np.array_equal(picture, run(refiner, aesthetic_score=9.0))
    assert not np.array_equal(picture, run(refiner, negative_aesthetic_score=9.0))


def test_a_refiner_says_that_its_second_prompt_is_not_read(caplog):
    refiner = tiny_stable_diffusion_xl(Refiner, refiner=True)
    with caplog.at_level("WARNING", "calotype"):
        assert np.array_equal(run(refiner, prompt_2="a ball"), run(refiner))
    assert "prompt_2 is not read" in caplog.text


@pytest.mark.parametrize(("refiner", "scores"), [(True, False), (False, True)])
def test_a_network_is_not_told_what_it_was_not_made_for(refiner, scores):
    pipe = tiny_stable_diffusion_xl(Refiner, refiner=refiner, requires_aesthetics_score=scores)
    with pytest.raises(InvalidArgument, match="requires_aesthetics_score"):
        run(pipe)


def test_a_network_of_another_family_is_refused(base):
    mixed = Base.from_pipe(base, unet=tiny_unet())
    with pytest.raises(InvalidArgument, match="text_time"):
        run(mixed)


def test_without_encoders_only_embeddings_are_read(base):
    told = base.encode_prompt("a cube")
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    deaf = Base.from_pipe(base, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None)
    deaf.set_progress_bar_config(disable=True)
    assert np.abs(run(deaf, prompt=None, **dict(zip(names, told, strict=True))) - run(base)).max() < 1e-6
    with pytest.raises(InvalidArgument, match="text_encoder_2"):
        run(deaf)


# ------------------------------------------------------------------ what is told


TOLD = {
    "prompt_2": "a ball",
    "negative_prompt": "blue",
    "negative_prompt_2": "blue",
    "original_size": (64, 48),
    "target_size": (64, 48),
    "crops_coords_top_left": (8, 4),
    "negative_original_size": (64, 48),
    "negative_target_size": (64, 48),
    "negative_crops_coords_top_left": (8, 4),
    "clip_skip": 1,
    "guidance_rescale": 0.7,
}


@pytest.mark.parametrize("name", TOLD)
def test_nothing_that_is_said_is_ignored(pipe, picture, name):
    assert np.abs(run(pipe, **{name: TOLD[name]}) - picture).max() > 1e-4


def test_sizes_stay_with_their_half_in_a_batch(base):
    sizes = {"negative_original_size": (64, 48), "negative_target_size": (16, 80)}
    several = run(base, prompt=["a cube", "a ball"], generator=[1, 2], **sizes)
    for i, prompt in enumerate(("a cube", "a ball")):
        assert np.abs(several[i] - run(base, prompt=prompt, generator=i + 1, **sizes)[0]).max() < 1e-5


def test_one_second_prompt_serves_several(base):
    both = run(base, prompt=["a cube", "a ball"], prompt_2="blue", generator=[1, 2])
    assert np.abs(both[1] - run(base, prompt="a ball", prompt_2="blue", generator=2)[0]).max() < 1e-5


def test_an_empty_negative_prompt_is_zeros_only_where_the_config_says_so(base):
    honest = Base.from_pipe(base, force_zeros_for_empty_prompt=False)
    honest.set_progress_bar_config(disable=True)
    assert not base.encode_prompt("a")[1].any()
    assert torch.equal(honest.encode_prompt("a")[1], base.encode_prompt("")[0])
    assert np.array_equal(run(honest), run(base, negative_prompt=""))


# ------------------------------------------------------------------ half precision


def test_a_vae_that_asks_for_it_works_in_float32(pipe):
    half = halved(pipe)
    half.vae.decoder.conv_in.weight.data *= 3e4  # what would overflow in half precision
    half.vae.encoder.conv_in.weight.data *= 3e4
    kept = {name: tensor.clone() for name, tensor in half.vae.state_dict().items()}
    picture = run(half)
    assert np.isfinite(picture).all() and picture.std() > 0.01
    assert all(torch.equal(tensor, kept[name]) for name, tensor in half.vae.state_dict().items())


@pytest.mark.parametrize("switch", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_so_it_does_when_it_is_offloaded(switch):
    half = halved(tiny_stable_diffusion_xl(Refiner))
    expected = run(half)
    getattr(half, switch)(device="cpu")
    assert np.array_equal(run(half), expected)
    assert half.vae.dtype == torch.float16


def test_the_denoiser_has_left_when_the_float32_decoder_comes(monkeypatch):
    half, seen = halved(tiny_stable_diffusion_xl(Base)), []
    half.enable_model_cpu_offload(device="cpu")
    full = decoding.in_full
    monkeypatch.setattr(decoding, "in_full", lambda *given: seen.append([*half._offload._resident]) or full(*given))
    run(half)
    assert seen and not any(seen)


def test_one_that_does_not_ask_is_decoded_again_where_it_overflows(base, caplog):
    half = halved(base)
    half.vae.register_to_config(force_upcast=False)
    with caplog.at_level("WARNING", "calotype"):
        run(half)
        assert "overflowed" not in caplog.text
        half.vae.decoder.conv_in.weight.data *= 3e4
        assert np.isfinite(run(half)).all()
    assert "overflowed" in caplog.text


def test_what_overflows_in_float32_too_is_refused(base):
    whole = tiny_stable_diffusion_xl(Base)
    whole.vae.decoder.conv_out.bias.data.fill_(torch.inf)
    with pytest.raises(NotFinite, match="decoded picture"):
        run(whole)


# ------------------------------------------------------------------ marks


def test_no_mark_is_made_unless_it_is_asked_for(base):
    assert base.watermark is None


def test_a_mark_that_cannot_be_made_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "imwatermark", None)
    with pytest.raises(MissingDependency, match=r"add_watermarker.*invisible-watermark"):
        tiny_stable_diffusion_xl(Base, add_watermarker=True)


def test_a_picture_without_room_for_a_mark_is_left_as_it_is(monkeypatch, caplog):
    library = ModuleType("imwatermark")
    library.WatermarkEncoder = Mock
    monkeypatch.setitem(sys.modules, "imwatermark", library)
    marked = tiny_stable_diffusion_xl(Base, add_watermarker=True)
    with caplog.at_level("WARNING", "calotype"):
        assert np.array_equal(run(marked), run(tiny_stable_diffusion_xl(Base)))
    assert "256" in caplog.text
    marked.watermark.encoder.encode.assert_not_called()


# ------------------------------------------------------------------ files and tasks


@pytest.mark.parametrize("task", ["Text2Image", "Image2Image", "Inpainting"])
def test_a_task_finds_its_pipeline(base, tmp_path, task):
    auto = getattr(calotype, f"AutoPipelineFor{task}")
    shared = auto.from_pipe(base)
    assert shared.unet is base.unet
    base.save_pretrained(tmp_path)
    assert type(auto.from_pretrained(tmp_path)) is type(shared)


def test_a_refiner_is_saved_and_loaded_with_what_it_lacks(tmp_path):
    refiner = tiny_stable_diffusion_xl(Refiner, refiner=True)
    refiner.save_pretrained(tmp_path, variant="fp16")
    loaded = calotype.DiffusionPipeline.from_pretrained(tmp_path, variant="fp16")
    loaded.set_progress_bar_config(disable=True)
    assert loaded.text_encoder is None and loaded.tokenizer is None and loaded.config.requires_aesthetics_score
    assert np.abs(run(loaded) - run(refiner)).max() < 1e-5
