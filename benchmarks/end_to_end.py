"""How long does a whole call take, from a prompt to pixels?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.question import LIBRARIES, Place, Question, library
from benchmarks.side_by_side import race

STEPS = 2


def questions(place: Place) -> Iterator[Question]:
    pipes = {
        side: library(side).StableDiffusionPipeline.from_pretrained(place.folder, safety_checker=None)
        for side in LIBRARIES
    }
    for pipe in pipes.values():
        pipe.set_progress_bar_config(disable=True)
    work = {side: partial(_picture, pipe, place) for side, pipe in pipes.items()}
    yield race(f"a call of {STEPS} steps, {place.picture} pixels, float32", work, rounds=3)


def _picture(pipe: Any, place: Place) -> Tensor:
    sizes = {"height": place.picture, "width": place.picture}
    generator = torch.manual_seed(0)
    return pipe("cat", num_inference_steps=STEPS, generator=generator, output_type="pt", **sizes).images
