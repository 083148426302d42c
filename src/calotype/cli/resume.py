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
    from calotype.cli.loading import loaded
    from calotype.cli.running import make, tell
    from calotype.cli.states import Kept, left_of
    from calotype.core.resuming import reopen

    run = left_of(file, output)
    run.names.check(run.pictures)
    ends = time.monotonic() + deadline
    kept = Kept(file, state_every, written=True)

    def lines() -> Iterator[dict[str, Any]]:
        pipe = loaded(run.request)
        call, begun = reopen(pipe, file)
        arguments = {name: value for name, value in call.items() if name not in ("prompt", "generator")}
        yield from make(run, pipe, arguments, kept, begun, ends)

    tell(run, lines(), kept, as_json)
