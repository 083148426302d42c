"""Text to image with Kandinsky 2.2: prior and decoder."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_2.combined import KandinskyV22Combined
from calotype.pipelines.kandinsky.v2_2.text2img import KandinskyV22Pipeline


class KandinskyV22CombinedPipeline(KandinskyV22Combined):
    """Pictures of a prompt."""

    decoder_kind = KandinskyV22Pipeline

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        num_inference_steps: int = 100,
        guidance_scale: float = 4.0,
        num_images_per_prompt: int = 1,
        height: int = 512,
        width: int = 512,
        prior_guidance_scale: float = 4.0,
        prior_num_inference_steps: int = 25,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        callback: Older | None = None,
        callback_steps: int = 1,
        return_dict: bool = True,
        prior_callback_on_step_end: OnStepEnd | None = None,
        prior_callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006
    ) -> Generator[Step, None, Any]:
        """Make pictures of a prompt; every argument is explained in docs/parameters.md."""
        return (yield from type(self).both(**locals()))
