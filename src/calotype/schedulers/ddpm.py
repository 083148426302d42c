"""DDPM: the posterior of the training process, with a variance that is fixed or told by the network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..core.config import register_to_config
from ..ops.random import Generators
from .checks import chosen
from .curve import BetaSchedule
from .grid import Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import LEARNED, VARIANCES, PredictionType
from .predictions import learned_half, learned_range
from .rows import ancestral
from .solver import Device, Solver, Timestep, wide


class DDPMScheduler(Solver):
    """Denoising diffusion probabilistic models (arXiv 2006.11239), with learned variances (arXiv 2102.09672)."""

    style = Plan(spacing="leading")
    by_timestep = True

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        variance_type: str | None = "fixed_small",
        clip_sample: bool = True,
        prediction_type: PredictionType = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        clip_sample_range: float = 1.0,
        sample_max_value: float = 1.0,
        timestep_spacing: Spacing = "leading",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        chosen("variance_type", variance_type, VARIANCES)
        self.variance_type = variance_type or "fixed_small"
        super().__init__()
        self.one = torch.tensor(1.0)  # of the clean picture, beside alphas_cumprod: for subclasses of others

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        timesteps: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Lay out the walk."""
        self.lay(num_inference_steps, device, timesteps)

    def previous_timestep(self, timestep: int | torch.Tensor) -> int:
        """The timestep at which a step from this one ends; -1 for the clean picture."""
        place = self.index_for_timestep(timestep)
        return int(self.grid.timesteps[place + 1]) if place + 1 < self.grid.steps else -1

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        if self.variance_type in LEARNED:
            output = learned_half(output, x)
        return super().predict(output, x, point)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step; the last one, from timestep 0, draws no noise."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        there = self.grid.points[moment.place + 1]
        row = ancestral(moment.point, there, eta=1.0)
        if not self.grid.timesteps[moment.place]:
            return self.leave(moment, row._replace(fresh=None), return_dict=return_dict)
        noise = wide(self.noise(moment.model_output[:, : moment.x.shape[1]], generator))
        spread = self.spread(row.fresh or 0.0, moment.point, there, moment.output[:, moment.x.shape[1] :])
        return self.leave(moment, row._replace(fresh=1.0), noise=spread * noise, return_dict=return_dict)

    def spread(self, small: float, here: Point, there: Point, told: torch.Tensor) -> torch.Tensor | float:
        """The standard deviation of the fresh noise: at least ``small``, at most the noise of the step itself."""
        large = math.sqrt(1 - (here.alpha / there.alpha) ** 2)
        if self.variance_type == "learned":
            return told.clamp(min=1e-20).sqrt()
        if self.variance_type == "learned_range":
            return learned_range(told, small, large)
        return large if "large" in self.variance_type else small
