"""Pictures on their way into pipelines and out of them, for who makes them ready beforehand."""

from __future__ import annotations

import torch

from calotype.core.config import register_to_config
from calotype.generation.images import VaeImageProcessor
from calotype.models.layers.image_attention import spread_over

__all__ = ["IPAdapterMaskProcessor", "VaeImageProcessor"]


class IPAdapterMaskProcessor(VaeImageProcessor):
    """Masks that say where in a picture those of an IP-Adapter count: white, or 1, where they do."""

    @register_to_config
    def __init__(
        self,
        do_resize: bool = True,
        vae_scale_factor: int = 8,
        resample: str = "lanczos",
        do_normalize: bool = False,
        do_binarize: bool = True,
        do_convert_grayscale: bool = True,
    ) -> None:
        super().__init__(
            do_resize=do_resize,
            vae_scale_factor=vae_scale_factor,
            resample=resample,
            do_normalize=do_normalize,
            do_binarize=do_binarize,
            do_convert_grayscale=do_convert_grayscale,
        )

    @staticmethod
    def downsample(mask: torch.Tensor, batch_size: int, num_queries: int, value_embed_dim: int) -> torch.Tensor:
        """Masks (count, height, width) as attention layers lay them over their output (batch, queries, width)."""
        small = spread_over(mask, num_queries)
        small = small if len(small) >= batch_size else small.repeat(batch_size, 1)
        return small[..., None].expand(-1, -1, value_embed_dim)
