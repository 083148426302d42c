"""Networks and tokenizers small enough to be made on the spot; the same seed makes the same one."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.controlnet import ControlNetModel
from calotype.models.multilingual_clip import MultilingualCLIP
from calotype.models.prior_transformer import PriorTransformer
from calotype.models.safety_checker import StableDiffusionSafetyChecker
from calotype.models.text_encoders import CLIPTextModel, CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer
from calotype.models.unet import UNet2DConditionModel
from calotype.models.vision import CLIPVisionModelWithProjection
from calotype.models.vq_model import VQModel
from calotype.models.xlm_roberta_tokenizer import XLMRobertaTokenizer
from calotype.schedulers import DDIMScheduler

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = [
    "h e",
    "l l",
    "he ll",
    "hell o</w>",
    "c a",
    "ca t</w>",
    "ca t",
    "a n",
    "an d</w>",
    "' s</w>",
    "! !</w>",
    "# #</w>",
]


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes, printable ones for themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + place) for place in range(len(others))]


def tiny_vocabulary() -> dict[str, int]:
    letters = byte_letters()
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *(merge.replace(" ", "") for merge in MERGES),
        START,
        END,
    ]
    return {token: id for id, token in enumerate(tokens)}


def tiny_tokenizer_folder(folder: Path, **settings: Any) -> Path:
    """A folder with the files of a CLIP tokenizer: every byte, a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    roles = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = roles | {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"} | settings
    (folder / "vocab.json").write_text(json.dumps(tiny_vocabulary()), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


TEXT_CONFIG: dict[str, Any] = {
    "vocab_size": len(tiny_vocabulary()),
    "hidden_size": 32,
    "intermediate_size": 37,
    "projection_dim": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "bos_token_id": tiny_vocabulary()[START],
    "eos_token_id": tiny_vocabulary()[END],
}


def tiny_text_encoder(seed: int = 0, **config: Any) -> CLIPTextModel:
    """A text encoder that reads what the tiny tokenizer writes."""
    torch.manual_seed(seed)
    return CLIPTextModel(**TEXT_CONFIG | config).eval()


def tiny_projecting_text_encoder(seed: int = 0, **config: Any) -> CLIPTextModelWithProjection:
    """A text encoder with a projection that reads what the tiny tokenizer writes."""
    torch.manual_seed(seed)
    return CLIPTextModelWithProjection(**TEXT_CONFIG | config).eval()


VISION_CONFIG: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "projection_dim": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 30,
    "patch_size": 10,
}


def tiny_image_encoder(seed: int = 0, **config: Any) -> CLIPVisionModelWithProjection:
    """An image encoder for images of 30 x 30."""
    torch.manual_seed(seed)
    return CLIPVisionModelWithProjection(**VISION_CONFIG | config).eval()


VAE_CONFIG: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 4,
    "sample_size": 32,
}


def tiny_vae(seed: int = 0, **config: Any) -> AutoencoderKL:
    """An autoencoder whose latents are half as large as the picture."""
    torch.manual_seed(seed)
    return AutoencoderKL(**VAE_CONFIG | config).eval()


def tiny_safety_checker(seed: int = 0) -> StableDiffusionSafetyChecker:
    """A checker for images of 30 x 30, with concepts drawn at random."""
    torch.manual_seed(seed)
    checker = StableDiffusionSafetyChecker(vision_config=VISION_CONFIG, projection_dim=VISION_CONFIG["projection_dim"])
    for parameter in (checker.concept_embeds, checker.special_care_embeds):
        nn.init.normal_(parameter)
    return checker.eval()


def tiny_unet(seed: int = 0, **config: Any) -> UNet2DConditionModel:
    """A UNet for latents of 16 x 16 that reads the tiny text encoder's states."""
    torch.manual_seed(seed)
    sizes = {"sample_size": 16, "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8}
    attention = {"cross_attention_dim": 32, "attention_head_dim": 4}
    down, up = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
    blocks = {"down_block_types": down, "up_block_types": up}
    return UNet2DConditionModel(**sizes | attention | blocks | config).eval()


def tiny_controlnet(seed: int = 0, unet: UNet2DConditionModel | None = None, **config: Any) -> ControlNetModel:
    """A ControlNet for a tiny UNet that has something to say."""
    torch.manual_seed(seed)
    made = ControlNetModel.from_unet(unet or tiny_unet(seed), conditioning_embedding_out_channels=(8, 16))
    made = ControlNetModel.from_config(made.config, **config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def tiny_stable_diffusion(kind: type[Any], seed: int = 0, **parts: Any) -> Any:
    """A Stable Diffusion pipeline of this class, without a safety checker."""
    with TemporaryDirectory() as folder:
        tokenizer = CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(Path(folder)))
    made = {
        "vae": tiny_vae(seed),
        "text_encoder": tiny_text_encoder(seed),
        "tokenizer": tokenizer,
        "unet": tiny_unet(seed),
        "scheduler": DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    if "ControlNet" in kind.__name__:
        made["controlnet"] = tiny_controlnet(seed)
    pipe = kind(**made | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


# what the second encoder of the tiny SDXL pools, and into how many waves its UNet spreads each number of the framing
POOLED, WAVES = 16, 8


def tiny_unet_xl(seed: int = 0, refiner: bool = False) -> UNet2DConditionModel:
    """A UNet that is told pooled states and sizes, or, as refiners are, a score."""
    return tiny_unet(
        seed,
        addition_embed_type="text_time",
        addition_time_embed_dim=WAVES,
        projection_class_embeddings_input_dim=POOLED + (5 if refiner else 6) * WAVES,
        cross_attention_dim=16 if refiner else 16 + 16,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )


def tiny_stable_diffusion_xl(kind: type[Any], seed: int = 0, refiner: bool = False, **parts: Any) -> Any:
    """An SDXL pipeline of this class; a refiner has the second encoder only, and is told aesthetic scores."""
    with TemporaryDirectory() as folder:
        tokenizer = CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(Path(folder) / "first"))
        tokenizer_2 = CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(Path(folder) / "second", pad_token="!"))
    second = {"hidden_size": 16, "num_hidden_layers": 4, "projection_dim": POOLED, "hidden_act": "gelu"}
    made = {
        "vae": tiny_vae(seed, scaling_factor=0.13025),
        "text_encoder": None if refiner else tiny_text_encoder(seed, hidden_size=16),
        "text_encoder_2": tiny_projecting_text_encoder(seed, **second),
        "tokenizer": None if refiner else tokenizer,
        "tokenizer_2": tokenizer_2,
        "unet": tiny_unet_xl(seed, refiner),
        "scheduler": DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
        **({"requires_aesthetics_score": True} if refiner else {}),
    }
    if "ControlNet" in kind.__name__:
        made["controlnet"] = tiny_controlnet(seed, made["unet"])
    pipe = kind(**made | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


PRIOR_CONFIG: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 2,
    "embedding_dim": 24,  # as the tiny CLIP projects
    "num_embeddings": 77,
}


def tiny_prior(seed: int = 0, **config: Any) -> PriorTransformer:
    """A prior among the tiny CLIP's embeddings, with something in every weight."""
    torch.manual_seed(seed)
    prior = PriorTransformer(**PRIOR_CONFIG | config)
    for name in ("positional_embedding", "prd_embedding", "clip_mean", "clip_std"):
        if getattr(prior, name) is not None:
            nn.init.normal_(getattr(prior, name), std=0.3)
    return prior.eval()


MOVQ_CONFIG: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
    "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    "latent_channels": 4,
    "num_vq_embeddings": 12,
    "norm_type": "spatial",
}


