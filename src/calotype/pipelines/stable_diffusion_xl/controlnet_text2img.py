"""Text to image with Stable Diffusion XL and ControlNets."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import torch

from calotype.core.config import register_to_config
from calotype.core.story import story
from calotype.generation.callbacks import Older, OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.control import controls
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import walk
from calotype.generation.loop import denoise
from calotype.generation.state import Step
from calotype.pipelines.inner import FromNoise
from calotype.pipelines.stable_diffusion_xl.controlnet import WATCHED, ControlledStableDiffusionXL
from calotype.pipelines.stable_diffusion_xl.family import StableDiffusionXL
from calotype.pipelines.stable_diffusion_xl.framing import Framing
from calotype.pipelines.stable_diffusion_xl.words import Words, check_words


class StableDiffusionXLControlNetPipeline(FromNoise, ControlledStableDiffusionXL, StableDiffusionXL):
    """Pictures of a prompt that follow a hint."""

    _callback_tensor_inputs: ClassVar[list[str]] = [
        *WATCHED,
        "negative_add_time_ids",
        "image",
    ]

    @register_to_config
    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        vae: Any,
        text_encoder: Any,
        text_encoder_2: Any,
        tokenizer: Any,
        tokenizer_2: Any,
        unet: Any,
        controlnet: Any,
        scheduler: Any,
        force_zeros_for_empty_prompt: bool = True,
        add_watermarker: bool | None = None,
        feature_extractor: Any = None,
        image_encoder: Any = None,
    ) -> None:
        texts = text_encoder, text_encoder_2, tokenizer, tokenizer_2
        self.assemble(add_watermarker, vae, *texts, unet, scheduler, image_encoder, feature_extractor)
        self.take_controlnet(controlnet)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        prompt_2: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 50,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
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
        controlnet_conditioning_scale: float | list[float] = 1.0,
        guess_mode: bool = False,
        control_guidance_start: float | list[float] = 0.0,
        control_guidance_end: float | list[float] = 1.0,
        original_size: tuple[int, int] | None = None,
        crops_coords_top_left: tuple[int, int] = (0, 0),
        target_size: tuple[int, int] | None = None,
        negative_original_size: tuple[int, int] | None = None,
        negative_crops_coords_top_left: tuple[int, int] = (0, 0),
        negative_target_size: tuple[int, int] | None = None,
        clip_skip: int | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        callback: Older | None = None,
        callback_steps: int | None = None,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the prompt that follow the hint; every argument is explained in docs/parameters.md."""
        wanted = Words(prompt, prompt_2, prompt_embeds, pooled_prompt_embeds)
        unwanted = Words(negative_prompt, negative_prompt_2, negative_prompt_embeds, negative_pooled_prompt_embeds)
        batch = check_words(wanted, unwanted, self.text_width) * num_images_per_prompt
        generator = as_generator(generator, batch)
        window = control_guidance_start, control_guidance_end
        heard = controls(self.controlnet, "image", controlnet_conditioning_scale, window, guess_mode)
        hints = self.hints("image", image, batch, (height, width))
        height, width = size = hints.shape[-2:]
        check_shape("latents", latents, self.latent_shape(batch, height, width))
        on_step = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs, callback, callback_steps)
        framing = Framing(original_size or size, crops_coords_top_left, target_size or size)
        other = framing.away(negative_original_size, negative_crops_coords_top_left, negative_target_size)

        walked = walk(self, num_inference_steps, timesteps, sigmas, end=denoising_end)
        told = self.condition(wanted, unwanted, framing, other, num_images_per_prompt).also(image=hints)
        told = self.look(told, ip_adapter_image, ip_adapter_image_embeds, num_images_per_prompt)
        start = self.from_noise(height, width, walked, told, generator, latents)
        latents = yield from denoise(self, start, told, controls=heard, generator=generator, eta=eta, on_step=on_step)
        return self.deliver(latents, output_type, return_dict, generator)
