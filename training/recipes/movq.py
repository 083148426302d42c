"""Kandinsky's autoencoder: its decoder is told the latents again at every norm, and a codebook may round them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.vq_model import VQModel
from training.recipes.vae import DEPTH, LATENTS_COST, batch, quality
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import SIDE

SHARE = 0.06  # of the whole time
SIZES: dict[str, Any] = {"block_out_channels": (32, 32, 32), "layers_per_block": 1, "norm_num_groups": 8}
CODES: dict[str, Any] = {"latent_channels": 4, "vq_embed_dim": 4, "num_vq_embeddings": 512}
PLAN = Plan(steps=20_000, batch=4, learning_rate=1.5e-3, weight_decay=0.0, averaging=0.998)
BLUR = 0.05  # of noise on latents, which the decoder has to bear
ROUNDED = 0.25  # of the pictures come back from the codebook's latents
ABOUT = """A `VQModel` with spatial norms (MoVQ): 16 x 16 x 4 latents of 64 x 64 pictures, as wide as noise. Pipelines
decode latents as they are; a quarter of the pictures in training came from the nearest codes."""


def make(studio: Studio) -> None:
    """Train the autoencoder and save it."""
    task = Task("movq", nn.ModuleDict({"movq": autoencoder(studio.seed)}), batch, losses)
    movq = studio.learn(task, PLAN, SHARE)["movq"]
    measured = quality(studio, lambda pixels: latents_of(movq, pixels), lambda latents: decoded(movq, latents))
    halved(movq).save_pretrained(studio.folder("movq"))
    write_card(studio.folder("movq"), "pocket-movq", ABOUT, measured, ["pocket"])


def autoencoder(seed: int) -> VQModel:
    torch.manual_seed(seed)
    down, up = ("DownEncoderBlock2D",) * DEPTH, ("UpDecoderBlock2D",) * DEPTH
    movq = VQModel(down_block_types=down, up_block_types=up, norm_type="spatial", sample_size=SIDE, **SIZES, **CODES)
    nn.init.normal_(movq.get_parameter("quantize.embedding.weight"))
    return movq


def latents_of(movq: Any, pixels: Tensor) -> Tensor:
    return movq.encode(pixels, return_dict=False)[0]


def decoded(movq: Any, latents: Tensor) -> Tensor:
    return movq.decode(latents, force_not_quantize=True, return_dict=False)[0]


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How far pictures come back from what they were, how unlike noise latents are, and how far codes from latents."""
    movq, pixels = networks["movq"], batch["pixels"]
    latents = latents_of(movq, pixels)
    codes = nearest(movq.get_parameter("quantize.embedding.weight"), latents)
    noise = torch.randn(latents.shape, generator=generator, device=latents.device)
    chances = torch.rand(len(latents), 1, 1, 1, generator=generator, device=latents.device)
    shown = latents + torch.where(chances < ROUNDED, (codes - latents).detach(), BLUR * noise)
    back = decoded(movq, shown).float()
    absolute, square = F.l1_loss(back, pixels), F.mse_loss(back, pixels)
    wide = latents.mean().square() + (latents.square().mean() - 1).square()
    apart = F.mse_loss(codes, latents.detach())
    loss = absolute + square + 0.01 * wide + apart + LATENTS_COST * latents.square().mean()
    return {"loss": loss, "absolute": absolute, "square": square, "wide": wide, "apart": apart}


def nearest(codebook: Tensor, latents: Tensor) -> Tensor:
    """The code nearest to each latent."""
    rows = latents.detach().permute(0, 2, 3, 1)
    chosen = torch.cdist(rows.flatten(0, 2), codebook.detach()).argmin(-1)
    return codebook[chosen].view(rows.shape).permute(0, 3, 1, 2)
