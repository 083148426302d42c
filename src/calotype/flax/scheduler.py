"""Schedulers of JAX: the rows of PyTorch's solvers as arrays, and the one linear step that they all are."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array

from calotype.core.errors import InvalidArgument
from calotype.flax.twin import Twin, floating
from calotype.generation.latents import walk
from calotype.schedulers.options import OF_KIN
from calotype.schedulers.solver import Solver


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FlaxSchedulerState:
    """What a scheduler knows, as arrays; a new one comes out of each step."""

    known: Array  # timesteps at which noise may be added
    signal: Array  # how much of the picture is left at each of them, and how much noise there is
    noise: Array
    # of the walk that is left, once there is one
    timesteps: Any = None  # (steps,)
    scales: Any = None  # (steps,): what the network wants the sample multiplied by
    of_samples: Any = None  # (steps, lags): what a step takes of the samples before it, the newest first
    of_outputs: Any = None  # (steps, lags): and of what the network said of them
    place: Any = None  # steps taken
    samples: Any = None  # (lags, *shape): the samples and outputs that are remembered, the newest first
    outputs: Any = None

    def replace(self, **updates: Any) -> FlaxSchedulerState:
        """The state with other values in these fields."""
        return replace(self, **updates)

    def before(self, shape: tuple[int, ...]) -> FlaxSchedulerState:
        """The same before its first step, for samples of this shape."""
        lags = 0 if self.of_samples is None else self.of_samples.shape[-1]
        past = jnp.zeros((lags, *shape), jnp.float32)
        return replace(self, place=jnp.zeros((), jnp.int32), samples=past, outputs=past)

    def scaled(self, sample: Array) -> Array:
        """The sample as the network wants to see it at this place in the walk."""
        return sample * begun(self).scales[self.place]

    def after(self, output: Array, sample: Array) -> FlaxSchedulerOutput:
        """One step on from a sample, of which the network said this."""
        s = begun(self)
        samples, outputs = (
            jnp.concatenate([new.astype(jnp.float32)[None], past[:-1]])
            for new, past in ((sample, s.samples), (output, s.outputs))
        )
        moved = weighed(s.of_samples[s.place], samples) + weighed(s.of_outputs[s.place], outputs)
        there = self.replace(place=s.place + 1, samples=samples, outputs=outputs)
        return FlaxSchedulerOutput(moved.astype(sample.dtype), there)

    def noised(self, clean: Array, noise: Array, timesteps: Array) -> Array:
        """Clean samples with as much noise as there is at these timesteps, one per sample."""
        found = self.known == jnp.asarray(timesteps).reshape(-1, 1)
        axes = (-1, *[1] * (clean.ndim - 1))
        # compiled code raises no errors: what is not known becomes not a number
        signal, share = (
            jnp.where(found.any(-1), level[found.argmax(-1)], jnp.nan).reshape(axes)
            for level in (self.signal, self.noise)
        )
        return (clean * signal + noise * share).astype(clean.dtype)


class FlaxSchedulerOutput(NamedTuple):
    """The sample one step further, and the state after that step."""

    prev_sample: Array
    state: FlaxSchedulerState


class FlaxSchedulerMixin(Twin):
    """A scheduler whose steps are linear, which all are that neither clip nor draw noise.

    The solver of PyTorch is asked once per walk, with unit vectors, what it makes of every sample and of every output:
    its answers are the numbers of the steps. No formula is here, and none has to be kept in step with another.
    """

    config_name = "scheduler_config.json"
    convertible = True
    also_known = frozenset(OF_KIN)
    twin: ClassVar[type[Solver]]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, dtype: Any = jnp.float32, **config: Any) -> None:
        self.dtype = floating(dtype)
        self.solver = self.twin(**config)
        self.register_to_config(**self.solver.config)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The scheduler of a folder or a repository, of which either twin may have written the config; its state."""
        config, changes = cls.load_config(pretrained_model_name_or_path, return_unused_kwargs=True, **kwargs)
        made = cls.from_config(config, **changes)
        return made, made.create_state()

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the config into a folder."""
        self.save_config(save_directory)

    @property
    def init_noise_sigma(self) -> float:
        """What standard normal noise is multiplied by to become the first sample of a walk from noise."""
        return self.solver.init_noise_sigma

    def create_state(self) -> FlaxSchedulerState:
        """What is known before a walk: the noise at every step of training."""
        return FlaxSchedulerState(*levels(copy.deepcopy(self.solver)))

    def set_timesteps(
        self, state: FlaxSchedulerState, num_inference_steps: int, shape: tuple[int, ...] = (), strength: float = 1.0
    ) -> FlaxSchedulerState:
        """The state before a walk, or before the part of it that a picture of this strength leaves to walk."""
        if self.solver.clips:
            raise InvalidArgument("clip_sample, thresholding", "False: a step that clips is not linear", "True")
        solver: Any = copy.deepcopy(self.solver)
        solver.set_timesteps(num_inference_steps)
        table = levels(copy.deepcopy(solver)) if not solver.by_timestep else (state.known, state.signal, state.noise)
        call = SimpleNamespace(scheduler=solver, _execution_device="cpu")
        left = walk(call, num_inference_steps, strength=strength)
        rows = FlaxSchedulerState(
            *table, as_times(left), *(jnp.asarray(part, jnp.float32) for part in answers(solver, left))
        )
        return rows.before(shape)

    def scale_model_input(self, state: FlaxSchedulerState, sample: Array, timestep: Any = None) -> Array:
        """The sample as the network wants to see it at the state's place in the walk."""
        return state.scaled(sample)

    def step(
        self, state: FlaxSchedulerState, model_output: Array, timestep: Any, sample: Array, return_dict: bool = True
    ) -> FlaxSchedulerOutput:
        """One step, from the state's place in the walk; what it returns can be read by name and by position."""
        return state.after(model_output, sample)

    def add_noise(self, state: FlaxSchedulerState, original_samples: Array, noise: Array, timesteps: Array) -> Array:
        """Clean samples with as much noise as there is at these timesteps, one per sample."""
        return state.noised(original_samples, noise, timesteps)


