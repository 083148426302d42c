"""The same tiny pipeline twice: PyTorch's, and JAX's with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import torch
from PIL import Image

import calotype
from tests.tiny import tiny_stable_diffusion

PROMPTS, UNWANTED = ["hello cat", "and"], ["can't", "hello"]
STEPS = {"strength": 0.8, "num_inference_steps": 5}


class Pair(NamedTuple):
    torch: Any
    flax: Any
    params: dict[str, Any]

    def walking(self, scheduler: Any) -> Pair:
        """The same networks with another scheduler of PyTorch's, and its twin."""
        theirs = type(self.torch)(**self.torch.components | {"scheduler": scheduler}, requires_safety_checker=False)
        theirs.set_progress_bar_config(disable=True)
        twin = getattr(calotype, f"Flax{type(scheduler).__name__}").from_config(scheduler.config)
        ours = type(self.flax)(**self.flax.components | {"scheduler": twin})
        return Pair(theirs, ours, self.params | {"scheduler": twin.create_state()})


def certain(vae: Any) -> Any:
    """The autoencoder, sure of its latents: what is drawn for them makes no difference."""
    with torch.no_grad():
        vae.quant_conv.weight[vae.config.latent_channels :] = 0
        vae.quant_conv.bias[vae.config.latent_channels :] = -40
    return vae


def tiny_pair(folder: Path) -> Pair:
    theirs = tiny_stable_diffusion(calotype.StableDiffusionImg2ImgPipeline)
    certain(theirs.vae)
    theirs.save_pretrained(folder)
    return Pair(theirs, *calotype.FlaxStableDiffusionImg2ImgPipeline.from_pretrained(folder, from_pt=True))


def picture(width: int = 40, height: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def both_noises(seed: int, pixels: Any, batch: int = 2) -> tuple[torch.Generator, Any]:
    """A source of noise for PyTorch, and for JAX what it will draw, after a draw for the latents of one picture."""
    size = (4, pixels.shape[-2] // 2, pixels.shape[-1] // 2)
    source = torch.Generator().manual_seed(seed)
    torch.randn(1, *size, generator=source)
    noise = torch.randn(batch, *size, generator=source)
    return torch.Generator().manual_seed(seed), jnp.asarray(noise.numpy())
