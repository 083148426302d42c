"""What the Stable Diffusion XL pipelines share: their components, how they are told, how they deliver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from calotype.adapters.lora_families import StableDiffusionXLLoraLoaderMixin
from calotype.adapters.single_file import SingleFilePipeline
from calotype.adapters.textual_inversion import TextualInversionLoaderMixin
from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.checks import RULES, check_finite
from calotype.generation.decoding import decoded
from calotype.generation.images import VaeImageProcessor
from calotype.generation.prompts import check_length, copied, side_by_side
from calotype.generation.state import State, Told
from calotype.generation.turns import in_turns
from calotype.pipelines.latent_diffusion import LatentDiffusion
from calotype.pipelines.stable_diffusion_xl.output import StableDiffusionXLPipelineOutput
from calotype.pipelines.stable_diffusion_xl.told import Framing, Words, logger
from calotype.pipelines.stable_diffusion_xl.watermark import Watermark
from calotype.pipelines.switches import Switches


class StableDiffusionXL(
    StableDiffusionXLLoraLoaderMixin,
    LatentDiffusion,
    DiffusionPipeline,
    TextualInversionLoaderMixin,
    SingleFilePipeline,
    Switches,
):
    """Two CLIP text encoders, of which a refiner has the second only, a UNet that is told sizes, and a VAE."""

    model_cpu_offload_seq = "text_encoder->text_encoder_2->image_encoder->unet->vae"
    single_file_families = ("stable-diffusion-xl", "stable-diffusion-xl-refiner")
    _optional_components: ClassVar[list[str]] = [
        "tokenizer",
        "tokenizer_2",
        "text_encoder",
        "text_encoder_2",
        "image_encoder",
        "feature_extractor",
    ]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "prompt_embeds", "add_text_embeds", "add_time_ids"]
    argument_rules = RULES
    live_settings = (*LatentDiffusion.live_settings, "denoising_start", "denoising_end")
    upcasts = True

    text_encoder: Any
    text_encoder_2: Any
    tokenizer: Any
    tokenizer_2: Any
    watermark: Watermark | None = None

    @register_to_config
    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        text_encoder_2: Any,
        tokenizer: Any,
        tokenizer_2: Any,
        unet: Any,
        scheduler: Any,
        image_encoder: Any = None,
        feature_extractor: Any = None,
        requires_aesthetics_score: bool = False,
        force_zeros_for_empty_prompt: bool = True,
        add_watermarker: bool | None = None,
    ) -> None:
        self.assemble(
            add_watermarker,
            vae=vae,
            text_encoder=text_encoder,
            text_encoder_2=text_encoder_2,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            unet=unet,
            scheduler=scheduler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
        )

    def assemble(self, add_watermarker: bool | None, **modules: Any) -> None:
        """Take the components; pictures are marked where that is asked for."""
        self.register_modules(**modules)
        factor, channels = self.vae_scale_factor, self.latent_channels
        self.image_processor = VaeImageProcessor(vae_scale_factor=factor, vae_latent_channels=channels)
        if add_watermarker:
            self.watermark = Watermark()

    # ------------------------------------------------------------------ settings of one call

    _denoising_start: float | None = None
    _denoising_end: float | None = None

    @property
    def denoising_start(self) -> float | None:
        return self._denoising_start

    @property
    def denoising_end(self) -> float | None:
        return self._denoising_end

    # ------------------------------------------------------------------ told

    def condition(self, wanted: Words, unwanted: Words, framing: Framing, other: Framing, copies: int) -> Told:
        """What the UNet is told: states of the text, whole and pooled, and numbers of the framing; doubled to guide."""

        def tell(now: dict[str, Any]) -> Told:
            towards = replace(wanted, prompt=now["prompt"], prompt_2=now["prompt_2"])
            away = replace(unwanted, prompt=now["negative_prompt"], prompt_2=now["negative_prompt_2"])
            return self._told(towards, away, framing, other, copies)

        texts = {"prompt": wanted.prompt, "prompt_2": wanted.prompt_2}
        texts |= {"negative_prompt": unwanted.prompt, "negative_prompt_2": unwanted.prompt_2}
        return in_turns(self, texts, tell)

    def _told(self, wanted: Words, unwanted: Words, framing: Framing, other: Framing, copies: int) -> Told:
        self.unet.known_to_processors(self.cross_attention_kwargs)
        positive, negative, pooled, negative_pooled = self.encode_prompt(
            wanted.prompt,
            wanted.prompt_2,
            self._execution_device,
            copies,
            self.do_classifier_free_guidance,
            unwanted.prompt,
            unwanted.prompt_2,
            wanted.embeds,
            unwanted.embeds,
            wanted.pooled,
            unwanted.pooled,
            lora_scale=(self.cross_attention_kwargs or {}).get("scale"),
            clip_skip=self.clip_skip,
        )
        check_framing(self.unet, pooled, framing)
        within = (positive, pooled, self._time_ids(framing, positive))
        if not self.do_classifier_free_guidance or negative is None or negative_pooled is None:
            states = within
        else:
            without = (negative, negative_pooled, self._time_ids(other, positive))
            states = (torch.cat(pair) for pair in zip(without, within, strict=True))
        state: State = dict(zip(("prompt_embeds", "add_text_embeds", "add_time_ids"), states, strict=True))
        return Told(state | self.guidance_told(positive), len(positive), positive.dtype)

    def _time_ids(self, framing: Framing, like: torch.Tensor) -> torch.Tensor:
        """The numbers of the framing once for each of the batch."""
        return torch.tensor([framing.row()], dtype=like.dtype, device=like.device).repeat(len(like), 1)

    def rated(self, framing: Framing, negative: Framing, *scores: float) -> tuple[Framing, Framing]:
        """The framings as networks are told them that begin with a picture.

        Refiners are told an aesthetic score in place of the last size; others, where nothing is said of the unguided
        half, that it was cut where the other was.
        """
        if self.config.requires_aesthetics_score:
            return replace(framing, last=scores[:1]), replace(negative, last=scores[1:])
        return framing, negative if any(negative.crop) else replace(negative, crop=framing.crop)

    def encode_prompt(
        self,
        prompt: Any,
        prompt_2: Any = None,
        device: torch.device | None = None,
        num_images_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        negative_prompt: Any = None,
        negative_prompt_2: Any = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        pooled_prompt_embeds: torch.Tensor | None = None,
        negative_pooled_prompt_embeds: torch.Tensor | None = None,
        lora_scale: float | None = None,
        clip_skip: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """The states of the prompt and of the negative prompt, then both pooled; one row for each picture."""
        device = torch.device(device) if device is not None else self._execution_device
        dtype = self.text_encoder_2.dtype if self.text_encoder_2 is not None else self.unet.dtype
        positive, pooled = prompt_embeds, pooled_prompt_embeds
        negative, negative_pooled = negative_prompt_embeds, negative_pooled_prompt_embeds
        with self.adapted("text_encoder", "text_encoder_2", scale=lora_scale):
            if positive is None or pooled is None:
                positive, pooled = self.read(prompt, prompt_2, device, skip=clip_skip)
            if do_classifier_free_guidance and (negative is None or negative_pooled is None):
                negative, negative_pooled = self.unwanted(negative_prompt, negative_prompt_2, positive, pooled, device)
                if negative.shape[1] > positive.shape[1]:  # in a syntax, texts may be of any length
                    check_length("negative_prompt", negative, positive, prompt)
                    positive, pooled = self.read(prompt, prompt_2, device, skip=clip_skip, length=negative.shape[1])
        ready = [
            None if states is None else copied(states.to(device, dtype), num_images_per_prompt)
            for states in (positive, negative, pooled, negative_pooled)
        ]
        return tuple(ready)  # pyright: ignore[reportReturnType]

    def unwanted(
        self, first: Any, second: Any, positive: torch.Tensor, pooled: torch.Tensor, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States and pooled states to steer away from: of the negative prompt, or zeros where there is none."""
        if first is None and second is None and self.config.force_zeros_for_empty_prompt:
            return torch.zeros_like(positive), torch.zeros_like(pooled)
        states, short = self.read(first or "", second, device, length=positive.shape[1])
        return states.expand(len(positive), -1, -1), short.expand(len(positive), -1)

    def read(
        self, first: Any, second: Any, device: torch.device, skip: int | None = None, length: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The encoders' states of the texts side by side, and what the last of them pools."""
        if self.text_encoder_2 is None:
            raise InvalidArgument("prompt", "a text_encoder_2 to read it", "none", "Pass prompt_embeds in its place.")
        if self.text_encoder is None and second is not None:
            logger.warning("prompt_2 is not read: without a first encoder the second reads prompt")
            second = first
        readings = [(self.tokenizer_2, self.text_encoder_2, second or first)]
        if self.text_encoder is not None:
            readings.insert(0, (self.tokenizer, self.text_encoder, first))
        return side_by_side(readings, device, skip, length, self.prompt_syntax)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        added = {"text_embeds": state["add_text_embeds"][-rows:], "time_ids": state["add_time_ids"][-rows:]}
        return {
            "encoder_hidden_states": state["prompt_embeds"][-rows:],
            "timestep_cond": state.get("timestep_cond"),
            "cross_attention_kwargs": self.cross_attention_kwargs,
            "added_cond_kwargs": added,
        }

    # ------------------------------------------------------------------ delivered

    def deliver(self, latents: torch.Tensor, output_type: str, return_dict: bool, generator: Any = None) -> Any:
        """Pictures of the latents, marked where that was asked for; never of numbers that are not finite."""
        check_finite("latents after denoising", latents)
        images = latents
        if output_type != "latent":
            self.maybe_free_model_hooks()  # a float32 twin of the VAE sends no network home
            images = decoded(self.vae, latents, generator, self.upcasts)
            images = self.watermark.apply_watermark(images) if self.watermark else images
        images = self.image_processor.postprocess(images, output_type)
        return StableDiffusionXLPipelineOutput(images) if return_dict else (images,)


def check_framing(unet: Any, pooled: torch.Tensor, framing: Framing) -> None:
    """The UNet was made to be told so many numbers beside so wide a pooled state."""
    if unet.config.addition_embed_type != "text_time":
        found = repr(unet.config.addition_embed_type)
        raise InvalidArgument("unet", "addition_embed_type='text_time', as SDXL has", found)
    wide = unet.config.addition_time_embed_dim
    wanted, numbers = unet.add_embedding.linear_1.in_features, len(framing.row())
    if wanted != pooled.shape[-1] + numbers * wide:
        fix = "Base networks are told sizes, refiners aesthetic scores: see requires_aesthetics_score."
        found = f"{pooled.shape[-1]} and {numbers} numbers of {wide} each"
        raise InvalidArgument("pooled_prompt_embeds, or requires_aesthetics_score", f"{wanted} values", found, fix)
