"""The Kandinsky 2.1 pipelines against the peer's: same weights, same seed, same picture."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.parity.kandinsky import compare, drawn, embeds, pair, save_peer
from tests.parity.pairs import mask, picture

PRIOR = "KandinskyPriorPipeline"
TEXT2IMG, IMG2IMG, INPAINT = "KandinskyPipeline", "KandinskyImg2ImgPipeline", "KandinskyInpaintPipeline"
COMBINED, COMBINED_IMG2IMG, COMBINED_INPAINT = (
    "KandinskyCombinedPipeline",
    "KandinskyImg2ImgCombinedPipeline",
    "KandinskyInpaintCombinedPipeline",
)
SIZED: dict[str, Any] = {"height": 32, "width": 32}
DECODERS: dict[str, dict[str, Any]] = {
    TEXT2IMG: SIZED,
    IMG2IMG: SIZED | {"image": picture(), "strength": 0.6},
    INPAINT: SIZED | {"image": picture(), "mask_image": mask()},
}
WHOLE = {
    COMBINED: DECODERS[TEXT2IMG],
    COMBINED_IMG2IMG: DECODERS[IMG2IMG],
    COMBINED_INPAINT: DECODERS[INPAINT],
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


@pytest.mark.parametrize(
    "option",
    [{}, {"negative_prompt": "dog", "num_images_per_prompt": 2}, {"guidance_scale": 1.0}, {"output_type": "np"}],
    ids=str,
)
def test_the_prior_imagines_the_same(pairs: Any, option: dict[str, Any]) -> None:
    compare(pairs(PRIOR), **{"prompt": "a cat", "num_inference_steps": 4, **option})


def test_texts_and_pictures_are_mixed_alike(pairs: Any) -> None:
    things = {"images_and_prompts": ["a cat", picture(), "a dog"], "weights": [0.3, 0.3, 0.4]}
    compare([pipe.interpolate for pipe in pairs(PRIOR)], num_inference_steps=3, **things)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no guidance": dict(guidance_scale=1.0),
    "negative prompt": dict(negative_prompt="dog"),
    "copies": dict(num_images_per_prompt=2),
    "seeds": dict(num_images_per_prompt=2, seeds=(3, 4)),
    "tensors out": dict(output_type="pt"),
    "a tuple out": dict(return_dict=False),
    "prompts": dict(prompt=["a", "b"], negative_prompt=["x", "y"], **embeds(2)),
}


@pytest.mark.parametrize(
    ("kind", "option"),
    # the peer inpaints one picture for all, and fails for several
    [(kind, option) for kind in DECODERS for option in OPTIONS if (kind, option) != (INPAINT, "prompts")],
)
def test_decoders_paint_the_same(pairs: Any, kind: str, option: str) -> None:
    given = {"prompt": "a cat", "num_inference_steps": 4, "output_type": "np", **embeds()}
    if (kind, option) == (IMG2IMG, "prompts"):
        given |= {"image": [picture(), picture(1)]}
    compare(pairs(kind), **{**DECODERS[kind], **given, **OPTIONS[option]})


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "latents in": (TEXT2IMG, {"latents": drawn(1, 4, 16, 16)}),
    "latents into a mask": (INPAINT, {"latents": drawn(1, 4, 16, 16)}),
    "another size": (TEXT2IMG, {"height": 37, "width": 24}),
    "little strength": (IMG2IMG, {"strength": 0.3, "num_inference_steps": 8}),
    "the whole strength": (IMG2IMG, {"strength": 1.0}),
    "a mask as an array": (INPAINT, {"mask_image": np.asarray(mask((40, 24)), np.float32) / 255}),
}


@pytest.mark.parametrize("case", CASES)
def test_decoders_take_what_the_peers_take(pairs: Any, case: str) -> None:
    kind, changes = CASES[case]
    given = {"prompt": "a cat", "num_inference_steps": 4, "output_type": "np", **embeds()}
    compare(pairs(kind), **{**given, **DECODERS[kind], **changes})


def test_a_scheduler_that_learns_variance_paints_the_same(pairs: Any) -> None:
    pipes: list[Any] = []
    for pipe, library in zip(pairs(TEXT2IMG), (diffusers, calotype), strict=True):
        learned = library.DDPMScheduler(beta_start=0.00085, beta_end=0.012, variance_type="learned_range")
        pipes.append(type(pipe)(**{**pipe.components, "scheduler": learned}))
        pipes[-1].set_progress_bar_config(disable=True)
    compare(pipes, prompt="a cat", num_inference_steps=4, output_type="np", **SIZED, **embeds())


@pytest.mark.parametrize("option", [{}, {"negative_prompt": "dog"}, {"guidance_scale": 1.0}], ids=str)
@pytest.mark.parametrize("kind", WHOLE)
def test_the_whole_makes_the_same_picture(pairs: Any, kind: str, option: dict[str, Any]) -> None:
    steps = {"num_inference_steps": 4, "prior_num_inference_steps": 3, "output_type": "np"}
    compare(pairs(kind), **{"prompt": "a cat", **steps, **WHOLE[kind], **option})


@pytest.mark.parametrize("kind", [IMG2IMG, INPAINT])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_picture_of_a_batch_is_the_one_that_the_peer_makes_alone(pairs: Any, kind: str, scale: float) -> None:
    theirs, ours = pairs(kind)
    given = {"num_inference_steps": 4, "output_type": "np", "guidance_scale": scale, **SIZED}
    words = ["a red cube", "a dog"]
    told = embeds(2) | {"image": drawn(2, 3, 32, 32).tanh()}
    if kind == INPAINT:
        told |= {"mask_image": (drawn(2, 1, 32, 32) > 0.5).float()}
    sources = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    both = ours(words, generator=sources, **told, **given).images
    for i, seed in enumerate((5, 6)):
        own = {name: value[i : i + 1] for name, value in told.items()}
        alone = theirs(words[i], generator=torch.Generator().manual_seed(seed), **own, **given).images[0]
        assert np.abs(alone - both[i]).max() <= 1e-4
