"""Numbers, words and pictures as vectors that a network can add to its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from calotype.models.layers.activations import activation
from calotype.ops.attention import attend


def sinusoids(
    timesteps: torch.Tensor,  # (batch,)
    width: int,
    flip_sin_to_cos: bool = False,
    downscale_freq_shift: float = 1,
    max_period: int = 10000,
) -> torch.Tensor:
    """Sines and cosines of each timestep at ``width / 2`` frequencies, in float32; cosines first if flipped."""
    half = width // 2
    exponent = -math.log(max_period) * torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * torch.exp(exponent / (half - downscale_freq_shift))
    waves = [angles.cos(), angles.sin()] if flip_sin_to_cos else [angles.sin(), angles.cos()]
    return F.pad(torch.cat(waves, dim=-1), (0, width % 2))


class Timesteps(nn.Module):
    """``sinusoids`` as a layer without weights."""

    def __init__(self, num_channels: int, flip_sin_to_cos: bool, downscale_freq_shift: float) -> None:
        super().__init__()
        self.settings = num_channels, flip_sin_to_cos, downscale_freq_shift

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        return sinusoids(timesteps, *self.settings)


class GaussianFourierProjection(nn.Module):
    """Sines and cosines of each timestep at random frequencies, which the checkpoint keeps."""

    def __init__(self, embedding_size: int, flip_sin_to_cos: bool = False) -> None:
        super().__init__()
        self.flip_sin_to_cos = flip_sin_to_cos
        self.weight = nn.Parameter(torch.randn(embedding_size), requires_grad=False)

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        angles = timesteps[:, None] * self.weight * 2 * math.pi
        waves = [angles.cos(), angles.sin()] if self.flip_sin_to_cos else [angles.sin(), angles.cos()]
        return torch.cat(waves, dim=-1)


class TimestepEmbedding(nn.Module):
    """Two linear layers on a projected timestep or any other vector, to which ``cond_proj`` adds a second condition."""

    def __init__(
        self,
        in_channels: int,
        time_embed_dim: int,
        act_fn: str = "silu",
        post_act_fn: str | None = None,
        cond_proj_dim: int | None = None,
        out_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_channels, time_embed_dim)
        self.cond_proj = nn.Linear(cond_proj_dim, in_channels, bias=False) if cond_proj_dim else None
        self.act = activation(act_fn)
        self.linear_2 = nn.Linear(time_embed_dim, out_dim or time_embed_dim)
        self.post_act = activation(post_act_fn, "timestep_post_act") if post_act_fn else nn.Identity()

    def forward(self, sample: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        if condition is not None and self.cond_proj is not None:
            sample = sample + self.cond_proj(condition)
        return self.post_act(self.linear_2(self.act(self.linear_1(sample))))


class AttentionPooling(nn.Module):
    """One vector for a sequence: its mean, with a learned offset, looks at itself and at the whole."""

    def __init__(self, num_heads: int, embed_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.positional_embedding = nn.Parameter(torch.randn(1, embed_dim) / embed_dim**0.5)
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        mean = states.mean(dim=1, keepdim=True) + self.positional_embedding.to(states.dtype)
        states = torch.cat([mean, states], dim=1)
        projected = self.q_proj(mean), self.k_proj(states), self.v_proj(states)
        query, key, value = (tensor.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for tensor in projected)
        return attend(query, key, value).transpose(1, 2).flatten(1)


class TextTimeEmbedding(nn.Module):
    """Words, pooled into something to add to the time."""

    def __init__(self, encoder_dim: int, time_embed_dim: int, num_heads: int = 64) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(encoder_dim)
        self.pool = AttentionPooling(num_heads, encoder_dim)
        self.proj = nn.Linear(encoder_dim, time_embed_dim)
        self.norm2 = nn.LayerNorm(time_embed_dim)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.norm2(self.proj(self.pool(self.norm1(hidden_states))))


class TextImageTimeEmbedding(nn.Module):
    """A text and an image vector, made into something to add to the time."""

    def __init__(self, text_embed_dim: int, image_embed_dim: int, time_embed_dim: int) -> None:
        super().__init__()
        self.text_proj = nn.Linear(text_embed_dim, time_embed_dim)
        self.text_norm = nn.LayerNorm(time_embed_dim)
        self.image_proj = nn.Linear(image_embed_dim, time_embed_dim)

    def forward(self, text_embeds: torch.Tensor, image_embeds: torch.Tensor) -> torch.Tensor:
        return self.image_proj(image_embeds) + self.text_norm(self.text_proj(text_embeds))


class ImageTimeEmbedding(nn.Module):
    """An image vector, made into something to add to the time."""

    def __init__(self, image_embed_dim: int, time_embed_dim: int) -> None:
        super().__init__()
        self.image_proj = nn.Linear(image_embed_dim, time_embed_dim)
        self.image_norm = nn.LayerNorm(time_embed_dim)

    def forward(self, image_embeds: torch.Tensor) -> torch.Tensor:
        return self.image_norm(self.image_proj(image_embeds))


# out channels and stride of the convolutions that bring a hint to the size and channels of the latents
HINT_LAYERS = ((16, 1), (16, 1), (32, 2), (32, 1), (96, 2), (96, 1), (256, 2), (4, 1))


class ImageHintTimeEmbedding(ImageTimeEmbedding):
    """An image vector for the time, and a picture as four more channels of the latents."""

    def __init__(self, image_embed_dim: int, time_embed_dim: int) -> None:
        super().__init__(image_embed_dim, time_embed_dim)
        layers: list[nn.Module] = []
        channels = 3
        for out_channels, stride in HINT_LAYERS:
            layers += [nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1), nn.SiLU()]
            channels = out_channels
        self.input_hint_block = nn.Sequential(*layers[:-1])

    def embed_hint(self, hint: torch.Tensor) -> torch.Tensor:
        """A hint (batch, 3, 8 x height, 8 x width) as (batch, 4, height, width)."""
        return self.input_hint_block(hint)


class ImageProjection(nn.Module):
    """An image vector as a few words."""

    def __init__(self, image_embed_dim: int, cross_attention_dim: int, num_image_text_embeds: int = 32) -> None:
        super().__init__()
        self.words = num_image_text_embeds
        self.image_embeds = nn.Linear(image_embed_dim, num_image_text_embeds * cross_attention_dim)
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, image_embeds: torch.Tensor) -> torch.Tensor:
        return self.norm(self.image_embeds(image_embeds).unflatten(-1, (self.words, -1)))


class TextImageProjection(nn.Module):
    """An image vector as a few words before the words of the text."""

    def __init__(
        self, text_embed_dim: int, image_embed_dim: int, cross_attention_dim: int, num_image_text_embeds: int = 10
    ) -> None:
        super().__init__()
        self.words = num_image_text_embeds
        self.image_embeds = nn.Linear(image_embed_dim, num_image_text_embeds * cross_attention_dim)
        self.text_proj = nn.Linear(text_embed_dim, cross_attention_dim)

    def forward(self, text_embeds: torch.Tensor, image_embeds: torch.Tensor) -> torch.Tensor:
        image_words = self.image_embeds(image_embeds).unflatten(-1, (self.words, -1))
        return torch.cat([image_words, self.text_proj(text_embeds)], dim=1)
