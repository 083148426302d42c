"""The video autoencoder: 64 x 64 films to 8 x 8 latents of 16 numbers, one for each four frames, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calotype.models.wan_vae import AutoencoderKLWan
from calotype.ops.gaussian import DiagonalGaussianDistribution
from training.film_judge import judge, look
from training.films import CHUNK, RADIUS, Film, film, playing, take
from training.studio import Studio, as_pictures, as_pixels, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import SIDE

NAME = "pocket-wan"
SHARE = 0.15  # of the whole time
DEPTH = 16  # numbers for each place
PLAN = Plan(
    steps=20_000,
    batch=8,
    learning_rate=4e-3,
    warmup=50,
    weight_decay=0.0,
    averaging=0.998,
    orthogonal=True,
    bfloat16=True,
)
AGAIN = 0.5  # of the learning rate is enough for weights that know much already
WHOLE, CUT = 0.2, 32  # of the batches are whole frames; pixels along the side of a cut-out
LENGTHS, OFTEN = (1, 5, 9, 17), (0.25, 0.5, 0.2, 0.05)  # frames of a clip; of the batches
CLIP = 5  # frames of the clips of which a batch has as many as the plan says
MEASURED = 30  # chunks
BESIDE = 0.5  # how wide what a block adds is at first
SURE = -5.0  # logarithm of the variance of latents at first: what drowns in noise is not learnt
LATENTS_COST = 6e-3  # of a nat per latent, in units of the mean error of a level in [-1, 1]
ABOUT = """An `AutoencoderKLWan` (8 x 8 x 16 latents for one frame and then for four each), trained on mean absolute and
mean square error and a small cost of latents. `latents_mean` and `latents_std` are measured."""


def make(studio: Studio) -> None:
    """Train the autoencoder, or a known one further, measure how its latents are spread, and save it."""
    known = studio.known(NAME)
    if known is None:
        plan, network = PLAN, autoencoder(studio.seed)
    else:
        plan = replace(PLAN, learning_rate=AGAIN * PLAN.learning_rate)
        network = AutoencoderKLWan.from_pretrained(known, torch_dtype=torch.float32)
    task = Task("wan", nn.ModuleDict({"vae": network}), batch, losses)
    vae = autoencoder_of(studio.learn(task, plan, SHARE))
    mean, deviation = spread(studio, vae)
    vae.register_to_config(latents_mean=mean, latents_std=deviation)
    measured = quality(studio, vae)
    halved(vae).save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, measured, ["pocket"])


def autoencoder(seed: int) -> AutoencoderKLWan:
    torch.manual_seed(seed)
    vae = AutoencoderKLWan(base_dim=16, z_dim=DEPTH, dim_mult=(1, 1, 2, 2), num_res_blocks=1)
    for name, layer in vae.named_modules():
        if isinstance(
            layer, nn.Conv2d | nn.Conv3d
        ):  # as wide after a layer as before it, or nothing is learnt at first
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            layer.weight.data *= BESIDE if name.endswith("conv2") else 1
    nn.init.constant_(vae.get_parameter("quant_conv.bias")[DEPTH:], SURE)
    return vae


def autoencoder_of(networks: nn.ModuleDict) -> AutoencoderKLWan:
    vae = networks["vae"]
    assert isinstance(vae, AutoencoderKLWan)
    return vae


def encoded(vae: AutoencoderKLWan, pixels: Tensor) -> DiagonalGaussianDistribution:
    return vae.encode(pixels, return_dict=False)[0]


def decoded(vae: AutoencoderKLWan, latents: Tensor) -> Tensor:
    return vae.decode(latents, return_dict=False)[0]


def batch(rng: np.random.Generator, size: int) -> Batch:
    """Clips of whole frames now and then; mostly more of cut-outs around things, where all that is hard lies."""
    whole, length = rng.random() < WHOLE, int(rng.choice(LENGTHS, p=OFTEN))
    count = max(1, size * CLIP // length // ((SIDE // CUT) ** 2 if whole else 1))
    clips = [clip(film(rng), rng, length, None if whole else CUT) for _ in range(count)]
    return {"pixels": as_pixels(np.stack(clips))}


def clip(one: Film, rng: np.random.Generator, length: int, side: int | None) -> NDArray[np.uint8]:
    """Some frames of a film; of a square around somewhere on its thing, if ``side`` is told."""
    frames = one.frames(0, length)
    if side is None:
        return frames
    x, y = one.places(0, length)[rng.integers(length)] + rng.uniform(-RADIUS, RADIUS, 2)
    rows, columns = ((int(middle) - side // 2 + np.arange(side)) % SIDE for middle in (y, x))
    return frames[:, rows[:, None], columns]


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How far clips come back from what they were, and what their latents cost."""
    vae, pixels = autoencoder_of(networks), batch["pixels"]
    latents = encoded(vae, pixels)
    back = decoded(vae, latents.sample(generator)).float()
    absolute, square = F.l1_loss(back, pixels), F.mse_loss(back, pixels)
    cost = latents.kl().sum() / latents.mean.numel()
    return {"loss": absolute + square + LATENTS_COST * cost, "absolute": absolute, "square": square, "nats": cost}


@torch.no_grad()
def spread(studio: Studio, vae: AutoencoderKLWan) -> tuple[list[float], list[float]]:
    """Mean and deviation of each of the numbers of latents."""
    rng, chance = studio.rng(8), torch.Generator(studio.device).manual_seed(studio.seed)
    films = [as_pixels(film(rng).frames(0)[None]).to(studio.device) for _ in range(MEASURED)]
    latents = torch.cat([encoded(vae, pixels).sample(chance) for pixels in films]).transpose(0, 1).flatten(1)
    return [[round(float(number), 4) for number in each] for each in (latents.mean(1), latents.std(1))]  # type: ignore[return-value]


@torch.no_grad()
def quality(studio: Studio, vae: AutoencoderKLWan) -> dict[str, float | str]:
    """How near films never seen come back."""
    rng = studio.rng(9)
    right, errors, verdicts = list[bool](), list[float](), list[bool]()
    for _ in range(MEASURED):
        one = playing([take(rng, unseen=True)], rng)
        told, frames = one.chunks[0], one.frames(0)
        pixels = as_pixels(frames[None]).to(studio.device)
        back = decoded(vae, encoded(vae, pixels).mode())
        errors.append(float(F.mse_loss(back, pixels)))
        shown = as_pictures(back)[0]
        verdicts.append(judge(shown, told).all)
        for row in range(0, CHUNK, 4):
            ground, thing = look(shown[row])
            right.append((ground, thing.shape, thing.colour) == (told.ground, told.shape, told.colour))
    return {
        "signal to noise of the way there and back, dB": float(10 * np.log10(4 / np.mean(errors))),
        "frames in which the judge still finds all": float(np.mean(right)),
        "films in which it does, with the way": float(np.mean(verdicts)),
    }
