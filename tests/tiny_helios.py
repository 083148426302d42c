"""Helios in small: its parts fit together, and the same seed makes the same ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from calotype.models.helios_transformer import HeliosTransformer3DModel
from calotype.models.t5_tokenizer import T5TokenizerFast
from calotype.models.umt5 import UMT5EncoderModel
from calotype.models.wan_vae import AutoencoderKLWan
from calotype.pipelines.helios.base import HeliosPipeline
from calotype.pipelines.helios.pyramid import HeliosPyramidPipeline
from calotype.schedulers import HeliosDMDScheduler, HeliosScheduler, SchedulerMixin
from tests.tiny import PIECES

TRANSFORMER: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 16,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 2,
    "rope_dim": (4, 4, 4),
}


def transformer(seed: int = 0, **config: Any) -> HeliosTransformer3DModel:
    """A transformer with something in every weight."""
    torch.manual_seed(seed)
    network = HeliosTransformer3DModel(**TRANSFORMER | config)
    for name, weight in network.named_parameters():
        if "norm" in name or "scale" in name:
            nn.init.normal_(weight, 1.0 if name.endswith("weight") else 0.0, 0.3)
    return network.eval()


def helios_inputs(
    batch: int = 1, size: tuple[int, int] = (6, 10), past: tuple[int, int] = (12, 20), seed: int = 1
) -> dict[str, torch.Tensor]:
    """What the transformer is told in the middle of a film: nine noisy frames, and twenty before them."""
    draw = torch.Generator().manual_seed(seed)
    frames, frame = torch.arange(29)[None], {"short": [0, 19], "mid": [17, 18], "long": [*range(1, 17)]}
    told = {
        "hidden_states": torch.randn(batch, 4, 9, *size, generator=draw),
        "timestep": torch.full((batch,), 500),
        "encoder_hidden_states": torch.randn(batch, 7, 16, generator=draw),
        "indices_hidden_states": frames[:, 20:],
    }
    for distance, which in frame.items():
        told[f"latents_history_{distance}"] = torch.randn(batch, 4, len(which), *past, generator=draw)
        told[f"indices_latents_history_{distance}"] = frames[:, which]
    return told


VAE: dict[str, Any] = {
    "base_dim": 4,
    "z_dim": 4,
    "num_res_blocks": 1,
    "latents_mean": (-0.2, 0.1, 0.3, -0.1),
    "latents_std": (1.1, 0.9, 1.3, 0.8),
}


def vae(seed: int = 0, **config: Any) -> AutoencoderKLWan:
    """A video autoencoder of latents with four channels."""
    torch.manual_seed(seed)
    network = AutoencoderKLWan(**VAE | config)
    for name, weight in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.uniform_(weight, 0.5, 1.5)
    return network.eval()


VOCAB = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *PIECES[3:]]


def tokenizer(**settings: Any) -> T5TokenizerFast:
    """A tokenizer of a few pieces in three languages, and two extra tokens."""
    told: dict[str, Any] = {"model_max_length": 512, "extra_ids": 2} | settings
    return T5TokenizerFast(VOCAB, **told)


UMT5: dict[str, Any] = {
    "vocab_size": len(VOCAB) + 2,
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 3,
}


def text_encoder(seed: int = 0, **config: Any) -> UMT5EncoderModel:
    """A text encoder that reads what the tokenizer writes, with something in every weight."""
    torch.manual_seed(seed)
    network = UMT5EncoderModel(**UMT5 | config)
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            nn.init.uniform_(weight, 0.5, 1.5)
    return network.eval()


def schedulers() -> dict[str, SchedulerMixin]:
    """The schedulers of the three checkpoints, by the name of each."""
    return {
        "base": HeliosScheduler(stages=1, stage_range=[0, 1], use_dynamic_shifting=True),
        "mid": HeliosScheduler(use_dynamic_shifting=True),
        "distilled": HeliosDMDScheduler(use_dynamic_shifting=True, time_shift_type="linear"),
    }


def pipeline(kind: str = "base", **changes: Any) -> HeliosPipeline | HeliosPyramidPipeline:
    """A pipeline of "base", "mid" or "distilled"; components and flags by name take the place of the usual ones."""
    flags: dict[str, Any] = {"is_cfg_zero_star": kind == "mid", "is_distilled": kind == "distilled"}
    parts: dict[str, Any] = {
        "tokenizer": tokenizer(),
        "text_encoder": text_encoder(),
        "vae": vae(),
        "scheduler": schedulers()[kind],
        "transformer": transformer(),
    }
    made = HeliosPipeline(**parts | changes) if kind == "base" else HeliosPyramidPipeline(**flags | parts | changes)
    made.set_progress_bar_config(disable=True)
    return made


SHORT: dict[str, dict[str, Any]] = {
    "base": {"height": 16, "width": 16, "num_inference_steps": 2},
    "mid": {"height": 64, "width": 64, "pyramid_num_inference_steps_list": [3, 1, 1]},
    "distilled": {"height": 64, "width": 64, "pyramid_num_inference_steps_list": [1, 1, 1]},
}
"""What makes the calls of each kind of pipeline short."""
