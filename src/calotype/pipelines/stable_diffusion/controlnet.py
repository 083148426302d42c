"""The components of Stable Diffusion with ControlNets."""

from __future__ import annotations

from typing import Any

from calotype.core.config import register_to_config
from calotype.pipelines.controlled import Controlled
from calotype.pipelines.stable_diffusion.family import StableDiffusion


class ControlledStableDiffusion(Controlled):
    """The constructor of the family, with a ControlNet or a list of them; mixed into its pipelines."""

    _trained_with = ()

    @register_to_config
    def __init__(
        self: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        controlnet: Any,
        scheduler: Any,
        safety_checker: Any,
        feature_extractor: Any,
        image_encoder: Any = None,
        requires_safety_checker: bool = True,
    ) -> None:
        StableDiffusion.__init__(
            self,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            image_encoder=image_encoder,
            requires_safety_checker=requires_safety_checker,
        )
        self.take_controlnet(controlnet)
