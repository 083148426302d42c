"""The ControlNet pipelines against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.parity.pairs import mask, peer_unet, picture, save_peer, with_scheduler
from tests.parity.test_controlnet import stirred
from tests.parity.test_stable_diffusion import compare

TEXT2IMG, IMG2IMG, INPAINT = (
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionControlNetInpaintPipeline",
)
SIZED = {"height": 32, "width": 32}
INPUTS: dict[str, dict[str, Any]] = {
    TEXT2IMG: SIZED,
    IMG2IMG: dict(image=picture(), strength=0.7, **SIZED),
    INPAINT: dict(image=picture(), mask_image=mask(), strength=0.8, **SIZED),
}
# those that scale their input, walk steps twice, add a step, draw noise, or do none of it
SCHEDULERS: dict[str, dict[str, Any]] = {
    "DPMSolverMultistepScheduler": {},
    "EulerAncestralDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "PNDMScheduler": {"skip_prk_steps": True},
}
HINT = {TEXT2IMG: "image", IMG2IMG: "control_image", INPAINT: "control_image"}


def peer_controlnet(seed: int, **changes: Any) -> Any:
    made = diffusers.ControlNetModel.from_unet(peer_unet(), conditioning_embedding_out_channels=(8, 16))
    return stirred(diffusers.ControlNetModel.from_config(made.config, **changes), seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save_peer(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def inpainting_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save_peer(tmp_path_factory.mktemp("sd9"), "StableDiffusionInpaintPipeline", in_channels=9)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folders of ControlNets that the peer saved."""
    folder = tmp_path_factory.mktemp("nets")
    for name, changes in {"one": {}, "two": {}, "pooled": {"global_pool_conditions": True}}.items():
        peer_controlnet(len(name), **changes).save_pretrained(folder / name)
    return folder


@cache
def loaded_pair(folder: Any, kind: str, *nets: Any) -> list[Any]:
    pipes = []
    for library in (diffusers, calotype):
        loaded = [library.ControlNetModel.from_pretrained(net) for net in nets]
        given = {} if "XL" in kind else {"safety_checker": None}
        given["controlnet"] = loaded if len(loaded) > 1 else loaded[0]
        pipes.append(getattr(library, kind).from_pretrained(folder, **given))
        pipes[-1].set_progress_bar_config(disable=True)
    return pipes


def pair(folder: Any, kind: str, *nets: Any) -> list[Any]:
    """The peer's pipeline of this class with these nets, and ours, with the scheduler of their files."""
    pipes = loaded_pair(folder, kind, *nets)
    for pipe, library in zip(pipes, (diffusers, calotype), strict=True):
        pipe.scheduler = library.DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
    return pipes


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_scheduler_gives_the_same_picture(folder: Any, nets: Any, kind: str, scheduler: str) -> None:
    pipes = with_scheduler(pair(folder, kind, nets / "one"), scheduler, **SCHEDULERS[scheduler])
    window = dict(control_guidance_start=0.1, control_guidance_end=0.8)
    compare(pipes, num_inference_steps=6, **INPUTS[kind], **{HINT[kind]: picture(7)}, **window)


OPTIONS: dict[str, dict[str, Any]] = {
    "no guidance": dict(guidance_scale=1.0),
    "guess mode": dict(guess_mode=True),
    "guess mode without guidance": dict(guess_mode=True, guidance_scale=1.0),
    "scale": dict(controlnet_conditioning_scale=0.3),
    "no scale": dict(controlnet_conditioning_scale=0.0),
    "window": dict(control_guidance_start=0.3, control_guidance_end=0.7, num_inference_steps=8),
    "prompts": dict(prompt=["a red cube", "a blue ball"], negative_prompt=["one", "two"]),
    "copies": dict(num_images_per_prompt=2),
    "seeds": dict(seeds=(3, 4), num_images_per_prompt=2),
    "latents out": dict(output_type="latent"),
    "eta": dict(eta=0.7),
}
BATCHES: dict[str, dict[str, Any]] = {
    "a hint for each prompt": dict(prompt=["a", "b"]),
    "a hint for each prompt, twice": dict(prompt=["a", "b"], num_images_per_prompt=2),
    "a hint for each prompt, guessed": dict(prompt=["a", "b"], num_images_per_prompt=2, guess_mode=True),
}


