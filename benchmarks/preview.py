"""What does it cost to look at a preview of each step? Asked of the smallest model, whose steps are the shortest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.question import Goal, Place, Question
from calotype import AutoencoderKL, UNet2DConditionModel
from calotype.generation.previews import Estimate

TIMES = 20  # in a row


@torch.no_grad()
def questions(place: Place) -> Iterator[Question]:
    unet = UNet2DConditionModel.from_pretrained("pocket-sd", subfolder="unet")
    vae = AutoencoderKL.from_pretrained("pocket-sd", subfolder="vae")
    sample, states = torch.randn(2, 4, 16, 16), torch.randn(2, 32, unet.config.cross_attention_dim)
    sides = {
        "ours": lambda: taken(lambda: Estimate(vae, sample[:1]).pictures),
        "a step": lambda: taken(lambda: unet(sample, 500, states)),
    }
    yield Question("a preview, beside a step of pocket-sd", "s", sides, Goal(0.03))


@torch.no_grad()
def taken(work: Callable[[], object]) -> float:
    """Seconds of one of several in a row."""
    began = time.perf_counter()
    for _ in range(TIMES):
        work()
    return (time.perf_counter() - began) / TIMES
