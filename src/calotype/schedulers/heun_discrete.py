"""Heun: Euler's step, corrected by the slope at its end."""

from __future__ import annotations

import numpy as np
import torch

from ..core.config import register_to_config
from .curve import BetaSchedule
from .grid import Point, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import Row
from .solver import Device, Timestep
from .two_stage import TwoStageSolver


class HeunDiscreteScheduler(TwoStageSolver):
    """Heun's method (arXiv 2206.00364, algorithm 1)."""

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        prediction_type: PredictionType = "epsilon",
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        clip_sample: bool = False,
        clip_sample_range: float = 1.0,
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
    ) -> None:
        super().__init__()

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        num_train_timesteps: int | None = None,
        timesteps: list[int] | None = None,
    ) -> None:
        """Lay out the walk, over the first ``num_train_timesteps`` if not over all."""
        self.lay_within(num_train_timesteps, num_inference_steps, device, timesteps)

    def rows(self, start: Point, end: Point) -> tuple[Row, Row]:
        stride = end.sigma - start.sigma
        return Row(1.0, (stride,)), Row(1.0, (stride / 2, stride / 2))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation: of the slope where the step starts, or of the one where it ends."""
        return self.evaluate(model_output, timestep, sample, return_dict=return_dict)
