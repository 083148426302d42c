"""Kandinsky's decoder: it draws what CLIP would see so, from noise and an embedding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from calotype import KandinskyV22Pipeline
from calotype.models.unet import UNet2DConditionModel
from calotype.models.vq_model import VQModel
from calotype.schedulers import DDPMScheduler
from training.lessons import Lesson, Shelf
from training.recipes import clip, prior
from training.recipes.movq import latents_of
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import scene

NAME = "pocket-kandinsky"
SHARE = 0.19  # of the whole time
SCENES = 20_000
UNSEEN = 0.1  # of the embeddings are those of nothing, so that guidance has something to compare with
# what calls mean that do not say
USUAL = {"guidance_scale": 2.0, "num_inference_steps": 25, "prior_guidance_scale": 1.0}
CERTAIN = -60.0  # the logarithm of a variance that is none
PLAN = Plan(steps=60_000, batch=64, learning_rate=2e-3, weight_decay=0.01, averaging=0.999, orthogonal=True)
ABOUT = """Kandinsky 2.2's decoder, small. Its prior is `pocket-kandinsky-prior`. It predicts v; the second half of its
output, a learned variance in the large models, is not trained, and the scheduler does not ask for it."""


def make(studio: Studio) -> None:
    """Train the UNet on what the finished image tower sees, and save the decoder pipeline."""
    towers = clip.Towers(studio)
    movq = VQModel.from_pretrained(studio.folder("movq")).to(studio.device).requires_grad_(False)
    rng = studio.rng(7)

    def moments(pixels: Tensor) -> Tensor:
        latents = latents_of(movq, pixels)
        return torch.cat([latents, torch.full_like(latents, CERTAIN)], dim=1)

    shelf = Shelf(studio, [scene(rng) for _ in range(SCENES)], {"moments": moments, "embeds": towers.seen})
    scheduler, nothing = noises(), towers.nothing()
    lesson = Lesson(scheduler, 1.0)

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        chances = torch.rand(len(batch["embeds"]), 1, generator=generator, device=nothing.device)
        embeds = {"image_embeds": torch.where(chances < UNSEEN, nothing, batch["embeds"])}

        def drawn(noisy: Tensor, steps: Tensor) -> Tensor:
            return networks["unet"](noisy, steps, None, added_cond_kwargs=embeds).sample.chunk(2, dim=1)[0]

        return {"loss": lesson.loss(batch, generator, drawn)}

    def draw(rng: np.random.Generator, size: int) -> Batch:
        return shelf.batch(towers.words, rng, size, lambda *_: "")

    made = studio.learn(Task("kandinsky", nn.ModuleDict({"unet": unet(studio.seed)}), draw, losses), PLAN, SHARE)
    pipe = KandinskyV22Pipeline(unet=halved(made["unet"]), scheduler=scheduler, movq=halved(movq))
    pipe.register_to_config(_usual_arguments=USUAL)
    pipe.save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["kandinsky", "text-to-image", "pocket"], prior=prior.NAME)


def noises() -> DDPMScheduler:
    """Kandinsky's noises; the network predicts v."""
    return DDPMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False, prediction_type="v_prediction")


def unet(seed: int) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    network = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(48, 64, 80),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=64,
        attention_head_dim=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="image",
        encoder_hid_dim_type="image_proj",
        encoder_hid_dim=128,
    )
    nn.init.zeros_(network.conv_out.weight)  # a network that begins by saying nothing
    return network
