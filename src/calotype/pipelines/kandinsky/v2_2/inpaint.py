"""Inpainting with Kandinsky 2.2."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import walk
from calotype.generation.loop import denoise
from calotype.generation.masks import Frame
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.known import from_known
from calotype.pipelines.kandinsky.v2_2.family import KandinskyV22


class KandinskyV22InpaintPipeline(KandinskyV22):
    """Pictures of embeds within a mask, the rest of a picture kept."""

    _callback_tensor_inputs: ClassVar[list[str]] = [*KandinskyV22._callback_tensor_inputs, "masked_image", "mask_image"]
    beside_latents = ("a mask", "nothing")  # what is kept is laid back after each step, told or not

    @story
    def __call__(
        self,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        image: PipelineImageInput | None = None,
        mask_image: PipelineImageInput | None = None,
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
        """Repaint what the mask shows white; every argument is explained in docs/parameters.md."""
        embeds = self.check_embeds(image_embeds, negative_image_embeds)
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)
        pixels, mask = Frame(image, mask_image, height, width).preprocess(self.image_processor, batch)

        walked = walk(self, num_inference_steps)
        told = self.condition(embeds, num_images_per_prompt)
        start = from_known(self, pixels, mask, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)