@pytest.mark.parametrize(
    ("kind", "option"),
    # the peer draws from the first generator alone where one image is encoded for several
    [(kind, option) for kind in INPUTS for option in OPTIONS if (kind, option) != (INPAINT, "seeds")],
)
def test_every_option_gives_the_same_picture(folder: Any, nets: Any, kind: str, option: str) -> None:
    compare(pair(folder, kind, nets / "one"), **{**INPUTS[kind], HINT[kind]: picture(7), **OPTIONS[option]})


def batched(kind: str, count: int) -> dict[str, Any]:
    """The inputs for so many prompts: the peer repeats single pictures, but wants a mask for each."""
    given = INPUTS[kind]
    return {**given, **{name: [given[name]] * count for name in ("image", "mask_image") if name in given}}


@pytest.mark.parametrize("batch", BATCHES)
def test_hints_of_a_batch_stay_with_their_pictures(folder: Any, nets: Any, batch: str) -> None:
    compare(pair(folder, TEXT2IMG, nets / "one"), image=[picture(7), picture(8)], **SIZED, **BATCHES[batch])


@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT])
def test_hints_of_a_batch_stay_with_their_prompts(folder: Any, nets: Any, kind: str) -> None:
    hints = [picture(7), picture(8)]
    compare(pair(folder, kind, nets / "one"), **batched(kind, 2), prompt=["a", "b"], control_image=hints)


@pytest.mark.parametrize("guess_mode", [False, True])
@pytest.mark.parametrize("kind", INPUTS)
def test_several_nets_give_the_same_picture(folder: Any, nets: Any, kind: str, guess_mode: bool) -> None:
    compare(
        pair(folder, kind, nets / "one", nets / "two"),
        **INPUTS[kind],
        **{HINT[kind]: [picture(7), picture(8)]},
        controlnet_conditioning_scale=[0.6, 1.2],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.7, 1.0],
        guess_mode=guess_mode,
        num_inference_steps=8,
    )


def test_one_scale_is_for_all_nets(folder: Any, nets: Any) -> None:
    pipes = pair(folder, TEXT2IMG, nets / "one", nets / "two")
    compare(pipes, image=[picture(7), picture(8)], controlnet_conditioning_scale=0.4, **SIZED)


def test_a_list_for_each_picture_holds_a_hint_for_each_net(folder: Any, nets: Any) -> None:
    hints = [[picture(1), picture(2)], [picture(3), picture(4)], [picture(5), picture(6)]]
    compare(pair(folder, TEXT2IMG, nets / "one", nets / "two"), image=hints, prompt=["a", "b", "c"], **SIZED)


@pytest.mark.parametrize("kind", INPUTS)
def test_pooled_nets_are_heard_by_the_conditional_half(folder: Any, nets: Any, kind: str) -> None:
    compare(pair(folder, kind, nets / "pooled"), **INPUTS[kind], **{HINT[kind]: picture(7)})


