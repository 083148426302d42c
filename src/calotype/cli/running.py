"""A run from its first picture that is left to its last: made batch after batch, written, told, and kept on the way."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from calotype.cli.asked import Wanted
from calotype.cli.comparing import facts_apart
from calotype.cli.recipes import common_facts, recipe
from calotype.cli.request import Request
from calotype.cli.said import say_json
from calotype.cli.states import Kept, Run
from calotype.cli.verbs import DEADLINE
from calotype.core import progress
from calotype.core.errors import DeadlinePassed, InvalidArgument
from calotype.core.files import HubOptions, open_source
from calotype.core.links import names_a_file
from calotype.core.picture_files import picture_bytes, recipe_options
from calotype.generation.turns import TURNS


def tell(run: Run, lines: Iterator[dict[str, Any]], kept: Kept, as_json: bool) -> None:
    """Say each picture as it is written; where the run is stopped, how to go on."""
    made = run.total - len(run.pictures)
    with said_if_stopped(kept, lambda: f"{made} of {run.total} pictures are written."), kept:
        for line in lines:
            made += 1
            say_json(line) if as_json else click.echo(line["file"])
            if line["blocked"]:
                click.echo(f"{line['file']} is black: the safety checker blocked it.", err=True)


@contextmanager
def said_if_stopped(kept: Kept, how_far: Callable[[], str]) -> Generator[None, None, None]:
    """Say how far a run came that is stopped in here, and how to go on with it."""
    try:
        yield
    except BaseException as stop:
        on = f" Go on with: calotype resume {shlex.quote(str(kept.path))}" if kept.written else ""
        if (on and kept.worth_it) or isinstance(stop, (KeyboardInterrupt, DeadlinePassed)):
            click.echo(f"Stopped: {how_far()}{on}", err=True)
        if isinstance(stop, DeadlinePassed):
            raise click.exceptions.Exit(DEADLINE) from None
        raise


def checked(run: Run, pipe: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What all recipes of the run say; what no recipe or pipeline would take is refused before the first step."""
    for name in arguments.keys() & pipe.argument_rules.keys():
        pipe.argument_rules[name](name, arguments[name])
    if syntax := arguments.get("prompt_syntax"):
        for number, prompt in enumerate(dict.fromkeys(one.prompt for one in run.pictures), 1):
            TURNS[syntax](prompt, 1, f"prompt {number}")
    facts = common_facts(pipe, run.request, arguments)
    for picture in run.pictures if run.metadata else ():
        recipe_options(run.names.template, recipe(facts, picture, (99_999, 99_999), (9_999, 9_999)))
    return facts


def make(
    run: Run,
    pipe: Any,
    arguments: Mapping[str, Any],
    kept: Kept,
    begun: Mapping[str, Any] | None = None,
    ends: float = math.inf,
) -> Iterator[dict[str, Any]]:
    """Make and write the pictures; yields what to say of each once its file is there."""
    facts = checked(run, pipe, arguments)
    run = replace(run, request=pinned(run.request, facts), facts=same(run.facts, facts))
    places = range(0, len(run.pictures), run.request.batch)
    with progress.bar(total=0, unit="step", disable=not sys.stderr.isatty()) as bar:
        for number, place in enumerate(places):
            batch = run.pictures[place : place + run.request.batch]
            call = called(batch, arguments)
            kept.begin(pipe, run, place, call, begun)
            left = {} if math.isinf(ends) else {"deadline": max(ends - time.monotonic(), 1e-9)}
            with pipe.stream(**call, **left, begun=begun) as steps:
                for step in steps:
                    kept.note(step.bookmark)
                    bar.total = step.total * len(places)
                    bar.update(step.total * number + step.index + 1 - bar.n)
                output = steps.output
            begun = None
            flagged = dict(output.items()).get("nsfw_content_detected") or [None] * len(batch)
            for order, (one, made, blocked) in enumerate(zip(batch, output.images, flagged, strict=True), 1):
                told = recipe(facts, one, made.size, (order, len(batch))) if run.metadata else None
                path = run.names.write(one, picture_bytes(run.names.wanted(one), made, told))
                bar.clear()  # what is said now gets a line of its own
                size = [*made.size]
                yield {"file": str(path), "prompt": one.prompt, "seed": one.seed, "size": size, "blocked": blocked}


def same(then: Mapping[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """The facts of now, if a run that goes on can make what it would have made; what may matter is said."""
    apart = facts_apart(then or now, now)
    for name, (before, after) in apart.items():
        if not name.startswith("versions."):
            raise InvalidArgument(f"resume: {name}", str(before), str(after), "The state file is of another run.")
        click.echo(f"{name}: {before} then, {after} now; the last bits of pictures may differ.", err=True)
    return now


def pinned(request: Request, facts: Mapping[str, Any]) -> Request:
    """The same request, with what was left open as it turned out: whoever goes on elsewhere or later does the same."""
    if names_a_file(request.model):
        here = Path(request.model).is_file()
    else:
        source = open_source(request.model, HubOptions(revision=request.revision, local_files_only=True))
        here = source.repository is None and source.folder == Path(request.model)
    return replace(
        request,
        model=os.path.abspath(request.model) if here else request.model,
        revision=facts.get("revision"),
        dtype=facts["dtype"],
        device=request.device or facts["device"],
    )


def called(batch: Sequence[Wanted], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call that makes these pictures at once."""
    return {"prompt": [one.prompt for one in batch], "generator": [one.seed for one in batch], **arguments}
