"""The ControlNet pipelines of Stable Diffusion XL against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.parity.pairs import mask, picture, with_scheduler
from tests.parity.test_controlnet import stirred
from tests.parity.test_controlnet_pipelines import BATCHES, OPTIONS, SCHEDULERS, loaded_pair, pair
from tests.parity.test_stable_diffusion import compare
from tests.parity.test_stable_diffusion_xl import OPTIONS as XL_OPTIONS
from tests.parity.test_stable_diffusion_xl import embeds, save_peer_xl

TEXT2IMG, IMG2IMG, INPAINT = (
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLControlNetInpaintPipeline",
)
SIZED = {"height": 32, "width": 32}
INPUTS: dict[str, dict[str, Any]] = {
    TEXT2IMG: SIZED,
    IMG2IMG: dict(image=picture(), strength=0.7, **SIZED),
    INPAINT: dict(image=picture(), mask_image=mask(), strength=0.8, **SIZED),
}
HINT = {TEXT2IMG: "image", IMG2IMG: "control_image", INPAINT: "control_image"}


def hinted(kind: str, hint: Any = None) -> dict[str, Any]:
    return {**INPUTS[kind], HINT[kind]: picture(7) if hint is None else hint}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_peer_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def refiner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_peer_xl(tmp_path_factory.mktemp("refiner"), "StableDiffusionXLImg2ImgPipeline", refiner=True)


@pytest.fixture(scope="module")
def inpainting_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_peer_xl(tmp_path_factory.mktemp("xl9"), "StableDiffusionXLInpaintPipeline", in_channels=9)


def save_nets(folder: Path, base: Path) -> Path:
    """Folders of ControlNets for the UNet of a pipeline, as the peer saves them."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(base, subfolder="unet")
    unet.register_to_config(in_channels=4)
    made = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(8, 16), load_weights_from_unet=False
    )
    for name, changes in {"one": {}, "two": {}, "pooled": {"global_pool_conditions": True}}.items():
        stirred(diffusers.ControlNetModel.from_config(made.config, **changes), len(name)).save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def nets(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nets(tmp_path_factory.mktemp("nets"), folder)


@pytest.mark.parametrize(("kind", "scheduler"), list(zip(cycle(INPUTS), SCHEDULERS, strict=False)))
def test_every_scheduler_gives_the_same_picture(folder: Any, nets: Any, kind: str, scheduler: str) -> None:
    pipes = with_scheduler(pair(folder, kind, nets / "one"), scheduler, **SCHEDULERS[scheduler])
    compare(pipes, num_inference_steps=6, **hinted(kind), control_guidance_start=0.1, control_guidance_end=0.8)


EVERY_OPTION: dict[str, dict[str, Any]] = {
    **XL_OPTIONS,
    **OPTIONS,
    "guess mode and a negative prompt": dict(guess_mode=True, negative_prompt="blue", num_images_per_prompt=2),
    "guess mode and embeddings": dict(embeds(), guess_mode=True),
    "guess mode with sizes": dict(guess_mode=True, original_size=(40, 24), crops_coords_top_left=(3, 5)),
}
# what a pipeline of the peer does not take, or takes only as it takes nothing
NOT_TAKEN = {
    TEXT2IMG: {"rescaled guidance"},
    IMG2IMG: {"rescaled guidance", "an early end", "an end that is the end"},
    # the peer draws from the first generator alone where one image is encoded for several
    INPAINT: {"negative sizes", "seeds"},
}


def taken() -> Iterator[tuple[str, str]]:
    """A net's own options with every pipeline, those that SDXL has without nets with the first and one other."""
    for place, option in enumerate(EVERY_OPTION):
        kinds = [kind for kind in INPUTS if option not in NOT_TAKEN[kind]]
        own = option in OPTIONS or option not in XL_OPTIONS
        for kind in kinds if own else {kinds[0]: 1, kinds[place % len(kinds)]: 1}:
            yield kind, option


@pytest.mark.parametrize(("kind", "option"), list(taken()))
def test_every_option_gives_the_same_picture(folder: Any, nets: Any, kind: str, option: str) -> None:
    scheduler = "DDIMScheduler" if option == "eta" else "EulerAncestralDiscreteScheduler"
    pipes = with_scheduler(pair(folder, kind, nets / "one"), scheduler)
    compare(pipes, **{**hinted(kind), **EVERY_OPTION[option]})


@pytest.mark.parametrize("batch", BATCHES)
def test_hints_of_a_batch_stay_with_their_pictures(folder: Any, nets: Any, batch: str) -> None:
    compare(pair(folder, TEXT2IMG, nets / "one"), **hinted(TEXT2IMG, [picture(7), picture(8)]), **BATCHES[batch])


@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT])
def test_hints_of_a_batch_stay_with_their_prompts(folder: Any, nets: Any, kind: str) -> None:
    given = {
        **INPUTS[kind],
        **{name: [INPUTS[kind][name]] * 2 for name in ("image", "mask_image") if name in INPUTS[kind]},
    }
    hints = [picture(7), picture(8)]
    compare(pair(folder, kind, nets / "one"), **given, prompt=["a", "b"], control_image=hints)