def begun(state: FlaxSchedulerState) -> FlaxSchedulerState:
    """The state, of which a walk has been laid out."""
    if state.of_samples is None:
        raise InvalidArgument("state", "what set_timesteps returns, before the first step", "a state without a walk")
    return state


def weighed(row: Array, past: Array) -> Array:
    """The weighted sum of what is remembered; a processor may otherwise round the numbers of a row to 10 bits."""
    return jnp.tensordot(row, past, 1, precision=jax.lax.Precision.HIGHEST)


def as_times(timesteps: torch.Tensor) -> Array:
    """Timesteps in the types of JAX."""
    return jnp.asarray(timesteps.numpy(), jnp.float32 if timesteps.is_floating_point() else jnp.int32)


def levels(solver: Any) -> tuple[Array, Array, Array]:
    """The timesteps that a solver stands before, and how much signal and noise there is at each."""
    times = torch.unique(solver.timesteps)
    one, none = torch.ones(len(times)), torch.zeros(len(times))
    signal, noise = solver.add_noise(one, none, times), solver.add_noise(none, one, times)
    return as_times(times), jnp.asarray(signal.numpy()), jnp.asarray(noise.numpy())


def answers(solver: Any, timesteps: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a solver multiplies the sample by for the network; what its steps take of samples; what of outputs.

    At each step it is handed a sample and an output that are unlike all others, each an axis of its own.
    """
    steps = len(timesteps)
    axes = torch.eye(2 * steps, dtype=torch.float64)
    scales, rows = np.ones(steps), np.zeros((2, steps, steps))
    for i, t in enumerate(timesteps):
        scales[i] = solver.scale_model_input(torch.ones(1, dtype=torch.float64), t).item()
        moved = solver.step(axes[steps + i], t, axes[i], return_dict=False)[0].reshape(2, steps).numpy()
        rows[:, i, : i + 1] = moved[:, i::-1]  # by their age
    lags = int(np.flatnonzero(rows.any((0, 1)))[-1]) + 1
    return scales, rows[0, :, :lags], rows[1, :, :lags]
