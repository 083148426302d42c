"""Euler ancestral: Euler steps that overshoot and put fresh noise back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..core.config import register_to_config
from ..ops.random import Generators
from .curve import BetaSchedule
from .grid import Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import Row, ancestral
from .solver import Device, Solver, Timestep


class EulerAncestralDiscreteScheduler(Solver):
    """Euler steps with as much fresh noise as DDPM's posterior has."""

    style = Plan(space="ve", whole=False)

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        prediction_type: PredictionType = "epsilon",
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        super().__init__()

    def set_timesteps(self, num_inference_steps: int, device: Device = None) -> None:
        """Lay out the walk."""
        self.lay(num_inference_steps, device)

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        return ancestral(nodes[0], self.grid.points[place + 1], eta=1.0)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step."""
        return self.advance(model_output, timestep, sample, generator, return_dict=return_dict)
