"""What original files do not say: the configs of the networks of each family, and of their schedulers."""

from __future__ import annotations

from typing import Any

from calotype.models.original_files import REFINER, SD, XL

Config = dict[str, Any]

_UNET: Config = {"sample_size": 64, "cross_attention_dim": 768}
_UNET_XL: Config = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,  # a pooled text of 1280, and 6 numbers of 256 each
}
_UNET_REFINER: Config = _UNET_XL | {
    "block_out_channels": (384, 768, 1536, 1536),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 1280,
    "attention_head_dim": (6, 12, 24, 24),
    "transformer_layers_per_block": 4,
    "projection_class_embeddings_input_dim": 2560,  # 5 numbers
}
_UNSAID = ("sample_size", "up_block_types")  # in the config of a ControlNet, which has no way up
_VAE: Config = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
_VAE_XL: Config = _VAE | {"sample_size": 1024, "scaling_factor": 0.13025}
_TEXT: Config = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 768,
    "num_attention_heads": 12,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_TEXT_XL: Config = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "projection_dim": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def _controlnet(unet: Config) -> Config:
    return {name: value for name, value in unet.items() if name not in _UNSAID}


# family -> component -> config
NETWORKS: dict[str, dict[str, Config]] = {
    SD: {"unet": _UNET, "vae": _VAE, "text_encoder": _TEXT, "controlnet": _controlnet(_UNET)},
    XL: {
        "unet": _UNET_XL,
        "vae": _VAE_XL,
        "text_encoder": _TEXT,
        "text_encoder_2": _TEXT_XL,
        "controlnet": _controlnet(_UNET_XL),
    },
    REFINER: {"unet": _UNET_REFINER, "vae": _VAE_XL, "text_encoder_2": _TEXT_XL},
}
_TRAINED: Config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
_PNDM: Config = _TRAINED | {"_class_name": "PNDMScheduler", "skip_prk_steps": True}
_DDIM: Config = _TRAINED | {"_class_name": "DDIMScheduler", "clip_sample": False, "set_alpha_to_one": False}
_EULER: Config = _TRAINED | {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
SCHEDULERS: dict[str, Config] = {SD: _PNDM, XL: _EULER, REFINER: _EULER}
# where those for inpainting were published with another
INPAINTING_SCHEDULERS: dict[str, Config] = {SD: _DDIM}
# tokenizer -> what pads its texts
PADDING: dict[str, dict[str, str]] = {
    SD: {"tokenizer": "<|endoftext|>"},
    XL: {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
    REFINER: {"tokenizer_2": "!"},
}
# what the pipelines of a family are told beside their components
TOLD: dict[str, Config] = {REFINER: {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}}
