"""What all solvers share: options, the walk and its place, predictions, and how a row of numbers becomes a step."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from ..core.config import ConfigMixin
from ..core.errors import InvalidArgument
from ..core.outputs import BaseOutput
from ..ops.random import Generators, randn_tensor
from .checks import at_most_one, chosen, whole
from .curve import make_curve
from .grid import Grid, Plan, Point
from .rows import Kept, Row

PredictionType = Literal["epsilon", "sample", "v_prediction"]
FlowPredictionType = Literal["epsilon", "sample", "v_prediction", "flow_prediction"]
FLOW_PREDICTIONS = ("epsilon", "sample", "v_prediction", "flow_prediction")
Device = torch.device | str | None
Timestep = float | torch.Tensor


class KarrasDiffusionSchedulers(Enum):
    """Solvers that can stand in for each other: any of them can be made from the config of another."""

    DDIMScheduler = 1
    DDPMScheduler = 2
    PNDMScheduler = 3
    LMSDiscreteScheduler = 4
    EulerDiscreteScheduler = 5
    HeunDiscreteScheduler = 6
    EulerAncestralDiscreteScheduler = 7
    DPMSolverMultistepScheduler = 8
    DPMSolverSinglestepScheduler = 9
    KDPM2DiscreteScheduler = 10
    KDPM2AncestralDiscreteScheduler = 11
    DEISMultistepScheduler = 12
    UniPCMultistepScheduler = 13
    DPMSolverSDEScheduler = 14
    EDMEulerScheduler = 15


@dataclass
class SchedulerOutput(BaseOutput):
    """The sample one step further, and the clean sample as it was estimated on the way."""

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None


class SchedulerMixin(ConfigMixin):
    """A scheduler's own files and its kin."""

    config_name = "scheduler_config.json"
    _compatibles: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        subfolder: str | None = None,
        return_unused_kwargs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The scheduler of a folder or a Hub repository; keyword arguments win over what its config says."""
        config, unused = cls.load_config(
            pretrained_model_name_or_path, subfolder=subfolder, return_unused_kwargs=True, **kwargs
        )
        return cls.from_config(config, return_unused_kwargs=return_unused_kwargs, **unused)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the config into a folder."""
        self.save_config(save_directory)

    @property
    def compatibles(self) -> list[type[SchedulerMixin]]:
        """The classes that can be made from this scheduler's config."""
        from .. import schedulers

        known = [name for name in self._compatibles if name in schedulers.__all__]
        return [getattr(schedulers, name) for name in known] or [type(self)]


@dataclass(frozen=True)
class Options:
    """The options that several solvers have, read from a config; the values here hold for solvers that lack them."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: Sequence[float] | np.ndarray | None = None
    rescale_betas_zero_snr: bool = False
    prediction_type: str = "epsilon"
    clip_sample: bool = False
    clip_sample_range: float = 1.0
    thresholding: bool = False
    dynamic_thresholding_ratio: float = 0.995
    sample_max_value: float = 1.0
    timestep_spacing: str | None = None
    steps_offset: int = 0
    use_karras_sigmas: bool = False
    use_exponential_sigmas: bool = False
    use_beta_sigmas: bool = False
    use_lu_lambdas: bool = False
    use_flow_sigmas: bool = False
    flow_shift: float = 1.0
    shift_terminal: float | None = None
    use_dynamic_shifting: bool = False
    time_shift_type: str = "exponential"
    sigma_min: float | None = None
    sigma_max: float | None = None
    final_sigmas_type: str | None = None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Options:
        return cls(**{field.name: config[field.name] for field in fields(cls) if field.name in config})

    @property
    def ramp(self) -> str | None:
        """The name of the one ramp that is switched on, a flow being none."""
        return RAMP_OPTIONS[at_most_one({name: getattr(self, name) for name in RAMP_OPTIONS if name})]


RAMP_OPTIONS = {
    None: None,
    "use_flow_sigmas": None,
    "use_karras_sigmas": "karras",
    "use_exponential_sigmas": "exponential",
    "use_beta_sigmas": "beta",
    "use_lu_lambdas": "lu",
}
"""Switches that exclude each other, and the ramps of the grid that they mean."""

SHIFTS: dict[str, Callable[[float], float]] = {"exponential": math.exp}
"""How much a flow is shifted by ``mu``."""

Estimate = Callable[[torch.Tensor, torch.Tensor, Point], torch.Tensor]

CLEAN: dict[str, Estimate] = {
    "epsilon": lambda out, x, p: (x - p.sigma * out) / p.alpha,
    "sample": lambda out, x, p: out,
    "v_prediction": lambda out, x, p: (x * p.alpha - out * (p.sigma * p.size)) / p.size**2,
    "flow_prediction": lambda out, x, p: x - p.sigma * out,
}
"""The clean sample that the network's output means."""

