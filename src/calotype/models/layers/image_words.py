"""Pictures as a few words beside those of the text: what IP-Adapters make of an image encoder's output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from calotype.models.layers.activations import GELU
from calotype.ops.attention import attend

HEAD = 64  # the width of a head in every resampler there is


class TwoLayers(nn.Module):
    """To another width and on to a third, under the names of a feed-forward layer."""

    def __init__(self, dim_in: int, hidden: int, dim_out: int, bias: bool = True) -> None:
        super().__init__()
        self.net = nn.ModuleList([GELU(dim_in, hidden, bias), nn.Identity(), nn.Linear(hidden, dim_out, bias=bias)])

    def forward(self, states: Tensor) -> Tensor:
        return self.net[2](self.net[0](states))


class IPAdapterFullImageProjection(nn.Module):
    """Every patch of a picture as a word."""

    def __init__(self, image_embed_dim: int = 1024, cross_attention_dim: int = 1024) -> None:
        super().__init__()
        self.ff = TwoLayers(image_embed_dim, image_embed_dim, cross_attention_dim)
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, image_embeds: Tensor) -> Tensor:
        return self.norm(self.ff(image_embeds))


class IPAdapterFaceIDImageProjection(nn.Module):
    """The vector by which a face is known as a few words."""

    def __init__(
        self, image_embed_dim: int = 1024, cross_attention_dim: int = 1024, mult: int = 1, num_tokens: int = 1
    ) -> None:
        super().__init__()
        self.words = num_tokens
        self.ff = TwoLayers(image_embed_dim, image_embed_dim * mult, cross_attention_dim * num_tokens)
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, image_embeds: Tensor) -> Tensor:
        return self.norm(self.ff(image_embeds).reshape(len(image_embeds), self.words, -1))


class LatentAttention(nn.Module):
    """Latents look at a picture's patches and at each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * HEAD
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, width, bias=False)])

    def forward(self, latents: Tensor, patches: Tensor) -> Tensor:
        both = torch.cat([patches, latents], dim=1)
        projected = self.to_q(latents), self.to_k(both), self.to_v(both)
        query, key, value = (tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2) for tensor in projected)
        return self.to_out[0](attend(query, key, value).transpose(1, 2).flatten(2))


class IPAdapterPlusImageProjectionBlock(nn.Module):
    """One look at the patches, and a thought about it."""

    def __init__(self, embed_dims: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln0, self.ln1 = nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)
        self.attn = LatentAttention(embed_dims, heads)
        self.ff = nn.Sequential(nn.LayerNorm(embed_dims), TwoLayers(embed_dims, hidden, embed_dims, bias=False))

    def forward(self, patches: Tensor, latents: Tensor) -> Tensor:
        latents = self.attn(self.ln1(latents), self.ln0(patches)) + latents
        return self.ff(latents) + latents


class IPAdapterPlusImageProjection(nn.Module):
    """A few learnt vectors that look at all patches of a picture and become words (a resampler, arXiv 2204.14198)."""

    def __init__(
        self,
        embed_dims: int = 768,
        output_dims: int = 1024,
        hidden_dims: int = 1280,
        depth: int = 4,
        heads: int = 16,
        num_queries: int = 8,
        ffn_ratio: float = 4,
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, num_queries, hidden_dims) / hidden_dims**0.5)
        self.proj_in = nn.Linear(embed_dims, hidden_dims)
        self.proj_out = nn.Linear(hidden_dims, output_dims)
        self.norm_out = nn.LayerNorm(output_dims)
        hidden = int(hidden_dims * ffn_ratio)
        self.layers = nn.ModuleList(IPAdapterPlusImageProjectionBlock(hidden_dims, heads, hidden) for _ in range(depth))

    def forward(self, image_embeds: Tensor) -> Tensor:
        latents, patches = self.latents.expand(len(image_embeds), -1, -1), self.proj_in(image_embeds)
        for layer in self.layers:
            latents = layer(patches, latents)
        return self.norm_out(self.proj_out(latents))


class MultiIPAdapterImageProjection(nn.Module):
    """What several adapters make of their pictures, each with its own projection."""

    def __init__(self, IPAdapterImageProjectionLayers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.image_projection_layers = nn.ModuleList(IPAdapterImageProjectionLayers)

    def forward(self, image_embeds: Sequence[Tensor] | Tensor) -> list[Tensor]:
        """Of embeddings (batch, pictures, ...) for each adapter its words (batch, pictures, words, width)."""
        several = [image_embeds.unsqueeze(1)] if isinstance(image_embeds, Tensor) else list(image_embeds)
        pairs = zip(self.image_projection_layers, several, strict=True)
        return [layer(each.flatten(0, 1)).unflatten(0, each.shape[:2]) for layer, each in pairs]
