"""Pairs of Helios pipelines: the peer's and ours, with the same tiny random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image

import calotype
from calotype.ops.pyramid import block_factor
from tests.tiny_helios import text_encoder, tokenizer, transformer, vae

STAGED: dict[str, Any] = {"stages": 3, "stage_range": [0, 1 / 3, 2 / 3, 1], "use_dynamic_shifting": True}
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("HeliosScheduler", {"stages": 1, "stage_range": [0, 1], "use_dynamic_shifting": True}),
    "mid": ("HeliosScheduler", STAGED),
    "distilled": ("HeliosDMDScheduler", STAGED),
}
FLAGS: dict[str, dict[str, Any]] = {
    "base": {},
    "mid": {"is_cfg_zero_star": True, "is_distilled": False},
    "distilled": {"is_cfg_zero_star": False, "is_distilled": True},
}


@cache
def pair(kind: str) -> tuple[Any, Any]:
    """The peer's pipeline of a checkpoint and ours; texts come as states, so neither reads."""
    ours = {"vae": vae(), "transformer": transformer()}
    theirs: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for name, part in ours.items():
            part.save_pretrained(Path(folder, name))
            theirs[name] = getattr(diffusers, type(part).__name__).from_pretrained(Path(folder, name))
    name, config = SCHEDULERS[kind]
    made = []
    for library, parts in ((diffusers, theirs), (calotype, ours)):
        scheduler = getattr(library, name)(**config)
        pipeline = getattr(library, "HeliosPipeline" if kind == "base" else "HeliosPyramidPipeline")
        read = {"tokenizer": tokenizer(), "text_encoder": text_encoder()} if library is calotype else {}
        pipe = pipeline(**{"tokenizer": None, "text_encoder": None} | read, **parts, scheduler=scheduler, **FLAGS[kind])
        pipe.set_progress_bar_config(disable=True)
        made.append(pipe)
    return in_one_piece(made[0]), made[1]


def in_one_piece(theirs: Any) -> Any:
    """The peer's pipeline; its guidance needs a prediction in one piece of memory, and at these sizes it is not."""
    theirs.transformer.register_forward_hook(lambda _, __, made: (made[0].contiguous(),))
    return theirs


CHOLESKY = torch.linalg.cholesky


def robust_cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """The peer factors a singular matrix of 4 x 4 in float32, which may fail; this is the factor in float64."""
    if matrix.shape != (4, 4):
        return CHOLESKY(matrix)
    gamma = min(-float(matrix.flatten()[1]), 1 / 3)  # which float32 rounds up
    return torch.from_numpy(block_factor(gamma)).to(matrix)


def told(films: int = 1) -> dict[str, Any]:
    """States of texts, those to steer away from too."""
    source = torch.Generator().manual_seed(5)
    states = torch.randn(2, films, 12, 16, generator=source)
    return {"prompt_embeds": states[0], "negative_prompt_embeds": states[1]}


def picture(height: int = 50, width: int = 40, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def video(frames: int, seed: int = 0) -> list[Image.Image]:
    return [picture(40, 56, seed + place) for place in range(frames)]
