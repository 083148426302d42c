"""The one loop: predict, guide, step, keep, report. Every picture of every pipeline is made here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

import torch

from calotype.generation.bookmarks import Walk
from calotype.generation.guidance import classifier_free
from calotype.generation.previews import Estimate
from calotype.generation.state import Start, State, Step, Told


class Denoising(Protocol):
    """What the loop needs of a pipeline's call."""

    scheduler: Any
    begun: dict[str, Any] | None

    @property
    def autoencoder(self) -> Any: ...
    @property
    def denoiser(self) -> Callable[..., Any]: ...
    @property
    def do_classifier_free_guidance(self) -> bool: ...
    @property
    def guidance_scale(self) -> float: ...
    @property
    def guidance_rescale(self) -> float: ...
    @property
    def interrupt(self) -> bool: ...
    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]: ...


Guide = Callable[[torch.Tensor, Any], torch.Tensor]
Report = Callable[[Any, int, torch.Tensor, State], State]
# of the sample, the timestep, the part of the walk that this step is, the state and the denoiser's inputs so far
Control = Callable[[torch.Tensor, torch.Tensor, tuple[float, float], State, dict[str, Any]], dict[str, Any]]


def denoise(
    call: Denoising,
    start: Start,
    told: Told,
    *,
    guide: Guide = classifier_free,
    controls: Sequence[Control] = (),
    generator: Any = None,
    eta: float = 0.0,
    on_step: Report | None = None,
) -> Generator[Step, None, torch.Tensor]:
    """Walk the timesteps from the start; yields every step, returns the last latents."""
    scheduler, total = call.scheduler, len(start.timesteps)
    options = step_options(scheduler, generator=generator, eta=eta)
    ends = step_ends(scheduler, start.timesteps)
    state: State = {**told.state, **start.named, "latents": start.latents}
    walk = Walk(call, generator, dict(vars(scheduler)))
    walked = walk.go_on(call.begun, state, total) if call.begun else 0
    for i, t in enumerate(start.timesteps[walked:], walked):
        if call.interrupt:
            break
        state |= told.later.get(i, {})
        doubled = call.do_classifier_free_guidance  # read anew: a callback may switch guidance off
        sample = scheduler.scale_model_input(twice(state["latents"], doubled), t)
        inputs = call.denoiser_inputs(state, len(sample))
        for control in controls:
            inputs |= control(sample, t, (i / total, (i + 1) / total), state, inputs)
        if start.channels:
            sample = torch.cat([sample, *(twice(state[name], doubled) for name in start.channels)], dim=1)
        prediction = call.denoiser(sample, t, return_dict=False, **inputs)[0]
        if doubled:
            prediction = guide(prediction, call)
        state["latents"], *clean = scheduler.step(
            prediction, t, state["latents"], return_dict=False, **options, **ends[i]
        )
        if start.keep:
            state["latents"] = start.keep(state["latents"], i)
        if on_step:
            state |= on_step(call, i, t, state)
        estimate = Estimate(call.autoencoder, (clean or [state["latents"]])[0])
        yield Step(i, total, t, dict(state), walk.bookmark(i + 1, state), estimate)
    return state["latents"]


def twice(x: torch.Tensor, doubled: bool) -> torch.Tensor:
    """The batch once for the unconditional and once for the conditional half, while guidance is on."""
    return torch.cat([x, x]) if doubled else x


def step_options(scheduler: Any, **offered: Any) -> dict[str, Any]:
    """Of what a call can offer, what this scheduler's step takes."""
    taken = inspect.signature(scheduler.step).parameters
    return {name: value for name, value in offered.items() if name in taken}


def step_ends(scheduler: Any, timesteps: torch.Tensor) -> list[dict[str, Any]]:
    """Where each step ends, for schedulers that must be told: at the next timestep; the last knows its end."""
    if "prev_timestep" not in inspect.signature(scheduler.step).parameters:
        return [{}] * len(timesteps)
    return [{"prev_timestep": end} for end in [*timesteps[1:].tolist(), None]]
