"""The film: one chunk after another is denoised, remembered, decoded, handed out and forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import count
from typing import Any

import torch

from calotype.generation.checks import check_finite
from calotype.generation.decoding import decoded
from calotype.generation.film import Chunk, Taken
from calotype.generation.loop import Report
from calotype.ops.pyramid import halved
from calotype.ops.random import Generators, randn_tensor
from calotype.pipelines.helios.asked import Film
from calotype.pipelines.helios.beginning import Beginning, begin
from calotype.pipelines.helios.bookmarks import bookmark, gone_on, settings
from calotype.pipelines.helios.darkroom import Darkroom
from calotype.pipelines.helios.output import HeliosPipelineOutput
from calotype.pipelines.helios.past import Past
from calotype.pipelines.helios.script import Script
from calotype.pipelines.helios.shot import Reader
from calotype.pipelines.helios.stages import StagePlan
from calotype.pipelines.helios.takes import between, denoised, hearing

logger = logging.getLogger("calotype.pipelines.helios")


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
    asked = settings(call)
    past = gone_on(begun, call, film, script, generator) if begun else None
    if past is None:
        past, known = begin(Past.blank(film.window, film.shape, call._execution_device), start, call.vae, generator)
    reader, chunks, report = Reader(call), film.length.chunks, hearing(call, script, report)
    unheard = script.timeline.cuts[-1].chunk
    if chunks is not None and unheard >= chunks:
        logger.warning(
            "the film ends after chunk %d; what the timeline tells at chunk %d is not heard", chunks, unheard
        )
    with Darkroom(call._execution_device, call.works_ahead) as darkroom:
        for place in count(past.chunks) if chunks is None else range(past.chunks, chunks):
            noise = small(film, first if place == 0 and first is not None else drawn(call, film, generator))
            texts = script.at(place)  # encoded before the transformer comes to the device
            seen, plans = past.pieces(call.transformer.dtype), stages(place)
            made_of = [*seen.values(), noise, *texts.values(), film, plans, *settings(call).values()]
            call.transformer.spread.agree(*made_of)
            reader.read(seen, past.window.indices)
            steps = denoised(reader, place, noise, plans, script, generator, report)
            latents, whole = yield from between(steps, darkroom)
            yield from darkroom.rest()  # no chunk is kept waiting for longer than the next one takes
            past = past.after(latents, film.late_anchor)
            after = bookmark(call, asked, past, script, generator) if whole else None
            darkroom.put(partial(developed, call, film, place, latents, known, output_type, after))
            known = None
            yield from darkroom.ready()
            if call.interrupt:
                break
        yield from darkroom.rest()
    return lambda whole: HeliosPipelineOutput(whole.frames) if return_dict else (whole.frames,)


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
    after: dict[str, Any] | None,  # the bookmark
) -> Chunk:
    """A chunk with its frames; as latents with those before the first chunk, as the peer has it."""
    check_finite(f"latents of chunk {place} after denoising", latents)
    length, kept = film.length, film.length.kept(place)
    if output_type == "latent":
        frames, made = latents if known is None else torch.cat([known, latents], dim=2), None
    else:
        pixels = decoded(call.vae, latents)[:, :, :kept]
        frames, made = call.video_processor.postprocess_video(pixels, output_type), length.frames
    return Chunk(place, length.chunks, place * length.window, kept, frames, latents, made, after)
