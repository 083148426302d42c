"""The Kandinsky 2.2 pipelines against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.parity.kandinsky import compare, drawn, embeds, pair, save_peer
from tests.parity.pairs import mask, picture

PRIOR, EMB2EMB = "KandinskyV22PriorPipeline", "KandinskyV22PriorEmb2EmbPipeline"
TEXT2IMG, IMG2IMG, INPAINT, HINTED, HINTED_IMG2IMG = (
    "KandinskyV22Pipeline",
    "KandinskyV22Img2ImgPipeline",
    "KandinskyV22InpaintPipeline",
    "KandinskyV22ControlnetPipeline",
    "KandinskyV22ControlnetImg2ImgPipeline",
)
COMBINED, COMBINED_IMG2IMG, COMBINED_INPAINT = (
    "KandinskyV22CombinedPipeline",
    "KandinskyV22Img2ImgCombinedPipeline",
    "KandinskyV22InpaintCombinedPipeline",
)
PICTURED = {"image": picture(), "strength": 0.6}
MASKED = {"image": picture(), "mask_image": mask()}
SIZED, LARGE = {"height": 32, "width": 32}, {"height": 64, "width": 64}
HINT = {"hint": drawn(1, 3, 64, 64).sigmoid()}
DECODERS: dict[str, dict[str, Any]] = {
    TEXT2IMG: SIZED,
    IMG2IMG: SIZED | PICTURED,
    INPAINT: SIZED | MASKED,
    HINTED: LARGE | HINT,
    HINTED_IMG2IMG: LARGE | HINT | PICTURED,
}
WHOLE: dict[str, dict[str, Any]] = {
    COMBINED: SIZED,
    COMBINED_IMG2IMG: SIZED | PICTURED,
    COMBINED_INPAINT: SIZED | MASKED,
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both pipelines of a class, made when first asked for."""
    made: dict[str, list[Any]] = {}

    def of(kind: str) -> list[Any]:
        if kind not in made:
            made[kind] = pair(save_peer(tmp_path_factory.mktemp(kind), kind), kind)
        return made[kind]

    return of


IMAGINED: dict[str, dict[str, Any]] = {
    "plain": {},
    "no guidance": dict(guidance_scale=1.0),
    "negative prompt": dict(negative_prompt="dog"),
    "prompts": dict(prompt=["a", "b"], negative_prompt=["x", "y"], num_images_per_prompt=2),
    "prompts without negatives": dict(prompt=["a", "b"]),
    "copies": dict(num_images_per_prompt=2),
    "seeds": dict(num_images_per_prompt=2, seeds=(3, 4)),
    "arrays out": dict(output_type="np"),
    "a tuple out": dict(return_dict=False),
}


@pytest.mark.parametrize("option", IMAGINED)
@pytest.mark.parametrize("kind", [PRIOR, EMB2EMB])
def test_priors_imagine_the_same(pairs: Any, kind: str, option: str) -> None:
    begin = dict(image=picture(), strength=0.6) if kind == EMB2EMB else {}
    compare(pairs(kind), **{"prompt": "a cat", "num_inference_steps": 5, **begin, **IMAGINED[option]})


@pytest.mark.parametrize(
    "given", [dict(latents=drawn(1, 32)), dict(latents=drawn(2, 32), negative_prompt="dog")], ids=["one", "opposed"]
)
def test_priors_begin_with_given_latents(pairs: Any, given: Any) -> None:
    compare(pairs(PRIOR), prompt="a cat", num_inference_steps=4, **given)


PICTURES: dict[str, dict[str, Any]] = {
    "embeds": dict(image=drawn(1, 32)),
    "pixels": dict(image=drawn(1, 3, 30, 30)),
    "a picture for each prompt": dict(prompt=["a", "b"], image=[picture(), picture(1)], num_images_per_prompt=2),
    "and what is unwanted": dict(prompt=["a", "b"], image=[picture(), picture(1)], negative_prompt=["x", "y"]),
}


