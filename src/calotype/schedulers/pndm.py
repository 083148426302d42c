"""PNDM: linear multistep along the manifold of the data, with a Runge-Kutta start if wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from .curve import BetaSchedule
from .grid import SPACES, Grid, Plan, Point, Spacing
from .mixin import SchedulerOutput
from .rows import Row, ancestral
from .solver import Device, Moment, Solver, combine, wide

ADAMS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the last outputs, newest first, by how many there are (Adams and Bashforth, on an even grid)."""

KUTTA = (1 / 6, 1 / 3, 1 / 3, 1 / 6)
"""Weights of the four outputs of a Runge-Kutta step."""

WARMING = 3 * len(KUTTA)
"""Evaluations before there is a past for Adams and Bashforth."""


class PNDMScheduler(Solver):
    """Pseudo numerical methods for diffusion models (arXiv 2202.09778).

    What is combined is the network's own output, and a step is DDIM's along the combination. Steps are counted from
    where a walk begins, so that one begun in the middle has its start, too.
    """

    style = Plan(spacing="leading")
    by_timestep = True

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        skip_prk_steps: bool = False,
        set_alpha_to_one: bool = False,
        prediction_type: Literal["epsilon", "v_prediction"] = "epsilon",
        timestep_spacing: Spacing = "leading",
        steps_offset: int = 0,
    ) -> None:
        super().__init__()

    def set_timesteps(self, num_inference_steps: int, device: Device = None) -> None:
        """Lay out the walk."""
        self.lay(num_inference_steps, device)
        self.num_inference_steps = num_inference_steps

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.taken = 0  # evaluations since the walk began
        self.anchor = torch.empty(0)  # the sample where the step under way began
        self.slopes: deque[torch.Tensor] = deque(maxlen=len(ADAMS))  # outputs where steps began, newest first
        self.tried: list[torch.Tensor] = []  # outputs of a Runge-Kutta step under way

    def walk(
        self,
        steps: int,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> Grid:
        spaced = super().walk(steps, timesteps, sigmas).timesteps
        if self.config.skip_prk_steps:
            visited = np.insert(spaced, 1, spaced[1:2])
        elif steps < len(ADAMS):
            where = "num_inference_steps, skip_prk_steps=False"
            raise InvalidArgument(where, f"at least {len(ADAMS)} steps", str(steps))
        else:
            ends = spaced[: len(ADAMS)]
            halfway = ends + self.curve.steps // steps // 2
            visited = np.append(np.repeat(np.stack([halfway, ends], axis=1), 2)[3:-1], spaced[len(ADAMS) - 1 :])
        return Grid(visited, np.append(self.curve.ratios_at(visited), 0.0))

    def trained_point(self, timestep: int) -> Point:
        """The point of a training timestep; before the first, where the last step ends."""
        if timestep < 0 and self.config.set_alpha_to_one:
            return Point(1.0, 0.0)
        return SPACES["vp"](float(self.curve.ratios[max(timestep, 0)]))

    def step(
        self, model_output: torch.Tensor, timestep: int, sample: torch.Tensor, return_dict: bool = True
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation; the first step takes two of them, or each of three Runge-Kutta steps four."""
        place, t = self.locate(timestep), int(timestep)
        warming = not self.config.skip_prk_steps and self.taken < WARMING
        slope, start, end = (self.kutta if warming else self.adams)(wide(model_output), t, wide(sample))
        self.taken += 1
        here = self.trained_point(start)
        denoised, kept = self.predict(slope, self.anchor, here)
        self.history.appendleft(kept)
        moment = Moment(place, here, slope, self.anchor, denoised, kept, model_output, sample)
        return self.leave(moment, ancestral(here, self.trained_point(end)), return_dict=return_dict)

    def kutta(self, output: torch.Tensor, t: int, x: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """The slope of a stage of a Runge-Kutta step, where it starts and where it ends: twice half way, twice all."""
        stage = self.taken % len(KUTTA)
        if stage == 0:
            self.slopes.appendleft(output)
            self.anchor, self.tried = x, []
        self.tried.append(output)
        slope = combine(Row(0.0, KUTTA), output, self.tried) if stage == 3 else output
        start = int(self.grid.timesteps[self.taken - stage])
        return slope, start, t if stage % 2 else t - self.stride // 2

    def adams(self, output: torch.Tensor, t: int, x: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """The slope of a multistep step, where it starts and where it ends; the first is taken again with its mean."""
        if self.taken == 1:
            return (output + self.slopes[0]) / 2, t + self.stride, t
        self.slopes.appendleft(output)
        self.anchor = x
        return combine(Row(0.0, ADAMS[len(self.slopes) - 1]), output, self.slopes), t, t - self.stride

    @property
    def stride(self) -> int:
        """Training steps to a step, whatever the spacing."""
        return self.curve.steps // (self.num_inference_steps or self.curve.steps)
