"""A film once more from its recipe, held against the film that carries it."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from calotype.cli.comparing import facts_apart
from calotype.cli.film_request import check_format, film_path
from calotype.cli.loading import loaded_film
from calotype.cli.remaking import Recipe
from calotype.cli.request import Request
from calotype.cli.said import say_facts, say_json
from calotype.cli.shooting import Shoot, shoot_film, tell_film
from calotype.cli.states import Kept
from calotype.cli.verbs import DIFFERS
from calotype.core.films import FilmReader, recipe_of
from calotype.core.films.signatures import is_film
from calotype.core.picture_files import read_recipe


def recipe_in(path: str) -> dict[str, Any]:
    """The recipe that a picture or a film carries."""
    return recipe_of(path) if Path(path).is_dir() or is_film(path) else read_recipe(path)


def replay_film(
    path: str,
    document: dict[str, Any],
    told: Recipe,
    request: Request,
    shown: dict[str, Any],
    output: str | None,
    overwrite: bool,
    varied: bool,
    as_json: bool,
) -> None:
    """Make the film again and say whether it is identical; or a variation of it."""
    named = output or ("out.mp4" if varied else None)
    path_of_it = None if named is None else film_path(named, told.prompt, told.seed, overwrite)
    if path_of_it:
        check_format(path_of_it, told.arguments.get("fps"))
    pipe, kept = loaded_film(request), Kept(None)
    pipe.scheduler = told.walker()
    arguments = told.call(shown)
    if "num_frames" not in arguments:  # it ended when it was stopped
        with FilmReader(path) as film:
            long = {"num_frames": sum(1 for _ in film)}
        arguments |= long
        document = {**document, "arguments": {**document["arguments"], **long}}
    with TemporaryDirectory() as folder:
        target = path_of_it or Path(folder) / f"made{Path(path).suffix}"
        shoot = Shoot(request, told.prompt, told.seed, str(target), overwrite)
        lines = shoot_film(shoot, pipe, arguments, None, kept)
        if varied:
            tell_film(shoot, lines, kept, as_json)
            return
        for _ in lines:
            pass
        found = {**apart(path, str(target)), "facts": facts_apart(document, recipe_of(target))}
    written = str(target) if output else None
    say_json({"file": written, **found}) if as_json else _say(found, written)
    if not found["identical"]:
        raise click.exceptions.Exit(DIFFERS)


def apart(then: str, now: str) -> dict[str, Any]:
    """How two films differ: in how many frames, and by how much at most."""
    count = differing = largest = 0
    with FilmReader(then) as before, FilmReader(now) as after:
        for one, other in zip_longest(before, after):
            count += 1
            if one is None or other is None or one.size != other.size:
                differing, largest = differing + 1, 255
            elif most := int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max()):
                differing, largest = differing + 1, max(largest, most)
    return {"identical": not differing, "frames": differing, "of": count, "largest": largest}


def _say(found: dict[str, Any], written: str | None) -> None:
    if written:
        click.echo(written)
    if found["identical"]:
        click.echo("identical")
    else:
        click.echo(f"differs in {found['frames']:,} of {found['of']:,} frames, by at most {found['largest']} of 255")
    say_facts(found["facts"])
