"""What the Kandinsky priors share: from words to the embeds of a picture, by denoising a vector."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from PIL import Image

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.checks import RULES, among, as_generator, check_finite
from calotype.generation.prompts import copied, tokens
from calotype.generation.state import State, Told
from calotype.pipelines.kandinsky.embeds import check_image_embeds, check_weights
from calotype.pipelines.kandinsky.output import KandinskyPriorPipelineOutput
from calotype.pipelines.kandinsky.wish import Wish
from calotype.pipelines.switches import Switches


class KandinskyPrior(DiffusionPipeline, Switches):
    """A CLIP pair, and a transformer that denoises the embeds of a picture."""

    _exclude_from_cpu_offload: ClassVar[list[str]] = ["prior"]
    argument_rules = RULES | {"output_type": among(("pt", "np"))}
    live_settings = ("guidance_scale",)
    guidance_rescale = 0.0
    autoencoder = None  # embeds are not seen
    _guidance_scale = 0.0
    _num_timesteps = 0

    prior: Any
    image_encoder: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    image_processor: Any

    @register_to_config
    def __init__(
        self, prior: Any, image_encoder: Any, text_encoder: Any, tokenizer: Any, scheduler: Any, image_processor: Any
    ) -> None:
        type(self).register_modules(**locals())

    # ------------------------------------------------------------------ what the loop asks

    @property
    def denoiser(self) -> Any:
        return self.prior

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    def latent_shape(self, batch: int) -> tuple[int, int]:
        """The shape of the embeds of so many pictures."""
        return batch, self.prior.config.embedding_dim

    def encode_pixels(self, pixels: torch.Tensor, generator: Any = None) -> torch.Tensor:
        """What denoising begins with are embeds already."""
        return pixels

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the prior is called with beside the embeds; conditional rows come last, so guidance may end midway."""
        return {
            "proj_embedding": state["prompt_embeds"][-rows:],
            "encoder_hidden_states": state["text_encoder_hidden_states"][-rows:],
            "attention_mask": state["text_mask"][-rows:],
        }

    # ------------------------------------------------------------------ told and delivered

    def condition(self, wish: Wish) -> Told:
        """What the prior is told of each text, doubled for guidance."""
        texts = [*wish.unwanted, *wish.texts] if self.do_classifier_free_guidance else wish.texts
        device = self._execution_device
        read = tokens(self.tokenizer, texts)
        seen = self.text_encoder(read.input_ids.to(device))
        named = {
            "prompt_embeds": seen.text_embeds,
            "text_encoder_hidden_states": seen.last_hidden_state,
            "text_mask": read.attention_mask.bool().to(device),
        }
        return Told({name: copied(x, wish.copies) for name, x in named.items()}, wish.rows, seen.text_embeds.dtype)

    def deliver(self, embeds: torch.Tensor, wish: Wish, output_type: str, return_dict: bool) -> Any:
        """The embeds that are wanted, and those to steer away from: of the unwanted texts, or of a black picture."""
        check_finite("embeds after denoising", embeds)
        embeds = self.prior.post_process_latents(embeds)
        wanted, unwanted = embeds.chunk(2) if wish.opposed else (embeds, self.get_zero_embed(len(embeds)))
        if output_type == "np":
            wanted, unwanted = wanted.cpu().numpy(), unwanted.cpu().numpy()
        return KandinskyPriorPipelineOutput(wanted, unwanted) if return_dict else (wanted, unwanted)

    # ------------------------------------------------------------------ pictures

    @property
    def from_texts(self) -> Any:
        """The prior that imagines pictures of texts alone."""
        return self

    @torch.no_grad()
    def get_zero_embed(self, batch_size: int = 1, device: torch.device | str | None = None) -> torch.Tensor:
        """The embeds of a black picture, as often as asked for."""
        side, encoder = self.image_encoder.config.image_size, self.image_encoder
        black = torch.zeros(1, 3, side, side, device=device or self._execution_device, dtype=encoder.dtype)
        return encoder(black).image_embeds.repeat(batch_size, 1)

    def embedded(self, name: str, image: Any, device: torch.device | str | None = None) -> torch.Tensor:
        """The embeds of pictures: PIL images, what the image encoder reads (batch, 3, side, side), or embeds."""
        if isinstance(image, torch.Tensor) and image.ndim == 2:
            return check_image_embeds(name, image, self.prior.config.embedding_dim)
        pictures: list[Any] = list(image) if isinstance(image, (list, tuple)) else [image]
        if pictures and all(isinstance(each, torch.Tensor) and each.ndim in (3, 4) for each in pictures):
            pixels = torch.cat([each if each.ndim == 4 else each[None] for each in pictures])
            check_finite(name, pixels)
        elif pictures and all(isinstance(each, Image.Image) for each in pictures):
            pixels = self.image_processor(pictures, return_tensors="pt").pixel_values
        else:
            wanted = "PIL images, pixels (batch, 3, height, width) or embeds (batch, width)"
            raise InvalidArgument(name, wanted, "an empty list" if not pictures else type(pictures[0]).__name__)
        encoder = self.image_encoder
        return encoder(pixels.to(device or self._execution_device, encoder.dtype)).image_embeds

    @torch.no_grad()
    def interpolate(
        self,
        images_and_prompts: list[str | Image.Image | torch.Tensor],
        weights: list[float],
        num_images_per_prompt: int = 1,
        num_inference_steps: int = 25,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        negative_prior_prompt: str | None = None,
        negative_prompt: str = "",
        guidance_scale: float = 4.0,
        device: torch.device | str | None = None,
    ) -> KandinskyPriorPipelineOutput:
        """The embeds of texts and pictures, mixed by weight; every argument is explained in docs/parameters.md."""
        shares = check_weights(images_and_prompts, weights)
        generator = as_generator(generator, num_images_per_prompt)
        imagine = self.from_texts

        def imagined(text: str) -> Any:
            return imagine(
                text,
                negative_prompt=negative_prior_prompt,
                num_images_per_prompt=num_images_per_prompt,
                num_inference_steps=num_inference_steps,
                generator=generator,
                latents=latents,
                guidance_scale=guidance_scale,
            )

        mixed: Any = 0
        for i, (thing, share) in enumerate(zip(images_and_prompts, shares, strict=True)):
            if isinstance(thing, str):
                embeds = imagined(thing).image_embeds
            else:
                embeds = copied(self.embedded(f"images_and_prompts[{i}]", thing, device), num_images_per_prompt)
            mixed = mixed + share * embeds
        unwanted = imagined(negative_prompt)
        return KandinskyPriorPipelineOutput(
            mixed, unwanted.image_embeds if negative_prompt else unwanted.negative_image_embeds
        )