NOISE: dict[str, Estimate] = {
    "epsilon": lambda out, x, p: out,
    "sample": lambda out, x, p: (x - p.alpha * out) / p.sigma,
    "v_prediction": lambda out, x, p: (x * p.sigma + out * (p.alpha * p.size)) / p.size**2,
    "flow_prediction": lambda out, x, p: x + p.alpha * out,
}
"""The noise that the network's output means."""


@dataclass(frozen=True)
class Moment:
    """One evaluation of the network, as a step sees it."""

    place: int
    point: Point
    output: torch.Tensor  # at least float32, as are the next three
    x: torch.Tensor
    denoised: torch.Tensor
    kept: torch.Tensor
    model_output: torch.Tensor  # as given
    sample: torch.Tensor


class Solver(SchedulerMixin):
    """The part of a scheduler that is the same in all of them.

    A solver's file says its signature, its ``plan``, what it ``keeps`` of past predictions and for how many steps
    (``memory``), and its ``row``. All state of a run is on the object: one deep copy per run.
    """

    order = 1
    style: ClassVar[Plan] = Plan()
    keeps: Kept = "denoised"
    memory: int = 1  # predictions a row may use, the newest included
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "sample", "v_prediction")
    by_timestep: ClassVar[bool] = False  # noise levels belong to training timesteps, not to places in the walk
    draws: ClassVar[torch.dtype | None] = None  # in which noise is drawn; None: in the network's
    _compatibles = tuple(KarrasDiffusionSchedulers.__members__)

    def __init__(self) -> None:
        self.options = options = Options.read(self.config)
        chosen("prediction_type", options.prediction_type, self.predictions)
        chosen("time_shift_type", options.time_shift_type, SHIFTS)
        self.curve = make_curve(
            options.num_train_timesteps,
            options.beta_schedule,
            options.beta_start,
            options.beta_end,
            options.trained_betas,
            options.rescale_betas_zero_snr,
            faintest=0.0 if self.by_timestep else 2.0**-24,
        )
        self.betas = torch.tensor(self.curve.betas)
        self.alphas = 1 - self.betas
        self.alphas_cumprod = torch.tensor(self.curve.alphas_cumprod)
        self.plan = replace(
            self.style,
            spacing=options.timestep_spacing or self.style.spacing,
            offset=options.steps_offset,
            ramp=options.ramp,
            space="flow" if options.use_flow_sigmas else self.style.space,
            shift=options.flow_shift,
            terminal=options.shift_terminal,
            high=options.sigma_max,
            low=options.sigma_min,
            final=options.final_sigmas_type or self.style.final,
        )
        if (options.prediction_type == "flow_prediction") > (self.plan.space == "flow"):
            raise InvalidArgument(
                "prediction_type", "use_flow_sigmas=True with 'flow_prediction'", "use_flow_sigmas=False"
            )
        if options.shift_terminal is not None and self.plan.space != "flow":
            raise InvalidArgument("shift_terminal", "use_flow_sigmas=True beside it", "use_flow_sigmas=False")
        self.history: deque[torch.Tensor] = deque(maxlen=self.memory)
        self.begin(self.plan.whole_curve(self.curve))
        self.num_inference_steps: int | None = None

    def __len__(self) -> int:
        return self.options.num_train_timesteps

    def translate(self, choices: Mapping[str, Iterable[str]], foreign: Mapping[str, str]) -> None:
        """Check options that its kin spell in words of their own, and record them in ours."""
        for name, known in choices.items():
            value = foreign.get(self.config[name], self.config[name])
            chosen(name, value, known)
            self.register_to_config(**{name: value})

    # -- the walk ---------------------------------------------------------------------------------------------------

    def begin(self, grid: Grid, device: Device = None) -> None:
        """Stand before the first step of a grid."""
        self.grid = grid
        self.timesteps = torch.tensor(grid.timesteps, device=device)
        self.sigmas = torch.tensor(grid.levels, dtype=torch.float32, device="cpu")
        self.num_inference_steps = grid.steps
        self.history.clear()
        self._step_index: int | None = None
        self._begin_index: int | None = None

    def lay(
        self,
        steps: int | None,
        device: Device = None,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
        mu: float | None = None,
    ) -> None:
        """Lay out a walk of so many steps, or one through timesteps or noise levels given by hand."""
        by_hand = timesteps is not None or sigmas is not None
        if timesteps is not None and sigmas is not None:
            raise InvalidArgument("timesteps, sigmas", "one of the two", "both")
        self.shift(mu)
        count = 0 if by_hand else whole("num_inference_steps", steps, 1, self.curve.steps)
        grid = self.walk(count, timesteps, sigmas)
        if by_hand and steps not in (None, grid.steps):
            raise InvalidArgument("num_inference_steps", f"None or {grid.steps}, the steps given by hand", repr(steps))
        if self.options.prediction_type == "epsilon" and not grid.points[0].alpha:
            where = "prediction_type='epsilon', rescale_betas_zero_snr=True"
            raise InvalidArgument(where, "v_prediction or sample: noise alone says nothing about the picture")
        self.begin(grid, device)

    def shift(self, mu: float | None) -> None:
        """Shift a flow by what suits the size of the picture, if the options leave it to the caller."""
        dynamic = self.options.use_dynamic_shifting and self.plan.space == "flow"
        if dynamic != (mu is not None):
            wanted = (
                "a number, as use_dynamic_shifting=True" if dynamic else "None without use_dynamic_shifting and a flow"
            )
            raise InvalidArgument("mu", wanted, repr(mu))
        if mu is not None:
            self.plan = replace(self.plan, shift=SHIFTS[self.options.time_shift_type](mu))

    def walk(
        self,
        steps: int,
        timesteps: Sequence[float] | np.ndarray | None = None,
        sigmas: Sequence[float] | np.ndarray | None = None,
    ) -> Grid:
        """The grid of a walk: of so many steps, if nothing is given by hand."""
        if timesteps is not None:
            return self.plan.through_timesteps(self.curve, timesteps)
        return self.plan.walk(self.curve, steps) if sigmas is None else self.plan.through_levels(self.curve, sigmas)

    @property
    def step_index(self) -> int | None:
        """The place in the walk, or None before the first step."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """Where the walk was told to begin."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Begin the walk in the middle, without looking the first timestep up."""
        self._begin_index = begin_index

    def index_for_timestep(
        self, timestep: Timestep, schedule_timesteps: torch.Tensor | Sequence[float] | None = None
    ) -> int:
        """The place of a timestep in the walk; of several the second, where a walk begun in the middle has to start."""
        walk = self.grid.timesteps if schedule_timesteps is None else np.asarray(schedule_timesteps)
        places = np.flatnonzero(walk == float(timestep))
        if not len(places):
            raise InvalidArgument("timestep", "one of scheduler.timesteps", f"{float(timestep):g}")
        return int(places[:2][-1])

    def locate(self, timestep: Timestep | None) -> int:
        """The place of the step to take; looked up where the walk begins, counted from there.

        A solver without a past, not told where it begins, looks every timestep up, so steps may be repeated.
        """
        counting = self._begin_index is not None or not self.by_timestep or self.memory > 1
        if self._step_index is None or not counting:
            if self._begin_index is not None:
                self._step_index = self._begin_index
            elif timestep is None:
                raise InvalidArgument("timestep", "the timestep of this step", "None")
            else:
                self._step_index = self.index_for_timestep(timestep)
        if not 0 <= self._step_index < len(self.grid.timesteps):
            walk = f"a step of the {len(self.grid.timesteps)} of this walk"
            raise InvalidArgument("step_index", walk, str(self._step_index), "Call set_timesteps for another walk.")
        return self._step_index

    # -- levels -----------------------------------------------------------------------------------------------------

    @property
    def init_noise_sigma(self) -> float:
        """What standard normal noise is multiplied by to become the first sample."""
        if self.plan.space != "ve":
            return 1.0
        top = float(self.sigmas.max())
        return top if self.plan.spacing in ("linspace", "trailing") else (top**2 + 1) ** 0.5

    def scale_model_input(self, sample: torch.Tensor, timestep: Timestep | None = None) -> torch.Tensor:
        """The sample as the network wants to see it, with a variance of one."""
        if self.plan.space != "ve":
            return sample
        return sample / self.grid.points[self.locate(timestep)].size

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Clean samples with as much noise as there is at these timesteps, one per sample."""
        alpha, sigma = self.levels(timesteps, original_samples)
        noisy = wide(original_samples) * alpha + wide(noise) * sigma
        return noisy.to(original_samples.dtype)

    def get_velocity(self, sample: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What a network that predicts v should say for this sample and noise."""
        alpha, sigma = self.trained_levels(timesteps, sample)
        return (wide(noise) * alpha - wide(sample) * sigma).to(sample.dtype)

    def levels(self, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``alpha`` and ``sigma`` at timesteps of the walk, or at its present place, shaped to multiply samples."""
        if self.by_timestep:
            return self.trained_levels(timesteps, like)
        if self._begin_index is None:
            places = [self.index_for_timestep(timestep) for timestep in timesteps.flatten().tolist()]
        else:
            places = [self._begin_index if self._step_index is None else self._step_index] * timesteps.numel()
        points = torch.tensor(
            [self.grid.points[place][:2] for place in places], dtype=torch.float32, device=like.device
        )
        alpha, sigma = points.reshape(-1, 2, *[1] * (like.ndim - 1)).unbind(1)
        return alpha, sigma

    def trained_levels(self, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``alpha`` and ``sigma`` at training timesteps."""
        left = self.alphas_cumprod.to(like.device)[timesteps.to(like.device).long()]
        left = left.reshape(-1, *[1] * (like.ndim - 1))
        return left.sqrt(), (1 - left).sqrt()

    # -- a step -----------------------------------------------------------------------------------------------------

    def row(self, place: int, nodes: Sequence[Point]) -> Row:
        """The numbers of a step; ``nodes`` are the points of the predictions that are remembered, newest first."""
        raise NotImplementedError

    def advance(
        self,
        model_output: torch.Tensor,
        timestep: Timestep,
        sample: torch.Tensor,
        generator: Generators = None,
        noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """One step of a solver that needs nothing but its row."""
        moment = self.look(model_output, timestep, sample)
        self.history.appendleft(moment.kept)
        return self.leave(moment, self.row(moment.place, self.nodes(moment.place)), generator, noise, return_dict)

    def look(self, model_output: torch.Tensor, timestep: Timestep, sample: torch.Tensor) -> Moment:
        """Where the walk is, and what the network means there."""
        place = self.locate(timestep)
        point = self.grid.points[place]
        output, x = wide(model_output), wide(sample)
        return Moment(place, point, output, x, *self.predict(output, x, point), model_output, sample)

    def nodes(self, place: int) -> list[Point]:
        """The points of the predictions that are remembered, newest first."""
        return [self.grid.points[place - age] for age in range(len(self.history))]

    def leave(
        self,
        moment: Moment,
        row: Row,
        generator: Generators = None,
        noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor, ...]:
        """Apply a row to the sample and the history, count the step, and answer in the sample's own type."""
        moved = combine(row, moment.x, self.history)
        if row.fresh is not None:
            moved = moved + row.fresh * wide(self.noise(moment.model_output, generator) if noise is None else noise)
        self._step_index = moment.place + 1
        dtype = moment.sample.dtype
        result = SchedulerOutput(moved.to(dtype), moment.denoised.to(dtype))
        return result if return_dict else result.to_tuple()

    def predict(self, output: torch.Tensor, x: torch.Tensor, point: Point) -> tuple[torch.Tensor, torch.Tensor]:
        """The clean sample that the network means, clipped as the options say, and what of it is worth remembering."""
        if output.shape != x.shape:
            raise InvalidArgument(
                "model_output", f"the shape of the sample, {tuple(x.shape)}", str(tuple(output.shape))
            )
        kind = self.options.prediction_type
        denoised = self.clip(CLEAN[kind](output, x, point))
        if self.keeps == "denoised":
            return denoised, denoised
        return denoised, (x - point.alpha * denoised) / point.sigma if self.clips else NOISE[kind](output, x, point)

    @property
    def clips(self) -> bool:
        return self.options.thresholding or self.options.clip_sample

    def clip(self, denoised: torch.Tensor) -> torch.Tensor:
        """The clean sample within the bounds that the options set."""
        if self.options.thresholding:
            return threshold(denoised, self.options.dynamic_thresholding_ratio, self.options.sample_max_value)
        bound = self.options.clip_sample_range
        return denoised.clamp(-bound, bound) if self.options.clip_sample else denoised

    def noise(self, like: torch.Tensor, generator: Generators) -> torch.Tensor:
        """Fresh noise for a step."""
        return randn_tensor(like.shape, generator, like.device, self.draws or like.dtype)


def wide(x: torch.Tensor) -> torch.Tensor:
    """At least float32: what a step is computed in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def learned_half(output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The prediction of a network that tells variances in a second set of channels."""
    if output.shape[1] != 2 * x.shape[1]:
        raise InvalidArgument("model_output", f"{2 * x.shape[1]} channels, variances learned", str(output.shape[1]))
    return output[:, : x.shape[1]]


def combine(row: Row, x: torch.Tensor, predictions: Sequence[torch.Tensor] | deque[torch.Tensor]) -> torch.Tensor:
    """The sum that a row stands for, without its noise."""
    moved = row.keep * x
    for weight, prediction in zip(row.weights, predictions, strict=False):
        moved = moved + weight * prediction
    return moved


def threshold(denoised: torch.Tensor, ratio: float, most: float) -> torch.Tensor:
    """Dynamic thresholding (arXiv 2205.11487, section 2.3): items cut at their own quantile, scaled into [-1, 1]."""
    bound = denoised.abs().flatten(1).quantile(ratio, dim=1).clamp(1.0, most)
    bound = bound.reshape(-1, *[1] * (denoised.ndim - 1))
    return denoised.clamp(-bound, bound) / bound
