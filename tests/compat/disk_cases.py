"""What goes over the disk: a pipeline of ours for each public class, and what its calls are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

import calotype
from tests import tiny, tiny_helios
from tests.tiny_kandinsky import kandinsky_inputs, tiny_kandinsky

SD, XL, NETS = "StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusionControlNetPipeline"
DRAWN = {"num_inference_steps": 2, "output_type": "np"}
FILM = {"num_frames": 33, "max_sequence_length": 24, "output_type": "np"}
WORDS = {"prompt": "a hello cat", "negative_prompt": "hell"}
PEERS_WIDTH = 32
HINTS = [tiny.tiny_inputs(NETS)["image"]] * 2


@dataclass(frozen=True)
class Case:
    """A pipeline's class, how ours is made, what a call is told, and how its folder is written and read."""

    kind: str
    make: Callable[[], Any]
    told: Mapping[str, Any]
    saved: Mapping[str, Any] = field(default_factory=dict)
    loaded: Mapping[str, Any] = field(default_factory=dict)


def told_to_peers(case: Case) -> Mapping[str, Any]:
    """What a call is told of a pipeline that the peer began: its embeds are wider than ours."""
    drawn = torch.randn(2, 1, PEERS_WIDTH, generator=torch.Generator().manual_seed(0))
    wide = {"image_embeds": drawn[0], "negative_image_embeds": drawn[1]}
    return {name: wide.get(name, value) for name, value in case.told.items()}


def public(ending: str) -> list[str]:
    """The public names with this ending, but for those of the Flax twin, which the peer has given up."""
    return sorted(name for name in calotype.__all__ if name.endswith(ending) and not name.startswith("Flax"))


def painted(kind: str, parts: Callable[[], Mapping[str, Any]] = dict) -> Case:
    """The case of a pipeline of the Stable Diffusion families, with these parts in place of the usual ones."""

    def make() -> Any:
        return tiny.tiny_pipeline(getattr(calotype, kind), **parts())

    return Case(kind, make, WORDS | tiny.tiny_inputs(kind) | DRAWN)


def imagined(kind: str) -> Case:
    """The case of a Kandinsky pipeline."""
    steps = {"num_inference_steps": 2} if "Prior" in kind else DRAWN
    return Case(kind, lambda: tiny_kandinsky(getattr(calotype, kind)), kandinsky_inputs(kind) | steps)


def filmed(kind: str, **told: Any) -> Case:
    """The case of a checkpoint of Helios."""
    name = "HeliosPipeline" if kind == "base" else "HeliosPyramidPipeline"
    asked = {"prompt": "a red cat"} | FILM | tiny_helios.SHORT[kind] | told
    return Case(name, partial(tiny_helios.pipeline, kind), asked)


def checked() -> dict[str, Any]:
    """What a pipeline has that looks at its own pictures, and at others."""
    extractor = calotype.CLIPImageProcessor(size=30, crop_size=30)
    parts = {"safety_checker": tiny.tiny_safety_checker(), "feature_extractor": extractor}
    return parts | {"image_encoder": tiny.tiny_image_encoder(), "requires_safety_checker": True}


def two_nets() -> dict[str, Any]:
    return {"controlnet": calotype.MultiControlNetModel([tiny.tiny_controlnet(seed) for seed in (1, 2)])}


def with_usual_arguments() -> Any:
    """A pipeline that says what its calls mean where an argument is left out: the peer passes over it."""
    pipe = tiny.tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.register_to_config(_usual_arguments={"height": 32, "width": 32})
    return pipe


SCHEDULERS = public("Scheduler")
USUAL: list[Case] = [
    *[painted(kind) for kind in public("Pipeline") if kind.startswith("StableDiffusion")],
    *[imagined(kind) for kind in public("Pipeline") if kind.startswith("Kandinsky")],
    filmed("base", guidance_scale=4.0),
    filmed("mid", guidance_scale=4.0),
]
SHARDS = {"saved": {"max_shard_size": "100KB", "variant": "fp16"}, "loaded": {"variant": "fp16"}}
PICKLES = {"saved": {"safe_serialization": False}, "loaded": {"use_safetensors": False}}
CASES: dict[str, Case] = {case.kind: case for case in USUAL} | {
    "distilled": filmed("distilled", guidance_scale=1.0, is_amplify_first_chunk=True),
    "looking": painted(SD, checked),
    "in shards, as a variant": replace(painted(SD), **SHARDS),
    "pickled": replace(painted(SD), **PICKLES),
    "told of a mask": painted("StableDiffusionInpaintPipeline", lambda: {"unet": tiny.tiny_unet(in_channels=9)}),
    "with usual arguments": Case(SD, with_usual_arguments, WORDS | DRAWN),
    "refiner": painted("StableDiffusionXLImg2ImgPipeline", lambda: {"refiner": True}),
    "no zeros for no prompt": painted(XL, lambda: {"force_zeros_for_empty_prompt": False}),
    "several nets": replace(painted(NETS, two_nets), told=WORDS | DRAWN | {"image": HINTS}),
}
