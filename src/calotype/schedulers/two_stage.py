"""What solvers share that ask the network twice a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..ops.random import Generators
from .checks import whole
from .grid import Grid, Plan, Point
from .mixin import SchedulerOutput
from .rows import Row
from .solver import Device, Solver, Timestep


class TwoStageSolver(Solver):
    """A step is first tried, then taken from where it began with what the network said on the way.

    Both evaluations have their timestep and their place in the walk. Where the last step ends there is nothing left to
    ask, so it is only tried.
    """

    order = 2
    style = Plan(space="ve", whole=False, across="walk")
    keeps = "noise"
    memory = 2

    def rows(self, start: Point, end: Point) -> tuple[Row, Row]:
        """The numbers of the trial and of the step, both from the sample at the start."""
        raise NotImplementedError

    def between(self, grid: Grid) -> np.ndarray:
        """The timesteps at which steps are tried: the ones at which they end."""
        return grid.timesteps[1:]

    def begin(self, grid: Grid, device: Device = None) -> None:
        timesteps = np.insert(grid.timesteps, np.arange(1, grid.steps), self.between(grid))
        super().begin(replace(grid, timesteps=timesteps, levels=np.repeat(grid.levels, 2)[1:-1]), device)
        self.num_inference_steps = grid.steps
        self.anchor: torch.Tensor | None = None  # the sample where the step began, while one is being tried

    def lay_within(
        self, total: int | None, steps: int | None, device: Device, timesteps: list[int] | None = None
    ) -> None:
        """Lay out a walk that is spaced over the first ``total`` training steps."""
        if total is not None:
            whole("num_train_timesteps", total, steps or 1, self.curve.steps)
        self.plan = replace(self.plan, total=total)
        self.lay(steps, device, timesteps)

    @property
    def state_in_first_order(self) -> bool:
        """Whether the next evaluation is the first of its step."""
        return self.anchor is None

    def evaluate(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        return_dict: bool = True,
        noise: torch.Tensor | None = None,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation, which tries a step or takes it."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        if self.anchor is None:
            self.anchor = moment.x
            row, _ = self.rows(*self.grid.points[moment.place : moment.place + 2])
        else:
            moment, self.anchor = replace(moment, x=self.anchor), None
            _, row = self.rows(*self.grid.points[moment.place - 1 : moment.place + 1])
        return self.leave(moment, row, generator, noise, return_dict)
