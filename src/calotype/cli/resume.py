"""``calotype resume``: a run that was stopped goes on, to the bytes that it would have made unbroken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import click

from calotype.cli.options import SECONDS, every_option
from calotype.cli.said import as_json_option


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", help="Other names for the pictures that are left.")
@click.option("--deadline", type=SECONDS, default=inf, metavar="SECONDS", help="As for generate.")
@every_option
@as_json_option
def resume(file: Path, output: str | None, deadline: float, state_every: float, as_json: bool) -> None:
    """Go on with the run whose state is in FILE; when it has ended, FILE is removed."""
    from calotype.cli.loading import loaded, loaded_film
    from calotype.cli.running import make, tell
    from calotype.cli.shooting import film_left, shoot_film, tell_film
    from calotype.cli.states import Kept, left_of
    from calotype.core.packing import read_packed
    from calotype.core.resuming import reopen

    ends = time.monotonic() + deadline
    kept = Kept(file, state_every, written=True)
    document, _ = read_packed(file)
    if "film" in document:
        shoot = film_left(document, file, output)

        def chunks() -> Iterator[dict[str, Any]]:
            pipe = loaded_film(shoot.request)
            yield from shoot_film(shoot, pipe, *reopen(pipe, file), kept=kept, ends=ends)

        tell_film(shoot, chunks(), kept, as_json)
        return
    run = left_of(file, output)
    run.names.check(run.pictures)

    def lines() -> Iterator[dict[str, Any]]:
        pipe = loaded(run.request)
        call, begun = reopen(pipe, file)
        arguments = {name: value for name, value in call.items() if name not in ("prompt", "generator")}
        yield from make(run, pipe, arguments, kept, begun, ends)

    tell(run, lines(), kept, as_json)
