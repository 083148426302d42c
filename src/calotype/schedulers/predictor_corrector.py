"""What the UniPC solvers share: each evaluation corrects the step that led to it, and predicts the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from .grid import Grid, Point
from .mixin import SchedulerOutput
from .rows import Row, unified
from .solver import Device, Solver, Timestep, combine


class PredictorCorrector(Solver):
    """The unified predictor-corrector (arXiv 2302.04867), of any order."""

    solver_p: Any = None  # predicts in UniPC's place, if given

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.last: torch.Tensor | None = None  # the sample from which the last step started
        self.last_order = 0

    def order_at(self, place: int, there: Point) -> int:
        """How many predictions to use; at zero noise the formula of order 1 is exact, and the others have no limit."""
        left = self.grid.steps - place if self.config.lower_order_final else self.memory
        return min(left, len(self.history)) if there.sigma else 1

    def correct_and_predict(
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
