"""UnCLIP: DDPM as the Kandinsky and Karlo priors were trained with it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..ops.random import Generators
from .checks import whole
from .grid import Plan, Point
from .mixin import SchedulerOutput
from .predictions import learned_half, learned_range
from .rows import Row, posterior
from .solver import Device, Solver, Timestep, wide


class UnCLIPScheduler(Solver):
    """The posterior of the training process (arXiv 2204.06125), between any two timesteps."""

    style = Plan(spacing="linspace")
    by_timestep = True
    _compatibles = ()

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        variance_type: Literal["fixed_small_log", "learned_range"] = "fixed_small_log",
        clip_sample: bool = True,
        clip_sample_range: float = 1.0,
        prediction_type: Literal["epsilon", "sample"] = "epsilon",
        beta_schedule: Literal["squaredcos_cap_v2"] = "squaredcos_cap_v2",
    ) -> None:
        self.learned = variance_type == "learned_range"
        super().__init__()

    def set_timesteps(self, num_inference_steps: int, device: Device = None) -> None:
        """Lay out the walk, from the last training timestep to the first."""
        self.lay(whole("num_inference_steps", num_inference_steps, 2, self.curve.steps), device)

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        return super().predict(learned_half(output, x) if self.learned else output, x, point)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        prev_timestep: int | None = None,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step to ``prev_timestep``, by default the training timestep below; from timestep 0 no noise is drawn."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        here = int(self.grid.timesteps[moment.place])
        there = here - 1 if prev_timestep is None else int(prev_timestep)
        beta, row = self.between(here, there)
        if not here:
            return self.leave(moment, row._replace(fresh=None), return_dict=return_dict)
        channels = moment.x.shape[1]
        noise = wide(self.noise(model_output[:, :channels], generator))
        if self.learned:
            noise = noise * learned_range(moment.output[:, channels:], row.fresh or 0.0, math.sqrt(beta))
            row = row._replace(fresh=1.0)
        return self.leave(moment, row, noise=noise, return_dict=return_dict)

    def between(self, here: int, there: int) -> tuple[float, Row]:
        """The noise of a step between two timesteps, and its numbers; below 0 lies the clean picture."""
        left = self.curve.alphas_cumprod  # float32, as are the betas: between far timesteps the noise rounds to 1
        after = left[there] if there >= 0 else np.float32(1)
        beta = self.curve.betas[here] if there == here - 1 else 1 - left[here] / after
        return float(beta), posterior(float(beta), float(left[here]), float(after))