@pytest.mark.parametrize("given", PICTURES)
def test_a_prior_begins_with_pictures_of_every_kind(pairs: Any, given: str) -> None:
    compare(pairs(EMB2EMB), **{"prompt": "a cat", "num_inference_steps": 5, "strength": 0.7, **PICTURES[given]})


MIXES: dict[str, dict[str, Any]] = {
    "plain": {},
    "negative prompt": dict(negative_prompt="bad"),
    "negative prior prompt": dict(negative_prior_prompt="ugly"),
    "copies": dict(num_images_per_prompt=2),
    "weights that sum to more": dict(weights=[1.0, 0.5, 2.0]),
}


@pytest.mark.parametrize("option", MIXES)
def test_texts_and_pictures_are_mixed_alike(pairs: Any, option: str) -> None:
    things = {"images_and_prompts": ["a cat", picture(), "a dog"], "weights": [0.3, 0.3, 0.4]}
    calls = [pipe.interpolate for pipe in pairs(PRIOR)]
    compare(calls, **{**things, "num_inference_steps": 3, **MIXES[option]})


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no guidance": dict(guidance_scale=1.0),
    "copies": dict(num_images_per_prompt=2),
    "seeds": dict(num_images_per_prompt=2, seeds=(3, 4)),
    "tensors out": dict(output_type="pt"),
    "a tuple out": dict(return_dict=False),
    "a list of embeds": {name: [each] for name, each in embeds().items()},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", DECODERS)
def test_decoders_paint_the_same(pairs: Any, kind: str, option: str) -> None:
    given = {"num_inference_steps": 4, "output_type": "np", **embeds(), **DECODERS[kind], **OPTIONS[option]}
    compare(pairs(kind), **given)


BATCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "several embeds": (TEXT2IMG, embeds(2) | {"num_images_per_prompt": 2}),
    "latents in": (TEXT2IMG, {"latents": drawn(1, 4, 16, 16)}),
    "latents into a mask": (INPAINT, {"latents": drawn(1, 4, 16, 16)}),
    "latents out": (TEXT2IMG, {"output_type": "latent"}),
    "another size": (TEXT2IMG, {"height": 37, "width": 24}),
    "a picture for each": (IMG2IMG, embeds(2) | {"image": [picture(), picture(1)], "num_images_per_prompt": 2}),
    "a picture as a tensor": (IMG2IMG, {"image": drawn(1, 3, 40, 40).sigmoid()}),
    "a picture with latents out": (IMG2IMG, {"output_type": "latent"}),
    "the whole strength": (IMG2IMG, {"strength": 1.0}),
    "tensors and a mask": (INPAINT, {"image": drawn(1, 3, 32, 32).tanh(), "mask_image": drawn(1, 1, 32, 32).sigmoid()}),
    "a mask as an array": (INPAINT, {"mask_image": np.asarray(mask((40, 24)), np.float32) / 255}),
    "a coloured mask": (INPAINT, {"mask_image": picture(3)}),
}


@pytest.mark.parametrize("case", BATCHES)
def test_decoders_take_what_the_peers_take(pairs: Any, case: str) -> None:
    kind, changes = BATCHES[case]
    compare(pairs(kind), **{"num_inference_steps": 4, "output_type": "np", **embeds(), **DECODERS[kind], **changes})


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("kind", [TEXT2IMG, IMG2IMG])
def test_other_schedulers_walk_alike(pairs: Any, kind: str, scheduler: str, scale: float) -> None:
    theirs, ours = (
        type(pipe)(pipe.unet, getattr(library, scheduler)(beta_start=0.00085, beta_end=0.012), pipe.movq)
        for pipe, library in zip(pairs(kind), (diffusers, calotype), strict=True)
    )
    for pipe in (theirs, ours):
        pipe.set_progress_bar_config(disable=True)
    given = {"num_inference_steps": 5, "output_type": "np", "guidance_scale": scale, **embeds(), **DECODERS[kind]}
    compare([theirs, ours], **given)


