"""From the embeds of a picture to the picture with Kandinsky 2.2."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.latents import from_noise, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_2.family import KandinskyV22


class KandinskyV22Pipeline(KandinskyV22):
    """Pictures of embeds, as a prior imagines them."""

    @story
    def __call__(
        self,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 100,
        guidance_scale: float = 4.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback: Older | None = None,
        callback_steps: int | None = None,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the embeds; every argument is explained in docs/parameters.md."""
        embeds = self.check_embeds(image_embeds, negative_image_embeds)
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)

        walked = walk(self, num_inference_steps)
        told = self.condition(embeds, num_images_per_prompt)
        start = from_noise(self, height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
