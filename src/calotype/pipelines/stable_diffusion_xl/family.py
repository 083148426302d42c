"""What the Stable Diffusion XL pipelines share: their components, how they are told, how they deliver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from calotype.adapters.ip_adapter import IPAdapterMixin
from calotype.adapters.lora_families import StableDiffusionXLLoraLoaderMixin
from calotype.adapters.single_file import SingleFilePipeline
from calotype.adapters.textual_inversion import TextualInversionLoaderMixin
from calotype.core.config import register_to_config
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.checks import RULES, check_finite
from calotype.generation.decoding import decoded
from calotype.generation.images import VaeImageProcessor
from calotype.generation.state import State, Told
from calotype.generation.turns import in_turns
from calotype.pipelines.latent_diffusion import LatentDiffusion
from calotype.pipelines.stable_diffusion_xl.encoders import TwoEncoders
from calotype.pipelines.stable_diffusion_xl.framing import Framing, check_framing
from calotype.pipelines.stable_diffusion_xl.output import StableDiffusionXLPipelineOutput
from calotype.pipelines.stable_diffusion_xl.watermark import Watermark
from calotype.pipelines.stable_diffusion_xl.words import Words
from calotype.pipelines.switches import Switches

TEXTS = "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"
PARTS = "vae", *TEXTS, "unet", "scheduler", "image_encoder", "feature_extractor"  # in the order of ``assemble``
# what the UNet is told, and what some callbacks call the half of it to steer away from
TOLD = {
    "prompt_embeds": ("negative_prompt_embeds",),
    "add_text_embeds": ("negative_pooled_prompt_embeds",),
    "add_time_ids": ("negative_add_time_ids", "add_neg_time_ids"),
}


class StableDiffusionXL(
    StableDiffusionXLLoraLoaderMixin,
    IPAdapterMixin,
    TwoEncoders,
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
        texts = text_encoder, text_encoder_2, tokenizer, tokenizer_2
        self.assemble(add_watermarker, vae, *texts, unet, scheduler, image_encoder, feature_extractor)

    def assemble(self, add_watermarker: bool | None, *parts: Any) -> None:
        """Take the components in the order of their names; pictures are marked where that is asked for."""
        self.register_modules(**dict(zip(PARTS, parts, strict=True)))
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
        within = (positive, pooled, framing.ids(positive))
        without = (negative, negative_pooled, other.ids(positive))
        state: State = {}
        for name, towards, away in zip(TOLD, within, without, strict=True):
            state[name] = towards
            if away is not None:
                state[name] = torch.cat([away, towards]) if self.do_classifier_free_guidance else towards
                state |= {also: away for also in TOLD[name] if also in self._callback_tensor_inputs}
        return Told(state | self.guidance_told(positive), len(positive), positive.dtype)

    def rated(self, framing: Framing, negative: Framing, *scores: float) -> tuple[Framing, Framing]:
        """The framings as networks are told them that begin with a picture.

        Refiners are told an aesthetic score in place of the last size; others, where nothing is said of the unguided
        half, that it was cut where the other was.
        """
        if self.config.requires_aesthetics_score:
            return replace(framing, last=scores[:1]), replace(negative, last=scores[1:])
        return framing, negative if any(negative.crop) else replace(negative, crop=framing.crop)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        added = {"text_embeds": state["add_text_embeds"][-rows:], "time_ids": state["add_time_ids"][-rows:]}
        inputs = {
            "encoder_hidden_states": state["prompt_embeds"][-rows:],
            "timestep_cond": state.get("timestep_cond"),
            "cross_attention_kwargs": self.cross_attention_kwargs,
            "added_cond_kwargs": added,
        }
        return self.pictured(inputs, state, rows)

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
