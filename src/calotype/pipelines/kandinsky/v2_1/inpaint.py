"""Inpainting with Kandinsky 2.1."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.config import register_to_config
from calotype.core.story import story
from calotype.generation.callbacks import Older, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import walk
from calotype.generation.loop import denoise
from calotype.generation.masks import Frame
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.known import from_known
from calotype.pipelines.kandinsky.v2_1.family import Kandinsky21
from calotype.pipelines.kandinsky.wish import check_words


class KandinskyInpaintPipeline(Kandinsky21):
    """Pictures of a prompt and of embeds within a mask, the rest of a picture kept."""

    beside_latents = ("a mask",)

    @register_to_config
    def __init__(self, text_encoder: Any, movq: Any, tokenizer: Any, unet: Any, scheduler: Any) -> None:
        self.take(text_encoder=text_encoder, movq=movq, tokenizer=tokenizer, unet=unet, scheduler=scheduler)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        mask_image: PipelineImageInput | None = None,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 100,
        guidance_scale: float = 4.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        callback: Older | None = None,
        callback_steps: int = 1,
        return_dict: bool = True,
    ) -> Generator[Step, None, Any]:
        """Repaint what the mask shows white; every argument is explained in docs/parameters.md."""
        words = check_words(prompt, negative_prompt)
        embeds = self.check_embeds(image_embeds, negative_image_embeds, len(words[0]))
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, None, (), callback, callback_steps)
        pixels, mask = Frame(image, mask_image, height, width).preprocess(self.image_processor, batch)

        walked = walk(self, num_inference_steps)
        told = self.condition(words, embeds, num_images_per_prompt)
        start = from_known(self, pixels, mask, walked, told, generator, latents, lays_back=False)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
