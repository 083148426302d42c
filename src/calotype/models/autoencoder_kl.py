"""The autoencoder between pixels and the latents that Stable Diffusion draws."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.outputs import BaseOutput
from calotype.models.layers.switches import WithAttention
from calotype.models.pieces import Coder, InPieces
from calotype.models.single_file import SingleFile
from calotype.models.vae import Decoder, Encoder, Shape
from calotype.ops.gaussian import DiagonalGaussianDistribution
from calotype.ops.random import Generators

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


class AutoencoderKL(InPieces, WithAttention, SingleFile):
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
        self.cut_into(sample_size if isinstance(sample_size, int) else sample_size[0], len(block_out_channels))

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present name of a tensor that the first files call otherwise."""
        return re.sub(rf"(?<=\.)({'|'.join(OLD_NAMES)})(?=\.(weight|bias)$)", lambda old: OLD_NAMES[old[0]], key)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """The distribution of latents of pictures (batch, channels, height, width) in [-1, 1]."""
        posterior = DiagonalGaussianDistribution(self.in_pieces(self._encoded, self.encoder, x))
        return AutoencoderKLOutput(posterior) if return_dict else (posterior,)

    def decode(
        self,
        z: Tensor,
        return_dict: bool = True,
        generator: Generators = None,  # for decoders that draw noise; this one does not
    ) -> DecoderOutput | tuple[Tensor]:
        """The pictures of latents (batch, latent_channels, height, width)."""
        pixels = self.in_pieces(self._decoded, self.decoder, z)
        return DecoderOutput(pixels) if return_dict else (pixels,)

    def forward(
        self,
        sample: Tensor,
        sample_posterior: bool = False,
        return_dict: bool = True,
        generator: Generators = None,
    ) -> DecoderOutput | tuple[Tensor]:
        """Pictures there and back, by way of the likeliest latents or of drawn ones."""
        posterior = DiagonalGaussianDistribution(self.in_pieces(self._encoded, self.encoder, sample))
        return self.decode(posterior.sample(generator) if sample_posterior else posterior.mode(), return_dict)

    def _encoded(self, x: Tensor, encoder: Coder) -> Tensor:
        moments = encoder(x)
        return moments if self.quant_conv is None else self.quant_conv(moments)

    def _decoded(self, z: Tensor, decoder: Coder) -> Tensor:
        return decoder(z if self.post_quant_conv is None else self.post_quant_conv(z))
