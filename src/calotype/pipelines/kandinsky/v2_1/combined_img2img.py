"""Image to image with Kandinsky 2.1: prior and decoder."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older
from calotype.generation.images import PipelineImageInput
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.v2_1.combined import Kandinsky21Combined
from calotype.pipelines.kandinsky.v2_1.img2img import KandinskyImg2ImgPipeline


class KandinskyImg2ImgCombinedPipeline(Kandinsky21Combined):
    """Pictures of a prompt that begin with a picture."""

    decoder_kind = KandinskyImg2ImgPipeline

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        negative_prompt: str | list[str] | None = None,
        num_inference_steps: int = 100,
        guidance_scale: float = 4.0,
        num_images_per_prompt: int = 1,
        strength: float = 0.3,
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
        """Make pictures of a prompt that begin with a picture; every argument is explained in docs/parameters.md."""
        return (yield from type(self).both(**locals()))
