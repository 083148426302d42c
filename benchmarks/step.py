"""How long does the UNet take for one step with guidance?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.question import LIBRARIES, Place, Question, library
from benchmarks.side_by_side import race


def questions(place: Place) -> Iterator[Question]:
    for dtype in (torch.float32, torch.bfloat16):
        unets = {
            side: library(side).UNet2DConditionModel.from_pretrained(place.folder, subfolder="unet", torch_dtype=dtype)
            for side in LIBRARIES
        }
        width = unets["ours"].config.cross_attention_dim
        sample = torch.randn(2, 4, place.latents, place.latents, generator=torch.manual_seed(0)).to(dtype)
        states = torch.randn(2, 77, width, generator=torch.manual_seed(1)).to(dtype)
        work = {side: partial(_step, unet, sample, states) for side, unet in unets.items()}
        yield race(f"UNet step, batch 2, {place.picture} pixels, {str(dtype)[6:]}", work, rounds=5)


def _step(unet: Any, sample: Tensor, states: Tensor) -> Tensor:
    return unet(sample, 500, states).sample
