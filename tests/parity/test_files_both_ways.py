"""What the peer saves we load, what we save it loads, and the pictures are the same."""

from __future__ import annotations

import json

import diffusers
import numpy as np
import pytest
import torch
import transformers

import calotype
from tests.parity.pairs import pair, picture, save_peer
from tests.tiny import tiny_safety_checker, tiny_stable_diffusion

GIVEN = dict(prompt="a red cube", height=32, width=32, num_inference_steps=3, output_type="np")


def made(pipe, **changes):
    pipe.set_progress_bar_config(disable=True)
    return pipe(generator=torch.Generator().manual_seed(0), **{**GIVEN, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peer(tmp_path_factory.mktemp("sd"))


@pytest.mark.parametrize("max_shard_size", ["10GB", "100KB"])
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_the_peer_loads_what_we_save(folder, tmp_path, variant, max_shard_size):
    _, ours = pair(folder, "StableDiffusionPipeline")
    ours.save_pretrained(tmp_path, variant=variant, max_shard_size=max_shard_size)
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path, variant=variant)
    assert np.abs(made(theirs).images - made(ours).images).max() <= 1e-4
    for name, part in theirs.components.items():
        assert type(part).__name__ == type(ours.components[name]).__name__


@pytest.mark.parametrize("max_shard_size", ["10GB", "100KB"])
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_we_load_what_the_peer_saves(folder, tmp_path, variant, max_shard_size):
    theirs, _ = pair(folder, "StableDiffusionPipeline")
    theirs.save_pretrained(tmp_path, variant=variant, max_shard_size=max_shard_size)
    ours = calotype.StableDiffusionPipeline.from_pretrained(tmp_path, variant=variant)
    assert np.abs(made(theirs).images - made(ours).images).max() <= 1e-4


def test_the_index_is_written_as_the_ecosystem_does(folder, tmp_path):
    _, ours = pair(folder, "StableDiffusionPipeline")
    ours.save_pretrained(tmp_path)
    index, expected = (json.loads((place / "model_index.json").read_text()) for place in (tmp_path, folder))
    assert {k: v for k, v in index.items() if not k.startswith("_")} == {
        k: v for k, v in expected.items() if not k.startswith("_")
    }
    assert index["_class_name"] == "StableDiffusionPipeline"


def test_modules_and_tokenizers_of_transformers_work_as_well(folder, tmp_path):
    theirs, ours = pair(folder, "StableDiffusionPipeline")
    mixed = calotype.StableDiffusionPipeline.from_pretrained(
        folder, text_encoder=theirs.text_encoder, tokenizer=theirs.tokenizer
    )
    for changes in ({}, {"negative_prompt": "blue"}, {"clip_skip": 1}):
        assert np.array_equal(made(mixed, **changes).images, made(ours, **changes).images)
    mixed.save_pretrained(tmp_path)
    again = calotype.StableDiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(again.text_encoder, calotype.CLIPTextModel)
    assert np.array_equal(made(again).images, made(ours).images)


def test_schedulers_of_the_peer_work_as_well(folder):
    theirs, ours = pair(folder, "StableDiffusionPipeline")
    ours.scheduler = theirs.scheduler
    assert np.abs(made(theirs).images - made(ours).images).max() <= 1e-4


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("output_type", ["np", "pt", "pil"])
def test_the_safety_checker_blocks_what_the_peer_blocks(folder, tmp_path, blocked, output_type):
    checker = tiny_safety_checker()
    checker.concept_embeds_weights.data.fill_(-1.0 if blocked else 1.0)
    checker.special_care_embeds_weights.data.fill_(1.0)
    extractor = calotype.CLIPImageProcessor(size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30})
    whole = tiny_stable_diffusion(
        calotype.StableDiffusionPipeline,
        safety_checker=checker,
        feature_extractor=extractor,
        requires_safety_checker=True,
    )
    whole.save_pretrained(tmp_path)
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path)
    ours = calotype.StableDiffusionPipeline.from_pretrained(tmp_path)
    expected, got = (made(pipe, output_type=output_type, num_images_per_prompt=2) for pipe in (theirs, ours))
    assert expected.nsfw_content_detected == got.nsfw_content_detected == [blocked] * 2
    assert np.abs(np.asarray(expected.images[0], np.float64) - np.asarray(got.images[0], np.float64)).max() <= 1e-4
    assert bool(np.asarray(got.images[0]).max()) != blocked


def test_a_prompt_is_encoded_as_the_peer_does(folder):
    theirs, ours = pair(folder, "StableDiffusionPipeline")
    arguments = (["a cube", "two balls"], "cpu", 2, True)
    for changes in ({}, {"negative_prompt": ["x", "y"]}):
        expected, got = (pipe.encode_prompt(*arguments, **changes) for pipe in (theirs, ours))
        assert all(torch.equal(*both) for both in zip(expected, got, strict=True))


@pytest.mark.parametrize("size", [512, 33])
def test_guidance_scales_are_embedded_as_the_peer_does(folder, size):
    theirs, ours = (
        pipe.get_guidance_scale_embedding(torch.tensor([6.5, 0.5]), embedding_dim=size)
        for pipe in pair(folder, "StableDiffusionPipeline")
    )
    assert torch.allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("task", ["Text2Image", "Image2Image", "Inpainting"])
def test_auto_pipelines_choose_the_class_that_the_peer_chooses(folder, task):
    expected, got = (
        getattr(library, f"AutoPipelineFor{task}").from_pretrained(folder, safety_checker=None)
        for library in (diffusers, calotype)
    )
    assert type(expected).__name__ == type(got).__name__
    back = calotype.AutoPipelineForText2Image.from_pipe(got)
    assert type(back).__name__ == "StableDiffusionPipeline" and back.unet is got.unet


def test_img2img_in_the_peers_own_words(folder):
    """The example of the users' guide, made small."""
    for library in (diffusers, calotype):
        pipe = library.StableDiffusionImg2ImgPipeline.from_pretrained(
            folder, torch_dtype=torch.float32, safety_checker=None
        )
        pipe = pipe.to("cpu")
        pipe.set_progress_bar_config(disable=True)
        images = pipe(
            prompt="A fantasy landscape", image=picture(), strength=0.75, guidance_scale=7.5, num_inference_steps=4
        ).images
        assert images[0].size == (32, 32)


def test_a_tokenizer_saved_by_us_is_read_by_transformers(folder, tmp_path):
    _, ours = pair(folder, "StableDiffusionPipeline")
    ours.tokenizer.save_pretrained(tmp_path)
    theirs = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    assert theirs("a red cube, hello!").input_ids == ours.tokenizer("a red cube, hello!").input_ids