SPECIAL: dict[str, tuple[str, dict[str, Any]]] = {
    "the hint's own size": (TEXT2IMG, dict(image=picture(7, (40, 48)))),
    "a size that is rounded": (TEXT2IMG, dict(image=picture(7, (33, 35)))),
    "a hint that is resized": (TEXT2IMG, dict(image=picture(7, (64, 48)), height=40, width=24)),
    "a hint of floats": (TEXT2IMG, dict(image=torch.rand(1, 3, 32, 32))),
    "a hint around zero": (TEXT2IMG, dict(image=torch.rand(1, 3, 32, 32) * 2 - 1)),
    "a hint as an array": (TEXT2IMG, dict(image=np.random.default_rng(0).random((1, 32, 32, 3), np.float32))),
    "custom timesteps": (TEXT2IMG, dict(image=picture(7), timesteps=[900, 600, 300, 100])),
    "latents in": (TEXT2IMG, dict(image=picture(7), latents=torch.randn(1, 4, 16, 16))),
    "the picture's own size": (
        IMG2IMG,
        dict(image=picture(0, (40, 48)), control_image=picture(7, (40, 48)), strength=0.6),
    ),
    "latents in place of the noised picture": (
        IMG2IMG,
        {**INPUTS[IMG2IMG], "control_image": picture(7), "latents": torch.randn(1, 4, 16, 16)},
    ),
    "both are resized": (
        IMG2IMG,
        dict(image=picture(0, (40, 48)), control_image=picture(7, (64, 64)), height=24, width=32),
    ),
    "the inpainted picture's own size": (
        INPAINT,
        dict(image=picture(0, (40, 48)), mask_image=mask((40, 48)), control_image=picture(7, (40, 48))),
    ),
    "whole inpainting": (INPAINT, {**INPUTS[INPAINT], "control_image": picture(7), "strength": 1.0}),
    "latents for inpainting": (
        INPAINT,
        {**INPUTS[INPAINT], "control_image": picture(7), "latents": torch.randn(1, 4, 16, 16)},
    ),
    "cropped": (
        INPAINT,
        dict(
            image=picture(0, (64, 48)),
            mask_image=mask((64, 48)),
            control_image=picture(7, (64, 48)),
            padding_mask_crop=4,
            output_type="pil",
            **SIZED,
        ),
    ),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_special_inputs_give_the_same_picture(folder: Any, nets: Any, case: str) -> None:
    kind, inputs = SPECIAL[case]
    pipes = pair(folder, kind, nets / "one")
    if "timesteps" in inputs:
        pipes = with_scheduler(pipes, "EulerDiscreteScheduler")
    compare(pipes, tolerance=1.0 if inputs.get("output_type") == "pil" else 1e-4, **inputs)


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("option", ["copies", "no guidance", "guess mode"])
def test_nine_channels_give_the_same_picture(inpainting_folder: Any, nets: Any, strength: float, option: str) -> None:
    pipes = pair(inpainting_folder, INPAINT, nets / "one")
    given = {**INPUTS[INPAINT], "strength": strength, **OPTIONS[option]}
    compare(pipes, control_image=picture(7), **given)


@pytest.mark.parametrize("kind", INPUTS)
def test_a_changed_hint_changes_the_same_picture(folder: Any, nets: Any, kind: str) -> None:
    name = HINT[kind]

    def darker(pipe: Any, i: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensors[name] * 0.5} if i == 1 else {}

    watching = dict(callback_on_step_end=darker, callback_on_step_end_tensor_inputs=[name])
    compare(pair(folder, kind, nets / "one"), **INPUTS[kind], **{name: picture(7)}, **watching)


def test_half_precision_is_close(folder: Any, nets: Any) -> None:
    pipes = [pipe.to(torch.bfloat16) for pipe in loaded_pair.__wrapped__(folder, TEXT2IMG, nets / "one")]
    compare(pipes, tolerance=5e-2, image=picture(7), **SIZED)


@pytest.mark.parametrize("names", [("one",), ("one", "two")], ids=len)
def test_pipelines_with_nets_go_both_ways_through_files(folder: Any, nets: Any, names: Any, tmp_path: Any) -> None:
    theirs, ours = pair(folder, TEXT2IMG, *(nets / name for name in names))
    theirs.save_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    indices = [json.loads((tmp_path / whose / "model_index.json").read_text()) for whose in ("theirs", "ours")]
    assert indices[0]["controlnet"] == indices[1]["controlnet"]
    swapped = [
        diffusers.StableDiffusionControlNetPipeline.from_pretrained(tmp_path / "ours", safety_checker=None),
        calotype.DiffusionPipeline.from_pretrained(tmp_path / "theirs"),
    ]
    for pipe in swapped:
        pipe.set_progress_bar_config(disable=True)
    hints = [picture(7), picture(8)][: len(names)]
    compare(swapped, image=hints if len(hints) > 1 else hints[0], **SIZED)
