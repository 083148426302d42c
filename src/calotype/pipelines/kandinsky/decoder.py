"""What the Kandinsky decoders share: from the embeds of a picture to the picture."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import nn

from calotype.core.assembly import USUAL
from calotype.core.config import FrozenDict
from calotype.core.errors import InvalidArgument
from calotype.generation.checks import RULES, check_finite, count
from calotype.generation.decoding import decoded
from calotype.generation.guidance import classifier_free, learned_variance
from calotype.generation.images import LONGEST_SIDE, VaeImageProcessor
from calotype.generation.loop import Guide
from calotype.generation.prompts import copied
from calotype.generation.state import State
from calotype.pipelines.kandinsky.embeds import check_pair
from calotype.pipelines.kandinsky.output import ImagePipelineOutput
from calotype.pipelines.latent_diffusion import LatentDiffusion

logger = logging.getLogger("calotype.pipelines.kandinsky")

LEARNED = ("learned", "learned_range")
PLAIN = FrozenDict(scaling_factor=1.0, latents_mean=None, latents_std=None, force_upcast=False)


class Unquantised(nn.Module):
    """A MoVQ as the loop's autoencoder: latents are decoded as they are, neither scaled nor rounded to codes."""

    def __init__(self, movq: Any) -> None:
        super().__init__()
        self.movq = movq
        self.config = FrozenDict({**movq.config, **PLAIN})

    @property
    def dtype(self) -> torch.dtype:
        return self.movq.dtype

    @property
    def device(self) -> torch.device:
        return self.movq.device

    def decode(self, latents: torch.Tensor, return_dict: bool = False, generator: Any = None) -> Any:
        return self.movq.decode(latents, force_not_quantize=True, return_dict=False)


class KandinskyDecoder(LatentDiffusion):
    """A UNet that is told of a picture by its embeds, and a MoVQ; mixed into the families."""

    argument_rules = RULES
    live_settings: ClassVar[tuple[str, ...]] = ("guidance_scale",)
    beside_signature: ClassVar[Mapping[str, Any]] = {}
    usual_beside: ClassVar[tuple[str, ...]] = ("prior_guidance_scale", "prior_num_inference_steps")  # of combined ones
    raw: ClassVar[bool] = True  # tensors come as the MoVQ decodes them, about -1 to 1, as the peer gives them
    beside_latents: ClassVar[tuple[str, ...]] = ("nothing",)  # what else the UNet's first layer may read

    movq: Any

    def take(self: Any, **parts: Any) -> None:
        """Take the components, and make what brings pictures to them."""
        self.register_modules(**parts)
        self.image_processor = self._images(vae_latent_channels=self.latent_channels)

    def _images(self, **options: Any) -> VaeImageProcessor:
        return VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, resample="bicubic", reducing_gap=1, do_convert_rgb=True, **options
        )

    # ------------------------------------------------------------------ facts about the components

    @property
    def vae(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.movq

    @property
    def autoencoder(self) -> Any:
        return self._unquantised

    @cached_property
    def _unquantised(self) -> Unquantised:  # one for each call, which is a copy
        return Unquantised(self.movq)

    @property
    def usual_arguments(self: Any) -> Mapping[str, Any]:
        """The size that the UNet was trained on: 512, as in the signature, in all decoders but the small ones."""
        sides = zip(("height", "width"), self.trained_size, strict=True)
        told = self.config.get(USUAL, {})
        own = {name: value for name, value in told.items() if name not in self.usual_beside}
        return {name: side for name, side in sides if side is not None} | own

    @property
    def embeds_width(self) -> int:
        """The width of the embeds that the UNet reads."""
        return self.unet.config.encoder_hid_dim

    def size(self, height: Any, width: Any) -> tuple[int, int]:
        """Height and width of the picture: as asked, rounded up to what the UNet can halve as often as the MoVQ."""
        factor = self.vae_scale_factor**2
        for name, side in (("height", height), ("width", width)):
            count(1, LONGEST_SIDE)(name, side)
        made = -(-height // factor) * factor, -(-width // factor) * factor
        if made != (height, width):
            told = (factor, width, height, made[1], made[0])
            logger.warning("sizes are multiples of %d: %dx%d becomes %dx%d", *told)
        return made

    @property
    def learns_variance(self) -> bool:
        """Whether the scheduler reads what the UNet says of the noise's spread."""
        takes = "variance_type" in self.scheduler.init_names()  # configs keep what was meant for another solver
        return takes and self.scheduler.config.variance_type in LEARNED

    @property
    def guide(self) -> Guide:
        return learned_variance if self.learns_variance else classifier_free

    @property
    def denoiser(self) -> Any:
        return self.unet if self.learns_variance else self._noise

    def _noise(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        """What the UNet predicts, without the spread that stands beside it."""
        return (self.unet(*args, **kwargs)[0][:, : self.latent_channels],)

    # ------------------------------------------------------------------ told, and latents

    def check_unet(self) -> None:
        """The UNet was made for this task."""
        channels = self.latent_channels
        reads = {channels: "nothing", 2 * channels: "a hint", 2 * channels + 1: "a mask"}
        found = reads.get(self.unet.config.in_channels, "another thing")
        if found not in self.beside_latents:
            fix = "Load the decoder that was trained for this task."
            wanted = f"one that reads {' or '.join(self.beside_latents)} beside latents"
            raise InvalidArgument("unet", wanted, f"one that reads {found}", fix)

    def check_embeds(
        self, wanted: Any, unwanted: Any, batch: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What to steer towards and away from."""
        self.check_unet()
        return check_pair(wanted, unwanted, self.embeds_width, self.do_classifier_free_guidance, batch)

    def tell_embeds(self: Any, embeds: tuple[torch.Tensor, torch.Tensor | None], copies: int) -> State:
        """The embeds of each picture to be made, doubled for guidance."""
        device, dtype = self._execution_device, self.unet.dtype
        positive, negative = (None if each is None else copied(each.to(device, dtype), copies) for each in embeds)
        state: State = {"image_embeds": positive}  # pyright: ignore[reportAssignmentType]
        if negative is not None:
            state["negative_image_embeds"] = negative
            if self.do_classifier_free_guidance:
                state["image_embeds"] = torch.cat([negative, state["image_embeds"]])
        return state

    def encode_pixels(self, pixels: torch.Tensor, generator: Any = None) -> torch.Tensor:
        """The MoVQ's latents of pictures; what has the latents' channels is taken for latents already."""
        if pixels.shape[1] == self.latent_channels:
            return pixels
        return self.movq.encode(pixels.to(self.movq.dtype)).latents

    # ------------------------------------------------------------------ delivered

    def deliver(self, latents: torch.Tensor, output_type: str, return_dict: bool) -> Any:
        """Pictures of the latents; never of numbers that are not finite."""
        check_finite("latents after denoising", latents)
        images = latents if output_type == "latent" else decoded(self.autoencoder, latents)
        if output_type != "pt" or not self.raw:
            images = self.image_processor.postprocess(images, output_type)
        return ImagePipelineOutput(images) if return_dict else (images,)
