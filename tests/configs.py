"""The configs of true checkpoints, as far as they differ from the defaults."""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]

SD15_UNET: Config = {"sample_size": 64, "cross_attention_dim": 768}

SDXL_UNET: Config = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}

KANDINSKY_UNET: Config = {
    "sample_size": 64,
    "out_channels": 8,
    "block_out_channels": (384, 768, 1152, 1536),
    "layers_per_block": 3,
    "down_block_types": ("ResnetDownsampleBlock2D", *("SimpleCrossAttnDownBlock2D",) * 3),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": (*("SimpleCrossAttnUpBlock2D",) * 3, "ResnetUpsampleBlock2D"),
    "attention_head_dim": 64,
    "cross_attention_dim": 768,
    "resnet_time_scale_shift": "scale_shift",
}

KANDINSKY_2_1: Config = {
    "encoder_hid_dim": 1024,
    "encoder_hid_dim_type": "text_image_proj",
    "addition_embed_type": "text_image",
}
KANDINSKY_2_2: Config = {"encoder_hid_dim": 1280, "encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"}

UNETS: dict[str, Config] = {
    "sd15": SD15_UNET,
    "sd15_inpainting": SD15_UNET | {"in_channels": 9},
    "sd21": {
        "sample_size": 96,
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    "sdxl": SDXL_UNET,
    "sdxl_inpainting": SDXL_UNET | {"in_channels": 9},
    "sdxl_refiner": {
        "sample_size": 128,
        "block_out_channels": (384, 768, 1536, 1536),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": 4,
        "attention_head_dim": (6, 12, 24, 24),
        "cross_attention_dim": 1280,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2560,
    },
    "lcm_sd15": SD15_UNET | {"time_cond_proj_dim": 256},
    "lcm_sdxl": SDXL_UNET | {"time_cond_proj_dim": 256},
    "kandinsky21": KANDINSKY_UNET | KANDINSKY_2_1,
    "kandinsky21_inpainting": KANDINSKY_UNET | KANDINSKY_2_1 | {"in_channels": 9},
    "kandinsky22": KANDINSKY_UNET | KANDINSKY_2_2,
    "kandinsky22_inpainting": KANDINSKY_UNET | KANDINSKY_2_2 | {"in_channels": 9},
    "kandinsky22_controlnet": KANDINSKY_UNET | KANDINSKY_2_2 | {"in_channels": 8, "addition_embed_type": "image_hint"},
}
