"""What all solvers share: the walk and its place, noise levels, and how a row of numbers becomes a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from ..core.errors import InvalidArgument
from ..ops.random import Generators, randn_tensor
from .checks import chosen, whole
from .curve import make_curve
from .grid import SPACES, Grid, Plan, Point
from .mixin import KarrasDiffusionSchedulers, SchedulerMixin, SchedulerOutput
from .options import SHIFTS, Options
from .predictions import CLEAN, NOISE, PREDICTED, threshold
from .rows import Kept, Row

Device = torch.device | str | None
Timestep = float | torch.Tensor


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
    by_timestep: ClassVar[bool] = False  # noise levels belong to training timesteps, not to places in the walk
    draws: ClassVar[torch.dtype | None] = None  # in which noise is drawn; None: in the network's
    _compatibles = tuple(KarrasDiffusionSchedulers.__members__)

    def __init__(self) -> None:
        self.options = options = Options.read(self.config)
        self.curve = make_curve(
            options.num_train_timesteps,
            options.beta_schedule,
            options.beta_start,
            options.beta_end,
            options.trained_betas,
            options.rescale_betas_zero_snr,
            faintest=0.0 if self.by_timestep else 2.0**-24,
        )
        self.betas = torch.from_numpy(self.curve.betas.copy())
        self.alphas = 1 - self.betas
        self.alphas_cumprod = torch.from_numpy(self.curve.alphas_cumprod.copy())
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
        allowed = PREDICTED[self.plan.space]
        if options.prediction_type not in allowed:
            where = f"prediction_type, use_flow_sigmas={options.use_flow_sigmas}"
            raise InvalidArgument(where, f"one of {', '.join(allowed)}", repr(options.prediction_type))
        if options.shift_terminal is not None and self.plan.space != "flow":
            raise InvalidArgument("shift_terminal", "use_flow_sigmas=True beside it", "use_flow_sigmas=False")
        self.history: deque[torch.Tensor] = deque(maxlen=self.memory)
        self.begin(self.plan.whole_curve(self.curve))
        self.num_inference_steps: int | None = None

    def __len__(self) -> int:
        return self.options.num_train_timesteps

    def translate(self, choices: Mapping[str, Iterable[str | None]], foreign: Mapping[Any, str | None]) -> None:
        """Check options that its kin spell in words of their own, and record them in ours."""
        for name, known in choices.items():
            value = foreign.get(self.config[name], self.config[name])
            chosen(name, value, known)
            self.register_to_config(**{name: value})

    def _remake(self) -> None:
        """Become what the config says now."""
        vars(self).update(vars(type(self).from_config(self.config)))

    # -- the walk ---------------------------------------------------------------------------------------------------

    def begin(self, grid: Grid, device: Device = None) -> None:
        """Stand before the first step of a grid."""
        self.grid = grid
        self.timesteps = torch.tensor(grid.timesteps, device=device or "cpu")
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
        if self.config._changed:  # scripts set options where they find them
            self._remake()
        by_hand = timesteps is not None or sigmas is not None
        self.shift_by(mu)
        count = 0 if by_hand else whole("num_inference_steps", steps, 1, self.curve.steps)
        grid = self.walk(count, timesteps, sigmas)
        if by_hand and steps not in (None, grid.steps):
            raise InvalidArgument("num_inference_steps", f"None or {grid.steps}, the steps given by hand", repr(steps))
        if self.options.prediction_type == "epsilon" and not grid.points[0].alpha:
            where = "prediction_type='epsilon', rescale_betas_zero_snr=True"
            raise InvalidArgument(where, "v_prediction or sample: noise alone says nothing about the picture")
        self.begin(grid, device)

    def shift_by(self, mu: float | None) -> None:
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
        if timesteps is not None and sigmas is not None:
            raise InvalidArgument("timesteps, sigmas", "one of the two", "both")
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
        given = None if schedule_timesteps is None else torch.as_tensor(schedule_timesteps).cpu().numpy()
        places = np.flatnonzero((self.grid.timesteps if given is None else given) == float(timestep))
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
        return sample / self.seen_at(self.locate(timestep)).size

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

    def trained_point(self, timestep: int) -> Point:
        """Where training was at one of its timesteps."""
        return SPACES["vp"](float(self.curve.ratios[timestep]))

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
        point = self.seen_at(place)
        output, x = wide(model_output), wide(sample)
        return Moment(place, point, output, x, *self.predict(output, x, point), model_output, sample)

    def seen_at(self, place: int) -> Point:
        """Where the sample is that the network sees."""
        return self.grid.points[place]

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
        """Take a step by a row, and answer in the sample's own type."""
        moved = self.move(moment, row, generator, noise)
        result = SchedulerOutput(moved, moment.denoised.to(moment.sample.dtype))
        return result if return_dict else result.to_tuple()

    def move(
        self, moment: Moment, row: Row, generator: Generators = None, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Apply a row to the sample and the history, and count the step."""
        moved = combine(row, moment.x, self.history)
        if row.fresh is not None:
            moved = moved + row.fresh * wide(self.noise(moment.model_output, generator) if noise is None else noise)
        self._step_index = moment.place + 1
        return moved.to(moment.sample.dtype)

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


def combine(row: Row, x: torch.Tensor, predictions: Sequence[torch.Tensor] | deque[torch.Tensor]) -> torch.Tensor:
    """The sum that a row stands for, without its noise."""
    moved = row.keep * x
    for weight, prediction in zip(row.weights, predictions, strict=False):
        moved = moved + weight * prediction
    return moved
