"""One chunk: from noise to its latents, stage by stage, step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import chain
from typing import Any

import torch

from calotype.generation.film import Chunk, Taken
from calotype.generation.loop import Report, denoise
from calotype.generation.state import Start, State, Step, Told
from calotype.ops.random import Generators
from calotype.pipelines.helios.darkroom import Darkroom
from calotype.pipelines.helios.script import Script
from calotype.pipelines.helios.shot import Reader, Shot
from calotype.pipelines.helios.stages import StagePlan


def denoised(
    reader: Reader,
    place: int,
    latents: torch.Tensor,
    stages: Sequence[StagePlan],
    script: Script,
    generator: Generators,
    report: Report | None,
) -> Generator[Taken, None, torch.Tensor]:
    """One chunk from noise, stage by stage."""
    call, walked = reader.call, 0
    total = sum(stage.count(call.scheduler) for stage in stages)
    for stage in stages:
        timesteps = stage.plan(call.scheduler, latents, call.transformer.config.patch_size)
        call._num_timesteps = len(timesteps)
        start = Start(stage.enter(latents, generator), timesteps)
        told, shot = Told(script.at(place), len(latents), latents.dtype), Shot(reader, stage.idle)
        steps = denoise(shot, start, told, guide=call.guide, generator=generator, on_step=report)
        latents = yield from taken(steps, place, walked, total)
        walked += len(timesteps)
    return latents


def taken(
    steps: Generator[Step, None, torch.Tensor], place: int, walked: int, total: int
) -> Generator[Taken, None, torch.Tensor]:
    """The steps of a stage as steps of their chunk."""
    return (yield from telling(steps, lambda step: [Taken(place, walked + step.index, total, step)]))


def between(
    steps: Generator[Taken, None, torch.Tensor], darkroom: Darkroom
) -> Generator[Taken | Chunk, None, torch.Tensor]:
    """The steps of a chunk, and between them the chunks before it whose frames are ready."""
    return (yield from telling(steps, lambda step: chain([step], darkroom.ready())))


def telling(
    steps: Generator[Any, None, torch.Tensor], tell: Callable[[Any], Iterable[Any]]
) -> Generator[Any, None, torch.Tensor]:
    """What is told of each step, as it is taken; returns what the steps return."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield from tell(step)


def hearing(call: Any, script: Script, report: Report | None) -> Report | None:
    """The report, of the call itself; words that a callback changes stay changed."""
    if report is None:
        return None

    def heard(_: Any, i: int, t: torch.Tensor, state: State) -> State:
        changed = report(call, i, t, state)
        script.hear(changed)
        return changed

    return heard
