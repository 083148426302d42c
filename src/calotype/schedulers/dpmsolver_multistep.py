"""DPM-Solver and DPM-Solver++, multistep: exponential integrators that reuse the last predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..ops.random import Generators
from .checks import chosen, whole
from .curve import BetaSchedule
from .grid import FinalSigma, Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import LEARNED, VARIANCES, FlowPredictionType
from .predictions import learned_half
from .rows import Kept, Row, exponential
from .solver import Device, Solver, Timestep

ALGORITHMS: dict[str, tuple[Kept, bool]] = {
    "dpmsolver": ("noise", False),
    "dpmsolver++": ("denoised", False),
    "sde-dpmsolver": ("noise", True),
    "sde-dpmsolver++": ("denoised", True),
}
"""What each algorithm remembers, and whether it adds noise."""

SOLVERS = ("midpoint", "heun")
FOREIGN = {
    "deis": "dpmsolver++",
    **dict.fromkeys(("logrho", "bh1", "bh2"), "midpoint"),
}
"""Options of DEIS and UniPC, as they stand in configs that come from there."""


class DPMSolverMultistepScheduler(Solver):
    """DPM-Solver (arXiv 2206.00927) and DPM-Solver++ (arXiv 2211.01095), of order 1 to 3."""

    style = Plan(extra=1)
    draws = torch.float32

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
        lower_order_final: bool = True,
        euler_at_final: bool = False,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_lu_lambdas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        final_sigmas_type: FinalSigma = "zero",
        lambda_min_clipped: Any = -math.inf,  # a number; the types of configs know no infinity
        variance_type: str | None = None,
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential"] = "exponential",
    ) -> None:
        self.translate({"algorithm_type": ALGORITHMS, "solver_type": SOLVERS}, FOREIGN)
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

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        there = self.grid.points[place + 1]
        order = self.order_at(place, len(nodes), there)
        return exponential(nodes[:order], there, self.keeps, self.config.solver_type, self.sde)

    def order_at(self, place: int, known: int, there: Point) -> int:
        """How many predictions to use: lower orders are steadier at the end of a short walk."""
        left = self.grid.steps - place
        short = self.config.lower_order_final and self.grid.steps < 15
        if left == 1 and (self.config.euler_at_final or short or not there.sigma):
            return 1
        return min(known, left) if short else known

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        return super().predict(learned_half(output, x) if self.config.variance_type in LEARNED else output, x, point)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        variance_noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step."""
        return self.advance(model_output, timestep, sample, generator, variance_noise, return_dict)