TOGETHER: dict[str, dict[str, Any]] = {
    "plain": {},
    "negative prompt": dict(negative_prompt="dog"),
    "no guidance": dict(guidance_scale=1.0, prior_guidance_scale=1.0),
    "the prior's latents": dict(latents=drawn(1, 32)),
}
SEVERAL: dict[str, dict[str, Any]] = {
    "copies": dict(num_images_per_prompt=2),
    "seeds": dict(num_images_per_prompt=2, seeds=(3, 4)),
    "prompts": dict(prompt=["a", "b"], num_images_per_prompt=2),
}


@pytest.mark.parametrize(
    ("kind", "option"),
    [*((kind, option) for kind in WHOLE for option in TOGETHER), *((COMBINED, option) for option in SEVERAL)],
)
def test_the_whole_makes_the_same_picture(pairs: Any, kind: str, option: str) -> None:
    steps = {"num_inference_steps": 4, "prior_num_inference_steps": 3, "output_type": "np"}
    compare(pairs(kind), **{"prompt": "a cat", **steps, **WHOLE[kind], **(TOGETHER | SEVERAL)[option]})


@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT, HINTED, COMBINED_INPAINT])
def test_a_picture_of_a_batch_is_the_one_that_the_peer_makes_alone(pairs: Any, kind: str) -> None:
    """The peer knows one picture, one mask and one hint for all; here each has its own, with and without guidance."""
    theirs, ours = pairs(kind)
    small = LARGE if kind == HINTED else SIZED
    rows: list[dict[str, Any]] = []
    for seed in (0, 1):
        own: dict[str, Any] = {name: drawn(1, 32, seed=seed + 5) for name in embeds()}
        if "Combined" in kind:
            own = {"prompt": f"a {seed}"}
        if kind == HINTED:
            own |= {"hint": drawn(1, 3, 64, 64, seed=seed).sigmoid()}
        else:
            own |= {"image": drawn(1, 3, 32, 32, seed=seed).tanh()}
        if "Inpaint" in kind:
            own |= {"mask_image": (drawn(1, 1, 32, 32, seed=seed) > 0.5).float()}
        rows.append(own)
    together = {
        name: torch.cat([row[name] for row in rows])
        if isinstance(rows[0][name], torch.Tensor)
        else [row[name] for row in rows]
        for name in rows[0]
    }
    for scale in (1.0, 4.0):
        given = {"num_inference_steps": 4, "output_type": "np", "guidance_scale": scale, **small}
        both = ours(generator=[torch.Generator().manual_seed(seed) for seed in (5, 6)], **together, **given).images
        for seed, row, image in zip((5, 6), rows, both, strict=True):
            alone = theirs(generator=torch.Generator().manual_seed(seed), **row, **given).images[0]
            assert np.abs(alone - image).max() <= 1e-4


def test_a_decoder_of_the_peer_and_its_prior_are_one_here(tmp_path: Any) -> None:
    """The card of a decoder names its prior, and the task decides on the class."""
    prior = save_peer(tmp_path / "prior", PRIOR)
    decoder = save_peer(tmp_path / "decoder", TEXT2IMG)
    (decoder / "README.md").write_text(f"---\nlicense: apache-2.0\nprior:\n- {prior}\n---\n# A decoder\n")
    ours = calotype.AutoPipelineForText2Image.from_pretrained(decoder)
    assert type(ours) is calotype.KandinskyV22CombinedPipeline
    theirs = pair(save_peer(tmp_path / "whole", COMBINED), COMBINED)[0]
    ours.set_progress_bar_config(disable=True)
    given = {"num_inference_steps": 3, "prior_num_inference_steps": 3, "output_type": "np", **SIZED}
    compare([theirs, ours], prompt="a cat", **given)
