"""The autoencoder: 64 x 64 pictures to 16 x 16 latents of 4 numbers, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.ops.gaussian import DiagonalGaussianDistribution
from training.judge import judge
from training.studio import Studio, as_pictures, as_pixels, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import SIDE, Scene, draw, scene

Coder = Callable[[Tensor], Tensor]

SHARE = 0.1  # of the whole time
DEPTH = 3  # levels: each but the first halves the side
SIZES: dict[str, Any] = {"block_out_channels": (16, 24, 48), "layers_per_block": 1, "norm_num_groups": 8}
PLAN = Plan(steps=20_000, batch=4, learning_rate=1.5e-3, weight_decay=0.0, clip=1.0, averaging=0.998)
WHOLE, CUT = 0.25, 32  # of the batches are whole pictures; pixels along the side of a cut-out
MEASURED = 300  # pictures
WIDTH = "standard deviation of latents"
LATENTS_COST = 3e-4  # of a nat per latent, in units of the mean error of a level in [-1, 1]
ABOUT = """An `AutoencoderKL` (16 x 16 x 4 latents of 64 x 64 pictures), trained on mean absolute and mean square error
and a small cost of latents. `scaling_factor` is one over the measured standard deviation of the latents."""


def make(studio: Studio) -> None:
    """Train the autoencoder, measure how wide its latents are, and save it."""
    task = Task("vae", nn.ModuleDict({"vae": autoencoder(studio.seed)}), batch, losses)
    vae = autoencoder_of(studio.learn(task, PLAN, SHARE))
    chance = torch.Generator(studio.device).manual_seed(studio.seed)
    measured = quality(
        studio, lambda pixels: encoded(vae, pixels).sample(chance), lambda latents: decoded(vae, latents)
    )
    scale = round(1 / float(measured[WIDTH]), 5)
    vae.register_to_config(scaling_factor=scale, latent_rgb=colours(studio, vae, scale))
    halved(vae).save_pretrained(studio.folder("vae"))
    write_card(studio.folder("vae"), "pocket-vae", ABOUT, measured, ["pocket"])


def autoencoder(seed: int) -> AutoencoderKL:
    torch.manual_seed(seed)
    down, up = ("DownEncoderBlock2D",) * DEPTH, ("UpDecoderBlock2D",) * DEPTH
    return AutoencoderKL(down_block_types=down, up_block_types=up, sample_size=SIDE, force_upcast=False, **SIZES)


def autoencoder_of(networks: nn.ModuleDict) -> AutoencoderKL:
    vae = networks["vae"]
    assert isinstance(vae, AutoencoderKL)
    return vae


def encoded(vae: AutoencoderKL, pixels: Tensor) -> DiagonalGaussianDistribution:
    return vae.encode(pixels, return_dict=False)[0]


def moments(vae: AutoencoderKL) -> Coder:
    """From pixels to the numbers that say how their latents are distributed."""
    return lambda pixels: encoded(vae, pixels).parameters


def decoded(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    return vae.decode(latents, return_dict=False)[0]


def batch(rng: np.random.Generator, size: int) -> Batch:
    """Whole pictures now and then; mostly four times as many cut-outs around things, where all that is hard lies."""
    if rng.random() < WHOLE:
        return {"pixels": as_pixels(draw([scene(rng) for _ in range(size)]))}
    scenes = [scene(rng) for _ in range((SIDE // CUT) ** 2 * size)]
    cuts = [cut(picture, one, rng) for picture, one in zip(draw(scenes), scenes, strict=True)]
    return {"pixels": as_pixels(np.stack(cuts))}


def cut(picture: NDArray[np.uint8], one: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    thing = one.things[rng.integers(len(one.things))]
    middles = np.array([thing.y, thing.x]) + rng.uniform(-thing.radius, thing.radius, 2)
    top, left = np.clip(middles - CUT / 2, 0, SIDE - CUT).astype(int)
    return picture[top : top + CUT, left : left + CUT]


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How far pictures come back from what they were, and what their latents cost."""
    vae, pixels = autoencoder_of(networks), batch["pixels"]
    latents = encoded(vae, pixels)
    back = decoded(vae, latents.sample(generator)).float()
    absolute, square = F.l1_loss(back, pixels), F.mse_loss(back, pixels)
    cost = latents.kl().mean() / latents.mean[0].numel()
    return {"loss": absolute + square + LATENTS_COST * cost, "absolute": absolute, "square": square, "nats": cost}


@torch.no_grad()
def colours(studio: Studio, vae: AutoencoderKL, scale: float) -> list[list[float]]:
    """The straight line from scaled latents to colours that fits best: what previews are painted with."""
    rng = studio.rng(4)
    pixels = as_pixels(draw([scene(rng) for _ in range(MEASURED)])).to(studio.device)
    latents = encoded(vae, pixels).mode() * scale
    seen = F.adaptive_avg_pool2d(pixels, latents.shape[-1])
    rows, levels = (tensor.permute(0, 2, 3, 1).flatten(0, 2).double().cpu() for tensor in (latents, seen))
    line = torch.linalg.lstsq(torch.cat([rows, torch.ones(len(rows), 1)], dim=1), levels).solution
    return [[round(float(number), 4) for number in row] for row in line]


@torch.no_grad()
def quality(studio: Studio, encode: Coder, decode: Coder) -> dict[str, float | str]:
    """How near pictures never seen come back, and how wide their latents are."""
    rng = studio.rng(1)
    scenes = [scene(rng, unseen=bool(place % 2)) for place in range(MEASURED)]
    pixels = as_pixels(draw(scenes)).to(studio.device)
    latents = encode(pixels)
    back = decode(latents)
    verdicts = [judge(picture, one) for picture, one in zip(as_pictures(back), scenes, strict=True)]
    error: Tensor = F.mse_loss(back.clamp(-1, 1), pixels)
    return {
        "signal to noise of the way there and back, dB": float(10 * torch.log10(4 / error)),
        "pictures in which the judge still finds all": sum(v.bound and v.ground for v in verdicts) / MEASURED,
        WIDTH: float(latents.std()),
    }
