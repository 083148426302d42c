"""Prompts become tensors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Lock
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.emphasis import Reader, emphasised
from calotype.models.learnt_words import expanded

logger = logging.getLogger("calotype.generation.prompts")

# Tokenizers of other libraries set their padding on themselves before they read: one text at a time, whoever owns them.
_reading = Lock()


def tokens(tokenizer: Any, texts: list[str], length: int | None = None) -> Any:
    """Token ids and their mask, cut and padded to the length the encoder reads; what falls off is said."""
    length = int(length or tokenizer.model_max_length)
    texts = [expanded(tokenizer, text) for text in texts]
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
    syntax: str | None = None,
) -> torch.Tensor:
    """The states (batch, tokens, width) of a CLIP text encoder; ``skip`` takes them so many layers before the last."""

    def encode(ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        if skip is None:
            states = encoder(ids, attention_mask=mask)[0]
            return states, states
        check_skip(encoder, skip)
        states = encoder(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-(skip + 1)]
        body = getattr(encoder, "text_model", encoder)  # the older home of the layers
        states = body.final_layer_norm(states)
        return states, states

    if syntax is not None:
        return emphasised(syntax, texts, Reader(tokenizer, encode, device), length)[0]
    read = tokens(tokenizer, texts, length)
    mask = read.attention_mask.to(device) if getattr(encoder.config, "use_attention_mask", False) else None
    return encode(read.input_ids.to(device), mask)[0]


def penultimate(
    tokenizer: Any,
    encoder: Any,
    texts: list[str],
    device: torch.device,
    skip: int | None = None,
    length: int | None = None,
    syntax: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The states that a CLIP text encoder's last layer would read, or the layer so many before, and what it pools."""
    layer = skip or 0
    check_skip(encoder, layer)

    def encode(ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        read = encoder(ids, attention_mask=mask, output_hidden_states=True)
        return read.hidden_states[-(layer + 2)], read[0]

    if syntax is not None:
        return emphasised(syntax, texts, Reader(tokenizer, encode, device, pools=True), length)
    return encode(tokens(tokenizer, texts, length).input_ids.to(device), None)


def side_by_side(
    readings: Sequence[tuple[Any, Any, Any]],  # tokenizer, encoder, and a text or several
    device: torch.device,
    skip: int | None = None,
    length: int | None = None,
    syntax: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The states of several encoders side by side, each of its own text, and what the last of them pools."""

    def read(length: int | None) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [
            penultimate(
                tokenizer, encoder, [text] if isinstance(text, str) else list(text), device, skip, length, syntax
            )
            for tokenizer, encoder, text in readings
        ]

    states, pooled = zip(*read(length), strict=True)
    lengths = {each.shape[1] for each in states}
    if len(lengths) > 1:  # in a syntax, texts may be of any length
        states, pooled = zip(*read(max(lengths)), strict=True)
    count = max(map(len, states))
    return torch.cat([each.expand(count, -1, -1) for each in states], dim=-1), pooled[-1].expand(count, -1)


def check_length(name: str, states: torch.Tensor, given: torch.Tensor, texts: Any) -> None:
    """Embeddings that came without a text cannot be made longer; texts can."""
    if not texts:
        raise InvalidArgument(name, f"at most {given.shape[1]} tokens, as prompt_embeds has", f"{states.shape[1]}")


def check_skip(encoder: Any, skip: int) -> None:
    """There are layers left when so many are skipped."""
    layers = encoder.config.num_hidden_layers
    if skip >= layers:
        raise InvalidArgument("clip_skip", f"a whole number from 0 to {layers - 1}", repr(skip))


def copied(states: torch.Tensor, copies: int) -> torch.Tensor:
    """Each prompt's states next to its own copies."""
    return states.repeat_interleave(copies, dim=0)
