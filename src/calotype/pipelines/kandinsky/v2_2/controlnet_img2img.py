"""Image to image with a hint and Kandinsky 2.2."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, reports
from calotype.generation.checks import as_generator
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import from_image, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_2.family import KandinskyV22


class KandinskyV22ControlnetImg2ImgPipeline(KandinskyV22):
    """Pictures of embeds that begin with a picture and follow a hint."""

    raw = False
    beside_latents = ("a hint",)

    @story
    def __call__(
        self,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        image: PipelineImageInput | None = None,
        negative_image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        hint: PipelineImageInput | None = None,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 100,
        guidance_scale: float = 4.0,
        strength: float = 0.3,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        callback: Older | None = None,
        callback_steps: int = 1,
        return_dict: bool = True,
    ) -> Generator[Step, None, Any]:
        """Make pictures out of the image that follow the hint; every argument is explained in docs/parameters.md."""
        embeds = self.check_embeds(image_embeds, negative_image_embeds)
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        on_step = reports(self, None, (), callback, callback_steps)
        hints = self.hints(hint, height, width, batch)
        pixels = self.image_processor.preprocess(image, height, width, batch=batch)

        walked = walk(self, num_inference_steps, strength=strength)
        told = self.condition(embeds, num_images_per_prompt).also(embedded_hint=self.unet.embed_hint(hints))
        start = from_image(self, pixels, walked, told, generator)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