SEVERAL: dict[str, dict[str, Any]] = {
    "heard alike": {},
    "guessed": dict(guess_mode=True),
    "one scale for all": dict(controlnet_conditioning_scale=0.4),
    "two pictures of each prompt": dict(prompt=["a", "b"], num_images_per_prompt=2),
}


@pytest.mark.parametrize("option", SEVERAL)
@pytest.mark.parametrize("kind", INPUTS)
def test_several_nets_give_the_same_picture(folder: Any, nets: Any, kind: str, option: str) -> None:
    each = dict(
        controlnet_conditioning_scale=[0.6, 1.2],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.7, 1.0],
        num_inference_steps=8,
    )
    pipes = pair(folder, kind, nets / "one", nets / "two")
    compare(pipes, **{**hinted(kind, [picture(7), picture(8)]), **each, **SEVERAL[option]})


@pytest.mark.parametrize("kind", INPUTS)
def test_pooled_nets_are_heard_by_the_conditional_half(folder: Any, nets: Any, kind: str) -> None:
    # the peer's inpainting has to be told so
    told = dict(guess_mode=True) if kind == INPAINT else {}
    compare(pair(folder, kind, nets / "pooled"), **hinted(kind), **told)


SPECIAL: dict[str, tuple[str, dict[str, Any]]] = {
    "the hint's own size": (TEXT2IMG, dict(image=picture(7, (40, 48)))),
    "a size that is rounded": (TEXT2IMG, dict(image=picture(7, (33, 35)))),
    "a hint that is resized": (TEXT2IMG, dict(image=picture(7, (64, 48)), height=40, width=24)),
    "a hint of floats": (TEXT2IMG, dict(image=torch.rand(1, 3, 32, 32))),
    "a hint as an array": (TEXT2IMG, dict(image=np.random.default_rng(0).random((1, 32, 32, 3), np.float32))),
    "custom timesteps": (TEXT2IMG, dict(image=picture(7), timesteps=[900, 600, 300, 100])),
    "custom sigmas": (TEXT2IMG, dict(image=picture(7), sigmas=[10.0, 4.0, 1.0, 0.1])),
    "latents in": (TEXT2IMG, dict(image=picture(7), latents=torch.randn(1, 4, 16, 16))),
    "negative sizes and crops": (
        TEXT2IMG,
        dict(
            image=picture(7),
            crops_coords_top_left=(7, 9),
            negative_original_size=(40, 24),
            negative_target_size=(64, 16),
            negative_crops_coords_top_left=(3, 5),
        ),
    ),
    "the picture's own size": (
        IMG2IMG,
        dict(image=picture(0, (40, 48)), control_image=picture(7, (40, 48)), strength=0.6),
    ),
    "latents in place of the noised picture": (
        IMG2IMG,
        {**hinted(IMG2IMG), "latents": torch.randn(1, 4, 16, 16)},
    ),
    "latents as image": (IMG2IMG, {**hinted(IMG2IMG), "image": torch.randn(1, 4, 16, 16)}),
    "both are resized": (
        IMG2IMG,
        dict(image=picture(0, (40, 48)), control_image=picture(7, (64, 64)), height=24, width=32),
    ),
    "whole strength": (IMG2IMG, {**hinted(IMG2IMG), "strength": 1.0}),
    "seeds and one picture": (IMG2IMG, {**hinted(IMG2IMG), "seeds": (5, 6), "num_images_per_prompt": 2}),
    "the inpainted picture's own size": (
        INPAINT,
        dict(image=picture(0, (40, 48)), mask_image=mask((40, 48)), control_image=picture(7, (40, 48))),
    ),
    "whole inpainting": (INPAINT, {**hinted(INPAINT), "strength": 1.0}),
    "latents for inpainting": (INPAINT, {**hinted(INPAINT), "latents": torch.randn(1, 4, 16, 16)}),
    "a late start for inpainting": (INPAINT, {**hinted(INPAINT), "denoising_start": 0.5, "num_inference_steps": 10}),
    "a middle": (
        INPAINT,
        {**hinted(INPAINT), "denoising_start": 0.3, "denoising_end": 0.8, "num_inference_steps": 10},
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
    if "timesteps" in inputs or "sigmas" in inputs:
        pipes = with_scheduler(pipes, "EulerDiscreteScheduler")
    compare(pipes, tolerance=1.0 if inputs.get("output_type") == "pil" else 1e-4, **inputs)


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("option", ["copies", "no guidance", "guess mode", "an early end"])
def test_nine_channels_give_the_same_picture(inpainting_folder: Any, nets: Any, strength: float, option: str) -> None:
    pipes = pair(inpainting_folder, INPAINT, nets / "one")
    compare(pipes, **{**hinted(INPAINT), "strength": strength, **EVERY_OPTION[option]})


REFINED: dict[str, dict[str, Any]] = {
    "plain": {},
    "scores": dict(aesthetic_score=7.5, negative_aesthetic_score=1.0),
    "crops": dict(crops_coords_top_left=(3, 5), original_size=(40, 24)),
    "guess mode": dict(guess_mode=True),
}


@pytest.mark.parametrize("option", REFINED)
@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT])
def test_refiners_are_told_scores(refiner_folder: Any, tmp_path: Path, kind: str, option: str) -> None:
    pipes = pair(refiner_folder, kind, save_nets(tmp_path, refiner_folder) / "one")
    sizes = dict(original_size=(32, 32), target_size=(32, 32))  # without them the peer's image to image fails
    compare(pipes, **{**hinted(kind), **sizes, **REFINED[option]})


