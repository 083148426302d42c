"""Kandinsky pipelines small enough to be made on the spot; the same seed makes the same one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from calotype.models.image_processor import CLIPImageProcessor
from calotype.models.tokenizer import CLIPTokenizer
from calotype.schedulers import DDIMScheduler, DDPMScheduler, UnCLIPScheduler
from tests.tiny import (
    tiny_image_encoder,
    tiny_inputs,
    tiny_kandinsky_unet,
    tiny_movq,
    tiny_multilingual_clip,
    tiny_piece_tokenizer,
    tiny_prior,
    tiny_projecting_text_encoder,
    tiny_tokenizer_folder,
)

WIDTH = 24  # of the embeds


def prior_parts(seed: int = 0) -> dict[str, Any]:
    """The components of a prior."""
    with TemporaryDirectory() as folder:
        tokenizer = CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(Path(folder)))
    return {
        "prior": tiny_prior(seed),
        "image_encoder": tiny_image_encoder(seed),
        "text_encoder": tiny_projecting_text_encoder(seed, hidden_size=WIDTH),
        "tokenizer": tokenizer,
        "scheduler": UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0),
        "image_processor": CLIPImageProcessor(size=30, crop_size=30),
    }


def decoder_parts(kind: str, seed: int = 0) -> dict[str, Any]:
    """The components of a decoder for the task of this class."""
    masked = {"in_channels": 9} if "Inpaint" in kind else {}
    if "V22" not in kind:
        words = {
            "text_encoder": tiny_multilingual_clip(seed),
            "tokenizer": tiny_piece_tokenizer(),
            "unet": tiny_kandinsky_unet("2.1", seed, **{"encoder_hid_dim": 16, **masked}),
            "scheduler": DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        }
        return words | {"movq": quiet_movq(seed)}
    hinted = "Controlnet" in kind
    return {
        "unet": tiny_kandinsky_unet("2.2 hint" if hinted else "2.2", seed, **masked),
        "scheduler": DDPMScheduler(variance_type="learned_range", clip_sample=False),
        "movq": quiet_movq(seed, levels=4 if hinted else 2),
    }


def quiet_movq(seed: int, levels: int = 2) -> Any:
    """A MoVQ whose pictures are not all white or black."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * levels, "up_block_types": ("UpDecoderBlock2D",) * levels}
    made = tiny_movq(seed, block_out_channels=(32,) * levels, **blocks)
    with torch.no_grad():
        made.decoder.conv_out.weight.mul_(0.1)
    return made


def tiny_kandinsky(kind: type[Any], seed: int = 0, **parts: Any) -> Any:
    """A Kandinsky pipeline of this class."""
    name = kind.__name__
    prefix = "prior_" if "Combined" in name else ""
    made = {} if "Prior" in name else decoder_parts(name, seed)
    if "Prior" in name or "Combined" in name:
        made |= {f"{prefix}{part}": value for part, value in prior_parts(seed).items()}
    pipe = kind(**made | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def kandinsky_inputs(kind: str) -> dict[str, Any]:
    """What a pipeline of this name needs, for a picture of 32 x 32; hinted ones of 64 x 64."""
    words = {"prompt": "a cube"} if "Prior" in kind or "Combined" in kind or "V22" not in kind else {}
    seen = tiny_inputs(kind.replace("Controlnet", "").replace("Emb2Emb", "Img2Img"))
    pictures = {name: seen[name] for name in ("image", "mask_image") if name in seen}
    strength = {"strength": 0.8} if "Img2Img" in kind or "Emb2Emb" in kind else {}
    if "Prior" in kind:
        return words | pictures | strength | {"num_inference_steps": 4}
    side = 64 if "Controlnet" in kind else 32
    told = words | pictures | strength | {"height": side, "width": side, "num_inference_steps": 4}
    if "Combined" in kind:
        return told | {"prior_num_inference_steps": 3}
    drawn = torch.randn(2, 1, WIDTH, generator=torch.Generator().manual_seed(0))
    hint = {"hint": torch.full((1, 3, side, side), 0.5)} if "Controlnet" in kind else {}
    return told | hint | {"image_embeds": drawn[0], "negative_image_embeds": drawn[1]}
