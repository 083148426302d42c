"""What the schedulers of Helios share: walks that are laid out stage by stage, along a flow, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from ..core.errors import InvalidArgument
from .checks import chosen, descending, whole
from .grid import Grid, Plan
from .helios_stages import Stage, bounds_of, correlated, shares, stages_of
from .options import SHIFTS
from .solver import Device, Solver


class StagedSolver(Solver):
    """A solver for a pyramid of stages, or for one stage that is the whole way."""

    style = Plan(space="flow", whole=False)
    spare: ClassVar[int] = 0  # more steps that are laid out, and left out again at the end
    amplified: ClassVar[int] = 1  # how many times the steps the first chunk of a film may be given
    _compatibles = ()

    def __init__(self) -> None:
        config = self.config
        for name, only in ONLY.items():
            if config.get(name, only) != only:
                raise InvalidArgument(name, repr(only), repr(config[name]))
        chosen("time_shift_type", config.time_shift_type, SHIFTS)
        if not 0 < config.shift < math.inf:
            raise InvalidArgument("shift", "a number above 0", repr(config.shift))
        if config.use_dynamic_shifting and config.shift != 1:
            raise InvalidArgument("shift", "1.0 beside use_dynamic_shifting=True", repr(config.shift))
        super().__init__()
        total = config.num_train_timesteps
        self.gamma = correlated(config.gamma)
        self.stages = stages_of(total, config.shift, bounds_of(config.stages, config.stage_range, total), self.gamma)
        table = shares(total, config.shift)
        self.begin(Grid(table * total, np.append(table, 0.0), "flow"))
        self.num_inference_steps = None
        self.sigma_max, self.sigma_min = float(table[0]), float(table[-1])

    # -- the tables, under the peer's names -------------------------------------------------------------------------

    @property
    def timestep_ratios(self) -> dict[int, tuple[float, float]]:
        """Which part of the whole way each stage walks."""
        return {place: stage.ratios for place, stage in enumerate(self.stages)}

    @property
    def timesteps_per_stage(self) -> dict[int, torch.Tensor]:
        """The timesteps of each stage, one for each training step."""
        return {place: torch.from_numpy(stage.timesteps.copy()) for place, stage in enumerate(self.stages)}

    @property
    def sigmas_per_stage(self) -> dict[int, torch.Tensor]:
        """The shares of noise of each stage, one for each training step."""
        return {place: torch.from_numpy(stage.levels.copy()) for place, stage in enumerate(self.stages)}

    @property
    def start_sigmas(self) -> dict[int, float]:
        """The share of noise with which each stage starts."""
        return {place: stage.start for place, stage in enumerate(self.stages)}

    @property
    def end_sigmas(self) -> dict[int, float]:
        """The share of noise with which each stage ends."""
        return {place: stage.end for place, stage in enumerate(self.stages)}

    @property
    def ori_start_sigmas(self) -> dict[int, float]:
        """The share of noise with which the stage before each ended."""
        return {place: stage.ori_start for place, stage in enumerate(self.stages)}

    # -- the walk ---------------------------------------------------------------------------------------------------

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        stage_index: int | None = None,
        device: Device = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
        mu: float | None = None,
        is_amplify_first_chunk: bool = False,
    ) -> None:
        """Lay out the walk of one stage; of a single stage ``sigmas`` may be given by hand, to be shifted by ``mu``."""
        self.shift_by(mu)
        if sigmas is None:
            steps = whole("num_inference_steps", num_inference_steps, 1, self.curve.steps)
            timesteps, levels = self.laid(self.times(is_amplify_first_chunk) * steps, stage_index)
        else:
            timesteps, levels = self.by_hand(sigmas, num_inference_steps, is_amplify_first_chunk)
        self.begin(Grid(timesteps, np.append(levels, 0.0), "flow"), device)

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.sigmas = torch.tensor(grid.levels)  # float64

    def reset_scheduler_history(self) -> None:
        """Stand before the first step again, and forget."""
        self.begin(self.grid, self.timesteps.device)

    def times(self, amplified: bool) -> int:
        """How many times the steps a chunk is given."""
        if amplified and self.amplified == 1:
            raise InvalidArgument("is_amplify_first_chunk", "False without HeliosDMDScheduler", "True")
        return self.amplified if amplified else 1

    def stage_at(self, index: int | None) -> Stage:
        """A stage by its place; where there is but one it need not be named."""
        only = len(self.stages) == 1 and index is None
        return self.stages[0 if only else whole("stage_index", index, 0, len(self.stages) - 1)]

    def laid(self, steps: int, index: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Timesteps and levels of so many steps of a stage."""
        stage, total = self.stage_at(index), self.curve.steps
        if len(self.stages) > 1:
            timesteps, line = stage.line(steps, self.spare)
            if not self.config.use_dynamic_shifting:
                return timesteps, line
            levels = self.plan.shifted(line)
            return stage.timesteps_at(levels), levels
        plan = self.plan if self.config.use_dynamic_shifting else replace(self.plan, shift=self.config.shift)
        return self.alone(plan.shifted(np.linspace(1, 1 / total, steps + self.spare + 1)[:steps]))

    def by_hand(
        self, sigmas: Sequence[float] | np.ndarray, steps: int | None, amplified: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Timesteps and levels of a walk through shares of noise, as they are before they are shifted."""
        if len(self.stages) > 1:
            raise InvalidArgument("sigmas", f"None, as each of the {len(self.stages)} stages has its own", "sigmas")
        if amplified:
            raise InvalidArgument("is_amplify_first_chunk", "False beside sigmas given by hand", "True")
        line = descending("sigmas", sigmas, 0, 1)
        if steps not in (None, len(line)):
            raise InvalidArgument("num_inference_steps", f"None or {len(line)}, as many as sigmas", repr(steps))
        return self.alone(self.plan.shifted(line))

    def alone(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Timesteps and levels of a single stage."""
        return levels * self.curve.steps, levels


ONLY = {
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "predict_x0": True,
    "thresholding": False,
    "solver_p": None,
}
"""Options that the peer's constructor takes, with the one value each that means something along this flow."""
