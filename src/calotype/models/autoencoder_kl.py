"""The autoencoder between pixels and the latents that Stable Diffusion draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.outputs import BaseOutput
from calotype.models.layers.switches import WithAttention
from calotype.models.single_file import SingleFile
from calotype.models.tiles import Tiles
from calotype.models.vae import Decoder, Encoder, Shape
from calotype.ops.gaussian import DiagonalGaussianDistribution
from calotype.ops.random import Generators
from calotype.ops.tiling import tiled

# What attention layers were called in the first files.
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass
class AutoencoderKLOutput(BaseOutput):
    """What the encoder makes of pictures: a distribution of latents."""

    latent_dist: DiagonalGaussianDistribution


@dataclass
class DecoderOutput(BaseOutput):
    """What the decoder makes of latents."""

    sample: Tensor  # (batch, channels, height, width), in [-1, 1] or a little beyond


class AutoencoderKL(WithAttention, SingleFile):
    """Pixels to a normal distribution of latents and back."""

    component = "vae"
    also_known = frozenset({"latent_rgb"})  # what previews are painted with

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        down_block_types: tuple[str, ...] = ("DownEncoderBlock2D",),
        up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",),
        block_out_channels: tuple[int, ...] = (64,),
        layers_per_block: int = 1,
        act_fn: str = "silu",
        latent_channels: int = 4,
        norm_num_groups: int = 32,
        sample_size: int | tuple[int, ...] = 32,
        scaling_factor: float = 0.18215,
        shift_factor: float | None = None,
        latents_mean: tuple[float, ...] | None = None,
        latents_std: tuple[float, ...] | None = None,
        force_upcast: bool = True,
        use_quant_conv: bool = True,
        use_post_quant_conv: bool = True,
        mid_block_add_attention: bool = True,
    ) -> None:
        super().__init__()
        shape = Shape(block_out_channels, layers_per_block, act_fn, norm_num_groups, mid_block_add_attention)
        moments = 2 * latent_channels
        self.encoder = Encoder(in_channels, moments, down_block_types, shape)
        self.decoder = Decoder(latent_channels, out_channels, up_block_types, shape)
        self.quant_conv = nn.Conv2d(moments, moments, 1) if use_quant_conv else None
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1) if use_post_quant_conv else None
        self.use_slicing = False
        self.use_tiling = self.seams = False
        self.tile_sample_min_size = sample_size if isinstance(sample_size, int) else sample_size[0]
        self.tile_latent_min_size = int(self.tile_sample_min_size / 2 ** (len(block_out_channels) - 1))
        self.tile_overlap_factor = 0.25

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present name of a tensor that the first files call otherwise."""
        return re.sub(rf"(?<=\.)({'|'.join(OLD_NAMES)})(?=\.(weight|bias)$)", lambda old: OLD_NAMES[old[0]], key)

    def enable_tiling(self, use_tiling: bool = True, seams: bool = False) -> None:
        """Work on pictures larger than ``tile_sample_min_size`` a tile at a time.

        Each layer's tiles make up what it makes of the whole. With ``seams`` each tile goes its own way through all
        layers: memory does not grow with the picture, but tiles differ in brightness and colour where they meet.
        """
        self.use_tiling, self.seams = use_tiling, seams

    def disable_tiling(self) -> None:
        """Work on whole pictures again."""
        self.use_tiling = self.seams = False

    def enable_slicing(self) -> None:
        """Work on one item of a batch at a time."""
        self.use_slicing = True

    def disable_slicing(self) -> None:
        """Work on whole batches again."""
        self.use_slicing = False

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """The distribution of latents of pictures (batch, channels, height, width) in [-1, 1]."""
        posterior = DiagonalGaussianDistribution(self._sliced(self._moments, x))
        return AutoencoderKLOutput(posterior) if return_dict else (posterior,)

    def decode(
        self,
        z: Tensor,
        return_dict: bool = True,
        generator: Generators = None,  # for decoders that draw noise; this one does not
    ) -> DecoderOutput | tuple[Tensor]:
        """The pictures of latents (batch, latent_channels, height, width)."""
        pixels = self._sliced(self._pixels, z)
        return DecoderOutput(pixels) if return_dict else (pixels,)

    def forward(
        self,
        sample: Tensor,
        sample_posterior: bool = False,
        return_dict: bool = True,
        generator: Generators = None,
    ) -> DecoderOutput | tuple[Tensor]:
        """Pictures there and back, by way of the likeliest latents or of drawn ones."""
        posterior = DiagonalGaussianDistribution(self._sliced(self._moments, sample))
        return self.decode(posterior.sample(generator) if sample_posterior else posterior.mode(), return_dict)

    def _moments(self, x: Tensor) -> Tensor:
        """Means and log variances, whole or in tiles."""
        pixels, latents = self.tile_sample_min_size, self.tile_latent_min_size
        if not self.use_tiling or max(x.shape[-2:]) <= pixels:
            return self._encoded(x, self.encoder)
        if self.seams:
            return tiled(partial(self._encoded, encoder=self.encoder), x, pixels, latents, self.tile_overlap_factor)
        return self._encoded(x, partial(Tiles.covering(x, pixels).through, self.encoder.layers()))

    def _pixels(self, z: Tensor) -> Tensor:
        """Pictures, whole or in tiles."""
        pixels, latents = self.tile_sample_min_size, self.tile_latent_min_size
        if not self.use_tiling or max(z.shape[-2:]) <= latents:
            return self._decoded(z, self.decoder)
        if self.seams:
            return tiled(partial(self._decoded, decoder=self.decoder), z, latents, pixels, self.tile_overlap_factor)
        return self._decoded(z, partial(Tiles.covering(z, latents).through, self.decoder.layers()))

    def _encoded(self, x: Tensor, encoder: Callable[[Tensor], Tensor]) -> Tensor:
        moments = encoder(x)
        return moments if self.quant_conv is None else self.quant_conv(moments)

    def _decoded(self, z: Tensor, decoder: Callable[[Tensor], Tensor]) -> Tensor:
        return decoder(z if self.post_quant_conv is None else self.post_quant_conv(z))

    def _sliced(self, function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        if self.use_slicing and len(batch) > 1:
            return torch.cat([function(item) for item in batch.split(1)])
        return function(batch)
