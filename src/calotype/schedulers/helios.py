"""HeliosScheduler: UniPC, or Euler, down one stage of the pyramid after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from ..core.config import register_to_config
from ..ops.random import Generators
from .checks import chosen, needed, whole
from .mixin import SchedulerOutput
from .predictor_corrector import PredictorCorrector
from .rows import Row
from .solver import Moment, Timestep, wide
from .staged import StagedSolver

FOREIGN = dict.fromkeys(("midpoint", "heun", "logrho"), "bh2")
"""Options of DPM-Solver and DEIS, as they stand in configs that come from there."""


class HeliosScheduler(StagedSolver, PredictorCorrector):
    """The solver of Helios-Base, one stage, and of Helios-Mid, three; each walk begins without a past."""

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        stages: int = 3,
        stage_range: Sequence[float] = [0, 1 / 3, 2 / 3, 1],
        gamma: float = 1 / 3,
        thresholding: bool = False,
        prediction_type: str = "flow_prediction",
        solver_order: int = 2,
        predict_x0: bool = True,
        solver_type: str = "bh2",
        lower_order_final: bool = True,
        disable_corrector: list[int] = [],  # noqa: B006 - the peer's default, never written to
        solver_p: Any = None,
        use_flow_sigmas: bool = True,
        scheduler_type: str = "unipc",
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential", "linear"] = "exponential",
    ) -> None:
        chosen("scheduler_type", scheduler_type, ("unipc", "euler", "dmd"))
        self.translate({"solver_type": ("bh1", "bh2")}, FOREIGN)
        self.memory = whole("solver_order", solver_order, 1, num_train_timesteps)
        super().__init__()

    def look(self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor) -> Moment:
        moment = super().look(model_output, timestep, sample)
        denoised = moment.x - scaled(moment.point.sigma, model_output)
        return replace(moment, denoised=denoised, kept=denoised)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep | None = None,
        sample: torch.Tensor | None = None,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step; nothing is drawn. Euler's answers in the type of the network's output, as it always did."""
        t, x = needed("timestep", timestep), needed("sample", sample)
        if self.config.scheduler_type == "unipc":
            return self.correct_and_predict(model_output, t, x, return_dict)
        chosen("scheduler_type", self.config.scheduler_type, ("euler",))  # "dmd" files are of HeliosDMDScheduler
        moment = self.look(model_output, t, x)
        here, there = self.grid.points[moment.place : moment.place + 2]
        moved = moment.x + scaled(there.sigma - here.sigma, model_output)
        return self.leave(replace(moment, x=moved, sample=model_output), Row(1.0, ()), return_dict=return_dict)


def scaled(share: float, output: torch.Tensor) -> torch.Tensor:
    """A share of the network's output; all rounded as it is, which in half precision is part of the numbers."""
    return wide(float(torch.tensor(share, dtype=output.dtype)) * output)
