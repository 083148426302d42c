"""The components of Stable Diffusion XL with ControlNets."""

from __future__ import annotations

from typing import Any

from calotype.core.config import register_to_config
from calotype.pipelines.controlled import Controlled

WATCHED = (  # what callbacks of all tasks see
    *("latents", "prompt_embeds", "negative_prompt_embeds"),
    *("add_text_embeds", "add_time_ids", "negative_pooled_prompt_embeds"),
)


class ControlledStableDiffusionXL(Controlled):
    """The constructor of the family, with a ControlNet or a list of them; mixed into its pipelines."""

    @register_to_config
    def __init__(
        self: Any,
        vae: Any,
        text_encoder: Any,
        text_encoder_2: Any,
        tokenizer: Any,
        tokenizer_2: Any,
        unet: Any,
        controlnet: Any,
        scheduler: Any,
        requires_aesthetics_score: bool = False,
        force_zeros_for_empty_prompt: bool = True,
        add_watermarker: bool | None = None,
        feature_extractor: Any = None,
        image_encoder: Any = None,
    ) -> None:
        texts = text_encoder, text_encoder_2, tokenizer, tokenizer_2
        self.assemble(add_watermarker, vae, *texts, unet, scheduler, image_encoder, feature_extractor)
        self.take_controlnet(controlnet)
