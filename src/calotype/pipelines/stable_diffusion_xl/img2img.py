"""Image to image with Stable Diffusion XL."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import from_image, from_unfinished, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.inner import FromPicture
from calotype.pipelines.stable_diffusion_xl.family import StableDiffusionXL
from calotype.pipelines.stable_diffusion_xl.framing import Framing
from calotype.pipelines.stable_diffusion_xl.words import Words, check_words


class StableDiffusionXLImg2ImgPipeline(FromPicture, StableDiffusionXL):
    """Pictures of a prompt that begin with a picture, or with what another pipeline left unfinished."""

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        prompt_2: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        strength: float = 0.3,
        num_inference_steps: int = 50,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
        denoising_start: float | None = None,
        denoising_end: float | None = None,
        guidance_scale: float = 5.0,
        negative_prompt: str | list[str] | None = None,
        negative_prompt_2: str | list[str] | None = None,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        pooled_prompt_embeds: torch.Tensor | None = None,
        negative_pooled_prompt_embeds: torch.Tensor | None = None,
        ip_adapter_image: PipelineImageInput | None = None,
        ip_adapter_image_embeds: list[torch.Tensor] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        guidance_rescale: float = 0.0,
        original_size: tuple[int, int] | None = None,
        crops_coords_top_left: tuple[int, int] = (0, 0),
        target_size: tuple[int, int] | None = None,
        negative_original_size: tuple[int, int] | None = None,
        negative_crops_coords_top_left: tuple[int, int] = (0, 0),
        negative_target_size: tuple[int, int] | None = None,
        aesthetic_score: float = 6.0,
        negative_aesthetic_score: float = 2.5,
        clip_skip: int | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback: Older | None = None,
        callback_steps: int | None = None,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the prompt out of the image; every argument is explained in docs/parameters.md."""
        wanted = Words(prompt, prompt_2, prompt_embeds, pooled_prompt_embeds)
        unwanted = Words(negative_prompt, negative_prompt_2, negative_prompt_embeds, negative_pooled_prompt_embeds)
        batch = check_words(wanted, unwanted, self.text_width) * num_images_per_prompt
        generator = as_generator(generator, batch)
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)
        if latents is not None:
            check_shape("latents", latents, (batch, self.latent_channels, *latents.shape[2:]))
        pixels = self.image_processor.preprocess(image, batch=batch) if latents is None else latents
        size = self.pixel_size(pixels)
        framing = Framing(original_size or size, crops_coords_top_left, target_size or size)
        other = framing.but(negative_original_size, negative_crops_coords_top_left, negative_target_size)
        framings = self.rated(framing, other, aesthetic_score, negative_aesthetic_score)

        walked = walk(self, num_inference_steps, timesteps, sigmas, strength, denoising_start, denoising_end)
        told = self.condition(wanted, unwanted, *framings, num_images_per_prompt)
        told = self.look(told, ip_adapter_image, ip_adapter_image_embeds, num_images_per_prompt)
        begin = from_image if denoising_start is None and latents is None else from_unfinished
        start = begin(self, pixels, walked, told, generator)
        latents = yield from denoise(self, start, told, generator=generator, eta=eta, on_step=on_step)
        return self.deliver(latents, output_type, return_dict, generator)
