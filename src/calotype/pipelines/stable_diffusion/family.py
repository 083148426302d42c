"""What the Stable Diffusion pipelines share: their components, how they are told a prompt, how they deliver."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import torch

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.checks import RULES, check_finite, check_size
from calotype.generation.decoding import decoded
from calotype.generation.guidance import guidance_embedding
from calotype.generation.images import VaeImageProcessor
from calotype.generation.prompts import clip_states, copied
from calotype.generation.state import State, Told
from calotype.pipelines.stable_diffusion.output import StableDiffusionPipelineOutput
from calotype.pipelines.switches import Switches

logger = logging.getLogger("calotype.pipelines.stable_diffusion")

# Schedulers saved before these options were known; the networks were trained with the values here.
TRAINED_WITH = {"steps_offset": 1, "clip_sample": False, "skip_prk_steps": True}


class StableDiffusion(DiffusionPipeline, Switches):
    """A CLIP text encoder, a conditional UNet and a VAE, with an optional safety checker."""

    model_cpu_offload_seq = "text_encoder->image_encoder->unet->vae"
    _optional_components: ClassVar[list[str]] = ["safety_checker", "feature_extractor", "image_encoder"]
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["safety_checker"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "prompt_embeds", "negative_prompt_embeds"]
    _trained_with = ("steps_offset", "clip_sample")
    argument_rules = RULES
    live_settings = ("guidance_scale", "guidance_rescale", "clip_skip", "cross_attention_kwargs")

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
        if safety_checker is None and requires_safety_checker:
            logger.warning(
                "%s has no safety checker: look at pictures before you show them to others", type(self).__name__
            )
        if safety_checker is not None and feature_extractor is None:
            raise InvalidArgument(
                "feature_extractor", "one, as there is a safety_checker", "None", "Or pass safety_checker=None."
            )
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

    # ------------------------------------------------------------------ facts about the components

    @property
    def vae_scale_factor(self) -> int:
        """How many pixels one latent spans in height and in width."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1) if self.vae is not None else 8

    @property
    def latent_channels(self) -> int:
        return self.vae.config.latent_channels if self.vae is not None else self.unet.config.out_channels

    @property
    def text_width(self) -> int | None:
        """The width of text states that the UNet reads, where it reads one width."""
        width = self.unet.config.cross_attention_dim
        return width if isinstance(width, int) and self.unet.config.encoder_hid_dim is None else None

    def latent_shape(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        """The shape of the latents of so many pictures of this size."""
        return batch, self.latent_channels, height // self.vae_scale_factor, width // self.vae_scale_factor

    @property
    def denoiser(self) -> Any:
        return self.unet

    def size(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Height and width of the picture: as asked, else what the UNet was trained on."""
        trained: Any = self.unet.config.sample_size
        sides = trained if isinstance(trained, (list, tuple)) else (trained, trained)
        asked = (height, width)
        height, width = (
            side * self.vae_scale_factor if own is None else own for own, side in zip(asked, sides, strict=True)
        )
        return check_size(height, width, self.vae_scale_factor)

    # ------------------------------------------------------------------ settings of one call, read live by the loop
    # a callback may change them under these names

    _guidance_scale = 0.0
    _guidance_rescale = 0.0
    _clip_skip: int | None = None
    _cross_attention_kwargs: dict[str, Any] | None = None
    _num_timesteps = 0

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def guidance_rescale(self) -> float:
        return self._guidance_rescale

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1 and self.unet.config.time_cond_proj_dim is None

    @property
    def clip_skip(self) -> int | None:
        return self._clip_skip

    @property
    def cross_attention_kwargs(self) -> dict[str, Any] | None:
        return self._cross_attention_kwargs

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    # ------------------------------------------------------------------ told

    def condition(
        self, prompt: Any, negative_prompt: Any, prompt_embeds: Any, negative_prompt_embeds: Any, copies: int
    ) -> Told:
        """What the UNet is told: the text's states, doubled for guidance, and the guidance scale where it reads it."""
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
        if self.unet.config.time_cond_proj_dim is not None:
            scales = torch.tensor([self.guidance_scale - 1]).repeat(len(positive))
            embedding = guidance_embedding(scales, self.unet.config.time_cond_proj_dim)
            state["timestep_cond"] = embedding.to(positive.device, positive.dtype)
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
        if prompt_embeds is None:
            texts = [prompt] if isinstance(prompt, str) else list(prompt)
            prompt_embeds = clip_states(self.tokenizer, self.text_encoder, texts, device, clip_skip)
        if negative_prompt_embeds is None and do_classifier_free_guidance:
            unwanted = [negative_prompt or ""] if isinstance(negative_prompt or "", str) else list(negative_prompt)
            length = prompt_embeds.shape[1]
            negative_prompt_embeds = clip_states(self.tokenizer, self.text_encoder, unwanted, device, length=length)
            if len(unwanted) == 1:
                negative_prompt_embeds = negative_prompt_embeds.expand(len(prompt_embeds), -1, -1)
        positive = copied(prompt_embeds.to(device, dtype), num_images_per_prompt)
        if not do_classifier_free_guidance or negative_prompt_embeds is None:
            return positive, negative_prompt_embeds
        return positive, copied(negative_prompt_embeds.to(device, dtype), num_images_per_prompt)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        return {
            "encoder_hidden_states": state["prompt_embeds"][-rows:],
            "timestep_cond": state.get("timestep_cond"),
            "cross_attention_kwargs": self.cross_attention_kwargs,
        }

    get_guidance_scale_embedding = staticmethod(guidance_embedding)

    def encode_pixels(self, pixels: torch.Tensor, generator: Any = None) -> torch.Tensor:
        """A sample of the VAE's latents of pictures; what has the latents' channels is taken for latents already."""
        if pixels.shape[1] == self.latent_channels:
            return pixels
        return self.vae.encode(pixels).latent_dist.sample(generator) * self.vae.config.scaling_factor

    # ------------------------------------------------------------------ delivered

    def deliver(self, latents: torch.Tensor, output_type: str, return_dict: bool, generator: Any = None) -> Any:
        """Pictures of the latents, looked at by the safety checker; never of numbers that are not finite."""
        check_finite("latents after denoising", latents)
        images, flagged = latents, None
        if output_type != "latent":
            images = decoded(self.vae, latents / self.vae.config.scaling_factor, generator)
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
