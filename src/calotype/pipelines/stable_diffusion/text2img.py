"""Text to image with Stable Diffusion."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_prompts, check_shape, check_size, counted
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.inner import FromNoise
from calotype.pipelines.stable_diffusion.family import StableDiffusion


class StableDiffusionPipeline(FromNoise, StableDiffusion):
    """Pictures of a prompt."""

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 50,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
        guidance_scale: float = 7.5,
        negative_prompt: str | list[str] | None = None,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        ip_adapter_image: PipelineImageInput | None = None,
        ip_adapter_image_embeds: list[torch.Tensor] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        guidance_rescale: float = 0.0,
        clip_skip: int | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback: Older | None = None,
        callback_steps: int | None = None,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the prompt; every argument is explained in docs/parameters.md."""
        height, width = self.size(height, width)
        self.check_inputs(prompt, height, width, callback_steps, negative_prompt, prompt_embeds, negative_prompt_embeds)
        batch = counted(prompt, prompt_embeds) * num_images_per_prompt
        generator = as_generator(generator, batch)
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)

        walked = walk(self, num_inference_steps, timesteps, sigmas)
        told = self.condition(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, num_images_per_prompt)
        told = self.look(told, ip_adapter_image, ip_adapter_image_embeds, num_images_per_prompt)
        start = self.from_noise(height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, generator=generator, eta=eta, on_step=on_step)
        return self.deliver(latents, output_type, return_dict, generator)

    def check_inputs(
        self,
        prompt: Any,
        height: int,
        width: int,
        callback_steps: int | None = None,
        negative_prompt: Any = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        ip_adapter_image: Any = None,
        ip_adapter_image_embeds: Any = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
    ) -> None:
        """Refuse sizes and prompts that no picture can be made of."""
        check_size(height, width, self.vae_scale_factor)
        check_prompts(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, self.text_width)
