"""The Stable Diffusion pipelines against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.parity.pairs import lent_pair, mask, pair, picture, save_peer, with_scheduler

TEXT2IMG, IMG2IMG, INPAINT = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
)
INPUTS = {
    TEXT2IMG: dict(height=32, width=32),
    IMG2IMG: dict(image=picture(), strength=0.7),
    INPAINT: dict(image=picture(), mask_image=mask(), height=32, width=32, strength=0.8),
}
SCHEDULERS = {
    "DDIMScheduler": {},
    "DDPMScheduler": {},
    "PNDMScheduler": {"skip_prk_steps": True},
    "LMSDiscreteScheduler": {},
    "EulerDiscreteScheduler": {},
    "EulerAncestralDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "KDPM2DiscreteScheduler": {},
    "KDPM2AncestralDiscreteScheduler": {},
    "DPMSolverMultistepScheduler": {},
    "DPMSolverSinglestepScheduler": {},
    "DPMSolverSDEScheduler": {"noise_sampler_seed": 0},
    "DEISMultistepScheduler": {},
    "UniPCMultistepScheduler": {},
    "LCMScheduler": {},
    "TCDScheduler": {},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peer(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def inpainting_folder(tmp_path_factory):
    return save_peer(tmp_path_factory.mktemp("sd9"), INPAINT, in_channels=9)


def compare(pipes, tolerance=1e-4, seeds=0, **inputs):
    """Run both with equal generators; the largest difference of their pictures is within the tolerance."""
    results = []
    for pipe in pipes:
        generator = (
            torch.Generator().manual_seed(seeds)
            if isinstance(seeds, int)
            else [torch.Generator().manual_seed(s) for s in seeds]
        )
        given = {"prompt": "a red cube", "num_inference_steps": 4, "output_type": "np", **inputs}
        results.append(pipe(generator=generator, **given).images)
    theirs, ours = (np.asarray(r.float() if isinstance(r, torch.Tensor) else r, dtype=np.float64) for r in results)
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() <= tolerance
    assert theirs.std() > 0.01  # there is something to compare


# every scheduler with one of the pipelines that begin with a picture, too: with the other in SDXL
SCHEDULED = [
    (kind, name) for place, name in enumerate(SCHEDULERS) for kind in (TEXT2IMG, (INPAINT, IMG2IMG)[place % 2])
]


@pytest.mark.parametrize(("kind", "scheduler"), SCHEDULED)
def test_every_scheduler_gives_the_same_picture(folder, kind, scheduler):
    pipes = with_scheduler(lent_pair(folder, kind), scheduler, **SCHEDULERS[scheduler])
    compare(pipes, num_inference_steps=6, **INPUTS[kind])


OPTIONS = {
    "no guidance": dict(guidance_scale=1.0),
    "negative prompt": dict(negative_prompt="blue"),
    "several prompts": dict(prompt=["a red cube", "a blue ball"], negative_prompt=["one", "two"]),
    "copies": dict(num_images_per_prompt=2),
    "eta": dict(eta=0.7),
    "seeds": dict(seeds=(3, 4), num_images_per_prompt=2),
    "latents out": dict(output_type="latent"),
    "tensors out": dict(output_type="pt"),
    "embeddings": dict(
        prompt=None, prompt_embeds=torch.randn(2, 77, 32), negative_prompt_embeds=torch.randn(2, 77, 32)
    ),
    "long prompt": dict(prompt="cube " * 100),
    "one step": dict(num_inference_steps=2),
}


@pytest.mark.parametrize(
    ("kind", "option"),
    [(kind, option) for kind in INPUTS for option in OPTIONS if (kind, option) != (INPAINT, "seeds")],
)
def test_every_option_gives_the_same_picture(folder, kind, option):
    scheduler = "DDIMScheduler" if option == "eta" else "EulerAncestralDiscreteScheduler"
    compare(with_scheduler(lent_pair(folder, kind), scheduler), **{**INPUTS[kind], **OPTIONS[option]})


@pytest.mark.parametrize("nine", [False, True])
def test_inpainting_with_seeds_gives_the_pictures_that_the_peer_makes_alone(folder, inpainting_folder, nine):
    """The peer draws from the first generator alone where one image is encoded for several."""
    theirs, ours = lent_pair(inpainting_folder if nine else folder, INPAINT)
    given = dict(prompt="a red cube", num_inference_steps=4, output_type="np", **INPUTS[INPAINT])
    both = ours(
        generator=[torch.Generator().manual_seed(seed) for seed in (5, 6)], num_images_per_prompt=2, **given
    ).images
    for seed, image in zip((5, 6), both, strict=True):
        assert np.abs(theirs(generator=torch.Generator().manual_seed(seed), **given).images[0] - image).max() <= 1e-4


SPECIAL = {
    "other size": (TEXT2IMG, dict(height=40, width=24)),
    "default size": (TEXT2IMG, {}),
    "rescaled guidance": (TEXT2IMG, dict(guidance_rescale=0.7, height=32, width=32)),
    "latents in": (TEXT2IMG, dict(latents=torch.randn(1, 4, 16, 16), height=32, width=32)),
    "whole strength": (IMG2IMG, dict(image=picture(), strength=1.0)),
    "batch of images": (IMG2IMG, dict(prompt=["a", "b"], image=[picture(), picture(1)])),
    "latents as image": (IMG2IMG, dict(image=torch.randn(1, 4, 16, 16))),
    "tensor image": (IMG2IMG, dict(image=torch.rand(1, 3, 32, 32))),
    "seeds and one image": (IMG2IMG, dict(image=picture(), seeds=(5, 6), num_images_per_prompt=2)),
    "whole inpainting": (INPAINT, dict(image=picture(), mask_image=mask(), height=32, width=32)),
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
    "latents for inpainting": (INPAINT, {**INPUTS[INPAINT], "latents": torch.randn(1, 4, 16, 16)}),
    "mask of another size": (INPAINT, {**INPUTS[INPAINT], "mask_image": mask((64, 64))}),
    "two masks": (
        INPAINT,
        dict(prompt=["a", "b"], image=[picture(), picture(1)], mask_image=[mask(), mask()], height=32, width=32),
    ),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_special_inputs_give_the_same_picture(folder, case):
    kind, inputs = SPECIAL[case]
    compare(lent_pair(folder, kind), tolerance=1.0 if inputs.get("output_type") == "pil" else 1e-4, **inputs)


@pytest.mark.parametrize(
    ("scheduler", "strength"),
    [("DDIMScheduler", 1.0), ("EulerAncestralDiscreteScheduler", 0.6), ("DPMSolverMultistepScheduler", 1.0)],
)
@pytest.mark.parametrize("option", ["negative prompt", "several prompts", "copies", "no guidance"])
def test_nine_channels_give_the_same_picture(inpainting_folder, scheduler, strength, option):
    pipes = with_scheduler(lent_pair(inpainting_folder, INPAINT), scheduler)
    compare(pipes, **{**INPUTS[INPAINT], "strength": strength, **OPTIONS[option]})


def test_given_masked_latents_give_the_same_picture(inpainting_folder):
    compare(lent_pair(inpainting_folder, INPAINT), **INPUTS[INPAINT], masked_image_latents=torch.randn(1, 4, 16, 16))


@pytest.mark.parametrize("grid", [dict(timesteps=[900, 600, 300, 100]), dict(sigmas=[10.0, 4.0, 1.0, 0.1])])
@pytest.mark.parametrize("kind", [TEXT2IMG, IMG2IMG])
def test_custom_grids_give_the_same_picture(folder, kind, grid):
    compare(with_scheduler(lent_pair(folder, kind), "EulerDiscreteScheduler"), **INPUTS[kind], **grid)


def test_a_network_that_reads_its_guidance_gives_the_same_picture(tmp_path):
    folder = save_peer(tmp_path, time_cond_proj_dim=32)
    for kind in INPUTS:
        compare(with_scheduler(pair(folder, kind), "LCMScheduler"), **INPUTS[kind], guidance_scale=8.0)


@pytest.mark.parametrize("kind", INPUTS)
def test_callbacks_see_and_change_the_same_tensors(folder, kind):
    """Guidance that ends midway, changed latents, and an early stop, through the callback alone."""

    logs = ([], [])

    def watching(seen):
        def callback(pipe, i, t, tensors):
            shapes = [(name, tuple(tensor.shape)) for name, tensor in sorted(tensors.items())]
            seen.append((i, int(t), shapes, pipe.guidance_scale, pipe.num_timesteps))
            if i == 1 and kind != INPAINT:  # the peer's inpainting cannot do that
                pipe._guidance_scale = 0.0
                tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
            tensors["latents"] = tensors["latents"] * 0.9
            pipe._interrupt = i == 3
            return tensors

        return callback

    watched = ["latents", "prompt_embeds", "negative_prompt_embeds"]
    given = dict(num_inference_steps=8, output_type="np", callback_on_step_end_tensor_inputs=watched, **INPUTS[kind])
    theirs, ours = (
        pipe("a cube", generator=torch.Generator().manual_seed(0), callback_on_step_end=watching(seen), **given).images
        for pipe, seen in zip(lent_pair(folder, kind), logs, strict=True)
    )
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4
    assert np.abs(theirs - ours).max() <= 1e-4


def test_half_precision_is_close(folder):
    theirs, ours = pair(folder, TEXT2IMG)
    compare([theirs.to(torch.bfloat16), ours.to(torch.bfloat16)], tolerance=5e-2, **INPUTS[TEXT2IMG])


@pytest.mark.parametrize("switch", ["enable_attention_slicing", "enable_freeu", "fuse_qkv_projections"])
def test_switches_give_the_same_picture(folder, switch):
    pipes = pair(folder, TEXT2IMG)
    for pipe in pipes:
        getattr(pipe, switch)(*((0.9, 0.2, 1.2, 1.4) if switch == "enable_freeu" else ()))
    compare(pipes, **INPUTS[TEXT2IMG])
