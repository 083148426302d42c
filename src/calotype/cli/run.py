"""``calotype run``: a script that was written for the peer."""

from __future__ import annotations

import click

from calotype.cli.options import FILE


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("script", type=FILE)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(script: str, arguments: tuple[str, ...]) -> None:
    """Run a Python script; `import diffusers` in it, at any depth, means calotype."""
    from calotype.compat.scripts import run_script

    run_script(script, *arguments)
