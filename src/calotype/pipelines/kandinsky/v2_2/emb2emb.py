"""The prior of Kandinsky 2.2 that begins with a picture."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import from_image, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.parts import borrowed
from calotype.pipelines.kandinsky.prior import KandinskyPrior
from calotype.pipelines.kandinsky.v2_2.prior import KandinskyV22PriorPipeline
from calotype.pipelines.kandinsky.wish import Wish


class KandinskyV22PriorEmb2EmbPipeline(KandinskyPrior):
    """Embeds of pictures of a prompt that begin with those of a picture."""

    model_cpu_offload_seq = "text_encoder->image_encoder->prior"

    @property
    def from_texts(self) -> KandinskyV22PriorPipeline:
        return borrowed(self, KandinskyV22PriorPipeline)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        strength: float = 0.3,
        negative_prompt: str | list[str] | None = None,
        num_images_per_prompt: int = 1,
        num_inference_steps: int = 25,
        generator: torch.Generator | list[torch.Generator] | None = None,
        guidance_scale: float = 4.0,
        output_type: str = "pt",
        return_dict: bool = True,
    ) -> Generator[Step, None, Any]:
        """Imagine pictures of the prompt out of the image; every argument is explained in docs/parameters.md."""
        wish = Wish.of(prompt, negative_prompt, num_images_per_prompt)
        generator = wish.sources(generator)

        walked = walk(self, num_inference_steps, strength=strength)
        seen = self.embedded("image", image)
        told = self.condition(wish)
        start = from_image(self, wish.beside(seen), walked, told, generator)
        embeds = yield from denoise(self, start, told, generator=generator)
        return self.deliver(embeds, wish, output_type, return_dict)
