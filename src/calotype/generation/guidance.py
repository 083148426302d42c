"""Guidance: what becomes of a prediction made twice, without the prompt and with it."""

from __future__ import annotations

import math
from typing import Protocol

import torch


class Guided(Protocol):
    """The settings a guide reads anew at every step, as a callback may change them."""

    @property
    def guidance_scale(self) -> float: ...
    @property
    def guidance_rescale(self) -> float: ...


def classifier_free(prediction: torch.Tensor, settings: Guided) -> torch.Tensor:
    """Away from the unconditional half, towards the conditional one (arXiv:2207.12598)."""
    without, within = prediction.chunk(2)
    guided = without + settings.guidance_scale * (within - without)
    return rescaled(guided, within, settings.guidance_rescale) if settings.guidance_rescale > 0 else guided


def zero_star(prediction: torch.Tensor, settings: Guided) -> torch.Tensor:
    """The same, from the unconditional half as far as it points the conditional one's way (arXiv:2503.18886)."""
    without, within = prediction.chunk(2)
    flat, other = (half.float().flatten(1) for half in (without, within))
    share = (flat * other).sum(1) / (flat.square().sum(1) + 1e-8)
    without = without * share.to(without.dtype).view(-1, *[1] * (without.ndim - 1))
    return without + settings.guidance_scale * (within - without)


def learned_variance(prediction: torch.Tensor, settings: Guided) -> torch.Tensor:
    """The noise guided, and beside it the conditional half's own word on its spread (arXiv:2102.09672)."""
    noise, spread = prediction.chunk(2, dim=1)
    return torch.cat([classifier_free(noise, settings), spread.chunk(2)[1]], dim=1)


def rescaled(guided: torch.Tensor, within: torch.Tensor, share: float) -> torch.Tensor:
    """This share of the guided prediction in the spread of the conditional one: no overexposure (arXiv:2305.08891)."""
    axes = list(range(1, guided.ndim))
    spread = within.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
    return share * (guided * spread) + (1 - share) * guided


def guidance_embedding(w: torch.Tensor, embedding_dim: int = 512, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Sines and cosines (len(w), dim) of guidance scales, for networks that read their guidance (arXiv:2210.03142)."""
    half = embedding_dim // 2
    rate = math.log(10000.0) / (half - 1)
    frequencies = torch.exp(torch.arange(half, dtype=dtype) * -rate)
    angles = w.to(dtype)[:, None] * 1000.0 * frequencies[None, :]
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.nn.functional.pad(embedding, (0, embedding_dim % 2))
