"""Prompts become tensors."""

from __future__ import annotations

import logging
from threading import Lock
from typing import Any

import torch

from calotype.core.errors import InvalidArgument

logger = logging.getLogger("calotype.generation.prompts")

# Tokenizers of other libraries set their padding on themselves before they read: one text at a time, whoever owns them.
_reading = Lock()


def tokens(tokenizer: Any, texts: list[str], length: int | None = None) -> Any:
    """Token ids and their mask, cut and padded to the length the encoder reads; what falls off is said."""
    length = int(length or tokenizer.model_max_length)
    with _reading:
        for ids in tokenizer(texts, truncation=False, padding=False).input_ids:
            if len(ids) > length:
                lost = tokenizer.decode(ids[length - 1 : -1]).strip()
                logger.warning("a prompt has %d tokens and the encoder reads %d; not read: %s", len(ids), length, lost)
        return tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")


def clip_states(
    tokenizer: Any,
    encoder: Any,
    texts: list[str],
    device: torch.device,
    skip: int | None = None,
    length: int | None = None,
) -> torch.Tensor:
    """The states (batch, tokens, width) of a CLIP text encoder; ``skip`` takes them so many layers before the last."""
    read = tokens(tokenizer, texts, length)
    mask = read.attention_mask.to(device) if getattr(encoder.config, "use_attention_mask", False) else None
    ids = read.input_ids.to(device)
    if skip is None:
        return encoder(ids, attention_mask=mask)[0]
    layers = encoder.config.num_hidden_layers
    if skip >= layers:
        raise InvalidArgument("clip_skip", f"a whole number from 0 to {layers - 1}", repr(skip))
    states = encoder(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-(skip + 1)]
    body = getattr(encoder, "text_model", encoder)  # the older home of the layers
    return body.final_layer_norm(states)


def copied(states: torch.Tensor, copies: int) -> torch.Tensor:
    """Each prompt's states next to its own copies."""
    return states.repeat_interleave(copies, dim=0)
