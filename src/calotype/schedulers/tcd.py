"""TCD: leaps along the trajectory, ``eta`` saying how far beyond the next step each of them goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..core.outputs import BaseOutput
from ..ops.random import Generators
from .curve import BetaSchedule
from .distilled import DistilledSolver
from .grid import Plan, Spacing
from .options import PredictionType
from .rows import Row
from .solver import Device, Timestep


@dataclass
class TCDSchedulerOutput(BaseOutput):
    """The sample one step further, and the one that the leap reached before noise was put back."""

    prev_sample: torch.Tensor
    pred_noised_sample: torch.Tensor | None = None


class TCDScheduler(DistilledSolver):
    """Strategic stochastic sampling of trajectory consistency distillation (arXiv 2402.19159, algorithm 4)."""

    style = Plan(spacing="leading")
    keeps = "noise"

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
        """Lay out the walk: within the steps of the distillation, or within all with ``original_inference_steps``."""
        taught = self.config.original_inference_steps if original_inference_steps is None else self.curve.steps
        self.lay_distilled(num_inference_steps, device, taught, timesteps, strength)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        eta: float = 0.3,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> TCDSchedulerOutput | tuple[torch.Tensor, ...]:
        """One leap; ``eta``, the paper's gamma, from 0 (to the next step, no noise put back) to 1 (to the end)."""
        if not 0 <= eta <= 1:
            raise InvalidArgument("eta", "a number from 0 to 1", repr(eta))
        moment = self.look(model_output, timestep, sample)
        last = moment.place + 1 == self.grid.steps
        following = 0 if last else int(self.grid.timesteps[moment.place + 1])
        there, beyond = self.trained_point(following), self.trained_point(int((1 - eta) * following))
        leapt = beyond.alpha * moment.denoised + beyond.sigma * moment.kept
        self.history.appendleft(leapt)
        back = there.alpha / beyond.alpha
        fresh = math.sqrt(max(0.0, 1 - back * back)) if eta > 0 and not last else None
        moved = self.move(moment, Row(0.0, (back,), fresh), generator)
        result = TCDSchedulerOutput(moved, leapt.to(sample.dtype))
        return result if return_dict else result.to_tuple()
