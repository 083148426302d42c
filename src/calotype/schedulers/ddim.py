"""DDIM: the deterministic walk, and with eta everything between it and DDPM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..ops.random import Generators
from .curve import BetaSchedule
from .grid import Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .predictions import NOISE
from .rows import ancestral
from .solver import Device, Solver


class DDIMScheduler(Solver):
    """Denoising diffusion implicit models (arXiv 2010.02502)."""

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
        clip_sample: bool = True,
        set_alpha_to_one: bool = True,
        steps_offset: int = 0,
        prediction_type: PredictionType = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        clip_sample_range: float = 1.0,
        sample_max_value: float = 1.0,
        timestep_spacing: Spacing = "leading",
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        super().__init__()
        # where the last step ends: the clean picture, or the cleanest that training saw
        self.end = Point(1.0, 0.0) if set_alpha_to_one else self.trained_point(0)
        self.final_alpha_cumprod = torch.tensor(self.end.alpha**2, dtype=torch.float32)  # for loops of others

    def set_timesteps(self, num_inference_steps: int, device: Device = None) -> None:
        """Lay out the walk."""
        self.lay(num_inference_steps, device)

    def beyond(self, place: int) -> Point:
        """Where a step ends: one stride of training steps on, wherever the walk's next timestep may be."""
        there = int(self.grid.timesteps[place]) - self.curve.steps // self.grid.steps
        return self.trained_point(there) if there >= 0 else self.end

    def step(
        self,
        model_output: torch.Tensor,
        timestep: int,
        sample: torch.Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool = False,
        generator: Generators = None,
        variance_noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step; ``eta`` from 0 (no fresh noise) to 1 (as much as DDPM)."""
        if not 0 <= eta <= 1:
            raise InvalidArgument("eta", "a number from 0 to 1", repr(eta))
        moment = self.look(model_output, timestep, sample)
        if self.clips and not use_clipped_model_output:
            # clipping moves the picture, not the noise that the network saw
            noise = NOISE[self.options.prediction_type](moment.output, moment.x, moment.point)
            moment = replace(moment, x=moment.point.alpha * moment.denoised + moment.point.sigma * noise)
        self.history.appendleft(moment.kept)
        row = ancestral(moment.point, self.beyond(moment.place), eta)
        return self.leave(moment, row, generator, variance_noise, return_dict)
