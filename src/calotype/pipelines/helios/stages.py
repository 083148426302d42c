"""The stages of a chunk: one at full size, or several, each with twice the height and width of the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch

from calotype.schedulers.helios_stages import suited_shift

Enter = Callable[[torch.Tensor, Any], torch.Tensor]  # of the latents of the stage before, and generators


def as_they_are(latents: torch.Tensor, generator: Any) -> torch.Tensor:
    """The latents: the first stage begins with noise."""
    return latents


@dataclass(frozen=True)
class StagePlan:
    """How many steps a stage takes, how latents enter it, and what else the scheduler is told."""

    steps: int
    enter: Enter = field(default=as_they_are, repr=False)  # by name it would be another one in every process
    options: dict[str, Any] = field(default_factory=dict[str, Any])  # of set_timesteps
    idle: int = 0  # steps at its beginning that predict nothing

    def count(self, scheduler: Any) -> int:
        """How many steps are taken in all: some schedulers take more for an amplified first chunk."""
        return self.steps * (scheduler.amplified if self.options.get("is_amplify_first_chunk") else 1)

    def plan(self, scheduler: Any, latents: torch.Tensor, patch: tuple[int, ...]) -> torch.Tensor:
        """Set the scheduler, which shifts by the size that latents have before they enter; the timesteps."""
        mu = suited_shift(prod(latents.shape[2:]) // prod(patch), scheduler.config)
        scheduler.set_timesteps(self.steps, device=latents.device, mu=mu, **self.options)
        return scheduler.timesteps
