"""What the Stable Diffusion pipelines share: their components, how they are told a prompt, how they deliver."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, ClassVar

import torch

from calotype.adapters.ip_adapter import IPAdapterMixin
from calotype.adapters.lora_families import StableDiffusionLoraLoaderMixin
from calotype.adapters.single_file import SingleFilePipeline
from calotype.adapters.textual_inversion import TextualInversionLoaderMixin
from calotype.core.config import register_to_config
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.checks import RULES, check_finite, check_safety
from calotype.generation.decoding import decoded
from calotype.generation.images import VaeImageProcessor
from calotype.generation.prompts import check_length, clip_states, copied
from calotype.generation.state import State, Told
from calotype.generation.turns import in_turns
from calotype.pipelines.latent_diffusion import LatentDiffusion
from calotype.pipelines.stable_diffusion.output import StableDiffusionPipelineOutput
from calotype.pipelines.switches import Switches

logger = logging.getLogger("calotype.pipelines.stable_diffusion")

# Schedulers saved before these options were known; the networks were trained with the values here.
TRAINED_WITH = {"steps_offset": 1, "clip_sample": False, "skip_prk_steps": True}


class StableDiffusion(
    StableDiffusionLoraLoaderMixin,
    IPAdapterMixin,
    LatentDiffusion,
    DiffusionPipeline,
    TextualInversionLoaderMixin,
    SingleFilePipeline,
    Switches,
):
    """A CLIP text encoder, a conditional UNet and a VAE, with an optional safety checker."""

    model_cpu_offload_seq = "text_encoder->image_encoder->unet->vae"
    single_file_families = ("stable-diffusion",)
    _optional_components: ClassVar[list[str]] = ["safety_checker", "feature_extractor", "image_encoder"]
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["safety_checker"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "prompt_embeds", "negative_prompt_embeds"]
    _trained_with = ("steps_offset", "clip_sample")
    argument_rules = RULES

    vae: Any
    text_encoder: Any
    tokenizer: Any
    unet: Any
    scheduler: Any
    safety_checker: Any
    feature_extractor: Any

    @register_to_config
    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any,
        feature_extractor: Any,
        image_encoder: Any = None,
        requires_safety_checker: bool = True,
    ) -> None:
        check_safety(self, safety_checker, feature_extractor, requires_safety_checker)
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=as_trained(scheduler, self._trained_with),
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            image_encoder=image_encoder,
        )
        factor, channels = self.vae_scale_factor, self.latent_channels
        self.image_processor = VaeImageProcessor(vae_scale_factor=factor, vae_latent_channels=channels)

    # ------------------------------------------------------------------ told

    def condition(
        self, prompt: Any, negative_prompt: Any, prompt_embeds: Any, negative_prompt_embeds: Any, copies: int
    ) -> Told:
        """What the UNet is told: the text's states, doubled for guidance, and the guidance scale where it reads it."""

        def tell(texts: dict[str, Any]) -> Told:
            return self._told(
                **texts, prompt_embeds=prompt_embeds, negative_prompt_embeds=negative_prompt_embeds, copies=copies
            )

        return in_turns(self, {"prompt": prompt, "negative_prompt": negative_prompt}, tell)

    def _told(
        self, prompt: Any, negative_prompt: Any, prompt_embeds: Any, negative_prompt_embeds: Any, copies: int
    ) -> Told:
        self.unet.known_to_processors(self.cross_attention_kwargs)
        lora_scale = (self.cross_attention_kwargs or {}).get("scale")
        positive, negative = self.encode_prompt(
            prompt,
            self._execution_device,
            copies,
            self.do_classifier_free_guidance,
            negative_prompt,
            prompt_embeds,
            negative_prompt_embeds,
            lora_scale=lora_scale,
            clip_skip=self.clip_skip,
        )
        state: State = {"prompt_embeds": positive}
        if negative is not None:
            state["negative_prompt_embeds"] = negative
        if negative is not None and self.do_classifier_free_guidance:
            state["prompt_embeds"] = torch.cat([negative, positive])
        state |= self.guidance_told(positive)
        return Told(state, len(positive), positive.dtype)

    def encode_prompt(
        self,
        prompt: Any,
        device: torch.device | None,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
        negative_prompt: Any = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        lora_scale: float | None = None,
        clip_skip: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The states of the prompt and of the negative prompt, one row for each picture."""
        device = torch.device(device) if device is not None else self._execution_device
        dtype = self.text_encoder.dtype if self.text_encoder is not None else self.unet.dtype
        texts: list[str] = [prompt] if isinstance(prompt, str) else list(prompt or ())
        read = partial(clip_states, self.tokenizer, self.text_encoder, device=device, syntax=self.prompt_syntax)
        with self.adapted("text_encoder", scale=lora_scale):
            if prompt_embeds is None:
                prompt_embeds = read(texts, skip=clip_skip)
            if negative_prompt_embeds is None and do_classifier_free_guidance:
                unwanted = [negative_prompt or ""] if isinstance(negative_prompt or "", str) else list(negative_prompt)
                negative_prompt_embeds = read(unwanted, length=prompt_embeds.shape[1])
                if negative_prompt_embeds.shape[1] > prompt_embeds.shape[1]:  # in a syntax, texts may be of any length
                    check_length("negative_prompt", negative_prompt_embeds, prompt_embeds, texts)
                    prompt_embeds = read(texts, skip=clip_skip, length=negative_prompt_embeds.shape[1])
                if len(unwanted) == 1:
                    negative_prompt_embeds = negative_prompt_embeds.expand(len(prompt_embeds), -1, -1)
        positive = copied(prompt_embeds.to(device, dtype), num_images_per_prompt)
        if not do_classifier_free_guidance or negative_prompt_embeds is None:
            return positive, negative_prompt_embeds
        return positive, copied(negative_prompt_embeds.to(device, dtype), num_images_per_prompt)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        inputs = {
            "encoder_hidden_states": state["prompt_embeds"][-rows:],
            "timestep_cond": state.get("timestep_cond"),
            "cross_attention_kwargs": self.cross_attention_kwargs,
        }
        return self.pictured(inputs, state, rows)

    # ------------------------------------------------------------------ delivered

    def deliver(self, latents: torch.Tensor, output_type: str, return_dict: bool, generator: Any = None) -> Any:
        """Pictures of the latents, looked at by the safety checker; never of numbers that are not finite."""
        check_finite("latents after denoising", latents)
        images, flagged = latents, None
        if output_type != "latent":
            images = decoded(self.vae, latents, generator, self.upcasts)
            images, flagged = self.run_safety_checker(images, images.device, self.unet.dtype)
        clear = None if flagged is None else [not blocked for blocked in flagged]
        images = self.image_processor.postprocess(images, output_type, clear)
        return StableDiffusionPipelineOutput(images, flagged) if return_dict else (images, flagged)

    def run_safety_checker(
        self, image: torch.Tensor, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, list[bool] | None]:
        """The pictures with the blocked ones black, and which those are."""
        if self.safety_checker is None:
            return image, None
        seen = self.feature_extractor(self.image_processor.postprocess(image, "pil"), return_tensors="pt").pixel_values
        return self.safety_checker(images=image, clip_input=seen.to(device, dtype))


def as_trained(scheduler: Any, names: tuple[str, ...]) -> Any:
    """The scheduler with the options its network was trained with; another object if any was different."""
    wanted = {
        name: TRAINED_WITH[name]
        for name in names
        if scheduler.config.get(name, TRAINED_WITH[name]) != TRAINED_WITH[name]
    }
    if not wanted:
        return scheduler
    told = ", ".join(f"{name}={value}" for name, value in wanted.items())
    logger.info("the scheduler is used with %s, as Stable Diffusion was trained", told)
    kept = {name: value for name, value in scheduler.config.items() if name != "_use_default_values"}
    return type(scheduler).from_config(kept, **wanted)
