"""KDPM2 that overshoots and puts fresh noise back."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..core.config import register_to_config
from ..ops.random import Generators
from .curve import BetaSchedule
from .grid import Grid, Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import Row
from .solver import Device, Timestep
from .two_stage import TwoStageSolver


class KDPM2AncestralDiscreteScheduler(TwoStageSolver):
    """DPM-Solver-2 (arXiv 2206.00927) with ancestral noise, as Crowson's k-diffusion has it.

    A step that is to end at ``end`` goes down to ``end**2 / start`` before noise is added. Half way there, in the
    logarithm, is ``end``: where the step is tried needs no levels of its own.
    """

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
        return self.curve.timesteps_at(grid.levels[1:-1])

    def rows(self, start: Point, end: Point) -> tuple[Row, Row]:
        shrunk = end.sigma / start.sigma
        down, fresh = end.sigma * shrunk, end.sigma * math.sqrt(1 - shrunk * shrunk)
        return Row(1.0, (end.sigma - start.sigma,)), Row(1.0, (down - start.sigma,), fresh)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation: of the slope where the step starts, or of the one half way down; noise follows the second."""
        return self.evaluate(model_output, timestep, sample, generator, return_dict)
