"""The mark that says of a picture, invisibly, that a machine made it."""

from __future__ import annotations

import logging

import torch

from calotype.core.errors import MissingDependency

logger = logging.getLogger("calotype.pipelines.stable_diffusion_xl")

# the message that Stability AI published with SDXL
MESSAGE = 0b101100111110110010010000011110111011000110011110
SMALLEST = 256  # pixels each side: the method has no room for the message in less


class Watermark:
    """The message, written into pictures by the library invisible-watermark."""

    def __init__(self) -> None:
        try:
            from imwatermark import WatermarkEncoder  # pyright: ignore[reportMissingImports]
        except ImportError as missing:
            fix = "Install it with pip install invisible-watermark, or leave add_watermarker out."
            raise MissingDependency("add_watermarker", "the library invisible-watermark", "none", fix) from missing
        self.encoder = WatermarkEncoder()
        self.encoder.set_watermark("bits", [int(bit) for bit in f"{MESSAGE:b}"])

    def apply_watermark(self, images: torch.Tensor) -> torch.Tensor:
        """The same pictures in [-1, 1], marked; small ones are left as they are, and that is said."""
        if min(images.shape[-2:]) < SMALLEST:
            logger.warning("pictures under %d pixels a side have no room for a watermark: none was added", SMALLEST)
            return images
        levels = (255 * (images / 2 + 0.5)).permute(0, 2, 3, 1).float().cpu().numpy()
        # the library reads blue, green, red
        marked = [self.encoder.encode(each[..., ::-1], "dwtDct")[..., ::-1].copy() for each in levels]
        back = torch.stack([torch.from_numpy(each) for each in marked]).permute(0, 3, 1, 2).to(images)
        return (2 * (back / 255 - 0.5)).clamp(-1, 1)
