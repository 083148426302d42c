"""Pairs of pipelines: the peer's, tiny and random, and ours, loaded from what the peer saved."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

import calotype
from tests.tiny import tiny_tokenizer_folder

TOKENS = 77


def peer_unet(in_channels: int = 4, **changes):
    torch.manual_seed(0)
    config = dict(
        sample_size=16,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=8,
        attention_head_dim=4,
    )
    return diffusers.UNet2DConditionModel(**{**config, **changes}).eval()


def peer_vae():
    torch.manual_seed(1)
    config = dict(block_out_channels=(16, 32), latent_channels=4, norm_num_groups=8, sample_size=32)
    blocks = dict(down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    return diffusers.AutoencoderKL(**config, **blocks).eval()


def peer_text_encoder(vocabulary: int):
    torch.manual_seed(2)
    return transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
        )
    ).eval()


def save_peer(folder: Path, kind: str = "StableDiffusionPipeline", **unet) -> Path:
    """Save a tiny random Stable Diffusion as the peer does."""
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(folder / "vocabulary"))
    pipe = getattr(diffusers, kind)(
        vae=peer_vae(),
        text_encoder=peer_text_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        unet=peer_unet(**unet),
        scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder / "saved")
    return folder / "saved"


def pair(folder: Path, kind: str):
    """The peer's pipeline of this class from a folder, and ours."""
    pipes = [getattr(library, kind).from_pretrained(folder) for library in (diffusers, calotype)]
    for pipe in pipes:
        pipe.set_progress_bar_config(disable=True)
    return pipes


read_pair = cache(pair)


def lent_pair(folder: Path, kind: str):
    """The pair of a folder, read once and lent to tests that change nothing but the scheduler, which is new."""
    pipes = read_pair(folder, kind)
    for pipe, library in zip(pipes, (diffusers, calotype), strict=True):
        pipe.scheduler = library.DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
    return pipes


def with_scheduler(pipes, name: str, **options):
    """The same scheduler on both, made from the config they were saved with."""
    for pipe, library in zip(pipes, (diffusers, calotype), strict=True):
        pipe.scheduler = getattr(library, name).from_config(pipe.scheduler.config, **options)
    return pipes


@cache
def picture(seed: int = 0, size: tuple[int, int] = (32, 32)) -> Image.Image:
    values = np.random.default_rng(seed).random((size[1] // 8, size[0] // 8, 3))
    return Image.fromarray((values * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


@cache
def mask(size: tuple[int, int] = (32, 32)) -> Image.Image:
    drawn = np.zeros((size[1], size[0]), dtype=np.uint8)
    drawn[size[1] // 4 : size[1] // 2, size[0] // 4 :] = 255
    return Image.fromarray(drawn)
