"""Latents become pixels."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch

from calotype.generation.checks import check_finite

logger = logging.getLogger("calotype.generation.decoding")


def decoded(vae: Any, latents: torch.Tensor, generator: Any = None) -> torch.Tensor:
    """Pixels in [-1, 1]; what overflows in half precision is decoded again in full, and refused if it still does."""
    pixels = vae.decode(latents, return_dict=False, generator=generator)[0]
    if not torch.isfinite(pixels).all() and vae.dtype in (torch.float16, torch.bfloat16):
        logger.warning("the VAE overflowed in %s: decoding again in float32", vae.dtype)
        # a copy: others may be decoding with this VAE now
        pixels = copy.deepcopy(vae).float().decode(latents.float(), return_dict=False, generator=generator)[0]
    check_finite("decoded picture", pixels)
    return pixels
