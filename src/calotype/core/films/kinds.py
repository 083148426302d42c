"""The formats that a film can be written in, by the end of its name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calotype.core.errors import InvalidArgument
from calotype.core.films.animated import GIF_FASTEST, Gif, Webp
from calotype.core.films.coded import H264, VP9, Coded, library
from calotype.core.films.plain import Stills, Y4m
from calotype.core.films.plan import FASTEST, Begin, Encoder, Plan
from calotype.core.films.sinks import PartFile, Pictures, Sink, Stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What a format can do beside frames."""

    begin: Begin | None  # None: pictures, each for itself
    takes_quality: bool = False
    takes_bitrate: bool = False
    takes_recipe: bool = True
    streams: bool = True  # can be written without going back
    coded: bool = False
    fastest: int = FASTEST


KINDS: dict[str, Kind] = {
    "mp4": Kind(partial(Coded, H264), takes_quality=True, takes_bitrate=True, coded=True),
    "webm": Kind(partial(Coded, VP9), takes_quality=True, takes_bitrate=True, coded=True),
    "gif": Kind(Gif, fastest=GIF_FASTEST),
    "webp": Kind(Webp, takes_quality=True, streams=False),
    "y4m": Kind(Y4m, takes_recipe=False),
    "png": Kind(None, streams=False),
}
SAID = ", ".join(f".{kind}" for kind in KINDS)


def opened(target: Any, kind: str | None, plan: Plan) -> tuple[Sink, Callable[[int, int], Encoder]]:
    """Where the film goes, and how its encoder begins once the size is known; all that can be refused is refused."""
    on_disk = isinstance(target, (str, os.PathLike))
    name = kind or (kind_of(Path(target)) if on_disk else "y4m")
    chosen = checked(name, plan)
    if not on_disk and not chosen.streams:
        able = ", ".join(each for each, one in KINDS.items() if one.streams)
        raise InvalidArgument("kind", f"one that can be streamed: {able}", name)
    if plan.recipe is not None and not chosen.takes_recipe:
        logger.warning("%s: %s has no place for a recipe; it is not written", plan.where, name)
    begin = chosen.begin
    if begin is None:
        pictures = Pictures(Path(target))
        return pictures, lambda width, height: Stills(pictures, plan)
    sink = PartFile(Path(target)) if on_disk else Stream(target)
    return sink, lambda width, height: begin(sink.file, width, height, plan)


def checked(name: str, plan: Plan) -> Kind:
    """The format of this name, if a film can be written in it as planned."""
    if name not in KINDS:
        raise InvalidArgument("kind", f"one of {', '.join(KINDS)}", repr(name))
    chosen = KINDS[name]
    if plan.quality is not None and not chosen.takes_quality:
        raise InvalidArgument("quality", f"none: {name} has one quality", f"{plan.quality:g}")
    if plan.bitrate is not None and (not chosen.takes_bitrate or plan.quality is not None):
        wanted = "a bitrate or a quality" if chosen.takes_bitrate else f"none: {name} has no bitrate"
        raise InvalidArgument("bitrate", wanted, f"{plan.bitrate}" + (" and both" if chosen.takes_bitrate else ""))
    if plan.fps > chosen.fastest:
        raise InvalidArgument("fps", f"at most {chosen.fastest} in a {name.upper()}", f"{float(plan.fps):g}")
    if chosen.coded:
        library()
    return chosen


def kind_of(path: Path) -> str:
    """The format that a name asks for; a name without an end is a folder of pictures."""
    suffix = path.suffix.lower()
    if not suffix:
        return "png"
    if suffix[1:] not in KINDS:
        raise InvalidArgument(str(path), f"a name that ends in {SAID}, or a folder", repr(suffix))
    return suffix[1:]
