"""What a film's state file keeps of its arguments: nothing that a bookmark holds, and no name of another file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calotype.generation.timeline import entries_of

# the first chunk has seen them, and its bookmark holds what the next ones see of them
BEGINNING = ("latents", "image", "image_latents", "fake_image_latents", "video", "video_latents")


def _entries(timeline: Any) -> list[list[Any]] | None:
    return None if timeline is None else [entry.plain for entry in entries_of(timeline)]


KEPT_OF_FILMS: Mapping[str, Callable[[Any], Any]] = {"timeline": _entries} | dict.fromkeys(BEGINNING, lambda _: None)
