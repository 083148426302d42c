"""``calotype replay``: a picture or a film once more, from the recipe that it carries, or a variation of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from calotype.cli.asked import Wanted
from calotype.cli.names import Names
from calotype.cli.options import FILE
from calotype.cli.request import Request
from calotype.cli.said import as_json_option, say_facts, say_json
from calotype.cli.verbs import DIFFERS


@click.command()
@click.argument("picture", type=click.Path(exists=True))
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Vary it: seed=5, steps=30, prompt=...")
@click.option("-o", "--output", help="Write it; a variation goes to out.png or out.mp4 without it.")
@click.option("-m", "--model", help="The model, where the recipe does not say where it is: a folder has a name only.")
@click.option("--image", type=FILE, help="The picture that it was made from.")
@click.option("--mask", type=FILE, help="The mask that it was made with.")
@click.option("--video", type=click.Path(exists=True), help="The film that it goes on from.")
@click.option("--overwrite", is_flag=True, help="Overwrite a file of that name.")
@as_json_option
def replay(
    picture: str,
    changes: tuple[str, ...],
    output: str | None,
    model: str | None,
    image: str | None,
    mask: str | None,
    video: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make PICTURE again from its recipe, and say whether it is identical or what differs."""
    from calotype.cli.comparing import Before, facts_apart
    from calotype.cli.loading import loaded, makes_films
    from calotype.cli.recipes import common_facts, recipe
    from calotype.cli.refilming import recipe_in, replay_film
    from calotype.cli.remaking import handed_in, recipe_of, varied
    from calotype.cli.running import called, make, tell
    from calotype.cli.states import Kept, Run
    from calotype.core.picture_files import picture_bytes

    document = recipe_in(picture)
    told = varied(recipe_of(document, f"{picture}: recipe"), changes)
    shown = handed_in(told, {"image": image, "mask_image": mask, "video": video})
    asked: Any = {"dtype": told.dtype, "device": _device(told.device, changes), "variant": told.variant}
    asked |= {"image": image, "mask": mask, "revision": told.revision if model is None else None}
    request = Request(model or _named(told), **asked)
    if makes_films(told.pipeline):
        replay_film(picture, document, told, request, shown, output, overwrite, bool(changes), as_json)
        return
    one, names = Wanted(1, told.prompt, told.seed), Names(output or "out.png", overwrite)
    names.check([one])
    before = Before.of(picture)
    pipe = loaded(request)
    pipe.scheduler = told.walker()
    arguments = told.call(shown)
    if changes:
        run, kept = Run(request, [one], names, True, 1), Kept(None)
        tell(run, make(run, pipe, arguments, kept), kept, as_json)
        return
    place, many = told.batch
    pipe.set_progress_bar_config(disable=not sys.stderr.isatty())
    made = pipe(**called([one] * many, arguments)).images[place - 1]
    now = recipe(common_facts(pipe, request, arguments), one, made.size, told.batch)
    found = before.apart(made) | {"facts": facts_apart(document, now)}
    written = names.write(one, picture_bytes(names.wanted(one), made, now)) if output else None
    say_json({"file": written and str(written), **found}) if as_json else _say(found, written)
    if not found["identical"]:
        raise click.exceptions.Exit(DIFFERS)


def _named(told: Any) -> str:
    """The model as the recipe names it, if that says where it is."""
    from calotype.core.pocket import pocket_folder

    if told.revision or pocket_folder(told.model) or os.path.isdir(told.model):
        return told.model
    raise click.UsageError(f"It was made with a folder called {told.model!r}: say with -m where it is.")


def _device(then: str, changes: tuple[str, ...]) -> str | None:
    """The device of then, where this machine has one and no other was asked for."""
    from calotype.cli.loading import device_here

    asked = any(change.startswith("device=") for change in changes)
    return then if asked or device_here(then) else None


def _say(found: dict[str, Any], written: Path | None) -> None:
    if written:
        click.echo(str(written))
    if found["identical"]:
        click.echo("identical")
    elif "sizes" in found:
        then, now = ("x".join(map(str, size)) for size in found["sizes"])
        click.echo(f"differs: the file is {then}, its recipe makes {now}")
    else:
        click.echo(f"differs in {found['pixels']:,} of {found['of']:,} pixels, by at most {found['largest']} of 255")
    say_facts(found["facts"])
