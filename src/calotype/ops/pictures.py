"""Pictures between their forms: PIL images, arrays (height, width, channel) and tensors (channel, height, width)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Samples of these modes are wider than a byte: the largest value of each.
WIDE_MODES = {"I;16": 65535.0, "I;16L": 65535.0, "I;16B": 65535.0, "I;16N": 65535.0, "I": 65535.0}


def upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says it should be seen."""
    return ImageOps.exif_transpose(image)


def plain(image: Image.Image) -> Image.Image:
    """The picture in RGB (or L, where it was): alpha over white, palettes and inks resolved, wide samples scaled."""
    image = upright(image)
    if image.mode in ("RGB", "L"):
        return image
    if image.mode in WIDE_MODES:
        return bytes_image(np.asarray(image, dtype=np.float64) / WIDE_MODES[image.mode]).convert("RGB")
    if image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        return bytes_image(values if values.max(initial=0) <= 1 else values / 255).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        seen = image.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(paper, seen).convert("RGB")
    return image.convert("RGB")


def bytes_image(values: NDArray[Any]) -> Image.Image:
    """A grey or colour PIL image of an array in [0, 1]."""
    return Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))


def array_to_pil(images: NDArray[Any]) -> list[Image.Image]:
    """PIL images of an array (batch, height, width, channel) in [0, 1]; one channel makes grey images."""
    if images.ndim == 3:
        images = images[None]
    levels = (images * 255).round().astype(np.uint8)
    return [Image.fromarray(level.squeeze(-1) if level.shape[-1] == 1 else level) for level in levels]


def pil_to_array(images: Image.Image | list[Image.Image]) -> NDArray[np.float32]:
    """An array (batch, height, width, channel) in [0, 1]; grey images come back as (batch, height, width)."""
    listed = images if isinstance(images, list) else [images]
    return np.stack([np.array(image).astype(np.float32) / 255.0 for image in listed])


def array_to_tensor(images: NDArray[Any]) -> torch.Tensor:
    """A tensor (batch, channel, height, width) of an array (batch, height, width[, channel])."""
    if images.ndim == 3:
        images = images[..., None]
    return torch.from_numpy(images.transpose(0, 3, 1, 2))


def tensor_to_array(images: torch.Tensor) -> NDArray[np.float32]:
    """An array (batch, height, width, channel) of a tensor (batch, channel, height, width)."""
    return images.cpu().permute(0, 2, 3, 1).float().numpy()
