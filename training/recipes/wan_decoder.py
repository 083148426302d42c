"""The way back from latents that no longer change, learnt further: what draws films needs the latents as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from calotype.models.wan_vae import AutoencoderKLWan
from training.recipes import wan
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Task

SHARE = 0.3  # of the whole time
PLAN = replace(wan.PLAN, learning_rate=wan.AGAIN * wan.PLAN.learning_rate)
ASTRAY = 0.1  # of a latent's deviation: latents that are drawn are never quite those of a film


def make(studio: Studio) -> None:
    """Train the decoder alone, and save the autoencoder anew."""
    folder = studio.folder(wan.NAME)
    vae = AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.float32).to(studio.device)
    vae.requires_grad_(False)
    learning = nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv}).requires_grad_(True)
    deviation = torch.tensor(vae.config.latents_std, device=studio.device).view(-1, 1, 1, 1)

    def losses(_: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        """How far clips come back from latents near their own."""
        pixels = batch["pixels"]
        with torch.no_grad():
            latents = wan.encoded(vae, pixels).mode()
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        back = wan.decoded(vae, latents + ASTRAY * deviation * noise).float()
        absolute, square = F.l1_loss(back, pixels), F.mse_loss(back, pixels)
        return {"loss": absolute + square, "absolute": absolute, "square": square}

    learnt = studio.learn(Task("wan_decoder", learning, wan.batch, losses), PLAN, SHARE)
    for name, network in learnt.items():
        vae.get_submodule(name).load_state_dict(network.state_dict())
    measured = wan.quality(studio, vae)
    halved(vae).save_pretrained(folder)
    write_card(folder, wan.NAME, wan.ABOUT, measured, ["pocket"])
