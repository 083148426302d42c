"""Micro-conditioning: the numbers that SDXL is told of how a picture of the training set was cut to size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from calotype.core.errors import InvalidArgument

Numbers = Sequence[float]


@dataclass(frozen=True)
class Framing:
    """How a picture came to be: its size before, what was cut off its top and left, and its size or score after."""

    original_size: Numbers  # height, width
    crop: Numbers  # top, left
    last: Numbers  # height, width; or an aesthetic score

    def row(self) -> list[float]:
        return [*self.original_size, *self.crop, *self.last]

    def but(self, original_size: Numbers | None, crop: Numbers, target_size: Numbers | None) -> Framing:
        """The same but for what is said."""
        return Framing(original_size or self.original_size, crop, target_size or self.last)

    def away(self, original_size: Numbers | None, crop: Numbers, target_size: Numbers | None) -> Framing:
        """What to steer away from: as is said, and not cut unless that is said; the same where nothing is said."""
        said = original_size or target_size or any(crop)
        return self.but(original_size, crop, target_size) if said else self

    def ids(self, like: torch.Tensor) -> torch.Tensor:
        """The numbers once for each of the batch."""
        return torch.tensor([self.row()], dtype=like.dtype, device=like.device).repeat(len(like), 1)


def check_framing(unet: Any, pooled: torch.Tensor, framing: Framing) -> None:
    """The UNet was made to be told so many numbers beside so wide a pooled state."""
    if unet.config.addition_embed_type != "text_time":
        found = repr(unet.config.addition_embed_type)
        raise InvalidArgument("unet", "addition_embed_type='text_time', as SDXL has", found)
    wide = unet.config.addition_time_embed_dim
    wanted, numbers = unet.add_embedding.linear_1.in_features, len(framing.row())
    if wanted != pooled.shape[-1] + numbers * wide:
        fix = "Base networks are told sizes, refiners aesthetic scores: see requires_aesthetics_score."
        found = f"{pooled.shape[-1]} and {numbers} numbers of {wide} each"
        raise InvalidArgument("pooled_prompt_embeds, or requires_aesthetics_score", f"{wanted} values", found, fix)
