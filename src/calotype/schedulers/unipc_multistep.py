"""UniPC: a predictor and a corrector of any order, along any curve of noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from .checks import descending, whole
from .curve import BetaSchedule
from .grid import FinalSigma, Grid, Plan, Spacing
from .mixin import SchedulerOutput
from .options import FlowPredictionType
from .predictor_corrector import PredictorCorrector
from .solver import Device, Timestep

FOREIGN = dict.fromkeys(("midpoint", "heun", "logrho"), "bh2")
"""Options of DPM-Solver and DEIS, as they stand in configs that come from there."""


class UniPCMultistepScheduler(PredictorCorrector):
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
        self.solver_p = solver_p
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

    def step(
        self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor, return_dict: bool = True
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """Correct the sample by what the network says of it, then go on from there."""
        return self.correct_and_predict(model_output, timestep, sample, return_dict)
