"""From the embeds of a picture and a hint to the picture with Kandinsky 2.2."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import from_noise, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_2.family import KandinskyV22


class KandinskyV22ControlnetPipeline(KandinskyV22):
    """Pictures of embeds that follow a hint, such as depth."""

    beside_latents = ("a hint",)

    @story
    def __call__(
        self,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        hint: PipelineImageInput | None = None,
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
        """Make pictures of the embeds that follow the hint; every argument is explained in docs/parameters.md."""
        embeds = self.check_embeds(image_embeds, negative_image_embeds)
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, None, (), callback, callback_steps)
        hints = self.hints(hint, height, width, batch)

        walked = walk(self, num_inference_steps)
        told = self.condition(embeds, num_images_per_prompt).also(embedded_hint=self.unet.embed_hint(hints))
        start = from_noise(self, height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
