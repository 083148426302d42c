"""Euler: straight lines from each noise level to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..ops.random import Generators
from .curve import BetaSchedule
from .grid import FinalSigma, Grid, Plan, Point, Spacing, exponential
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import ancestral
from .solver import Device, Solver, Timestep, wide


class EulerDiscreteScheduler(Solver):
    """Euler's method, with noise churned in if asked (arXiv 2206.00364, algorithm 2 without its correction)."""

    style = Plan(space="ve", whole=False, across="walk")

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        prediction_type: PredictionType = "epsilon",
        interpolation_type: Literal["linear", "log_linear"] = "linear",
        use_karras_sigmas: bool | None = False,
        use_exponential_sigmas: bool | None = False,
        use_beta_sigmas: bool | None = False,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        timestep_spacing: Spacing = "linspace",
        timestep_type: Literal["discrete", "continuous"] = "discrete",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        final_sigmas_type: FinalSigma = "zero",
    ) -> None:
        super().__init__()
        self.log_linear = interpolation_type == "log_linear"
        self.continuous = timestep_type == "continuous" and prediction_type == "v_prediction"
        if self.log_linear:
            self.plan = replace(self.plan, across="curve")

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Lay out the walk; ``sigmas`` given by hand include the level at which it ends."""
        self.lay(num_inference_steps, device, timesteps, sigmas)

    def walk(
        self,
        steps: int,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> Grid:
        if self.continuous and timesteps is not None:
            raise InvalidArgument(
                "timesteps", "None, as timestep_type='continuous' makes them from the levels", "timesteps"
            )
        grid = super().walk(steps, timesteps, sigmas)
        if self.log_linear and sigmas is None and not self.plan.ramp:
            high, low = self.curve.ratios[-1], self.curve.ratios[0]
            grid = replace(grid, levels=exponential(high, low, grid.steps + 1))
        if self.continuous:
            grid = replace(grid, timesteps=(0.25 * np.log(grid.levels[:-1])).astype(np.float32))
        return grid

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = math.inf,
        s_noise: float = 1.0,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step; with ``s_churn`` first up from the sample's level, if it is within ``s_tmin`` and ``s_tmax``."""
        moment = self.look(model_output, timestep, sample)
        here = moment.point
        grown = min(s_churn / self.grid.steps, math.sqrt(2) - 1) if s_tmin <= here.sigma <= s_tmax else 0.0
        if grown > 0:
            higher = Point(1.0, here.sigma * (grown + 1))
            added = s_noise * math.sqrt(higher.sigma**2 - here.sigma**2)
            x = moment.x + added * wide(self.noise(model_output, generator))
            # a noise is taken to be the same higher up; a velocity belongs to the level at which the network gave it
            told = here if self.options.prediction_type == "v_prediction" else higher
            moment = replace(moment, x=x, point=higher, denoised=self.predict(moment.output, x, told)[0])
        self.history.appendleft(moment.denoised)
        row = ancestral(moment.point, self.grid.points[moment.place + 1])
        return self.leave(moment, row, return_dict=return_dict)
