"""LMS: the noise followed along a polynomial through the last few predictions."""

from __future__ import annotations

import numpy as np
import torch

from ..core.config import register_to_config
from .checks import whole
from .curve import BetaSchedule
from .grid import Plan, Spacing
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import adams
from .solver import Device, Solver, Timestep


class LMSDiscreteScheduler(Solver):
    """Linear multistep: Adams and Bashforth's method on an uneven grid."""

    style = Plan(space="ve", whole=False, across="walk")
    keeps = "noise"
    memory = 8  # polynomials of more than a few nodes swing out of control

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
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

    def set_timesteps(self, num_inference_steps: int, device: Device = None) -> None:
        """Lay out the walk."""
        self.lay(num_inference_steps, device)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        order: int = 4,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step through the last ``order`` predictions."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        points, place = self.grid.points, moment.place
        # places before the one where a walk began in the middle count, too, with predictions of zero: "same picture"
        nodes = points[max(0, place + 1 - whole("order", order, 1, self.memory)) : place + 1][::-1]
        return self.leave(moment, adams(nodes, points[place + 1]), return_dict=return_dict)
