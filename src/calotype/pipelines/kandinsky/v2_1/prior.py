"""The prior of Kandinsky 2.1."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.checks import check_shape
from calotype.generation.latents import drawn, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Start, Step
from calotype.pipelines.kandinsky.prior import KandinskyPrior
from calotype.pipelines.kandinsky.wish import Wish


class KandinskyPriorPipeline(KandinskyPrior):
    """Embeds of pictures of a prompt."""

    model_cpu_offload_seq = "text_encoder->prior"

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        num_images_per_prompt: int = 1,
        num_inference_steps: int = 25,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        guidance_scale: float = 4.0,
        output_type: str = "pt",
        return_dict: bool = True,
    ) -> Generator[Step, None, Any]:
        """Imagine pictures of the prompt; every argument is explained in docs/parameters.md."""
        wish = Wish.of(prompt, negative_prompt, num_images_per_prompt)
        generator = wish.sources(generator)
        check_shape("latents", latents, self.latent_shape(wish.rows))

        walked = walk(self, num_inference_steps)
        told = self.condition(wish)
        start = Start(drawn(self, (), told, generator, latents) * self.scheduler.init_noise_sigma, walked)
        embeds = yield from denoise(self, start, told, generator=generator)
        return self.deliver(embeds, wish, output_type, return_dict)
