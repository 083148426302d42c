"""How long do latents take to become a picture?"""

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
        vaes = {
            side: library(side).AutoencoderKL.from_pretrained(place.folder, subfolder="vae", torch_dtype=dtype)
            for side in LIBRARIES
        }
        latents = torch.randn(1, 4, place.latents, place.latents, generator=torch.manual_seed(0)).to(dtype)
        work = {side: partial(_picture, vae, latents) for side, vae in vaes.items()}
        yield race(f"VAE decode, {place.picture} pixels, {str(dtype)[6:]}", work, rounds=3)


def _picture(vae: Any, latents: Tensor) -> Tensor:
    return vae.decode(latents).sample
