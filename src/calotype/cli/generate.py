"""``calotype generate``: pictures from prompts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import click

from calotype.cli.asked import Seeds, prompts_of, wanted_pictures
from calotype.cli.names import Names
from calotype.cli.options import FILE, SECONDS, conditions, every_option
from calotype.cli.request import SYNTAXES, Request, arguments_for, opened
from calotype.cli.said import as_json_option

DEFAULT_MODEL = "pocket-sd"


@click.command()
@click.argument("prompt", required=False)
@click.option("--prompts", type=click.File(encoding="utf-8"), help="A file with a prompt in each line; - is stdin.")
@click.option(
    "-o", "--output", default="out.png", show_default=True, help="A name: {index}, {seed}, {prompt} are filled in."
)
@click.option(
    "-m",
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A pocket model, a folder, a repository, or a single file.",
)
@conditions
@click.option("--image", type=FILE, help="Begin with this picture.")
@click.option("--strength", type=float, help="How far to leave it: from 0 (keeps it) to 1 (ignores it).")
@click.option("--mask", type=FILE, help="Repaint only what is white in this picture.")
@click.option("--negative", help="What to steer away from.")
@click.option("--prompt-syntax", type=click.Choice(SYNTAXES), help="What brackets and signs in prompts mean.")
@click.option("--steps", type=int, help="How many steps from noise to picture.")
@click.option("--seed", "seeds", type=Seeds(), help="A seed, or several: 1,2,3. Without one: a new one.")
@click.option("-n", "--count", type=click.IntRange(1, 10_000), help="How many pictures of each prompt.")
@click.option("--overwrite", is_flag=True, help="Overwrite files; otherwise a number is added to names.")
@click.option("--no-metadata", is_flag=True, help="Write pixels alone, not how they were made.")
@click.option("--deadline", type=SECONDS, default=inf, metavar="SECONDS", help="Stop when this much time is over.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="The state file, if not beside -o.")
@every_option
@click.option("--no-state", is_flag=True, help="Keep no state file: a run that is stopped cannot go on.")
@as_json_option
def generate(
    prompt: str | None,
    prompts: Any,
    output: str,
    seeds: tuple[int, ...] | None,
    count: int | None,
    overwrite: bool,
    no_metadata: bool,
    deadline: float,
    state: Path | None,
    state_every: float,
    no_state: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Make pictures of PROMPT; - reads prompts from standard input, one in each line."""
    request = Request(**asked)
    pictures = wanted_pictures(prompts_of(prompt, prompts), seeds or (), count)
    names = Names(output, overwrite)
    names.check(pictures)
    shown = {name: opened(path) for name, path in (("image", request.image), ("mask_image", request.mask)) if path}
    from calotype.cli.loading import loaded
    from calotype.cli.running import make, tell
    from calotype.cli.states import Kept, Run, state_path

    ends = time.monotonic() + deadline
    run = Run(request, pictures, names, not no_metadata, len(pictures))
    kept = Kept(None if no_state else state_path(state, overwrite, names.wanted(pictures[0])), state_every)

    def lines() -> Iterator[dict[str, Any]]:
        pipe = loaded(request)
        yield from make(run, pipe, arguments_for(request, shown, pipe), kept, ends=ends)

    tell(run, lines(), kept, as_json)
