"""The values that travel through a generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from calotype.generation.previews import Estimate

if TYPE_CHECKING:
    from PIL import Image

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Told:
    """What the network is told, as named tensors that a callback may change; for how many pictures, of which type."""

    state: State
    batch: int
    dtype: torch.dtype
    later: Mapping[int, State] = field(default_factory=dict[int, State])  # told anew from these steps on

    def also(self, **state: torch.Tensor) -> Told:
        """The same, and these tensors."""
        return replace(self, state={**self.state, **state})


@dataclass(frozen=True)
class Start:
    """Where denoising begins: the first latents, the timesteps still to walk, and what ties them to a picture.

    ``channels`` names tensors of ``named`` that are appended to the network's input; ``keep(latents, i)`` re-imposes
    the known part after step ``i``.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    channels: tuple[str, ...] = ()
    keep: Callable[[torch.Tensor, int], torch.Tensor] | None = None
    named: State = field(default_factory=dict[str, torch.Tensor])


@dataclass(frozen=True)
class Step:
    """One step that was taken: which, of how many, at which timestep, and the tensors after it."""

    index: int
    total: int
    timestep: torch.Tensor
    state: State
    bookmark: dict[str, Any]  # enough to go on from here
    estimate: Estimate  # of the finished pictures

    @property
    def latents(self) -> torch.Tensor:
        return self.state["latents"]

    @property
    def previews(self) -> list[Image.Image]:
        """A small picture of each picture as it is expected to become, a pixel for each latent; a prior has none."""
        return self.estimate.pictures

    @property
    def preview(self) -> Image.Image | None:
        """The first of them, if there is one."""
        return next(iter(self.previews), None)
