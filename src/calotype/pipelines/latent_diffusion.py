"""What the families have in common that denoise a VAE's latents with a UNet: sizes, settings, the way into latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from calotype.generation.checks import check_size
from calotype.generation.decoding import latents_of
from calotype.generation.guidance import guidance_embedding
from calotype.generation.images import VaeImageProcessor
from calotype.generation.loop import step_options
from calotype.generation.state import State


class LatentDiffusion:
    """Facts about a UNet and a VAE, and the settings of one call."""

    vae: Any
    unet: Any
    scheduler: Any
    upcasts: ClassVar[bool] = False  # whether half precision gives way to float32 where the VAE's config asks for it

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

    @property
    def reads_mask(self) -> bool:
        """Whether the UNet was made for inpainting: it takes the mask and the masked picture beside the latents."""
        return self.unet.config.in_channels == 2 * self.latent_channels + 1

    @property
    def trained_size(self) -> tuple[int | None, int | None]:
        """Height and width of the pictures that the UNet learnt from, if its config tells."""
        trained: Any = self.unet.config.sample_size
        height, width = trained if isinstance(trained, (list, tuple)) else (trained, trained)
        return height and height * self.vae_scale_factor, width and width * self.vae_scale_factor

    def latent_shape(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        """The shape of the latents of so many pictures of this size."""
        return batch, self.latent_channels, height // self.vae_scale_factor, width // self.vae_scale_factor

    def pixel_size(self, pixels: torch.Tensor) -> tuple[int, int]:
        """Height and width in pixels of pictures, or of what is latents already."""
        factor = self.vae_scale_factor if pixels.shape[1] == self.latent_channels else 1
        return pixels.shape[-2] * factor, pixels.shape[-1] * factor

    @property
    def denoiser(self) -> Any:
        return self.unet

    @property
    def autoencoder(self) -> Any:
        return self.vae

    @property
    def mask_processor(self) -> VaeImageProcessor:
        """Masks on their way into inpainting: black or white, from 0 to 1; ``blur`` softens them beforehand."""
        return VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, do_normalize=False, do_binarize=True, do_convert_grayscale=True
        )

    def size(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Height and width of the picture: as asked, else what the UNet was trained on."""
        trained = self.trained_size
        height, width = (side if own is None else own for own, side in zip((height, width), trained, strict=True))
        return check_size(height, width, self.vae_scale_factor)

    # ------------------------------------------------------------------ settings of one call, read live by the loop
    # a callback may change them under these names

    live_settings: ClassVar[tuple[str, ...]] = (
        "guidance_scale",
        "guidance_rescale",
        "clip_skip",
        "cross_attention_kwargs",
        "prompt_syntax",
    )
    beside_signature: ClassVar[Mapping[str, Any]] = {"prompt_syntax": None}
    _guidance_scale = 0.0
    _guidance_rescale = 0.0
    _clip_skip: int | None = None
    _cross_attention_kwargs: dict[str, Any] | None = None
    _prompt_syntax: str | None = None
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
    def prompt_syntax(self) -> str | None:
        """How prompts are spelt: "a1111", "compel", or as the peer reads them."""
        return self._prompt_syntax

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    # ------------------------------------------------------------------ told, and latents

    def prepare_extra_step_kwargs(self, generator: Any, eta: float) -> dict[str, Any]:
        """What of these the scheduler's step takes."""
        return step_options(self.scheduler, generator=generator, eta=eta)

    def guidance_told(self, like: torch.Tensor) -> State:
        """The guidance scale of each of the batch, for a UNet that reads it; nothing for others."""
        width = self.unet.config.time_cond_proj_dim
        if width is None:
            return {}
        scales = torch.tensor([self.guidance_scale - 1]).repeat(len(like))
        return {"timestep_cond": guidance_embedding(scales, width).to(like.device, like.dtype)}

    get_guidance_scale_embedding = staticmethod(guidance_embedding)

    def encode_pixels(self, pixels: torch.Tensor, generator: Any = None) -> torch.Tensor:
        """A sample of the VAE's latents of pictures; what has the latents' channels is taken for latents already."""
        if pixels.shape[1] == self.latent_channels:
            return pixels
        return latents_of(self.vae, pixels, generator, self.upcasts)
