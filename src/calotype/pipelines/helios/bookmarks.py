"""Where a film is after a chunk, and how it goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_embeds, check_shape, count
from calotype.generation.timeline import LAST, Timeline
from calotype.ops.random import Generators
from calotype.pipelines.helios.asked import Film
from calotype.pipelines.helios.past import Past
from calotype.pipelines.helios.script import Script

KINDS: dict[str, tuple[Any, str]] = {
    "walked": (int, "a whole number"),
    "timeline": ((tuple, type(None)), "cuts"),  # None where they are known already
    "latents": (torch.Tensor, "a tensor"),
    "anchor": (torch.Tensor, "a tensor"),
    "given": (bool, "True or False"),
    "generators": (list, "the states of generators"),
    "settings": (dict, "settings by name"),
    "replaced": (dict, "tensors by name"),
}
SETTINGS = ("guidance_scale", "attention_kwargs")  # that a callback may change


def bookmark(call: Any, asked: Mapping[str, Any], past: Past, script: Script, generator: Generators) -> dict[str, Any]:
    """All that is needed to go on after a chunk to the same frames; ``asked`` are the settings of the beginning."""
    return {
        "walked": past.chunks,
        "timeline": script.timeline.since(past.chunks - 1),
        "latents": past.latents,
        "anchor": past.anchor,
        "given": past.given,
        "generators": [source.get_state() for source in sources(generator)],
        "settings": {name: value for name, value in settings(call).items() if value != asked[name]},
        "replaced": {**script.replaced},
    }


def beginning(timeline: Timeline) -> dict[str, Any]:
    """The place before the first chunk, for a film of which something is told by then."""
    return {"walked": 0, "timeline": timeline.cuts}


def untold(begun: dict[str, Any]) -> dict[str, Any]:
    """The place without what the film was told until then, for one that is told otherwise from there on."""
    states = {name: states for name, states in begun.get("replaced", {}).items() if name != "prompt_embeds"}
    return {**begun, "timeline": None, "replaced": states}


def gone_on(begun: dict[str, Any], call: Any, film: Film, script: Script, generator: Generators) -> Past | None:
    """The past of a bookmark, if there is any; all else that makes the film is as it was."""
    check_bookmark(begun)
    if begun["timeline"] is not None:
        script.timeline.become(Timeline.of_plain(begun["timeline"]))
    if begun["walked"] == 0:
        return None
    films, channels, *sides = film.shape
    for name, frames in (("latents", film.window.frames), ("anchor", 1)):
        check_shape(f"bookmark: {name}", begun[name], (films, channels, frames, *sides))
    rewind(sources(generator), begun["generators"])
    for name in begun["settings"].keys() & {*SETTINGS}:
        call.argument_rules[name](f"bookmark: {name}", begun["settings"][name])
        setattr(call, f"_{name}", begun["settings"][name])
    for name, states in begun["replaced"].items():
        check_embeds(f"bookmark: {name}", states, call.transformer.config.text_dim)
    script.go_on(begun["walked"] - 1, begun["replaced"])
    return Past(film.window, begun["latents"], begun["anchor"], begun["walked"], begun["given"])


def check_bookmark(begun: Mapping[str, Any]) -> None:
    """A bookmark, which may be from a file that somebody changed, has all its parts."""
    for name in (*beginning(Timeline()),) if begun.get("walked") == 0 else KINDS:
        kind, wanted = KINDS[name]
        if name not in begun or not isinstance(begun[name], kind):
            found = type(begun[name]).__name__ if name in begun else "none"
            raise InvalidArgument(f"bookmark: {name}", wanted, found)
    count(0, LAST)("bookmark: walked", begun["walked"])


def settings(call: Any) -> dict[str, Any]:
    """The settings as they are now."""
    return {name: getattr(call, f"_{name}") for name in SETTINGS}


def rewind(generators: list[torch.Generator], states: list[Any]) -> None:
    """Let generators draw again what they drew after these states."""
    try:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
    except (RuntimeError, TypeError, ValueError) as fault:
        wanted = f"a state for each of the call's generators, {len(generators)}"
        raise InvalidArgument("bookmark: generators", wanted, f"{len(states)}, or states of others") from fault


def sources(generator: Generators) -> list[torch.Generator]:
    """The generators, none or several."""
    if generator is None:
        return []
    return [generator] if isinstance(generator, torch.Generator) else [*generator]
