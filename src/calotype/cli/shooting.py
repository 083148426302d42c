"""A film from its first chunk that is left to its last: made, written, told, and kept on the way."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import click

from calotype.cli.interrupts import uninterrupted
from calotype.cli.names import numbered
from calotype.cli.pace import Pace
from calotype.cli.plain import value_of
from calotype.cli.recipes import common_facts, film_recipe
from calotype.cli.request import Request
from calotype.cli.running import pinned, said_if_stopped, same
from calotype.cli.said import say_json
from calotype.cli.states import Kept, from_here, seen_from
from calotype.core import progress
from calotype.core.errors import DeadlinePassed, InvalidArgument, WriteError
from calotype.core.films.kinds import kind_of
from calotype.core.films.reels import FilmOfClips, Reel, cleared
from calotype.generation.film import Chunk, Taken

STDOUT = "-"


@dataclass(frozen=True)
class Shoot:
    """A film that was asked for: what it is told, where it goes, and how its recipe begins."""

    request: Request
    prompt: str  # of its beginning
    seed: int
    output: str
    overwrite: bool = False
    metadata: bool = True
    endless: bool = False
    facts: dict[str, Any] | None = None  # what the recipe of a film that goes on says


@dataclass(frozen=True)
class Left:
    """The same as a state file says it; paths begin in the file's folder."""

    version: Literal[1]
    request: dict[str, Any]
    prompt: str
    seed: int
    output: str
    overwrite: bool
    metadata: bool
    endless: bool
    facts: dict[str, Any]


def film_left(document: Mapping[str, Any], path: Path, output: str | None) -> Shoot:
    """The film that a state file is of; it may get another name, and does if there is a file of its own by now."""
    left = value_of(Left, document["film"], f"{path}: film")
    request = value_of(Request, left.request, f"{path}: request")
    begun = Path(from_here(path.parent, left.output))
    wanted = Path(output) if output else begun
    if kind_of(wanted) != kind_of(begun):
        raise InvalidArgument("-o", f"a film as the one that was begun, {begun.name}", str(wanted))
    if kind_of(wanted) != "png" and not left.overwrite:
        wanted = next(each for each in numbered(wanted) if not each.exists())
    told = {name: getattr(left, name) for name in ("prompt", "seed", "overwrite", "metadata", "endless", "facts")}
    return Shoot(request, output=str(wanted), **told)


def tell_film(shoot: Shoot, lines: Iterator[dict[str, Any]], kept: Kept, as_json: bool) -> None:
    """Say each chunk as JSON, or the name of the film at its end; where the run is stopped, how to go on."""
    to_stdout, chunks = shoot.output == STDOUT, ""
    with said_if_stopped(kept, lambda: f"{kept.walked}{chunks} chunks are made."), kept:
        for line in lines:
            if as_json:
                say_json(line, err=to_stdout)
            elif "file" in line and not to_stdout:
                click.echo(line["file"])
            chunks = f" of {line['chunks']}" if line.get("chunks") else ""


def shoot_film(
    shoot: Shoot,
    pipe: Any,
    arguments: Mapping[str, Any],
    begun: Mapping[str, Any] | None,
    kept: Kept,
    ends: float = math.inf,
) -> Iterator[dict[str, Any]]:
    """Make and write the film; yields what to say of each chunk, and at the end of the whole."""
    facts = same(shoot.facts, common_facts(pipe, shoot.request, arguments))
    shoot = replace(shoot, request=pinned(shoot.request, facts), facts=facts)
    told, fps = film_recipe(facts, shoot.prompt, shoot.seed), float(facts["arguments"]["fps"])
    prompt = None if "timeline" in arguments else shoot.prompt
    call = {**arguments, "prompt": prompt, "generator": shoot.seed, "output_type": "uint8"}
    kept.hold(pipe, call, begun, {"film": _left(shoot, kept)})
    left = {} if math.isinf(ends) else {"deadline": max(ends - time.monotonic(), 1e-9)}
    with _reel(kept, begun) as reel, _opened(shoot, fps, told, reel) as film:
        pace = Pace(fps)
        try:
            with pipe.stream(**call, **left, begun=begun) as stream:
                for chunk in watched(stream.steps(), pace):
                    with uninterrupted():
                        film.add_clip(chunk.frames[0])
                        kept.note(chunk.bookmark)
                    pace.note(chunk)
                    yield _line(chunk, film.count, fps, pace)
        except (KeyboardInterrupt, DeadlinePassed):
            if not (shoot.endless and film.count):
                raise
    yield {
        "file": shoot.output,
        "prompt": shoot.prompt,
        "seed": shoot.seed,
        "size": told["size"],
        "frames": film.count,
        "seconds": film.count / fps,
    }


@contextmanager
def _opened(shoot: Shoot, fps: float, told: dict[str, Any], reel: Reel | None) -> Generator[FilmOfClips, None, None]:
    """The film, open for its next clips; those of the reel are in it."""
    to_stdout = shoot.output == STDOUT
    target: Any = sys.stdout.buffer if to_stdout else Path(shoot.output)
    if not to_stdout and (shoot.overwrite or (reel is not None and reel.count)):
        cleared(target)
    try:
        film = FilmOfClips(target, fps, told if shoot.metadata and not to_stdout else None, reel)
        with film:
            yield film
    except WriteError as error:
        if to_stdout and isinstance(error.__cause__, BrokenPipeError):  # whoever read it has enough
            raise error.__cause__ from None
        raise


@contextmanager
def _reel(kept: Kept, begun: Mapping[str, Any] | None) -> Generator[Reel | None, None, None]:
    """The clips that were made, and those to come, beside the state file; without that nothing is kept."""
    if kept.path is None:
        yield None
        return
    reel = Reel(kept.path.with_name(f"{kept.path.name}.reel"), begun["walked"] if begun else 0)
    try:
        yield reel
    except BaseException:
        reel.close() if kept.worth_it else reel.drop()
        raise
    reel.drop()


def watched(steps: Iterator[Taken | Chunk], pace: Pace) -> Iterator[Chunk]:
    """The chunks, behind a bar that moves with the steps of each."""
    chunks = ""
    with progress.bar(total=0, unit="step", disable=not sys.stderr.isatty()) as bar:
        for told in steps:
            if isinstance(told, Chunk):
                chunks = f" of {told.total}" if told.total else ""
                bar.clear()  # what is said now gets a line of its own
                yield told
                bar.set_postfix_str(pace.said())
            else:
                bar.total = told.total
                bar.set_description(f"chunk {told.chunk + 1}{chunks}", refresh=False)
                bar.update(told.index + 1 - bar.n)


def _line(chunk: Chunk, frames: int, fps: float, pace: Pace) -> dict[str, Any]:
    speed = {"frames_a_second": round(pace.frames_a_second, 3), "seconds_left": pace.left and round(pace.left, 1)}
    return {
        "chunk": chunk.index + 1,
        "chunks": chunk.total,
        "frames": frames,
        "seconds": frames / fps,
        **speed,
    }


def _left(shoot: Shoot, kept: Kept) -> dict[str, Any]:
    folder = kept.path.parent if kept.path else Path()
    told = {name: getattr(shoot, name) for name in ("prompt", "seed", "overwrite", "metadata", "endless")}
    output = shoot.output if shoot.output == STDOUT else seen_from(folder, shoot.output)
    return asdict(Left(version=1, request=asdict(shoot.request), output=output, facts=shoot.facts or {}, **told))
