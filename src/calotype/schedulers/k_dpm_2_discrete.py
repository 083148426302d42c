"""KDPM2: each step along the slope at its middle."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..core.config import register_to_config
from .curve import BetaSchedule
from .grid import Grid, Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import Row
from .solver import Device, Timestep
from .two_stage import TwoStageSolver


class KDPM2DiscreteScheduler(TwoStageSolver):
    """DPM-Solver-2 (arXiv 2206.00927) where alpha is 1, as Crowson's k-diffusion has it."""

    style = Plan(space="ve", whole=False, across="walk", rounds="karras")

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        prediction_type: PredictionType = "epsilon",
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
    ) -> None:
        super().__init__()

    def set_timesteps(
        self, num_inference_steps: int, device: Device = None, num_train_timesteps: int | None = None
    ) -> None:
        """Lay out the walk, over the first ``num_train_timesteps`` if not over all."""
        self.lay_within(num_train_timesteps, num_inference_steps, device)

    def between(self, grid: Grid) -> np.ndarray:
        return self.curve.timesteps_at(np.sqrt(grid.levels[:-2] * grid.levels[1:-1]))

    def seen_at(self, place: int) -> Point:
        points = self.grid.points
        return points[place] if self.anchor is None else middle(*points[place - 1 : place + 1])

    def rows(self, start: Point, end: Point) -> tuple[Row, Row]:
        return Row(1.0, (middle(start, end).sigma - start.sigma,)), Row(1.0, (end.sigma - start.sigma,))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation: of the slope where the step starts, or of the one in its middle."""
        return self.evaluate(model_output, timestep, sample, return_dict=return_dict)


def middle(start: Point, end: Point) -> Point:
    """Half way in the logarithm of the noise."""
    return Point(1.0, math.sqrt(start.sigma * end.sigma))
