"""DEIS: an exponential integrator whose polynomial runs in the logarithm of the noise-to-signal ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from ..core.config import register_to_config
from .checks import whole
from .curve import BetaSchedule
from .grid import Plan, Point, Spacing
from .mixin import SchedulerOutput
from .options import FlowPredictionType
from .rows import Row, logrho
from .solver import Device, Solver, Timestep

FOREIGN = {
    **dict.fromkeys(("dpmsolver", "dpmsolver++"), "deis"),
    **dict.fromkeys(("midpoint", "heun", "bh1", "bh2"), "logrho"),
}
"""Options of DPM-Solver and UniPC, as they stand in configs that come from there."""


class DEISMultistepScheduler(Solver):
    """Diffusion exponential integrator sampler (arXiv 2204.13902); it ends at the cleanest level of training."""

    style = Plan(extra=1, final="sigma_min")
    keeps = "noise"

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
        algorithm_type: str = "deis",
        solver_type: str = "logrho",
        lower_order_final: bool = True,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential"] = "exponential",
    ) -> None:
        self.translate({"algorithm_type": ("deis",), "solver_type": ("logrho",)}, FOREIGN)
        self.memory = whole("solver_order", solver_order, 1, 3)
        super().__init__()

    def set_timesteps(self, num_inference_steps: int, device: Device = None, mu: float | None = None) -> None:
        """Lay out the walk; ``mu`` shifts a flow, with ``use_dynamic_shifting``."""
        self.lay(num_inference_steps, device, mu=mu)

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        short = self.config.lower_order_final and self.grid.steps < 15
        order = min(len(nodes), self.grid.steps - place) if short else len(nodes)
        return logrho(nodes[:order], self.grid.points[place + 1])

    def step(
        self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor, return_dict: bool = True
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step."""
        return self.advance(model_output, timestep, sample, return_dict=return_dict)
