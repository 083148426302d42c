"""Starts: the timesteps to walk and the latents to walk from."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from calotype.core.errors import InvalidArgument
from calotype.generation.state import Start, Told
from calotype.ops.random import randn_tensor

Generators = Any  # torch.Generator, a list of them, or None


def walk(
    call: Any,
    steps: int,
    timesteps: Sequence[int] | None = None,
    sigmas: Sequence[float] | None = None,
    strength: float = 1.0,
    start: float | None = None,
    end: float | None = None,
) -> torch.Tensor:
    """Plan the grid of the call's scheduler; the timesteps that are left of it at this strength.

    With ``start`` or ``end``, those between these shares of the noise taken away, whatever the strength.
    """
    scheduler, device = call.scheduler, call._execution_device
    custom = {name: list(grid) for name, grid in (("timesteps", timesteps), ("sigmas", sigmas)) if grid is not None}
    if len(custom) > 1:
        raise InvalidArgument("timesteps, sigmas", "at most one of them", "both")
    for name in custom:
        if name not in inspect.signature(scheduler.set_timesteps).parameters:
            raise InvalidArgument(
                name, f"nothing, as {type(scheduler).__name__} plans its own", f"{len(custom[name])} values"
            )
    if custom:
        scheduler.set_timesteps(device=device, **custom)
        steps = len(scheduler.timesteps)
    else:
        scheduler.set_timesteps(steps, device=device)
    left = left_of(scheduler, steps, strength, start, end)
    call._num_timesteps = len(left)
    return left


def left_of(
    scheduler: Any, steps: int, strength: float = 1.0, start: float | None = None, end: float | None = None
) -> torch.Tensor:
    """The timesteps that are left of a planned walk; the scheduler is told where it begins."""
    skipped = (
        (steps - min(int(steps * strength), steps)) * scheduler.order if start is None else begun(scheduler, start)
    )
    left = scheduler.timesteps[skipped : None if end is None else before(scheduler, end)]
    if not len(left):
        wanted = f"at least one of {steps} steps to run"
        if start is not None or end is not None:
            raise InvalidArgument("denoising_start, denoising_end", wanted, f"none between {start} and {end}")
        fix = f"Use a strength of at least {1 / steps:g}, or more steps."
        raise InvalidArgument("strength", wanted, f"{strength:g}, which runs none", fix)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return left


def before(scheduler: Any, share: float) -> int:
    """How many timesteps of the plan come before this share of the noise is gone."""
    trained = scheduler.config.num_train_timesteps
    return int((scheduler.timesteps >= round(trained - share * trained)).sum())


def begun(scheduler: Any, share: float) -> int:
    """The same, to go on from there: a step of two stages that was cut in half is walked again."""
    passed = before(scheduler, share)
    return passed - 1 if scheduler.order == 2 and (len(scheduler.timesteps) - passed) % 2 == 0 else passed


def from_noise(
    call: Any,
    height: int,
    width: int,
    timesteps: torch.Tensor,
    told: Told,
    generator: Generators,
    latents: torch.Tensor | None = None,
) -> Start:
    """Pure noise, or the given latents in its place."""
    noise = drawn(call, (height, width), told, generator, latents)
    return Start(noise * call.scheduler.init_noise_sigma, timesteps)


def from_image(call: Any, pixels: torch.Tensor, timesteps: torch.Tensor, told: Told, generator: Generators) -> Start:
    """The picture, noised as far as the first timestep left."""
    clean = encoded(call, pixels, told, generator)
    noise = randn_tensor(clean.shape, generator=generator, device=clean.device, dtype=told.dtype)
    return Start(call.scheduler.add_noise(clean, noise, timesteps[:1].repeat(told.batch)), timesteps)


def from_unfinished(
    call: Any, pixels: torch.Tensor, timesteps: torch.Tensor, told: Told, generator: Generators
) -> Start:
    """What another walk left unfinished, as it is."""
    return Start(encoded(call, pixels, told, generator), timesteps)


def from_mask(
    call: Any,
    pixels: torch.Tensor,
    mask: torch.Tensor,
    timesteps: torch.Tensor,
    told: Told,
    generator: Generators,
    strength: float = 1.0,
    latents: torch.Tensor | None = None,
    masked_latents: torch.Tensor | None = None,
    unfinished: bool = False,
) -> Start:
    """Noise, a noised picture, or one that another walk left unfinished.

    What the mask (1 repaints) leaves out is kept, by the network or after every step.
    """
    scheduler = call.scheduler
    is_latent = pixels.shape[1] == call.latent_channels
    # a network that reads the mask keeps the rest itself; for one that does not, the loop does
    clean = None
    if not call.reads_mask or unfinished or (latents is None and strength < 1):
        clean = encoded(call, pixels, told, generator)
    noise = drawn(call, call.pixel_size(pixels), told, generator, latents)
    if clean is not None and unfinished:
        first = clean
    elif clean is None or latents is not None or strength == 1:
        first = noise * scheduler.init_noise_sigma
    else:
        first = scheduler.add_noise(clean, noise, timesteps[:1].repeat(told.batch))
    small = F.interpolate(mask, size=noise.shape[-2:])
    known = masked_latents if masked_latents is not None else pixels * ((small if is_latent else mask) < 0.5)
    # last, and even where nothing reads it: the order of draws is part of "same picture"
    known = encoded(call, known, told, generator)
    small = spread(small.to(noise), told.batch)
    named = {"mask": small, "masked_image_latents": known}
    if call.reads_mask:
        return Start(first, timesteps, channels=("mask", "masked_image_latents"), named=named)

    def keep(sample: torch.Tensor, i: int) -> torch.Tensor:
        rest: torch.Tensor = clean  # pyright: ignore[reportAssignmentType]
        if i + 1 < len(timesteps):
            rest = scheduler.add_noise(rest, noise, timesteps[i + 1 : i + 2])
        return (1 - small) * rest + small * sample

    return Start(first, timesteps, keep=keep, named=named)


def drawn(
    call: Any, size: Sequence[int], told: Told, generator: Generators, latents: torch.Tensor | None = None
) -> torch.Tensor:
    """Noise in the shape of the latents of pictures of this size: drawn, or as given."""
    shape = call.latent_shape(told.batch, *size)
    return given_or_drawn(latents, shape, told.dtype, call._execution_device, generator)


def given_or_drawn(
    latents: torch.Tensor | None,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device | str,
    generator: Generators,
) -> torch.Tensor:
    """The given latents, or noise of this shape in their place."""
    if latents is not None:
        return latents.to(device, dtype)
    return randn_tensor(shape, generator=generator, device=torch.device(device), dtype=dtype)


def encoded(call: Any, pixels: torch.Tensor, told: Told, generator: Generators) -> torch.Tensor:
    """The latents of pictures, one for each of the batch; with a list of generators each draws from its own."""
    pixels = pixels.to(call._execution_device)
    if isinstance(generator, list):
        pixels = spread(pixels, told.batch)
    return spread(call.encode_pixels(pixels, generator), told.batch).to(told.dtype)


def spread(x: torch.Tensor, batch: int) -> torch.Tensor:
    """Each of the few repeated next to itself, as prompts are, until there is one for each of the batch."""
    return x if len(x) == batch else x.repeat_interleave(batch // len(x), dim=0)
