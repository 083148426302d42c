"""What CLIP's image encoder is shown: pictures brought to one size, cropped in the middle, and normalised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from calotype.core.config import ConfigMixin, register_to_config
from calotype.core.errors import InvalidArgument, NotFinite
from calotype.core.files import locate
from calotype.models.batch import Batch, stacked
from calotype.ops.pictures import bytes_image, plain

Picture = Image.Image | NDArray[Any] | torch.Tensor  # arrays: channels last; tensors: channels first

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class CLIPImageProcessor(ConfigMixin):
    """Pictures of any kind to the tensor that CLIP's image encoder reads; the config is spelt as CLIP's."""

    library = "transformers"
    config_name = "preprocessor_config.json"

    @register_to_config
    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        resample: int = Image.Resampling.BICUBIC.value,
        do_center_crop: bool = True,
        crop_size: dict[str, int] | int | None = None,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: tuple[float, ...] | None = None,
        image_std: tuple[float, ...] | None = None,
        do_convert_rgb: bool = True,
        image_processor_type: str = "CLIPImageProcessor",
    ) -> None:
        size, crop_size = size or 224, crop_size or 224
        self.size = {"shortest_edge": size} if isinstance(size, int) else size
        self.crop_size = {"height": crop_size, "width": crop_size} if isinstance(crop_size, int) else crop_size
        for name, found, choices in (
            ("size", self.size, ({"shortest_edge"}, {"height", "width"})),
            ("crop_size", self.crop_size, ({"height", "width"},)),
        ):
            if set(found) not in choices:
                raise InvalidArgument(
                    name, " or ".join(" and ".join(sorted(choice)) for choice in choices), repr(found)
                )

        image_mean, image_std = image_mean or MEAN, image_std or DEVIATION
        self.mean, self.deviation = np.array(image_mean, np.float32), np.array(image_std, np.float32)
        self.register_to_config(size=self.size, crop_size=self.crop_size, image_mean=image_mean, image_std=image_std)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> CLIPImageProcessor:
        """The processor of a folder or a Hub repository; other keywords win over what its config says."""
        source, changes = locate(pretrained_model_name_or_path, kwargs)
        return cls.from_source(source, **changes)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the config into a folder."""
        self.save_config(save_directory)

    def __call__(self, images: Picture | Sequence[Picture], return_tensors: str | None = None) -> Batch:
        """``pixel_values`` (batch, channels, height, width) of one picture or of several."""
        single = isinstance(images, Image.Image) or getattr(images, "ndim", 4) == 3
        listed: Any = [images] if single else images
        pictures = [self._picture(image, f"images[{index}]") for index, image in enumerate(listed)]
        fix = "Leave do_center_crop on, or pass one picture at a time."
        return Batch(pixel_values=stacked([self._pixels(picture) for picture in pictures], return_tensors, fix))

    def _picture(self, image: Any, where: str) -> Image.Image:
        if isinstance(image, torch.Tensor):
            image = image.detach().cpu().movedim(0, -1).numpy()
        if isinstance(image, np.ndarray):
            image = _image_of(image, where)
        if not isinstance(image, Image.Image):
            raise InvalidArgument(where, "a PIL image, an array or a tensor", type(image).__name__)
        return plain(image).convert("RGB") if self.config.do_convert_rgb else image

    def _pixels(self, image: Image.Image) -> NDArray[np.float32]:
        if self.config.do_resize:
            image = image.resize(self._resized(*image.size), self.config.resample)
        if self.config.do_center_crop:
            height, width = self.crop_size["height"], self.crop_size["width"]
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))  # black where the picture is smaller
        pixels = np.asarray(image, dtype=np.float32)
        if self.config.do_rescale:
            pixels = pixels * np.float32(self.config.rescale_factor)
        if self.config.do_normalize:
            pixels = (pixels - self.mean) / self.deviation
        return pixels.transpose(2, 0, 1)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if "shortest_edge" not in self.size:
            return self.size["width"], self.size["height"]
        edge, shorter = self.size["shortest_edge"], min(width, height)
        return edge * width // shorter, edge * height // shorter


def _image_of(values: NDArray[Any], where: str) -> Image.Image:
    if values.ndim != 3 or values.shape[-1] not in (1, 3, 4):
        raise InvalidArgument(
            where, "(height, width, channels), or a tensor (channels, height, width)", f"shape {values.shape}"
        )
    values = values[..., 0] if values.shape[-1] == 1 else values
    if not np.issubdtype(values.dtype, np.floating):
        return Image.fromarray(values.astype(np.uint8))
    if not np.isfinite(values).all():
        raise NotFinite(where, "finite numbers", "NaN or infinity")
    if values.min() < 0 or values.max() > 1:
        raise InvalidArgument(where, "floats in [0, 1], or bytes", f"floats from {values.min():g} to {values.max():g}")
    return bytes_image(values)
