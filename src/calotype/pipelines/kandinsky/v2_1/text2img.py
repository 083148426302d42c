"""Text to image with Kandinsky 2.1."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.config import register_to_config
from calotype.core.story import story
from calotype.generation.callbacks import Older, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.latents import from_noise, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_1.family import Kandinsky21
from calotype.pipelines.kandinsky.wish import check_words


class KandinskyPipeline(Kandinsky21):
    """Pictures of a prompt and of embeds, as a prior imagines them."""

    @register_to_config
    def __init__(self, text_encoder: Any, tokenizer: Any, unet: Any, scheduler: Any, movq: Any) -> None:
        self.take(text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler, movq=movq)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
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
        """Make pictures of the prompt and the embeds; every argument is explained in docs/parameters.md."""
        words = check_words(prompt, negative_prompt)
        embeds = self.check_embeds(image_embeds, negative_image_embeds, len(words[0]))
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, None, (), callback, callback_steps)

        walked = walk(self, num_inference_steps)
        told = self.condition(words, embeds, num_images_per_prompt)
        start = from_noise(self, height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
