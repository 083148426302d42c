"""The Stable Diffusion XL pipelines against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import diffusers
import numpy as np
import pytest
import torch
import transformers

import calotype
from calotype.generation.images import VaeImageProcessor
from tests.parity.pairs import lent_pair, mask, pair, peer_text_encoder, peer_unet, peer_vae, picture, with_scheduler
from tests.parity.test_stable_diffusion import SCHEDULERS, compare
from tests.tiny import tiny_tokenizer_folder

TEXT2IMG, IMG2IMG, INPAINT = (
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
)
INPUTS = {
    TEXT2IMG: dict(height=32, width=32),
    IMG2IMG: dict(image=picture(), strength=0.7),
    INPAINT: dict(image=picture(), mask_image=mask(), height=32, width=32, strength=0.8),
}
WIDTHS = {"text_encoder": 32, "text_encoder_2": 24}
POOLED, NUMBER = 20, 8


def peer_second_text_encoder(vocabulary: int):
    torch.manual_seed(3)
    config = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTHS["text_encoder_2"],
        intermediate_size=37,
        projection_dim=POOLED,
        num_hidden_layers=5,
        num_attention_heads=4,
        hidden_act="gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
    )
    return transformers.CLIPTextModelWithProjection(config).eval()


def save_peer_xl(folder, kind=TEXT2IMG, refiner=False, vae=None, options=None, **unet):
    """Save a tiny random SDXL as the peer does; a refiner has one encoder and is told aesthetic scores."""
    first = transformers.CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(folder / "vocabulary"))
    second = transformers.CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(folder / "vocabulary_2", pad_token="!"))
    width = WIDTHS["text_encoder_2"] + (0 if refiner else WIDTHS["text_encoder"])
    config = dict(
        cross_attention_dim=width,
        addition_embed_type="text_time",
        addition_time_embed_dim=NUMBER,
        projection_class_embeddings_input_dim=POOLED + (5 if refiner else 6) * NUMBER,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )
    pipe = getattr(diffusers, kind)(
        vae=vae or peer_vae(),
        text_encoder=None if refiner else peer_text_encoder(len(first)),
        text_encoder_2=peer_second_text_encoder(len(second)),
        tokenizer=None if refiner else first,
        tokenizer_2=second,
        unet=peer_unet(**{**config, **unet}),
        scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
        **(dict(requires_aesthetics_score=True) if refiner else {}),
        **(options or {}),
    )
    pipe.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peer_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def refiner_folder(tmp_path_factory):
    return save_peer_xl(tmp_path_factory.mktemp("refiner"), IMG2IMG, refiner=True)


@pytest.fixture(scope="module")
def inpainting_folder(tmp_path_factory):
    return save_peer_xl(tmp_path_factory.mktemp("xl9"), INPAINT, in_channels=9)


# every scheduler with one of the pipelines that begin with a picture, too: with the other in the family without XL
SCHEDULED = [
    (kind, name) for place, name in enumerate(SCHEDULERS) for kind in (TEXT2IMG, (IMG2IMG, INPAINT)[place % 2])
]


@pytest.mark.parametrize(("kind", "scheduler"), SCHEDULED)
def test_every_scheduler_gives_the_same_picture(folder, kind, scheduler):
    pipes = with_scheduler(lent_pair(folder, kind), scheduler, **SCHEDULERS[scheduler])
    compare(pipes, num_inference_steps=6, **INPUTS[kind])


def embeds(batch: int = 2, width: int = sum(WIDTHS.values())):
    """Embeddings in place of texts, the same at every call."""
    drawn = torch.Generator().manual_seed(1)
    return {
        "prompt": None,
        "prompt_embeds": torch.randn(batch, 77, width, generator=drawn),
        "negative_prompt_embeds": torch.randn(batch, 77, width, generator=drawn),
        "pooled_prompt_embeds": torch.randn(batch, POOLED, generator=drawn),
        "negative_pooled_prompt_embeds": torch.randn(batch, POOLED, generator=drawn),
    }


OPTIONS = {
    "no guidance": dict(guidance_scale=1.0),
    "second prompt": dict(prompt_2="a blue ball"),
    "negative prompt": dict(negative_prompt="blue"),
    "two negative prompts": dict(negative_prompt="blue", negative_prompt_2="round"),
    "four prompts": dict(prompt_2="a ball", negative_prompt="blue", negative_prompt_2="round"),
    "several prompts": dict(prompt=["a red cube", "a blue ball"], negative_prompt=["one", "two"]),
    "several second prompts": dict(
        prompt=["a", "b"], prompt_2=["c", "d"], negative_prompt=["e", "f"], negative_prompt_2=["g", "h"]
    ),
    "several prompts, none negative": dict(prompt=["a red cube", "a blue ball"]),
    "one negative for several": dict(prompt=["a", "b"], negative_prompt="c"),
    "an empty negative prompt": dict(negative_prompt=""),
    "copies": dict(num_images_per_prompt=2),
    "copies of several": dict(prompt=["a", "b"], num_images_per_prompt=2),
    "eta": dict(eta=0.7),
    "seeds": dict(seeds=(3, 4), num_images_per_prompt=2),
    "latents out": dict(output_type="latent"),
    "tensors out": dict(output_type="pt"),
    "embeddings": embeds(),
    "embeddings, none negative": {name: value for name, value in embeds().items() if "negative" not in name},
    "embeddings and no guidance": dict(embeds(), guidance_scale=0.0),
    "long prompt": dict(prompt="cube " * 100, negative_prompt="ball " * 100),
    "rescaled guidance": dict(guidance_rescale=0.7),
    "skipped layers": dict(clip_skip=1, negative_prompt="blue"),
    "no skipped layers": dict(clip_skip=0),
    "sizes": dict(original_size=(40, 24), target_size=(64, 16), crops_coords_top_left=(3, 5)),
    "crops": dict(crops_coords_top_left=(7, 9)),
    "negative sizes": dict(negative_original_size=(40, 24), negative_target_size=(64, 16)),
    "an early end": dict(denoising_end=0.6, num_inference_steps=10),
    "an end that is the end": dict(denoising_end=1.0),
}


@pytest.mark.parametrize(
    ("kind", "option"),
    [(kind, option) for kind in INPUTS for option in OPTIONS if (kind, option) != (INPAINT, "seeds")],
)
def test_every_option_gives_the_same_picture(folder, kind, option):
    scheduler = "DDIMScheduler" if option == "eta" else "EulerAncestralDiscreteScheduler"
    compare(with_scheduler(lent_pair(folder, kind), scheduler), **{**INPUTS[kind], **OPTIONS[option]})


SPECIAL = {
    "negative sizes and crops": (
        TEXT2IMG,
        {
            **INPUTS[TEXT2IMG],
            "crops_coords_top_left": (7, 9),
            "negative_original_size": (40, 24),
            "negative_target_size": (64, 16),
            "negative_crops_coords_top_left": (3, 5),
        },
    ),
    "negative sizes and crops of the other half": (
        TEXT2IMG,
        {
            **INPUTS[TEXT2IMG],
            "crops_coords_top_left": (7, 9),
            "negative_original_size": (40, 24),
            "negative_target_size": (64, 16),
        },
    ),
    "latents in place of an image": (IMG2IMG, dict(image=picture(), latents=torch.randn(1, 4, 16, 16), strength=0.6)),
    "other size": (TEXT2IMG, dict(height=40, width=24)),
    "default size": (TEXT2IMG, {}),
    "latents in": (TEXT2IMG, dict(latents=torch.randn(1, 4, 16, 16), height=32, width=32)),
    "whole strength": (IMG2IMG, dict(image=picture(), strength=1.0)),
    "default strength": (IMG2IMG, dict(image=picture(), num_inference_steps=10)),
    "batch of images": (IMG2IMG, dict(prompt=["a", "b"], image=[picture(), picture(1)])),
    "latents as image": (IMG2IMG, dict(image=torch.randn(1, 4, 16, 16))),
    "tensor image": (IMG2IMG, dict(image=torch.rand(1, 3, 32, 32))),
    "image of another size": (IMG2IMG, dict(image=picture(0, (48, 40)))),
    "seeds and one image": (IMG2IMG, dict(image=picture(), seeds=(5, 6), num_images_per_prompt=2)),
    "a late start with a picture": (IMG2IMG, dict(image=picture(), denoising_start=0.5, num_inference_steps=10)),
    "a middle": (
        IMG2IMG,
        dict(image=torch.randn(1, 4, 16, 16), denoising_start=0.3, denoising_end=0.8, num_inference_steps=10),
    ),
    "strength and an end": (IMG2IMG, dict(image=picture(), strength=0.8, denoising_end=0.7, num_inference_steps=10)),
    "default inpainting": (INPAINT, dict(image=picture(), mask_image=mask(), height=32, width=32)),
    "inpainting of the default size": (INPAINT, dict(image=picture(), mask_image=mask())),
    "whole inpainting": (INPAINT, dict(image=picture(), mask_image=mask(), height=32, width=32, strength=1.0)),
    "latents for inpainting": (INPAINT, {**INPUTS[INPAINT], "latents": torch.randn(1, 4, 16, 16)}),
    "a late start for inpainting": (INPAINT, {**INPUTS[INPAINT], "denoising_start": 0.5, "num_inference_steps": 10}),
    "a late start with latents for inpainting": (
        INPAINT,
        {**INPUTS[INPAINT], "image": torch.randn(1, 4, 16, 16), "denoising_start": 0.5, "num_inference_steps": 10},
    ),
    "a blurred mask": (INPAINT, {**INPUTS[INPAINT], "mask_image": VaeImageProcessor.blur(mask(), 4)}),
    "mask of another size": (INPAINT, {**INPUTS[INPAINT], "mask_image": mask((64, 64))}),
    "two masks": (
        INPAINT,
        dict(prompt=["a", "b"], image=[picture(), picture(1)], mask_image=[mask(), mask()], height=32, width=32),
    ),
    "cropped": (
        INPAINT,
        dict(
            image=picture(0, (64, 48)),
            mask_image=mask((64, 48)),
            height=32,
            width=32,
            padding_mask_crop=4,
            output_type="pil",
        ),
    ),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_special_inputs_give_the_same_picture(folder, case):
    kind, inputs = SPECIAL[case]
    compare(lent_pair(folder, kind), tolerance=1.0 if inputs.get("output_type") == "pil" else 1e-4, **inputs)


@pytest.mark.parametrize(("scheduler", "strength"), [("DDIMScheduler", 1.0), ("EulerAncestralDiscreteScheduler", 0.6)])
@pytest.mark.parametrize("option", ["negative prompt", "several prompts", "copies", "no guidance", "an early end"])
def test_nine_channels_give_the_same_picture(inpainting_folder, scheduler, strength, option):
    pipes = with_scheduler(lent_pair(inpainting_folder, INPAINT), scheduler)
    compare(pipes, **{**INPUTS[INPAINT], "strength": strength, **OPTIONS[option]})


REFINED = {
    "plain": {},
    "scores": dict(aesthetic_score=7.5, negative_aesthetic_score=1.0),
    "sizes": dict(
        original_size=(40, 24),
        crops_coords_top_left=(3, 5),
        negative_original_size=(9, 9),
        negative_crops_coords_top_left=(1, 2),
    ),
    "crops": dict(crops_coords_top_left=(3, 5)),
    "negative prompt": dict(negative_prompt="blue", negative_prompt_2="round"),
    "several prompts": dict(prompt=["a", "b"], num_images_per_prompt=2),
    "second prompt": dict(prompt_2="a blue ball"),
    "no guidance": dict(guidance_scale=1.0),
    "a late start": dict(denoising_start=0.6, num_inference_steps=10),
    "embeddings": embeds(width=WIDTHS["text_encoder_2"]),
}


@pytest.mark.parametrize("option", REFINED)
@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT])
def test_a_refiner_with_one_encoder_gives_the_same_picture(refiner_folder, kind, option):
    compare(lent_pair(refiner_folder, kind), **{**INPUTS[kind], **REFINED[option]})


ENSEMBLE = ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"]


@pytest.mark.parametrize("scheduler", [*ENSEMBLE, "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "PNDMScheduler"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_base_and_refiner_as_an_ensemble_give_the_same_picture(folder, refiner_folder, scheduler, share):
    options = SCHEDULERS[scheduler]
    bases = with_scheduler(lent_pair(folder, TEXT2IMG), scheduler, **options)
    refiners = with_scheduler(lent_pair(refiner_folder, IMG2IMG), scheduler, **options)
    results = []
    for base, refiner in zip(bases, refiners, strict=True):
        given = dict(prompt="a red cube", num_inference_steps=10, generator=torch.Generator().manual_seed(0))
        begun = base(**given, height=32, width=32, denoising_end=share, output_type="latent").images
        results.append(refiner(**given, image=begun, denoising_start=share, output_type="np").images)
    assert np.abs(results[0] - results[1]).max() <= 1e-4
    assert results[0].std() > 0.01


def test_given_masked_latents_give_the_same_picture(inpainting_folder):
    compare(lent_pair(inpainting_folder, INPAINT), **INPUTS[INPAINT], masked_image_latents=torch.randn(1, 4, 16, 16))


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("grid", [dict(timesteps=[900, 600, 300, 100]), dict(sigmas=[10.0, 4.0, 1.0, 0.1])])
def test_custom_grids_give_the_same_picture(folder, kind, grid):
    compare(with_scheduler(lent_pair(folder, kind), "EulerDiscreteScheduler"), **INPUTS[kind], **grid)


@pytest.mark.parametrize("kind", INPUTS)
def test_a_network_that_reads_its_guidance_gives_the_same_picture(tmp_path, kind):
    folder = save_peer_xl(tmp_path, time_cond_proj_dim=32)
    compare(with_scheduler(pair(folder, kind), "LCMScheduler"), **INPUTS[kind], guidance_scale=8.0)


@pytest.mark.parametrize("kind", [TEXT2IMG, IMG2IMG])
def test_an_empty_prompt_that_is_not_zero_gives_the_same_picture(tmp_path, kind):
    folder = save_peer_xl(tmp_path, options={"force_zeros_for_empty_prompt": False})
    compare(pair(folder, kind), **INPUTS[kind])


@pytest.mark.parametrize("kind", [TEXT2IMG, IMG2IMG])
def test_latents_with_a_mean_and_a_spread_of_their_own_give_the_same_picture(tmp_path, kind):
    vae = peer_vae()
    vae.register_to_config(latents_mean=[-1.6, 0.4, -0.2, 0.9], latents_std=[0.7, 1.2, 0.9, 0.5], scaling_factor=0.5)
    compare(pair(save_peer_xl(tmp_path, vae=vae), kind), **INPUTS[kind])


@pytest.mark.parametrize("kind", INPUTS)
def test_callbacks_see_and_change_the_same_tensors(folder, kind):
    """Guidance that ends midway, changed latents, and an early stop, through the callback alone."""
    logs = ([], [])
    watched = ["latents", "prompt_embeds", "add_text_embeds", "add_time_ids"]

    def watching(seen):
        def callback(pipe, i, t, tensors):
            shapes = [(name, tuple(tensor.shape)) for name, tensor in sorted(tensors.items())]
            seen.append((i, int(t), shapes, pipe.guidance_scale, pipe.num_timesteps, pipe.denoising_end))
            seen.append(tensors["add_time_ids"].tolist())
            if i == 1 and kind != INPAINT:  # the peer's inpainting cannot do that
                pipe._guidance_scale = 0.0
                for name in watched[1:]:
                    tensors[name] = tensors[name].chunk(2)[-1]
            tensors["latents"] = tensors["latents"] * 0.9
            pipe._interrupt = i == 3
            return tensors

        return callback

    given = dict(num_inference_steps=8, output_type="np", callback_on_step_end_tensor_inputs=watched, **INPUTS[kind])
    theirs, ours = (
        pipe("a cube", generator=torch.Generator().manual_seed(0), callback_on_step_end=watching(seen), **given).images
        for pipe, seen in zip(lent_pair(folder, kind), logs, strict=True)
    )
    assert logs[0] == logs[1]
    assert len(logs[0]) == 8
    assert np.abs(theirs - ours).max() <= 1e-4


def test_prompts_are_encoded_alike(folder):
    for options in (
        dict(prompt="a cube"),
        dict(prompt=["a", "b"], prompt_2=["c", "d"], num_images_per_prompt=2, negative_prompt="e"),
        dict(prompt="a", clip_skip=1, negative_prompt="b", negative_prompt_2="c"),
        dict(prompt="a", do_classifier_free_guidance=False),
        embeds(),
    ):
        theirs, ours = (pipe.encode_prompt(**options) for pipe in lent_pair(folder, TEXT2IMG))
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine is None) == (other is None)
            assert mine is None or (mine - other).abs().max() < 1e-5


@pytest.mark.parametrize("kind", INPUTS)
def test_half_precision_is_close(folder, kind):
    theirs, ours = pair(folder, kind)
    compare([theirs.to(torch.float16), ours.to(torch.float16)], tolerance=5e-2, **INPUTS[kind])


@pytest.mark.parametrize("switch", ["enable_attention_slicing", "enable_freeu", "fuse_qkv_projections"])
def test_switches_give_the_same_picture(folder, switch):
    pipes = pair(folder, TEXT2IMG)
    for pipe in pipes:
        getattr(pipe, switch)(*((0.9, 0.2, 1.2, 1.4) if switch == "enable_freeu" else ()))
    compare(pipes, height=48, width=48)


@pytest.mark.parametrize("kind", INPUTS)
def test_saved_by_either_it_is_loaded_by_the_other(folder, tmp_path, kind):
    theirs, ours = lent_pair(folder, kind)
    ours.save_pretrained(tmp_path)
    again = getattr(diffusers, kind).from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    compare([theirs, again], **INPUTS[kind])
    assert set(again.config) == set(theirs.config)


class Marker:
    """Stands in for the library that hides messages: it shows them, in the place of the first pixels."""

    def set_watermark(self, kind, bits):
        assert kind == "bits"
        self.bits = np.asarray(bits, dtype=np.float32)

    def encode(self, image, method):
        assert method == "dwtDct" and image.shape == (256, 256, 3)
        image = image.copy()
        image[0, : len(self.bits), 0] = 255 * self.bits
        return image


def test_a_watermark_is_the_same(folder, monkeypatch):
    library = ModuleType("imwatermark")
    library.WatermarkEncoder = Marker
    monkeypatch.setitem(sys.modules, "imwatermark", library)
    watermark = import_module("diffusers.pipelines.stable_diffusion_xl.watermark")
    monkeypatch.setattr(watermark, "WatermarkEncoder", Marker, raising=False)
    images = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = watermark.StableDiffusionXLWatermarker().apply_watermark(images.clone())
    ours = calotype.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=True).watermark
    assert (ours.apply_watermark(images) - theirs).abs().max() < 1e-5
    assert (theirs - images).abs().max() > 0.1
