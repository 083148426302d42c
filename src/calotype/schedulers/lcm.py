"""LCM: from noise to a picture in a few leaps, noise put back between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.outputs import BaseOutput
from ..ops.random import Generators
from .curve import BetaSchedule
from .distilled import DistilledSolver
from .grid import Plan, Spacing
from .options import PredictionType
from .rows import Row
from .solver import Device, Timestep


@dataclass
class LCMSchedulerOutput(BaseOutput):
    """The sample one step further, and the clean sample as the consistency function has it."""

    prev_sample: torch.Tensor
    denoised: torch.Tensor | None = None


class LCMScheduler(DistilledSolver):
    """Multistep sampling of latent consistency models (arXiv 2310.04378)."""

    style = Plan(spacing="leading")

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: BetaSchedule = "scaled_linear",
        trained_betas: np.ndarray | list[float] | None = None,
        original_inference_steps: int = 50,
        clip_sample: bool = False,
        clip_sample_range: float = 1.0,
        set_alpha_to_one: bool = True,
        steps_offset: int = 0,
        prediction_type: PredictionType = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        timestep_spacing: Spacing = "leading",
        timestep_scaling: float = 10.0,
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        super().__init__()

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        original_inference_steps: int | None = None,
        timesteps: list[int] | None = None,
        strength: float = 1.0,
    ) -> None:
        """Lay out the walk; ``original_inference_steps`` is how many steps the distillation had."""
        given = original_inference_steps
        taught = self.config.original_inference_steps if given is None else given
        self.lay_distilled(num_inference_steps, device, taught, timesteps, strength)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> LCMSchedulerOutput | tuple[torch.Tensor, ...]:
        """One leap; all but the last put noise back."""
        moment = self.look(model_output, timestep, sample)
        skip, out = boundary(int(self.grid.timesteps[moment.place]) * self.config.timestep_scaling)
        denoised = out * moment.denoised + skip * moment.x
        self.history.appendleft(denoised)
        there = self.grid.points[moment.place + 1]
        moved = self.move(moment, Row(0.0, (there.alpha,), there.sigma or None), generator)
        result = LCMSchedulerOutput(moved, denoised.to(sample.dtype))
        return result if return_dict else result.to_tuple()


def boundary(time: float, spread: float = 0.5) -> tuple[float, float]:
    """Shares of the sample and of the estimate, so that a clean sample stays as it is (appendix of the paper)."""
    size = math.hypot(time, spread)
    return (spread / size) ** 2, time / size
