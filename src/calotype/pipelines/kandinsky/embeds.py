"""Embeds of pictures at the door: what a decoder is given, and what a prior mixes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_finite, number
from calotype.pipelines.kandinsky.output import KandinskyPriorPipelineOutput

NAMES = ("image_embeds", "negative_image_embeds")


def check_image_embeds(name: str, embeds: Any, width: int) -> torch.Tensor:
    """Embeds (batch, width) of pictures, from one tensor or a list of them."""
    if isinstance(embeds, KandinskyPriorPipelineOutput):
        raise InvalidArgument(name, f"a tensor (batch, {width})", "all that a prior returned", f"Give its {name}.")
    given: list[Any] = list(embeds) if isinstance(embeds, (list, tuple)) else [embeds]
    for i, each in enumerate(given):
        where = f"{name}[{i}]" if isinstance(embeds, (list, tuple)) else name
        if not isinstance(each, torch.Tensor) or not each.is_floating_point():
            found = str(each.dtype) if isinstance(each, torch.Tensor) else type(each).__name__
            raise InvalidArgument(where, f"floats (batch, {width}), as a prior makes them", found)
        if each.ndim != 2 or not len(each) or each.shape[1] != width:
            raise InvalidArgument(where, f"shape (batch, {width})", f"shape {tuple(each.shape)}")
        check_finite(where, each)
    if not given:
        raise InvalidArgument(name, f"a tensor (batch, {width})", "an empty list")
    return torch.cat(given)


def check_pair(
    wanted: Any, unwanted: Any, width: int, guided: bool, batch: int | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Embeds to steer towards, and, which guidance needs, as many to steer away from."""
    positive = check_image_embeds(NAMES[0], wanted, width)
    if batch is not None and len(positive) != batch:
        raise InvalidArgument(NAMES[0], f"a batch of {batch}, as prompt", f"{len(positive)}")
    if unwanted is None and not guided:
        return positive, None
    negative = check_image_embeds(NAMES[1], unwanted, width)
    if len(negative) != len(positive):
        raise InvalidArgument(NAMES[1], f"a batch of {len(positive)}, as image_embeds", f"{len(negative)}")
    return positive, negative


def check_weights(mixed: Any, weights: Any) -> list[float]:
    """A weight for each of what is mixed; together they are not nothing."""
    for name, given in (("images_and_prompts", mixed), ("weights", weights)):
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise InvalidArgument(name, "a list, not empty", repr(given)[:80])
    if len(weights) != len(mixed):
        raise InvalidArgument("weights", f"{len(mixed)}, one for each of images_and_prompts", f"{len(weights)}")
    for i, weight in enumerate(weights):
        number()(f"weights[{i}]", weight)
    if math.isclose(math.fsum(weights), 0, abs_tol=1e-9):
        raise InvalidArgument("weights", "numbers whose sum is not 0", repr(list(weights)))
    return [float(weight) for weight in weights]
