"""DPM-Solver and DPM-Solver++, singlestep: every few steps are tried from the same sample, the last one is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..ops.random import Generators
from .checks import chosen, whole
from .curve import BetaSchedule
from .dpmsolver_multistep import ALGORITHMS, FOREIGN, SOLVERS
from .grid import FinalSigma, Grid, Plan, Point
from .mixin import SchedulerOutput
from .options import LEARNED, VARIANCES, FlowPredictionType
from .predictions import learned_half
from .rows import Row, exponential
from .solver import Device, Solver, Timestep


class DPMSolverSinglestepScheduler(Solver):
    """DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095), in blocks of as many steps as the order.

    The first step of a block is of order 1, the next of order 2 from where the first began, and so on.
    """

    style = Plan(extra=1)

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
        algorithm_type: str = "dpmsolver++",
        solver_type: str = "midpoint",
        lower_order_final: bool = False,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        final_sigmas_type: FinalSigma = "zero",
        lambda_min_clipped: Any = -math.inf,  # a number; the types of configs know no infinity
        variance_type: str | None = None,
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential"] = "exponential",
    ) -> None:
        self.translate({"algorithm_type": ALGORITHMS.keys() - {"sde-dpmsolver"}, "solver_type": SOLVERS}, FOREIGN)
        chosen("variance_type", variance_type, VARIANCES)
        self.keeps, self.sde = ALGORITHMS[self.config.algorithm_type]
        self.memory = whole("solver_order", solver_order, 1, 3)
        super().__init__()
        if self.keeps == "noise" and final_sigmas_type == "zero":
            where = f"algorithm_type={algorithm_type!r}, final_sigmas_type='zero'"
            raise InvalidArgument(where, "final_sigmas_type='sigma_min': this algorithm never ends at zero")
        self.plan = self.plan.clipped(self.curve, lambda_min_clipped)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Device = None,
        mu: float | None = None,
        timesteps: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Lay out the walk; ``mu`` shifts a flow, with ``use_dynamic_shifting``."""
        self.lay(num_inference_steps, device, timesteps, mu=mu)

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.anchor = torch.empty(0)  # the sample where the block of steps under way began

    def order_at(self, place: int) -> int:
        """The order of a step, the last one's lower where a block would end at zero, or if the options say so."""
        order = place % self.memory + 1
        if place + 1 < self.grid.steps:
            return order
        lower = not self.grid.levels[-1] or (self.config.lower_order_final and order == self.memory)
        return 1 if lower else order

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        there, kind = self.grid.points[place + 1], self.config.solver_type
        if len(nodes) == 3 and kind == "midpoint":  # passes the prediction in the middle by
            row = exponential(nodes[::-2], there, self.keeps, "heun", self.sde)
            return row._replace(weights=(row.weights[1], 0.0, row.weights[0]))
        row = exponential(nodes[::-1], there, self.keeps, kind, self.sde, bent=1.0)
        return row._replace(weights=row.weights[::-1])

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        return super().predict(learned_half(output, x) if self.config.variance_type in LEARNED else output, x, point)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step, from where its block began."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        order = min(self.order_at(moment.place), len(self.history))
        if order == 1:
            self.anchor = moment.x
        row = self.row(moment.place, self.nodes(moment.place)[:order])
        return self.leave(replace(moment, x=self.anchor), row, generator, return_dict=return_dict)
