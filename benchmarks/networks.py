"""The folders that both sides load: Stable Diffusion 1.5 at its true size, and a tiny one."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from calotype import (
    AutoencoderKL,
    CLIPTextModel,
    CLIPTokenizer,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from tests.tiny import END, START, byte_letters, tiny_stable_diffusion, tiny_tokenizer_folder

TOKENS = 49408

VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
TEXT: dict[str, Any] = {
    "vocab_size": TOKENS,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "bos_token_id": TOKENS - 2,
    "eos_token_id": TOKENS - 1,
}
SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def true_size() -> Path:
    """The folder of a random SD 1.5 in fp32 (4.3 GB); made once and kept among the system's temporary files."""
    folder = Path(tempfile.gettempdir()) / "calotype-benchmarks" / "sd15"
    if not (folder / "model_index.json").exists():
        torch.manual_seed(0)
        vocabulary = _tokenizer(folder.with_name("vocabulary"))
        StableDiffusionPipeline(
            vae=AutoencoderKL(**VAE),
            text_encoder=CLIPTextModel(**TEXT),
            tokenizer=CLIPTokenizer.from_pretrained(vocabulary),
            unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
            scheduler=PNDMScheduler(**SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(folder)
    return folder


def tiny(folder: Path) -> Path:
    """The folder of a pipeline that takes no time, within this one."""
    pipe = tiny_stable_diffusion(StableDiffusionPipeline)
    pipe.save_pretrained(folder / "tiny")
    return folder / "tiny"


def _tokenizer(folder: Path) -> Path:
    """A tokenizer of CLIP's size: every byte, then as many pairs of letters as there are words in CLIP's."""
    tiny_tokenizer_folder(folder)
    letters = byte_letters()
    ends = [letter + "</w>" for letter in letters]
    pairs = list(itertools.islice(itertools.product(letters, ends), TOKENS - len(letters) - len(ends) - 2))
    tokens = [*letters, *ends, *map("".join, pairs), START, END]
    (folder / "vocab.json").write_text(json.dumps({token: id for id, token in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, pairs), ""]), encoding="utf-8")
    return folder
