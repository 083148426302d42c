"""What Helios is told beside the frames: how noisy they are, and the text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.helios_attention import KeysAndValues
from calotype.models.layers.embeddings import TimestepEmbedding, sinusoids


@dataclass(frozen=True)
class TextMemory:
    """A text as the keys and values of every layer: read once, looked at in every step."""

    layers: tuple[KeysAndValues, ...]

    @property
    def batch(self) -> int:
        return len(self.layers[0][0])

    def __getitem__(self, rows: slice) -> TextMemory:
        """The texts of these rows, for instance one half of a doubled batch."""
        return TextMemory(tuple((key[rows], value[rows]) for key, value in self.layers))

    @staticmethod
    def join(*memories: TextMemory) -> TextMemory:
        """Texts of one length in one batch."""
        pairs = zip(*(memory.layers for memory in memories), strict=True)
        return TextMemory(tuple(_stacked(layer) for layer in pairs))


def _stacked(parts: tuple[KeysAndValues, ...]) -> KeysAndValues:
    return torch.cat([key for key, _ in parts]), torch.cat([value for _, value in parts])


class TextProjection(nn.Module):
    """Two linear layers on the states of a text."""

    def __init__(self, text_dim: int, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(text_dim, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, text: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(text), approximate="tanh"))


class HeliosConditioning(nn.Module):
    """Timesteps as vectors and as rows of modulation; ``text_embedder`` is called on its own."""

    def __init__(self, dim: int, freq_dim: int, text_dim: int) -> None:
        super().__init__()
        self.freq_dim = freq_dim
        self.time_embedder = TimestepEmbedding(freq_dim, dim)
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.text_embedder = TextProjection(text_dim, dim)

    def forward(self, timesteps: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The time (batch, width), and the modulation of tokens at that time (batch, 6, width)."""
        waves = sinusoids(timesteps, self.freq_dim, flip_sin_to_cos=True, downscale_freq_shift=0)
        time = self.time_embedder(waves.to(self.time_embedder.linear_1.weight.dtype)).to(dtype)
        return time, self.time_proj(F.silu(time)).unflatten(1, (6, -1))
