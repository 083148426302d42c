"""``calotype video``: a film of a prompt, or of prompts that take turns."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import click

from calotype.cli.film_request import FilmRequest, Positive, Steps, check_format, film_path
from calotype.cli.options import FILE, SECONDS, film_conditions, state_every
from calotype.cli.request import Request
from calotype.cli.said import as_json_option

DEFAULT_MODEL = "pocket-helios"


@click.command()
@click.argument("prompt", required=False)
@click.option("--timeline", type=FILE, help="A file of prompts and their times: .csv, .json or .txt.")
@click.option("--timeline-id", metavar="ID", help="Which timeline of a table that holds several.")
@click.option("-o", "--output", default="out.mp4", show_default=True, help="A name, or a folder for pictures.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Write y4m to standard output, and nothing else there.")
@click.option(
    "-m", "--model", default=DEFAULT_MODEL, show_default=True, help="A pocket model, a folder or a repository."
)
@click.option("--seconds", type=Positive(), help="How long the film lasts. Default: 5.")
@click.option("--frames", type=click.IntRange(1, 10**9), help="The same in frames.")
@click.option("--endless", is_flag=True, help="Until Ctrl-C, which ends the film well.")
@click.option("--fps", type=Positive(), help="Frames per second.")
@film_conditions
@click.option("--steps", type=Steps(), help="How many steps from noise to each chunk: 20, or 2,2,2 by stages.")
@click.option("--negative", help="What to steer away from.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Without one: a new one.")
@click.option("--image", type=FILE, help="Begin with this picture.")
@click.option("--video", type=click.Path(exists=True), help="Go on from the end of this film.")
@click.option("--overwrite", is_flag=True, help="Overwrite the file; otherwise a number is added to its name.")
@click.option("--no-metadata", is_flag=True, help="Write pictures alone, not how they were made.")
@click.option("--deadline", type=SECONDS, default=inf, metavar="SECONDS", help="Stop when this much time is over.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="The state file, if not beside -o.")
@state_every(0.0)
@click.option("--no-state", is_flag=True, help="Keep no state file: a film that is stopped cannot go on.")
@as_json_option
def video(
    prompt: str | None,
    output: str,
    to_stdout: bool,
    model: str,
    revision: str | None,
    variant: str | None,
    scheduler: str | None,
    dtype: str | None,
    device: str | None,
    seed: int | None,
    overwrite: bool,
    no_metadata: bool,
    deadline: float,
    state: Path | None,
    state_every: float,
    no_state: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Make a film of PROMPT."""
    wanted = FilmRequest(**asked)
    request = Request(model, revision, variant, scheduler=scheduler, dtype=dtype, device=device)
    entries, seed = wanted.entries(prompt), secrets.randbelow(2**32) if seed is None else seed
    first = prompt if entries is None else str(entries[0].text)
    path = None if to_stdout else film_path(output, str(first), seed, overwrite)
    check_format(path, wanted.fps)
    if path is None and state is not None:
        raise click.UsageError("--state and --stdout: what has gone down a pipe cannot be gone on with.")
    shown = wanted.shown()
    from calotype.cli.loading import loaded_film
    from calotype.cli.shooting import STDOUT, Shoot, shoot_film, tell_film
    from calotype.cli.states import Kept, state_path

    ends = time.monotonic() + deadline
    kept = Kept(None if no_state or path is None else state_path(state, overwrite, path), state_every)
    name = STDOUT if path is None else str(path)
    shoot = Shoot(request, str(first), seed, name, overwrite, not no_metadata, wanted.endless)

    def lines() -> Iterator[dict[str, Any]]:
        pipe = loaded_film(request)
        arguments = wanted.arguments(pipe, entries, shown)
        yield from shoot_film(shoot, pipe, arguments, None, kept, ends)

    tell_film(shoot, lines(), kept, as_json)
