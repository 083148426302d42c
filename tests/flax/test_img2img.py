"""The pipeline of JAX makes the pictures of PyTorch's, on one device and on several."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.jax_utils import replicate
from flax.training.common_utils import shard

import calotype
from calotype.core.errors import IncompatibleWeights, InvalidArgument, NotFinite
from calotype.flax.story import pictures
from tests.flax.pairs import PROMPTS, STEPS, UNWANTED, both_noises, picture, tiny_pair
from tests.tiny import tiny_safety_checker

KEY = jax.random.PRNGKey(0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return tiny_pair(tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def inputs(pair):
    """Two prompts and a picture for each, of sides that do not divide into squares, and noise for their latents."""
    ids, pixels = pair.flax.prepare_inputs(PROMPTS, picture())
    return {"prompt_ids": ids, "image": pixels, "noise": both_noises(3, pixels)[1]}


def theirs(pair, **options):
    source, _ = both_noises(3, np.zeros((2, 3, 32, 40)))
    return pair.torch(PROMPTS, picture(), generator=source, output_type="np", **STEPS | options).images


def ours(pair, inputs, **options):
    return pair.flax(**inputs, params=pair.params, prng_seed=KEY, **STEPS | options).images


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        (calotype.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1), {}),
        (calotype.PNDMScheduler(skip_prk_steps=True, steps_offset=1), {"guidance_scale": 1.0}),
        (calotype.LMSDiscreteScheduler(beta_schedule="scaled_linear", steps_offset=1), {"guidance_scale": 3.0}),
        (calotype.DPMSolverMultistepScheduler(steps_offset=1), {"strength": 1.0}),
    ],
    ids=["DDIM", "PNDM without guidance", "LMS", "DPM-Solver++"],
)
def test_pictures_are_those_of_pytorch(scheduler, options, pair, inputs):
    walking = pair.walking(scheduler)
    found = ours(walking, inputs, **options)
    assert found.shape == (2, 32, 40, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found, theirs(walking, **options), atol=1e-4)


def test_negative_prompts_and_a_scale_for_each_picture_count(pair, inputs):
    unwanted, _ = pair.flax.prepare_inputs(UNWANTED, picture())
    found = ours(pair, inputs, guidance_scale=jnp.array([7.5, 2.0]), neg_prompt_ids=unwanted)
    for scale, place in ((7.5, 0), (2.0, 1)):
        wanted = theirs(pair, guidance_scale=scale, negative_prompt=UNWANTED)
        np.testing.assert_allclose(found[place], wanted[place], atol=1e-4)


def test_one_program_serves_other_words_pictures_scales_and_strengths(pair, inputs):
    ours(pair, inputs)
    known = pictures._cache_size()
    ids, pixels = pair.flax.prepare_inputs(["ll", "he"], picture(seed=1))
    others = {**inputs, "prompt_ids": ids, "image": pixels}
    changed = ours(pair, others, guidance_scale=2.0, strength=0.4, num_inference_steps=10)
    assert pictures._cache_size() == known
    assert np.abs(changed - ours(pair, inputs)).max() > 0.01


def test_half_precision_makes_nearly_the_same(pair, inputs, tmp_path):
    pair.flax.save_pretrained(tmp_path, params=pair.params)
    half, params = calotype.FlaxStableDiffusionImg2ImgPipeline.from_pretrained(tmp_path, dtype=jnp.bfloat16)
    assert params["unet"]["conv_in"]["kernel"].dtype == jnp.float32  # as they are kept
    found = half(**inputs, params=params, prng_seed=KEY, **STEPS).images
    assert 0 < np.abs(found - ours(pair, inputs)).mean() < 0.02


def test_every_device_draws_from_its_own_key_what_one_device_would(pair):
    ids, pixels = pair.flax.prepare_inputs(PROMPTS, picture())
    keys = jax.random.split(KEY, 2)
    told = {"params": replicate(pair.params), "prng_seed": keys, "jit": True} | STEPS
    found = pair.flax(shard(ids), shard(pixels), **told).images
    assert found.shape == (2, 1, 32, 40, 3)
    for place in range(2):
        one = slice(place, place + 1)
        alone = pair.flax(ids[one], pixels[one], params=pair.params, prng_seed=keys[place], **STEPS).images
        np.testing.assert_allclose(found[place], alone, atol=1e-5)
    same = pair.flax(ids[:1], pixels[:1], params=pair.params, prng_seed=keys[1], **STEPS).images
    assert np.abs(found[0] - same).max() > 0.01


def test_what_a_safety_checker_blocks_is_black(pair, inputs):
    network = tiny_safety_checker()
    checker = calotype.FlaxStableDiffusionSafetyChecker.from_config(network.config)
    params = checker.as_params(network.state_dict())
    extractor = calotype.CLIPImageProcessor(size=30, crop_size=30)
    looked = {**pair.flax.components, "safety_checker": checker, "feature_extractor": extractor}
    pipe = calotype.FlaxStableDiffusionImg2ImgPipeline(**looked)
    told = {**inputs, "prng_seed": KEY, **STEPS}
    shown = pipe(
        **told, params=pair.params | {"safety_checker": params | {"concept_embeds_weights": jnp.full(17, 2.0)}}
    )
    assert shown.nsfw_content_detected == [False, False]
    np.testing.assert_array_equal(shown.images, ours(pair, inputs))
    all_concepts = params | {"concept_embeds_weights": jnp.full(17, -2.0)}
    images, flags = pipe(**told, params=pair.params | {"safety_checker": all_concepts}, return_dict=False)
    assert flags == [True, True] and not images.any()


def test_nothing_is_delivered_of_numbers_that_are_not_finite(pair, inputs):
    with pytest.raises(NotFinite, match="pictures"):
        ours(pair, inputs | {"noise": jnp.full_like(inputs["noise"], jnp.nan)})


def test_outputs_become_pictures_and_others(pair):
    output = calotype.FlaxStableDiffusionPipelineOutput(np.zeros((2, 4, 6, 3)), None)
    assert [image.size for image in pair.flax.numpy_to_pil(output.images)] == [(6, 4), (6, 4)]
    assert output.replace(nsfw_content_detected=[True, False]).nsfw_content_detected == [True, False]
    assert output.nsfw_content_detected is None


def test_one_picture_serves_several_prompts(pair):
    ids, pixels = pair.flax.prepare_inputs(PROMPTS, picture(45, 33))
    assert ids.shape == (2, 77) and pixels.shape == (2, 3, 32, 44)
    np.testing.assert_array_equal(pixels[0], pixels[1])


WRONG = {
    "prompt_ids": (r"an array \(batch, tokens\)", {"prompt_ids": "hello"}),
    "image": ("3, height, width", {"image": np.zeros((2, 32, 40, 3), np.float32)}),
    "noise": (r"\(2, 4, 16, 20\)", {"noise": jnp.zeros((2, 4, 8, 8))}),
    "neg_prompt_ids": (r"\(2, 77\)", {"neg_prompt_ids": np.zeros((1, 77), np.int32)}),
    "height": ("multiple of 2", {"height": 31}),
    "image ": ("40, 40", {"height": 40}),
    "strength": ("from 0 to 1", {"strength": 2}),
    "num_inference_steps": ("whole number", {"num_inference_steps": 0}),
    "guidance_scale": (r"each of \(2,\)", {"guidance_scale": jnp.ones(3)}),
    "params": ("an entry 'vae'", {"params": {}}),
    "prompt_ids ": ("shard", {"jit": True}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_by_name(name, pair, inputs):
    expected, changed = WRONG[name]
    told = {**inputs, "params": pair.params, "prng_seed": KEY, **STEPS, **changed}
    with pytest.raises(InvalidArgument, match=rf"^{name.strip()}\b.*{expected}"):
        pair.flax(**told)


def test_weights_that_are_not_replicated_are_told_from_those_that_are(pair, inputs):
    with pytest.raises(IncompatibleWeights, match=r"params\['vae'\].*replicate"):
        pair.flax(**{name: shard(each) for name, each in inputs.items()}, params=pair.params, prng_seed=KEY, jit=True)


def test_more_pictures_than_prompts_are_refused(pair):
    with pytest.raises(InvalidArgument, match="image"):
        pair.flax.prepare_inputs(PROMPTS, [picture()] * 3)
    with pytest.raises(InvalidArgument, match="prompt"):
        pair.flax.prepare_inputs(7, picture())
