"""Where a film is after a chunk, and how it goes on from there."""

from __future__ import annotations

from typing import Any

import torch

from calotype.generation.timeline import Timeline
from calotype.ops.random import Generators
from calotype.pipelines.helios.past import Past, Window
from calotype.pipelines.helios.script import Script


def bookmark(past: Past, script: Script, generator: Generators) -> dict[str, Any]:
    """All that is needed to go on after a chunk to the same frames."""
    return {
        "walked": past.chunks,
        "latents": past.latents,
        "anchor": past.anchor,
        "given": past.given,
        "timeline": script.timeline.since(past.chunks),
        "generators": [source.get_state() for source in sources(generator)],
    }


def beginning(timeline: Timeline) -> dict[str, Any]:
    """The place before the first chunk, for a film of which something is told by then."""
    return {"walked": 0, "timeline": timeline.cuts}


def gone_on(begun: dict[str, Any], window: Window, script: Script, generator: Generators) -> Past | None:
    """The past of a bookmark, if there is any; the generators and the timeline are as they were."""
    if begun["timeline"] is not None:
        script.timeline.become(Timeline.of_plain(begun["timeline"]))
    if begun["walked"] == 0:
        return None
    for source, state in zip(sources(generator), begun["generators"], strict=True):
        source.set_state(state)
    return Past(window, begun["latents"], begun["anchor"], begun["walked"], begun["given"])


def sources(generator: Generators) -> list[torch.Generator]:
    """The generators, none or several."""
    if generator is None:
        return []
    return [generator] if isinstance(generator, torch.Generator) else [*generator]
