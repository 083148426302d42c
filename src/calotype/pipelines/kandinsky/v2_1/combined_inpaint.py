"""Inpainting with Kandinsky 2.1: prior and decoder."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older
from calotype.generation.images import PipelineImageInput
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_1.combined import Kandinsky21Combined
from calotype.pipelines.kandinsky.v2_1.inpaint import KandinskyInpaintPipeline


class KandinskyInpaintCombinedPipeline(Kandinsky21Combined):
    """Pictures of a prompt within a mask, the rest of a picture kept."""

    decoder_kind = KandinskyInpaintPipeline

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        mask_image: PipelineImageInput | None = None,
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
    ) -> Generator[Step, None, Any]:
        """Repaint what the mask shows white; every argument is explained in docs/parameters.md."""
        return (yield from type(self).both(**locals()))
