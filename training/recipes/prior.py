"""Kandinsky's prior: from what CLIP reads in a caption to what CLIP sees in its picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype import KandinskyV22PriorPipeline
from calotype.models.prior_transformer import PriorTransformer
from calotype.schedulers import UnCLIPScheduler
from training.lessons import Shelf, told_or_not
from training.recipes import clip
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import scene

NAME = "pocket-kandinsky-prior"
SHARE = 0.03  # of the whole time
SCENES = 20_000
USUAL = {"guidance_scale": 1.0}  # what calls mean that do not say
PLAN = Plan(steps=40_000, batch=128, learning_rate=1e-3, averaging=0.999, orthogonal=True)
ABOUT = """The prior of Kandinsky 2.2, small: from a caption to the embedding of a picture, by diffusion."""


def make(studio: Studio) -> None:
    """Train the transformer on embeddings that the finished towers make, and save the prior pipeline."""
    towers = clip.Towers(studio)
    rng = studio.rng(6)
    shelf = Shelf(studio, [scene(rng) for _ in range(SCENES)], {"embeds": towers.seen})
    scheduler = UnCLIPScheduler(prediction_type="sample", clip_sample_range=10.0)
    prior = transformer(studio.seed, towers.text.config, shelf.rows["embeds"])
    steps: int = scheduler.config.num_train_timesteps

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        mean, std = prior.clip_mean.to(studio.device), prior.clip_std.to(studio.device)
        embeds = (batch["embeds"] - mean) / std
        with torch.no_grad():
            read = towers.text(batch["ids"])
        chosen = torch.randint(steps, (len(embeds),), generator=generator, device=embeds.device)
        noise = torch.randn(embeds.shape, generator=generator, device=embeds.device)
        told: Tensor = networks["prior"](
            scheduler.add_noise(embeds, noise, chosen),
            chosen,
            proj_embedding=read.text_embeds,
            encoder_hidden_states=read.last_hidden_state,
            attention_mask=towers.told(batch["ids"]),
            return_dict=False,
        )[0]
        return {"loss": F.mse_loss(told.float(), embeds)}

    def draw(rng: np.random.Generator, size: int) -> Batch:
        return shelf.batch(towers.words, rng, size, told_or_not(clip.TOLD))

    made = studio.learn(Task("prior", nn.ModuleDict({"prior": prior}), draw, losses), PLAN, SHARE)
    pipe = KandinskyV22PriorPipeline(
        prior=halved(made["prior"]),
        image_encoder=halved(towers.image),
        text_encoder=halved(towers.text),
        tokenizer=towers.words,
        scheduler=scheduler,
        image_processor=towers.processor,
    )
    pipe.register_to_config(_usual_arguments=USUAL)
    pipe.save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["kandinsky", "pocket"])


def transformer(seed: int, text: Any, embeds: Tensor) -> PriorTransformer:
    """A prior that knows how embeddings of pictures are distributed."""
    torch.manual_seed(seed)
    prior = PriorTransformer(
        num_attention_heads=4,
        attention_head_dim=32,
        num_layers=3,
        embedding_dim=text.projection_dim,
        num_embeddings=text.max_position_embeddings,
    )
    prior.clip_mean.data, prior.clip_std.data = embeds.mean(0, keepdim=True), embeds.std(0, keepdim=True)
    return prior
