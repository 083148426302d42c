"""PNG bytes as the tensor that a VAE encodes; how large a picture is, is known before any of it is unpacked."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import TooLarge
from calotype.server.limits import Limits

if TYPE_CHECKING:
    import torch
    from PIL import Image

BEGIN = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"


def pixels_of(body: bytearray, channels: int, factor: int, limits: Limits) -> torch.Tensor:
    """One picture in [-1, 1], resized to sides that the VAE can halve; of other modes as RGB over white."""
    from calotype.generation.images import VaeImageProcessor

    width, height = check_png(body, factor, limits)
    grey = channels == 1
    processor = VaeImageProcessor(vae_scale_factor=factor, vae_latent_channels=0, do_convert_grayscale=grey)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return processor.preprocess(_opened(body), height - height % factor, width - width % factor)


def check_png(body: bytearray, factor: int, limits: Limits) -> tuple[int, int]:
    """Width and height, from the first bytes."""
    if not body.startswith(BEGIN) or len(body) < len(BEGIN) + 17:
        fix = "A tensor needs shape and dtype in the query."
        raise InvalidArgument("body", "a PNG picture", f"{len(body)} bytes of something else", fix)
    width, height = struct.unpack_from(">II", body, len(BEGIN))
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        told = f"a picture of at most {limits.max_pixels} pixels, {limits.max_side} a side"
        raise TooLarge("body", told, f"one of {width}x{height}")
    if min(width, height) < factor:
        raise InvalidArgument("body", f"a picture of at least {factor}x{factor}", f"one of {width}x{height}")
    return width, height


def _opened(body: bytearray) -> Image.Image:
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(body), formats=("PNG",))
        picture.load()
    except (OSError, SyntaxError, ValueError, OverflowError, struct.error) as fault:
        raise InvalidArgument("body", "a PNG picture", "one that is damaged") from fault
    return picture


def file_of(levels: torch.Tensor, image_format: str) -> bytes:
    """A picture file of bytes (height, width, channel)."""
    from PIL import Image

    array = levels.numpy()
    picture = Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)
    file = io.BytesIO()
    if image_format == "jpg":
        picture.convert("RGB").save(file, "JPEG", quality=95)
    else:
        picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
