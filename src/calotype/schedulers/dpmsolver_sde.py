"""DPM-Solver++ as a stochastic differential equation, with noise from one Brownian path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..core.config import register_to_config
from .brownian import BrownianTree
from .curve import BetaSchedule
from .grid import Grid, Plan, Point, Spacing
from .k_dpm_2_discrete import middle
from .mixin import SchedulerOutput
from .options import PredictionType
from .rows import Row, ancestral
from .solver import Device, Timestep
from .two_stage import TwoStageSolver


class DPMSolverSDEScheduler(TwoStageSolver):
    """The stochastic DPM-Solver++ of k-diffusion (arXiv 2211.01095): tried half way, in the logarithm of the noise.

    Noise comes from a path over noise levels, not from draws: walks of any number of steps follow the same path.
    """

    style = Plan(space="ve", whole=False, across="walk")
    keeps = "denoised"

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: BetaSchedule = "linear",
        trained_betas: np.ndarray | list[float] | None = None,
        prediction_type: PredictionType = "epsilon",
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        noise_sampler_seed: int | None = None,
        timestep_spacing: Spacing = "linspace",
        steps_offset: int = 0,
    ) -> None:
        super().__init__()
        # levels that differ by 1e-6 are two places on the path: the last bit counts, and torch's root has its own
        self.curve = replace(self.curve, root=torch_root)

    def set_timesteps(
        self, num_inference_steps: int, device: Device = None, num_train_timesteps: int | None = None
    ) -> None:
        """Lay out the walk, over the first ``num_train_timesteps`` if not over all."""
        self.lay_within(num_train_timesteps, num_inference_steps, device)

    def begin(self, grid: Grid, device: Device = None) -> None:
        super().begin(grid, device)
        self.seed: int | None = self.config.noise_sampler_seed  # of the path; drawn for the first step if not given

    def between(self, grid: Grid) -> np.ndarray:
        return self.curve.timesteps_at(np.sqrt(grid.levels[:-2] * grid.levels[1:-1]))

    def seen_at(self, place: int) -> Point:
        points = self.grid.points
        return points[place] if self.anchor is None else middle(*points[place - 1 : place + 1])

    def rows(self, start: Point, end: Point) -> tuple[Row, Row]:
        if not end.sigma:
            return Row(0.0, (1.0,)), Row(0.0, (1.0,))
        return ancestral(start, middle(start, end), eta=1.0), ancestral(start, end, eta=1.0)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        return_dict: bool = True,
        s_noise: float = 1.0,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One evaluation: of the step to its middle, or with what was found there of the whole step."""
        place = self.locate(timestep) - (self.anchor is not None)
        noise = self.path_noise(place, sample) * s_noise if self.sigmas[place + 1] > 0 else None
        return self.evaluate(model_output, timestep, sample, noise=noise, return_dict=return_dict)

    def path_noise(self, place: int, sample: torch.Tensor) -> torch.Tensor:
        """Noise from the path, for the step that starts at a place, or for the part of it up to its middle."""
        if self.seed is None:
            self.seed = int(torch.randint(0, 2**63 - 1, ()))
        low, high = float(self.sigmas[self.sigmas > 0].min()), float(self.sigmas.max())
        tree = BrownianTree(self.seed, low, high, tuple(sample.shape), sample.dtype, sample.device)
        # float32, there and back: the bits count here too
        start, end = -self.sigmas[place : place + 2].log()
        end = start + (end - start) * 0.5 if self.anchor is None else end
        return tree.between(float((-start).exp()), float((-end).exp()))


def torch_root(x: np.ndarray) -> np.ndarray:
    return torch.from_numpy(x).sqrt().numpy()
