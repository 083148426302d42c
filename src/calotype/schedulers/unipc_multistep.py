"""UniPC: each evaluation corrects the step that led to it, and predicts the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from .checks import descending, whole
from .curve import BetaSchedule
from .grid import FinalSigma, Grid, Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import FlowPredictionType
from .rows import Row, unified
from .solver import Device, Solver, Timestep, combine

FOREIGN = dict.fromkeys(("midpoint", "heun", "logrho"), "bh2")
"""Options of DPM-Solver and DEIS, as they stand in configs that come from there."""


class UniPCMultistepScheduler(Solver):
    """The unified predictor-corrector (arXiv 2302.04867), of any order."""

    style = Plan(extra=1, pure=True)

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        solver_order: int = 2,
        prediction_type: FlowPredictionType = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        predict_x0: bool = True,
        solver_type: str = "bh2",
        lower_order_final: bool = True,
        disable_corrector: list[int] = [],  # noqa: B006 - the peer's default, never written to
        solver_p: Any = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
        final_sigmas_type: FinalSigma = "zero",
        rescale_betas_zero_snr: bool = False,
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential"] = "exponential",
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        shift_terminal: float | None = None,
    ) -> None:
        self.translate({"solver_type": ("bh1", "bh2")}, FOREIGN)
        self.keeps = "denoised" if predict_x0 else "noise"
        self.memory = whole("solver_order", solver_order, 1, num_train_timesteps)
        self.solver_p = solver_p  # predicts in UniPC's place, if given
        super().__init__()

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
        mu: float | None = None,
    ) -> None:
        """Lay out the walk; with flow sigmas they may be given by hand, to be shifted, by ``mu`` if it is dynamic."""
        self.lay(num_inference_steps, device, sigmas=sigmas, mu=mu)
        if self.solver_p is not None:
            self.solver_p.set_timesteps(self.num_inference_steps, device=device)

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.last: torch.Tensor | None = None  # the sample from which the last step started
        self.last_order = 0

    def walk(
        self,
        steps: int,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> Grid:
        if sigmas is None:
            return super().walk(steps, timesteps)
        if self.plan.space != "flow":
            raise InvalidArgument("sigmas", "use_flow_sigmas=True beside them", "use_flow_sigmas=False")
        return self.plan.through_flow(self.curve, descending("sigmas", sigmas, 0, 1))

    def order_at(self, place: int, there: Point) -> int:
        """How many predictions to use; at zero noise the formula of order 1 is exact, and the others have no limit."""
        left = self.grid.steps - place if self.config.lower_order_final else self.memory
        return min(left, len(self.history)) if there.sigma else 1

    def step(
        self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor, return_dict: bool = True
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """Correct the sample by what the network says of it, then go on from there."""
        moment = self.look(model_output, timestep, sample)
        place, points = moment.place, self.grid.points
        if self.last is not None and place - 1 not in self.config.disable_corrector:
            row = unified(
                self.nodes(place - 1)[: self.last_order],
                points[place],
                self.keeps,
                self.config.solver_type,
                arrived=True,
            )
            moment = replace(moment, x=combine(row, self.last, [moment.kept, *self.history]))
        self.history.appendleft(moment.kept)
        self.last, self.last_order = moment.x, self.order_at(place, points[place + 1])
        if self.solver_p is not None:
            moved = self.solver_p.step(model_output, timestep, moment.x, return_dict=False)[0]
            return self.leave(replace(moment, x=moved), Row(1.0, ()), return_dict=return_dict)
        row = unified(
            self.nodes(place)[: self.last_order], points[place + 1], self.keeps, self.config.solver_type, arrived=False
        )
        return self.leave(moment, row, return_dict=return_dict)
