"""The one door to attention kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def attend(
    query: torch.Tensor,  # (batch, heads, queries, width); keys and values alike with their own length
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,  # added to the scores, or bool: True where a query may look
    scale: float | None = None,
) -> torch.Tensor:
    """What each query sees: ``softmax(query @ key * scale + mask) @ value``; scale is 1 / sqrt(width) unless given."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
