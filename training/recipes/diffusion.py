"""The UNet that draws latents from captions, with the text encoder it listens to; the finished pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from calotype import StableDiffusionPipeline
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.text_encoders import CLIPTextModel, CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer
from calotype.models.unet import UNet2DConditionModel
from training.captions import Told
from training.lessons import Lesson, Shelf, noises, told_or_not
from training.recipes import clip
from training.recipes.vae import moments
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import scene

NAME = "pocket-sd"
SHARE = 0.36  # of the whole time
SCENES = 20_000  # of which each is told in fresh words every time
PLAN = Plan(steps=60_000, batch=64, learning_rate=2e-3, weight_decay=0.01, averaging=0.999, orthogonal=True)
AGAIN = 0.5  # of the learning rate is enough for weights that know much already
LISTENING = 0.3  # how fast the text encoder goes on learning, beside the UNet
ABOUT = """Stable Diffusion's architecture, small: CLIP tokenizer and text encoder, `AutoencoderKL`,
`UNet2DConditionModel`. It draws one or two coloured shapes on a plain ground, 64 x 64 pixels, and nothing else.
It predicts v; a tenth of the captions was dropped in training, so guidance works. Measured with
all defaults of the pipeline, unless the row says something else; no prompt told a size."""


def make(studio: Studio) -> None:
    """Train the UNet on the latents of the finished autoencoder, and save the whole pipeline."""
    known = studio.known(NAME)
    words = CLIPTokenizer.from_pretrained((known or studio.folder(clip.NAME)) / "tokenizer")
    vae = AutoencoderKL.from_pretrained(known / "vae" if known else studio.folder("vae"))
    vae = vae.to(studio.device).requires_grad_(False)
    rng = studio.rng(2)
    shelf = Shelf(studio, [scene(rng) for _ in range(SCENES)], {"moments": moments(vae)})
    lesson = Lesson(noises(), float(vae.config.scaling_factor))
    if known is None:
        plan, networks = PLAN, nn.ModuleDict({"unet": unet(studio.seed), "text": listener(studio)})
    else:
        plan, networks = replace(PLAN, learning_rate=AGAIN * PLAN.learning_rate), taught(known)

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        states = networks["text"](batch["ids"]).last_hidden_state
        return {"loss": lesson.loss(batch, generator, lambda *noisy: networks["unet"](*noisy, states).sample)}

    def draw(rng: np.random.Generator, size: int) -> Batch:
        return shelf.batch(words, rng, size, told_or_not(Told()))

    made = studio.learn(Task("diffusion", networks, draw, losses, {"text": LISTENING}), plan, SHARE)
    save(studio, words, vae, made)


def save(studio: Studio, words: CLIPTokenizer, vae: AutoencoderKL, networks: nn.ModuleDict) -> None:
    """The pipeline in the ordinary layout, in half precision; what it can do is measured by ``evaluate``."""
    pipe = StableDiffusionPipeline(
        vae=halved(vae),
        text_encoder=halved(networks["text"]),
        tokenizer=words,
        unet=halved(networks["unet"]),
        scheduler=noises(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["stable-diffusion", "text-to-image", "pocket"])


def unet(seed: int) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    network = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(48, 64, 112),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    nn.init.zeros_(network.conv_out.weight)  # a network that begins by saying nothing
    return network


def taught(folder: Path) -> nn.ModuleDict:
    """The networks of a finished pipeline, to learn more."""
    parts = {"unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)}
    return nn.ModuleDict(
        parts | {"text": CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32)}
    )


def listener(studio: Studio) -> CLIPTextModel:
    """The text encoder as the contrast with pictures taught it; what its projection says is not asked here."""
    taught = CLIPTextModelWithProjection.from_pretrained(studio.folder(clip.NAME) / "text_encoder")
    text = CLIPTextModel.from_config(taught.config)
    text.text_model.load_state_dict(taught.text_model.state_dict())
    return text
