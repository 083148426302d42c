"""The autoencoder between videos and the latents that Wan and Helios draw."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.schema import Count
from calotype.models.autoencoder_kl import AutoencoderKLOutput, DecoderOutput
from calotype.models.pieces import Slices
from calotype.models.wan_blocks import CausalConv3d, Memory
from calotype.models.wan_coders import Decoder, Encoder, Shape
from calotype.models.wan_groups import Cuts, groups_of, in_groups
from calotype.ops.gaussian import DiagonalGaussianDistribution
from calotype.ops.random import Generators
from calotype.ops.tiling import Cut

# Means and deviations of the latents of many videos, channel by channel.
MEANS = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
DEVIATIONS = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916),
)


class AutoencoderKLWan(ModelMixin, Slices):
    """Videos to a normal distribution of latents and back; no frame depends on a later one.

    The first latent stands for one frame, each other for four.
    """

    @register_to_config
    def __init__(
        self,
        base_dim: Count = 96,
        decoder_base_dim: Count | None = None,
        z_dim: Count = 16,
        dim_mult: tuple[Count, ...] = (1, 2, 4, 4),
        num_res_blocks: Count = 2,
        attn_scales: tuple[float, ...] = (),
        temperal_downsample: tuple[bool, ...] = (False, True, True),
        dropout: float = 0.0,
        latents_mean: tuple[float, ...] = MEANS,
        latents_std: tuple[float, ...] = DEVIATIONS,
        is_residual: bool = False,
        in_channels: Count = 3,
        out_channels: Count = 3,
        patch_size: Count | None = None,
        scale_factor_temporal: Count | None = 4,
        scale_factor_spatial: Count | None = 8,
    ) -> None:
        super().__init__()
        if is_residual or patch_size not in (None, 1):
            found = f"is_residual={is_residual}, patch_size={patch_size}"
            raise InvalidArgument("is_residual, patch_size", "False, None: the autoencoder of Wan 2.1", found)
        if len(temperal_downsample) != len(dim_mult) - 1:
            expected = f"{len(dim_mult) - 1}, one for each step between the levels of dim_mult"
            raise InvalidArgument("temperal_downsample", expected, str(len(temperal_downsample)))
        encoded, decoded = (
            Shape([base * factor for factor in dim_mult], temperal_downsample, num_res_blocks, dropout)
            for base in (base_dim, decoder_base_dim or base_dim)
        )
        self.encoder = Encoder(in_channels, 2 * z_dim, encoded, attn_scales)
        self.quant_conv = CausalConv3d(2 * z_dim, 2 * z_dim, (1, 1, 1))
        self.post_quant_conv = CausalConv3d(z_dim, z_dim, (1, 1, 1))
        self.decoder = Decoder(z_dim, out_channels, decoded)
        self.spatial_compression_ratio = 2 ** len(temperal_downsample)
        self.temporal_compression_ratio = 2 ** sum(temperal_downsample)
        self.latents_at_once = 9  # more need more memory and make the same video
        self.use_tiling = False
        self.tile_sample_min_height = self.tile_sample_min_width = 256
        self.tile_sample_stride_height = self.tile_sample_stride_width = 192

    def enable_tiling(
        self,
        tile_sample_min_height: int | None = None,
        tile_sample_min_width: int | None = None,
        tile_sample_stride_height: int | None = None,
        tile_sample_stride_width: int | None = None,
    ) -> None:
        """Work on larger frames in overlapping tiles, blended where they meet: less memory, slightly other pictures."""
        given = {
            "tile_sample_min_height": tile_sample_min_height,
            "tile_sample_min_width": tile_sample_min_width,
            "tile_sample_stride_height": tile_sample_stride_height,
            "tile_sample_stride_width": tile_sample_stride_width,
        }
        sizes = {name: getattr(self, name) if size is None else size for name, size in given.items()}
        for name, size in sizes.items():
            step, most = self.spatial_compression_ratio, sizes[name.replace("stride", "min")]
            if not 0 < size <= most or size % step:
                limit = f" up to {most}, the tile" if "stride" in name else ""
                raise InvalidArgument(name, f"a multiple of {step} pixels{limit}", str(size))
        for name, size in sizes.items():
            setattr(self, name, size)
        self.use_tiling = True

    def disable_tiling(self) -> None:
        """Work on whole frames again."""
        self.use_tiling = False

    def clear_cache(self) -> None:
        """Nothing to clear: what the layers remember of a video belongs to the call."""

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """The distribution of latents of videos (batch, channels, 1 + 4 * n, height, width) in [-1, 1]."""
        posterior = DiagonalGaussianDistribution(self._moments(x))
        return AutoencoderKLOutput(posterior) if return_dict else (posterior,)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """The videos of latents (batch, z_dim, 1 + n, height, width), in [-1, 1]."""
        video = joined(self.decode_frames(z))
        return DecoderOutput(video) if return_dict else (video,)

    def decode_frames(self, z: Tensor, latents_at_once: int | None = None) -> Iterator[Tensor]:
        """The frames of ``decode``, group by group as they are made: (batch, channels, frames, height, width)."""
        self._check("z", z, self.config.z_dim)
        groups = groups_of(z.shape[2], self._at_once(latents_at_once))
        made = in_groups(self._decoded, z, groups, self._cuts(z, True), self.use_slicing)
        return (frames.clamp(-1.0, 1.0) for frames in made)

    def forward(
        self,
        sample: Tensor,
        sample_posterior: bool = False,
        return_dict: bool = True,
        generator: Generators = None,
    ) -> DecoderOutput | tuple[Tensor]:
        """Videos there and back, by way of the likeliest latents or of drawn ones."""
        posterior = DiagonalGaussianDistribution(self._moments(sample))
        return self.decode(posterior.sample(generator) if sample_posterior else posterior.mode(), return_dict)

    def _moments(self, x: Tensor) -> Tensor:
        """Means and log variances."""
        self._check("x", x, self.config.in_channels)
        frames, step = x.shape[2], self.temporal_compression_ratio
        if (frames - 1) % step:
            fix = f"Leave out {(frames - 1) % step} or add {-(frames - 1) % step}."
            raise InvalidArgument("x", f"1 + {step} * n frames", str(frames), fix)
        if min(x.shape[-2:]) < self.spatial_compression_ratio:
            expected = f"frames of at least {self.spatial_compression_ratio} x {self.spatial_compression_ratio} pixels"
            raise InvalidArgument("x", expected, f"{x.shape[-2]} x {x.shape[-1]}")
        groups = groups_of(1 + (frames - 1) // step, self._at_once(None), step)
        return joined(in_groups(self._encoded, x, groups, self._cuts(x, False), self.use_slicing))

    def _encoded(self, x: Tensor, memory: Memory) -> Tensor:
        return self.quant_conv(self.encoder(x, memory), memory)

    def _decoded(self, z: Tensor, memory: Memory) -> Tensor:
        return self.decoder(self.post_quant_conv(z, memory), memory)

    def _cuts(self, given: Tensor, latents: bool) -> Cuts | None:
        """How frames, or latents, that are larger than a tile are cut."""
        step = self.spatial_compression_ratio
        before, after = (step, 1) if latents else (1, step)  # pixels for each row or column
        tile = self.tile_sample_min_height, self.tile_sample_min_width
        stride = self.tile_sample_stride_height, self.tile_sample_stride_width
        sizes = zip(given.shape[-2:], tile, strict=True)
        if not self.use_tiling or all(size <= most // before for size, most in sizes):
            return None
        for size, length in zip(given.shape[-2:], stride, strict=True):
            if 0 < size % (length // before) < step // before:
                fix = "Disable tiling, or choose another stride."
                raise InvalidArgument(
                    "x", f"frames that leave {step} pixels for the last tile", f"{size % length}", fix
                )
        rows, columns = (
            Cut(t // before, s // before, s // after, t // after - s // after)
            for t, s in zip(tile, stride, strict=True)
        )
        return rows, columns

    def _at_once(self, latents: int | None) -> int:
        count = self.latents_at_once if latents is None else latents
        if not isinstance(count, int) or count < 1:
            raise InvalidArgument("latents_at_once", "a whole number from 1", repr(count))
        return count

    def _check(self, name: str, given: Tensor, channels: int) -> None:
        if given.ndim != 5 or given.shape[1] != channels or not given.numel():
            expected = f"shape (batch, {channels}, frames, height, width)"
            raise InvalidArgument(name, expected, f"shape {tuple(given.shape)}")


def joined(groups: Iterator[Tensor]) -> Tensor:
    """Groups of frames as one video."""
    done = list(groups)
    return done[0] if len(done) == 1 else torch.cat(done, dim=2)
