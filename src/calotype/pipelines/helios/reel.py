"""The film: one chunk after another is denoised, remembered, decoded, handed out and forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import torch

from calotype.generation.checks import check_finite
from calotype.generation.decoding import decoded
from calotype.generation.film import Chunk, Length, Taken
from calotype.generation.loop import Report, denoise
from calotype.generation.state import Start, State, Step, Told
from calotype.generation.timeline import Timeline
from calotype.ops.pyramid import halved
from calotype.ops.random import Generators, randn_tensor
from calotype.pipelines.helios.beginning import Beginning, begin
from calotype.pipelines.helios.darkroom import Darkroom
from calotype.pipelines.helios.output import HeliosPipelineOutput
from calotype.pipelines.helios.past import Past, Window
from calotype.pipelines.helios.script import Script
from calotype.pipelines.helios.shot import Reader, Shot
from calotype.pipelines.helios.stages import StagePlan

logger = logging.getLogger("calotype.pipelines.helios")


@dataclass(frozen=True)
class Film:
    """What is made: how many films of which size, how long, and what a chunk sees of the past."""

    shape: tuple[int, int, int, int]  # of a latent frame of all films: (film, channel, height, width)
    window: Window
    length: Length
    late_anchor: bool
    halvings: int = 0  # of the noise, before the first stage

    @property
    def chunk_shape(self) -> tuple[int, int, int, int, int]:
        """The shape of the latents of a chunk."""
        films, channels, height, width = self.shape
        return films, channels, self.window.chunk, height, width


def reel(
    call: Any,
    film: Film,
    script: Script,
    start: Beginning | None,
    stages: Callable[[int], Sequence[StagePlan]],  # of a chunk
    generator: Generators,
    report: Report | None,
    first: torch.Tensor | None,  # noise of the first chunk, if it is not to be drawn
    output_type: str,
    return_dict: bool,
) -> Generator[Taken | Chunk, None, Any]:
    """Every chunk in turn, and the steps to it. Nothing is kept of a chunk but what the next ones will see of it."""
    begun, call.begun, known = call.begun, None, None
    if begun is None:
        past, known = begin(Past.blank(film.window, film.shape, call._execution_device), start, call.vae, generator)
    else:
        past = gone_on(begun, film, script, generator)
    reader, chunks, report = Reader(call), film.length.chunks, hearing(call, script, report)
    unheard = script.timeline.cuts[-1].chunk
    if chunks is not None and unheard >= chunks:
        logger.warning(
            "the film ends after chunk %d; what the timeline tells at chunk %d is not heard", chunks, unheard
        )
    with Darkroom(call._execution_device, call.works_ahead) as darkroom:
        for place in count(past.chunks) if chunks is None else range(past.chunks, chunks):
            noise = small(film, first if place == 0 and first is not None else drawn(call, film, generator))
            script.at(place)  # texts are encoded before the transformer comes to the device
            reader.read(past.pieces(call.transformer.dtype), past.window.indices)
            steps = denoised(reader, place, noise, stages(place), script, generator, report)
            latents = yield from between(steps, darkroom)
            yield from darkroom.rest()  # no chunk is kept waiting for longer than the next one takes
            past = past.after(latents, film.late_anchor)
            after = bookmark(past, script, generator)
            darkroom.put(partial(developed, call, film, place, latents, known, output_type, after))
            known = None
            yield from darkroom.ready()
            if call.interrupt:
                break
        yield from darkroom.rest()
    return lambda whole: HeliosPipelineOutput(whole.frames) if return_dict else (whole.frames,)


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
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield Taken(place, walked + step.index, total, step)


def between(
    steps: Generator[Taken, None, torch.Tensor], darkroom: Darkroom
) -> Generator[Taken | Chunk, None, torch.Tensor]:
    """The steps of a chunk, and between them the chunks before it whose frames are ready."""
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


def drawn(call: Any, film: Film, generator: Generators) -> torch.Tensor:
    """The noise that a chunk begins with."""
    return randn_tensor(film.chunk_shape, generator, call._execution_device, torch.float32)


def small(film: Film, noise: torch.Tensor) -> torch.Tensor:
    """The noise at the size of the first stage."""
    for _ in range(film.halvings):
        noise = halved(noise)
    return noise


def developed(
    call: Any,
    film: Film,
    place: int,
    latents: torch.Tensor,
    known: torch.Tensor | None,
    output_type: str,
    after: dict[str, Any],  # the bookmark
) -> Chunk:
    """A chunk with its frames; as latents with those before the first chunk, as the peer has it."""
    check_finite("latents after denoising", latents)
    length, kept = film.length, film.length.kept(place)
    if output_type == "latent":
        frames, made = latents if known is None else torch.cat([known, latents], dim=2), None
    else:
        pixels = decoded(call.vae, latents)[:, :, :kept]
        frames, made = call.video_processor.postprocess_video(pixels, output_type), length.frames
    return Chunk(place, length.chunks, place * length.window, kept, frames, latents, made, after)


# ---------------------------------------------------------------------- bookmarks


def bookmark(past: Past, script: Script, generator: Generators) -> dict[str, Any]:
    """All that is needed to go on after a chunk to the same frames."""
    return {
        "walked": past.chunks,
        "latents": past.latents,
        "anchor": past.anchor,
        "given": past.given,
        "timeline": script.timeline.plain(),
        "generators": [source.get_state() for source in sources(generator)],
    }


def gone_on(begun: dict[str, Any], film: Film, script: Script, generator: Generators) -> Past:
    """The past of a bookmark; the generators and the timeline are as they were."""
    for source, state in zip(sources(generator), begun["generators"], strict=True):
        source.set_state(state)
    if begun["timeline"] is not None:
        script.timeline.become(Timeline.of_plain(begun["timeline"]))
    return Past(film.window, begun["latents"], begun["anchor"], begun["walked"], begun["given"])


def sources(generator: Generators) -> list[torch.Generator]:
    """The generators, none or several."""
    if generator is None:
        return []
    return [generator] if isinstance(generator, torch.Generator) else [*generator]