@pytest.mark.parametrize("kind", INPUTS)
def test_a_changed_hint_changes_the_same_picture(folder: Any, nets: Any, kind: str) -> None:
    name = HINT[kind]

    def darker(pipe: Any, i: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensors[name] * 0.5} if i == 1 else {}

    watching = dict(callback_on_step_end=darker, callback_on_step_end_tensor_inputs=[name])
    compare(pair(folder, kind, nets / "one"), **hinted(kind), **watching)


@pytest.mark.parametrize("guidance_scale", [5.0, 1.0])
@pytest.mark.parametrize("kind", INPUTS)
def test_callbacks_see_the_same_numbers(folder: Any, nets: Any, kind: str, guidance_scale: float) -> None:
    logs: list[list[Any]] = []
    watched = [
        name
        for name in getattr(calotype, kind)._callback_tensor_inputs
        if name not in ("image", "control_image", "mask", "masked_image_latents")  # doubled with the peer
    ]
    for pipe in pair(folder, kind, nets / "one"):
        seen: list[Any] = []

        def watch(call: Any, i: int, t: Any, tensors: dict[str, Any], seen: list[Any] = seen) -> dict[str, Any]:
            seen.append({name: None if tensor is None else tensor.clone() for name, tensor in tensors.items()})
            return {}

        given = dict(prompt=["a cube", "a ball"], num_inference_steps=4, output_type="latent", **hinted(kind))
        watching = dict(callback_on_step_end=watch, callback_on_step_end_tensor_inputs=watched)
        pipe(**given, **watching, guidance_scale=guidance_scale, generator=torch.Generator().manual_seed(0))
        logs.append(seen)
    for theirs, ours in zip(*logs, strict=True):
        for name in watched:
            if name in ("negative_add_time_ids", "add_neg_time_ids"):
                assert torch.equal(theirs[name][:1], ours[name][:1])
            elif theirs[name] is None:
                assert ours[name] is None
            else:
                assert (theirs[name] - ours[name]).abs().max() <= 1e-4


@pytest.mark.parametrize("kind", INPUTS)
def test_half_precision_is_close(folder: Any, nets: Any, kind: str) -> None:
    pipes = [pipe.to(torch.bfloat16) for pipe in loaded_pair.__wrapped__(folder, kind, nets / "one")]
    compare(pipes, tolerance=8e-2, **hinted(kind))  # twenty of the type's last places: processors round otherwise


@pytest.mark.parametrize("names", [("one",), ("one", "two")], ids=len)
@pytest.mark.parametrize("kind", INPUTS)
def test_pipelines_with_nets_go_both_ways_through_files(
    folder: Any, nets: Any, kind: str, names: Any, tmp_path: Path
) -> None:
    theirs, ours = pair(folder, kind, *(nets / name for name in names))
    theirs.save_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    indices = [json.loads((tmp_path / whose / "model_index.json").read_text()) for whose in ("theirs", "ours")]
    assert indices[0]["controlnet"] == indices[1]["controlnet"]
    swapped = [
        getattr(diffusers, kind).from_pretrained(tmp_path / "ours"),
        calotype.DiffusionPipeline.from_pretrained(tmp_path / "theirs"),
    ]
    for pipe in swapped:
        pipe.set_progress_bar_config(disable=True)
    hints = [picture(7), picture(8)][: len(names)]
    compare(swapped, **hinted(kind, hints if len(hints) > 1 else hints[0]))


AUTO = {
    "AutoPipelineForText2Image": TEXT2IMG,
    "AutoPipelineForImage2Image": IMG2IMG,
    "AutoPipelineForInpainting": INPAINT,
}


@pytest.mark.parametrize("auto", AUTO)
def test_the_same_class_is_chosen(folder: Any, nets: Any, auto: str) -> None:
    pipes = []
    for library in (diffusers, calotype):
        net = library.ControlNetModel.from_pretrained(nets / "one")
        pipes.append(getattr(library, auto).from_pretrained(folder, controlnet=net))
        pipes[-1].set_progress_bar_config(disable=True)
    assert [type(pipe).__name__ for pipe in pipes] == [AUTO[auto]] * 2
    compare(pipes, **hinted(AUTO[auto]))
