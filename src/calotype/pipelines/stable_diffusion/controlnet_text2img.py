"""Text to image with Stable Diffusion and ControlNets."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import torch

from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_prompts, check_shape
from calotype.generation.control import controls
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.inner import FromNoise
from calotype.pipelines.stable_diffusion.controlnet import ControlledStableDiffusion
from calotype.pipelines.stable_diffusion.family import StableDiffusion


class StableDiffusionControlNetPipeline(FromNoise, ControlledStableDiffusion, StableDiffusion):
    """Pictures of a prompt that follow a hint."""

    _callback_tensor_inputs: ClassVar[list[str]] = [*StableDiffusion._callback_tensor_inputs, "image"]

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
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
        controlnet_conditioning_scale: float | list[float] = 1.0,
        guess_mode: bool = False,
        control_guidance_start: float | list[float] = 0.0,
        control_guidance_end: float | list[float] = 1.0,
        clip_skip: int | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback: Older | None = None,
        callback_steps: int | None = None,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the prompt that follow the hint; every argument is explained in docs/parameters.md."""
        prompts = check_prompts(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, self.text_width)
        batch = prompts * num_images_per_prompt
        generator = as_generator(generator, batch)
        window = control_guidance_start, control_guidance_end
        heard = controls(self.controlnet, "image", controlnet_conditioning_scale, window, guess_mode)
        hints = self.hints("image", image, batch, (height, width))
        height, width = hints.shape[-2:]
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)

        walked = walk(self, num_inference_steps, timesteps, sigmas)
        told = self.condition(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, num_images_per_prompt)
        told = self.look(told, ip_adapter_image, ip_adapter_image_embeds, num_images_per_prompt)
        told = told.also(image=hints)
        start = self.from_noise(height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, controls=heard, generator=generator, eta=eta, on_step=on_step)
        return self.deliver(latents, output_type, return_dict, generator)
