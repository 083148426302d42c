"""Texts become states of one length: the states of their tokens, and zeros."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from calotype.generation.cleaning import cleaned
from calotype.generation.prompts import tokens


def padded_states(
    tokenizer: Any, encoder: Any, texts: list[str], device: torch.device, length: int | None = None
) -> torch.Tensor:
    """The states (batch, length, width) of cleaned texts, zero behind each; only as far as the longest is encoded."""
    read = tokens(tokenizer, [cleaned(text) for text in texts], length)
    longest = int(read.attention_mask.sum(dim=1).max())
    ids, mask = read.input_ids[:, :longest].to(device), read.attention_mask[:, :longest].to(device)
    states = encoder(ids, attention_mask=mask)[0]
    states = states.masked_fill(mask[:, :, None] == 0, 0.0)
    return F.pad(states, (0, 0, 0, read.input_ids.shape[1] - longest))
