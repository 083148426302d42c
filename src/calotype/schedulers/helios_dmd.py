"""HeliosDMDScheduler: the few steps of Helios-Distilled, each a leap to the picture and part of the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from ..core.config import register_to_config
from ..core.errors import InvalidArgument
from ..ops.random import Generators
from .checks import needed
from .grid import Grid
from .mixin import SchedulerOutput
from .rows import Row
from .solver import Device, Moment, Timestep, wide
from .staged import StagedSolver


class HeliosDMDScheduler(StagedSolver):
    """The solver of Helios-Distilled: after each leap the noise that the stage began with is put back.

    Nothing is drawn. A walk remembers its first sample, which is that noise.
    """

    spare = 1
    amplified = 2
    also_known = StagedSolver.also_known | {"scheduler_type"}

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        stages: int = 3,
        stage_range: Sequence[float] = [0, 1 / 3, 2 / 3, 1],
        gamma: float = 1 / 3,
        prediction_type: str = "flow_prediction",
        use_flow_sigmas: bool = True,
        use_dynamic_shifting: bool = False,
        time_shift_type: Literal["exponential", "linear"] = "linear",
    ) -> None:
        super().__init__()

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.first: torch.Tensor | None = None  # the sample that the stage began with

    def look(self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor) -> Moment:
        moment = super().look(model_output, timestep, sample)
        # rounded as the network's output is: part of the numbers in half precision
        denoised = moment.denoised.to(model_output.dtype)
        return replace(moment, denoised=denoised, kept=wide(denoised))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep | None = None,
        sample: torch.Tensor | None = None,
        generator: Generators = None,
        return_dict: bool = True,
        cur_sampling_step: int = 0,
        dmd_noisy_tensor: torch.Tensor | None = None,
        dmd_sigmas: torch.Tensor | None = None,
        dmd_timesteps: torch.Tensor | None = None,
        all_timesteps: torch.Tensor | None = None,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step: to the picture in the type of the network's output, or back to a level in that of the noise.

        The scheduler knows its walk and its noise; what callers tell of them has to be the same.
        """
        self.same_walk(dmd_sigmas=dmd_sigmas, dmd_timesteps=dmd_timesteps, all_timesteps=all_timesteps)
        moment = self.look(model_output, needed("timestep", timestep), needed("sample", sample))
        if cur_sampling_step not in (0, moment.place):
            raise InvalidArgument("cur_sampling_step", f"{moment.place}, as timestep says", repr(cur_sampling_step))
        if moment.place == 0:
            self.first = sample
        self.history.appendleft(moment.kept)
        there = self.grid.points[moment.place + 1]
        if not there.sigma:
            return self.leave(replace(moment, sample=moment.denoised), Row(0.0, (1.0,)), return_dict=return_dict)
        noise = self.first if dmd_noisy_tensor is None else dmd_noisy_tensor
        if noise is None:
            wanted = "the sample that the stage began with, where the walk is joined later"
            raise InvalidArgument("dmd_noisy_tensor", wanted, "None")
        row = Row(0.0, (there.alpha,), there.sigma)
        return self.leave(replace(moment, sample=noise), row, noise=noise, return_dict=return_dict)

    def add_noise(  # pyright: ignore[reportIncompatibleMethodOverride]  (the peer's: other schedulers know their walk)
        self,
        original_samples: torch.Tensor,
        noise: torch.Tensor,
        timestep: torch.Tensor,
        sigmas: torch.Tensor | None = None,
        timesteps: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Clean samples with as much noise as there is at the nearest timesteps of this walk, or of given tables."""
        if (sigmas is None) != (timesteps is None):
            raise InvalidArgument("sigmas, timesteps", "both or none", "one of the two")
        table = self.timesteps if timesteps is None else timesteps
        levels = self.sigmas if sigmas is None else sigmas
        apart = table.to(noise.device).double() - timestep.to(noise.device).double().reshape(-1, 1)
        share = levels.to(noise.device)[apart.abs().argmin(1)].float().reshape(-1, *[1] * (noise.ndim - 1))
        return (wide(original_samples) * (1 - share) + wide(noise) * share).to(noise.dtype)

    def same_walk(self, **told: torch.Tensor | None) -> None:
        """Refuse tables of another walk than the one that was laid out."""
        for name, table in told.items():
            own = self.sigmas if name == "dmd_sigmas" else self.timesteps
            if table is not None and table is not own and not torch.equal(table.to(own), own):
                raise InvalidArgument(name, "the table of this scheduler's walk, or None", "another")
