"""The frame of an inpainting: which part of a picture is worked on, and how it goes back into the whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from calotype.core.errors import InvalidArgument
from calotype.generation.images import Box, VaeImageProcessor

logger = logging.getLogger("calotype.generation.masks")


@dataclass(frozen=True)
class Frame:
    """A picture, its mask and the size to work at; with ``box`` only that part, enlarged, is worked on."""

    image: Any
    mask: Any
    height: int
    width: int
    box: Box | None = None

    @classmethod
    def around(cls, image: Any, mask: Any, height: int, width: int, padding: int | None, output_type: str) -> Frame:
        """The whole picture, or, with padding, what lies around the mask's white."""
        if padding is None:
            return cls(image, mask, height, width)
        for name, given in (("image", image), ("mask_image", mask)):
            if not isinstance(given, Image.Image):
                raise InvalidArgument(name, "a PIL image, with padding_mask_crop", type(given).__name__)
        if image.size != mask.size:
            raise InvalidArgument(
                "mask_image", f"the size of image, {image.width}x{image.height}", f"{mask.width}x{mask.height}"
            )
        if output_type != "pil":
            raise InvalidArgument("output_type", "'pil', with padding_mask_crop", repr(output_type))
        return cls(image, mask, height, width, VaeImageProcessor.get_crop_region(mask, width, height, pad=padding))

    def preprocess(self, images: VaeImageProcessor, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture and its mask; where that repaints nothing, it is said."""
        pixels, mask = self.read(images, batch)
        if not mask.any():
            logger.warning("mask_image has no white: nothing is repainted")
        return pixels, mask

    def read(self, images: VaeImageProcessor, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture and its mask (batch, 1, height, width), 1 where it is repainted."""
        mode = "default" if self.box is None else "fill"
        masks = VaeImageProcessor(
            vae_scale_factor=images.config.vae_scale_factor,
            do_normalize=False,
            do_binarize=True,
            do_convert_grayscale=True,
            resample=images.config.resample,
            reducing_gap=images.config.reducing_gap,
        )
        pixels = images.preprocess(self.image, self.height, self.width, mode, self.box, batch=batch)
        return pixels, masks.preprocess(
            self.mask, self.height, self.width, mode, self.box, name="mask_image", batch=batch
        )

    def restore(self, output: Any, images: VaeImageProcessor) -> Any:
        """The output with each repainted part laid over the original picture, where only a part was worked on."""
        if self.box is None:
            return output
        pictures = output[0]
        pictures[:] = [images.apply_overlay(self.mask, self.image, each, self.box) for each in pictures]
        return output
