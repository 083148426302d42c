"""FlowMatch Euler: straight steps along a flow, from noise to a picture."""

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
from .checks import descending
from .grid import Grid, Plan, Point
from .mixin import SchedulerOutput
from .rows import Row
from .solver import Device, Moment, Solver, Timestep, wide


class FlowMatchEulerDiscreteScheduler(Solver):
    """Euler's method for rectified flows (arXiv 2403.03206)."""

    style = Plan(space="flow", whole=False, across="walk")
    _compatibles = ()

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        invert_sigmas: bool = False,
        shift_terminal: float | None = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        time_shift_type: Literal["exponential", "linear"] = "exponential",
        stochastic_sampling: bool = False,
    ) -> None:
        super().__init__()
        self.options = replace(self.options, prediction_type="flow_prediction")
        self.set_shift(1.0 if use_dynamic_shifting else shift)
        levels = replace(self.plan, terminal=None).shifted(np.arange(num_train_timesteps, 0, -1) / num_train_timesteps)
        self.begin(Grid((levels * num_train_timesteps).astype(np.float32), np.append(levels, 0.0), "flow"))
        self.num_inference_steps = None
        # float32: a walk starts and ends where training did, as it was written down
        self.sigma_max, self.sigma_min = float(np.float32(levels[0])), float(np.float32(levels[-1]))

    @property
    def shift(self) -> float:
        """How far walks are shifted towards noise."""
        return self.plan.shift

    def set_shift(self, shift: float) -> None:
        """Shift the walks to come."""
        if not 0 < shift < math.inf:
            raise InvalidArgument("shift", "a number above 0", repr(shift))
        self.plan = replace(self.plan, shift=shift)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
        mu: float | None = None,
        timesteps: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Lay out the walk; ``sigmas`` are shares of noise before they are shifted, ``mu`` is how far."""
        self.lay(num_inference_steps, device, timesteps, sigmas, mu)

    def walk(
        self,
        steps: int,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> Grid:
        total = self.curve.steps
        told = None if timesteps is None else descending("timesteps", timesteps, 0, total)
        if sigmas is not None:
            line = descending("sigmas", sigmas, 0, 1)
        else:
            line = np.linspace(self.sigma_max, self.sigma_min, steps) if told is None else told / total
        if told is not None and len(told) != len(line):
            raise InvalidArgument("timesteps", f"{len(line)} of them, one for each of sigmas", str(len(told)))
        levels = self.plan.shifted(line)
        levels = np.append(self.plan.ramped(self.curve, levels) if self.plan.ramp else levels, 0.0)
        levels = 1 - levels if self.config.invert_sigmas else levels
        return Grid((levels[:-1] * total if told is None else told).astype(np.float32), levels, "flow")

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        denoised, _ = super().predict(output, x, point)
        return denoised, denoised if self.config.stochastic_sampling else output

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        here, there = self.grid.points[place : place + 2]
        if self.config.stochastic_sampling:
            return Row(0.0, (there.alpha,), there.sigma)
        return Row(1.0, (there.sigma - here.sigma,))

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
        per_token_timesteps: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step; tokens with timesteps of their own, ``(batch, tokens)``, each go to the next lower level.

        Along a flow no noise is churned in: ``s_churn`` and its kin are taken for the sake of callers, and not used.
        """
        if per_token_timesteps is None:
            return self.advance(model_output, timestep, sample, generator, return_dict=return_dict)
        moment = self.look(model_output, timestep, sample)
        return self.leave(self.by_token(moment, per_token_timesteps, generator), Row(1.0, ()), return_dict=return_dict)

    def by_token(self, moment: Moment, timesteps: torch.Tensor, generator: Generators) -> Moment:
        """A moment whose sample has already moved, each token by its own level.

        Where all tokens go together, the output points from the picture to the noise; here it is taken to point the
        other way, as the callers of this option (LTX-Video) hand it in.
        """
        here = wide(timesteps)[..., None] / self.curve.steps
        levels = self.sigmas.to(here.device)
        there = torch.where(levels < here - 1e-6, levels, 0.0).amax(-1, keepdim=True)
        denoised = moment.x - here * moment.output
        if self.config.stochastic_sampling:
            x = (1 - there) * denoised + there * wide(self.noise(moment.model_output, generator))
        else:
            x = moment.x + (here - there) * moment.output
        return replace(moment, x=x, denoised=denoised)

    def scale_noise(self, sample: torch.Tensor, timestep: Timestep, noise: torch.Tensor | None = None) -> torch.Tensor:
        """The sample with as much noise as there is at these timesteps, one per sample."""
        if noise is None:
            raise InvalidArgument("noise", "a tensor of the sample's shape", "None")
        return self.add_noise(sample, noise, torch.as_tensor(timestep))