def tiny_movq(seed: int = 0, **config: Any) -> VQModel:
    """A MoVQ whose latents are half as large as the picture."""
    torch.manual_seed(seed)
    return VQModel(**MOVQ_CONFIG | config).eval()


# what tells a decoder of what to draw: the embeds alone, with a hint (2.2), or with the words (2.1)
KANDINSKY = {
    "2.1": {"encoder_hid_dim_type": "text_image_proj", "addition_embed_type": "text_image", "cross_attention_dim": 24},
    "2.2": {"encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"},
    "2.2 hint": {"encoder_hid_dim_type": "image_proj", "addition_embed_type": "image_hint", "in_channels": 8},
}


def tiny_kandinsky_unet(version: str = "2.2", seed: int = 0, **config: Any) -> UNet2DConditionModel:
    """A decoder told of a picture by the tiny CLIP's embeddings; it predicts noise and its spread."""
    layers = {"resnet_time_scale_shift": "scale_shift", "out_channels": 8, "encoder_hid_dim": 24}
    down, up = (
        ("ResnetDownsampleBlock2D", "SimpleCrossAttn{}Block2D"),
        ("SimpleCrossAttn{}Block2D", "ResnetUpsampleBlock2D"),
    )
    blocks = {
        "down_block_types": tuple(name.format("Down") for name in down),
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
        "up_block_types": tuple(name.format("Up") for name in up),
    }
    return tiny_unet(seed, **layers | blocks | KANDINSKY[version] | config)


MCLIP_CONFIG: dict[str, Any] = {
    "vocab_size": 16,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 80,
    "type_vocab_size": 1,
    "transformerDimensions": 16,
    "numDims": 24,
}


def tiny_multilingual_clip(seed: int = 0, **config: Any) -> MultilingualCLIP:
    """A text encoder that reads what the tiny tokenizer of pieces writes."""
    torch.manual_seed(seed)
    return MultilingualCLIP(**MCLIP_CONFIG | config).eval()


# pieces as SentencePiece counts them, with their log probabilities
PIECES = [
    *[("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -3.0), ("▁cat", -4.0), ("c", -6.0), ("a", -5.0), ("t", -5.5)],
    *[("▁красный", -4.0), ("▁кот", -4.5), ("▁red", -4.0), (",", -3.5), ("s", -4.0), ("▁猫", -5.0)],
]
TINY_VOCAB = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *PIECES[3:], ("<mask>", 0.0)]


def tiny_piece_tokenizer(**settings: Any) -> XLMRobertaTokenizer:
    """A tokenizer of a few pieces in three languages."""
    return XLMRobertaTokenizer(TINY_VOCAB, **{"model_max_length": 77} | settings)


def tiny_pipeline(kind: type[Any], seed: int = 0, **parts: Any) -> Any:
    """A pipeline of this class, whichever its family."""
    make = tiny_stable_diffusion_xl if "XL" in kind.__name__ else tiny_stable_diffusion
    return make(kind, seed, **parts)


def tiny_inputs(kind: str) -> dict[str, Any]:
    """What a pipeline of this name needs beside a prompt, for a picture of 32 x 32."""
    levels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    picture, mask = Image.fromarray(levels), Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 32, 16))
    sized, pictured = {"height": 32, "width": 32}, {"image": picture, "strength": 0.8}
    hint = {}
    if "ControlNet" in kind:
        edges = Image.new("RGB", (32, 32))
        edges.paste((255, 255, 255), (0, 12, 32, 14))
        hint = {"control_image" if "Img2Img" in kind or "Inpaint" in kind else "image": edges}
    if "Img2Img" in kind:
        return pictured | hint
    return {**sized, **pictured, "mask_image": mask, **hint} if "Inpaint" in kind else sized | hint
