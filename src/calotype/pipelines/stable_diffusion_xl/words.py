"""The words of a call: a text for each of two encoders, or what they made of texts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_finite, check_prompts, check_texts

logger = logging.getLogger("calotype.pipelines.stable_diffusion_xl")


@dataclass(frozen=True)
class Words:
    """A text for each encoder, or the states that encoders made of texts: what to steer towards, or away from."""

    prompt: Any
    prompt_2: Any
    embeds: Any
    pooled: Any


def check_words(wanted: Words, unwanted: Words, width: int | None) -> int:
    """Each text for its encoder or states in its place, and as many of each; the number of prompts."""
    count = check_prompts(wanted.prompt, unwanted.prompt, wanted.embeds, unwanted.embeds, width)
    for words, negative in ((wanted, ""), (unwanted, "negative_")):
        second, states = f"{negative}prompt_2", f"{negative}prompt_embeds"
        if words.prompt_2 is not None and words.embeds is not None:
            raise InvalidArgument(f"{second}, {states}", "one of the two", "both")
        if words.prompt_2 is not None and len(check_texts(second, words.prompt_2)) not in (1, count):
            raise InvalidArgument(second, f"one text, or {count} as there are prompts", f"{len(words.prompt_2)}")
        check_pooled(f"{negative}pooled_prompt_embeds", words.pooled, states, words.embeds)
    return count


def check_pooled(name: str, pooled: Any, beside: str, embeds: torch.Tensor | None) -> None:
    """Pooled states come with states of as many texts, and states with them."""
    if (pooled is None) != (embeds is None):
        raise InvalidArgument(f"{beside}, {name}", "both, as one encoder makes them together", "one of them")
    if pooled is None or embeds is None:
        return
    if not isinstance(pooled, torch.Tensor) or pooled.ndim != 2 or len(pooled) != len(embeds):
        found = f"shape {tuple(pooled.shape)}" if isinstance(pooled, torch.Tensor) else type(pooled).__name__
        raise InvalidArgument(name, f"a tensor ({len(embeds)}, width), as {beside}", found)
    check_finite(name, pooled)
