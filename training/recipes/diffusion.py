"""The UNet that draws latents from captions, with the text encoder it listens to; the finished pipeline."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype import StableDiffusionPipeline
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.text_encoders import CLIPTextModel, CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer
from calotype.models.unet import UNet2DConditionModel
from calotype.schedulers import DDIMScheduler
from training.captions import caption
from training.recipes.clip import read
from training.recipes.vae import encoded
from training.studio import Studio, as_pixels, halved, log, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import draw, scene

SHARE = 0.6  # of the whole time
SCENES = 20_000  # whose latents are reckoned once: the encoder costs more than a step; captions are fresh each time
UNTOLD = 0.1  # of the captions are dropped, so that guidance has something to compare with
PLAN = Plan(steps=60_000, batch=32, learning_rate=1e-3, weight_decay=0.01, averaging=0.999)
LISTENING = 0.3  # how fast the text encoder goes on learning, beside the UNet
ABOUT = """Stable Diffusion's architecture, small: CLIP tokenizer and text encoder, `AutoencoderKL`,
`UNet2DConditionModel`. It draws one or two coloured shapes on a plain ground, 64 x 64 pixels, and nothing else.
It predicts v; a tenth of the captions was dropped in training, so guidance and negative prompts work."""


class Shelf:
    """Scenes, and the distributions of their latents."""

    def __init__(self, studio: Studio, vae: AutoencoderKL) -> None:
        rng = studio.rng(2)
        self.scenes = [scene(rng) for _ in range(SCENES)]
        parts = list[Tensor]()
        with torch.no_grad():
            for first in range(0, SCENES, 200):
                pixels = as_pixels(draw(self.scenes[first : first + 200])).to(studio.device)
                parts.append(encoded(vae, pixels).parameters.cpu())
        self.moments = torch.cat(parts)
        log.info("diffusion: %d scenes encoded", SCENES)

    def batch(self, words: CLIPTokenizer, rng: np.random.Generator, size: int) -> Batch:
        """Some of the scenes, told in fresh words or not at all."""
        rows = rng.integers(len(self.scenes), size=size)
        texts = ["" if rng.random() < UNTOLD else caption(self.scenes[row], rng) for row in rows]
        return {"moments": self.moments[torch.from_numpy(rows)], "ids": read(words, texts)}


def make(studio: Studio) -> None:
    """Train the UNet on the latents of the finished autoencoder, and save the whole pipeline."""
    words = CLIPTokenizer.from_pretrained(studio.folder("clip") / "tokenizer")
    vae = AutoencoderKL.from_pretrained(studio.folder("vae")).to(studio.device).requires_grad_(False)
    shelf, scheduler, scale = Shelf(studio, vae), noises(), float(vae.config.scaling_factor)
    networks = nn.ModuleDict({"unet": unet(studio.seed), "text": listener(studio)})

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        """How far the predicted velocity is from the true one, at timesteps drawn evenly."""
        mean, spread = batch["moments"].chunk(2, dim=1)
        chosen = torch.randint(
            scheduler.config.num_train_timesteps, mean.shape[:1], generator=generator, device=mean.device
        )
        fresh, noise = (torch.randn(mean.shape, generator=generator, device=mean.device) for _ in range(2))
        latents = (mean + (spread / 2).exp() * fresh) * scale
        states = networks["text"](batch["ids"]).last_hidden_state
        told = networks["unet"](scheduler.add_noise(latents, noise, chosen), chosen, states).sample
        return {"loss": F.mse_loss(told.float(), scheduler.get_velocity(latents, noise, chosen))}

    task = Task("diffusion", networks, lambda rng, size: shelf.batch(words, rng, size), losses, {"text": LISTENING})
    made = studio.learn(task, PLAN, SHARE)
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
    pipe.save_pretrained(studio.folder("pocket-sd"))
    write_card(studio.folder("pocket-sd"), "pocket-sd", ABOUT, {}, ["stable-diffusion", "text-to-image", "pocket"])


def noises() -> DDIMScheduler:
    """Stable Diffusion's noises; the network predicts v."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
    )


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


def listener(studio: Studio) -> CLIPTextModel:
    """The text encoder as the contrast with pictures taught it; what its projection says is not asked here."""
    taught = CLIPTextModelWithProjection.from_pretrained(studio.folder("clip") / "text_encoder")
    text = CLIPTextModel.from_config(taught.config)
    text.text_model.load_state_dict(taught.text_model.state_dict())
    return text
