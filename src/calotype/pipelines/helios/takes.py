"""One chunk: from noise to its latents, stage by stage, step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch

from calotype.generation.film import Chunk, Taken
from calotype.generation.loop import Report, denoise
from calotype.generation.state import Start, State, Told
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
) -> Generator[Taken, None, tuple[torch.Tensor, bool]]:
    """One chunk from noise, stage by stage; and whether it came to its end, as one that is interrupted does not."""
    call, walked = reader.call, 0
    total = sum(stage.count(call.scheduler) for stage in stages)
    for stage in stages:
        timesteps = stage.plan(call.scheduler, latents, call.transformer.config.patch_size)
        call._num_timesteps = len(timesteps)
        start = Start(stage.enter(latents, generator), timesteps)
        told, shot = Told(script.at(place), len(latents), latents.dtype), Shot(reader, stage.idle)
        latents = start.latents
        for step in denoise(shot, start, told, guide=call.guide, generator=generator, on_step=report):
            yield Taken(place, walked, total, step)
            latents, walked = step.latents, walked + 1
    return latents, walked == total


def between(
    steps: Generator[Taken, None, tuple[torch.Tensor, bool]], darkroom: Darkroom
) -> Generator[Taken | Chunk, None, tuple[torch.Tensor, bool]]:
    """The steps of a chunk, and between them the chunks before it whose frames are ready; returns what they return."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield step
        yield from darkroom.ready()


def hearing(call: Any, script: Script, report: Report | None) -> Report | None:
    """The report, of the call itself; words that a callback changes stay changed."""
    if report is None:
        return None

    def heard(_: Any, i: int, t: torch.Tensor, state: State) -> State:
        changed = report(call, i, t, state)
        script.hear(changed)
        return changed

    return heard
