"""The autoencoder of Kandinsky: latents may be rounded to codes, and norms of the decoder may look at them (MoVQ)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count
from calotype.models.layers.spatial_norm import GROUPS
from calotype.models.layers.switches import WithAttention
from calotype.models.pieces import Coder, InPieces
from calotype.models.quantizer import VectorQuantizer
from calotype.models.vae import Decoder, Encoder, Shape

SMALLEST_TILE = 512  # pixels: the sample_size of MoVQ files, 32, is that of no picture


@dataclass
class VQEncoderOutput(BaseOutput):
    """What the encoder makes of pictures, before it is rounded to codes."""

    latents: Tensor  # (batch, vq_embed_dim, height, width)


@dataclass
class VQDecoderOutput(BaseOutput):
    """What the decoder makes of latents."""

    sample: Tensor  # (batch, channels, height, width), in [-1, 1] or a little beyond
    commit_loss: Tensor | None = None  # how far the latents were from the codes


class VQModel(InPieces, ModelMixin, WithAttention):
    """Pixels to latents and back; on the way back latents are rounded to codes unless they are to stay as they are."""

    @register_to_config
    def __init__(
        self,
        in_channels: Count = 3,
        out_channels: Count = 3,
        down_block_types: tuple[str, ...] = ("DownEncoderBlock2D",),
        up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",),
        block_out_channels: tuple[Count, ...] = (64,),
        layers_per_block: Count = 1,
        act_fn: str = "silu",
        latent_channels: Count = 3,
        sample_size: int = 32,
        num_vq_embeddings: Count = 256,
        norm_num_groups: Count = 32,
        vq_embed_dim: Count | None = None,
        scaling_factor: float = 0.18215,
        norm_type: Literal["group", "spatial"] = "group",
        mid_block_add_attention: bool = True,
        lookup_from_codebook: bool = False,
        force_upcast: bool = False,
    ) -> None:
        super().__init__()
        for channels in block_out_channels if norm_type == "spatial" else ():
            if channels % GROUPS:
                raise InvalidArgument("block_out_channels", f"multiples of {GROUPS}, for spatial norms", str(channels))
        width, spatial = vq_embed_dim or latent_channels, norm_type == "spatial"
        if spatial and width != latent_channels:
            fix = "Spatial norms look at latents of latent_channels."
            raise InvalidArgument("vq_embed_dim", f"None or {latent_channels}, as latent_channels", str(width), fix)
        shape = Shape(block_out_channels, layers_per_block, act_fn, norm_num_groups, mid_block_add_attention)
        decoded = replace(shape, looks_at=latent_channels if spatial else None)
        self.encoder = Encoder(in_channels, latent_channels, down_block_types, shape)
        self.quant_conv = nn.Conv2d(latent_channels, width, 1)
        self.quantize = VectorQuantizer(num_vq_embeddings, width)
        self.post_quant_conv = nn.Conv2d(width, latent_channels, 1)
        self.decoder = Decoder(latent_channels, out_channels, up_block_types, decoded)
        self.cut_into(max(sample_size, SMALLEST_TILE), len(block_out_channels))

    def encode(self, x: Tensor, return_dict: bool = True) -> VQEncoderOutput | tuple[Tensor]:
        """The latents of pictures (batch, channels, height, width) in [-1, 1], not yet rounded to codes."""
        _check("x", x, self.config.in_channels)
        latents = self.in_pieces(self._encoded, self.encoder, x)
        return VQEncoderOutput(latents) if return_dict else (latents,)

    def decode(
        self,
        h: Tensor,  # latents (batch, vq_embed_dim, height, width), or indices of codes with lookup_from_codebook
        force_not_quantize: bool = False,
        return_dict: bool = True,
        shape: tuple[int, ...] | None = None,  # of the latents that indices stand for
    ) -> VQDecoderOutput | tuple[Tensor, Tensor | None]:
        """The pictures of latents, rounded to codes unless ``force_not_quantize``."""
        latents, loss = self._latents(h, force_not_quantize, shape)
        pixels = self.in_pieces(self._decoded, self.decoder, latents)
        return VQDecoderOutput(pixels, loss) if return_dict else (pixels, loss)

    def forward(self, sample: Tensor, return_dict: bool = True) -> VQDecoderOutput | tuple[Tensor, Tensor | None]:
        """Pictures there and back, by way of codes."""
        return self.decode(self.encode(sample, return_dict=False)[0], return_dict=return_dict)

    def _encoded(self, x: Tensor, encoder: Coder) -> Tensor:
        return self.quant_conv(encoder(x))

    def _decoded(self, latents: Tensor, decoder: Coder) -> Tensor:
        return decoder(self.post_quant_conv(latents), latents)

    def _latents(self, h: Tensor, as_they_are: bool, shape: tuple[int, ...] | None) -> tuple[Tensor, Tensor]:
        looks_up = as_they_are and self.config.lookup_from_codebook
        if not looks_up:
            _check("h", h, self.post_quant_conv.in_channels)
        if not as_they_are:
            return self.quantize(h)
        return (self.quantize.look_up(h, shape) if looks_up else h), h.new_zeros(len(h))


def _check(name: str, given: Tensor, channels: int) -> None:
    if given.ndim != 4 or given.shape[1] != channels:
        raise InvalidArgument(name, f"shape (batch, {channels}, height, width)", f"shape {tuple(given.shape)}")
