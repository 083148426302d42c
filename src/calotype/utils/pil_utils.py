"""Pictures in other forms, under the path where the peer has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["make_image_grid", "numpy_to_pil", "pt_to_pil"]


def make_image_grid(images: list[Image.Image], rows: int, cols: int, resize: int | None = None) -> Image.Image:
    """Pictures side by side, row after row; ``resize`` makes each a square of that many pixels first."""
    from PIL import Image

    if rows * cols != len(images) or not images:
        raise InvalidArgument("images", f"rows * cols = {rows} * {cols} pictures", str(len(images)))
    if resize is not None:
        images = [image.resize((resize, resize)) for image in images]
    width, height = images[0].size
    grid = Image.new("RGB", (cols * width, rows * height))
    for i, image in enumerate(images):
        grid.paste(image, (i % cols * width, i // cols * height))
    return grid


def numpy_to_pil(images: Any) -> list[Image.Image]:
    """PIL images of an array (batch, height, width, channel) in [0, 1]."""
    from calotype.ops.pictures import array_to_pil

    return array_to_pil(images)


def pt_to_pil(images: Any) -> list[Image.Image]:
    """PIL images of a tensor (batch, channel, height, width) in [-1, 1]."""
    from calotype.ops.pictures import array_to_pil, tensor_to_array

    return array_to_pil(tensor_to_array((images / 2 + 0.5).clamp(0, 1)))
