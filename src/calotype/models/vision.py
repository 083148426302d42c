"""CLIP's image encoder, under the key names of its checkpoint files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.models.clip import CLIPEncoder


@dataclass
class ImageOutput(BaseOutput):
    """What the image encoder saw, projected into the space it shares with texts."""

    image_embeds: Tensor  # (batch, projection_dim)
    last_hidden_state: Tensor  # (batch, 1 + patches, width), before the final norm
    hidden_states: tuple[Tensor, ...] | None = None  # embeddings and every layer


class VisionEmbeddings(nn.Module):
    """One vector for the whole image, one per patch, plus a vector per position."""

    def __init__(self, channels: int, image_size: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.patch_embedding = nn.Conv2d(channels, width, patch_size, stride=patch_size, bias=False)
        self.position_embedding = nn.Embedding((image_size // patch_size) ** 2 + 1, width)
        self.image_size = image_size

    def forward(self, pixels: Tensor) -> Tensor:
        side = self.image_size
        if pixels.shape[-2:] != (side, side):
            raise InvalidArgument("pixel_values", f"images of {side} x {side}", f"shape {tuple(pixels.shape)}")
        patches = self.patch_embedding(pixels.to(self.patch_embedding.weight.dtype)).flatten(2).transpose(1, 2)
        whole = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([whole, patches], dim=1) + self.position_embedding.weight


class VisionTransformer(nn.Module):
    """Embeddings, layers in which everything sees everything, and a norm before and after."""

    def __init__(self, embeddings: VisionEmbeddings, encoder: CLIPEncoder, width: int, eps: float) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.pre_layrnorm = nn.LayerNorm(width, eps)  # the files spell it so
        self.encoder = encoder
        self.post_layernorm = nn.LayerNorm(width, eps)

    def forward(self, pixels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The state of the whole image (batch, width), and the states of every layer."""
        states = self.encoder(self.pre_layrnorm(self.embeddings(pixels)))
        return self.post_layernorm(states[-1][:, 0]), states


class CLIPVisionModelWithProjection(ModelMixin):
    """CLIP's image encoder with its projection; ``config.json`` as CLIP writes it."""

    library = "transformers"
    weights_name = "model"
    keys_to_ignore_on_load = (r".*\bposition_ids$",)

    @register_to_config
    def __init__(
        self,
        hidden_size: int = 768,
        intermediate_size: int = 3072,
        projection_dim: int = 512,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        num_channels: int = 3,
        image_size: int = 224,
        patch_size: int = 32,
        hidden_act: str = "quick_gelu",
        layer_norm_eps: float = 1e-5,
        attention_dropout: float = 0.0,
        initializer_range: float = 0.02,
        initializer_factor: float = 1.0,
        model_type: str = "clip_vision_model",
    ) -> None:
        super().__init__()
        width, eps = hidden_size, layer_norm_eps
        self.vision_model = VisionTransformer(
            VisionEmbeddings(num_channels, image_size, patch_size, width),
            CLIPEncoder(num_hidden_layers, width, intermediate_size, num_attention_heads, hidden_act, eps),
            width,
            eps,
        )
        self.visual_projection = nn.Linear(width, projection_dim, bias=False)

    def forward(
        self,
        pixel_values: Tensor,  # (batch, channels, image_size, image_size)
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageOutput | tuple[Tensor, ...]:
        pooled, states = self.vision_model(pixel_values)
        output = ImageOutput(self.visual_projection(pooled), states[-1], states if output_hidden_states else None)
        return output.to_tuple() if return_dict is False else output
