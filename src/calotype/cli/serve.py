"""``calotype serve``: VAEs for pipelines on other machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from calotype.cli.request import DTYPES
from calotype.core.errors import InvalidArgument, MissingDependency
from calotype.server.limits import Limits
from calotype.server.loopback import is_loopback

DEFAULT_VAE = "pocket-sd=pocket-sd:vae"
Verb = TypeVar("Verb", bound=Callable[..., Any])


def bounds(verb: Verb) -> Verb:
    """An option for each limit."""
    for bound in reversed(fields(Limits)):
        name, told = f"--{bound.name.replace('_', '-')}", bound.metadata["told"]
        whole = click.IntRange(min=1)
        verb = click.option(name, type=whole, default=bound.default, show_default=True, help=told)(verb)
    return verb


@click.command()
@click.option(
    "--vae",
    "vaes",
    multiple=True,
    default=(DEFAULT_VAE,),
    show_default=True,
    metavar="NAME=FOLDER_OR_HUB_ID[:subfolder]",
    help="A VAE, or a pipeline's, and its name in addresses. As often as you like.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; others need an --api-key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    envvar="CALOTYPE_API_KEY",
    help="Who sends none of them is refused; each has its share. Better in CALOTYPE_API_KEY, with spaces between.",
)
@click.option("--device", help="Such as cpu, cuda or cuda:1. Default: an accelerator if there is one.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Default: float32 on a CPU, float16 elsewhere.")
@bounds
def serve(
    vaes: tuple[str, ...],
    host: str,
    port: int,
    api_keys: tuple[str, ...],
    device: str | None,
    dtype: str | None,
    **limits: int,
) -> None:
    """Decode and encode for pipelines on other machines, as told in docs/serve.md."""
    if not any(api_keys) and not is_loopback(host):
        fix = "Anyone who reaches that address could use the server; set CALOTYPE_API_KEY."
        raise InvalidArgument("--host", "127.0.0.1, ::1 or localhost without an --api-key", host, fix)
    try:
        from calotype.server.running import listening, place, run
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("fastapi", "starlette", "uvicorn", "h11"):
            raise
        raise MissingDependency(
            str(error.name), "it to be installed", "nothing", "pip install calotype[serve]"
        ) from None
    import torch

    from calotype.cli.loading import device_for
    from calotype.server.hall import Hall
    from calotype.server.logs import write_lines
    from calotype.server.vaes import Named, Shelf

    kept, there = Limits(**limits), device_for(device)
    kind: torch.dtype = getattr(torch, dtype or ("float32" if there.type == "cpu" else "float16"))
    shelf = Shelf([Named.read(told) for told in vaes], there, kind, kept)
    with listening(host, port) as listener:
        write_lines()

        def say() -> None:
            for named in shelf.named:
                click.echo(f"{place(listener)}/vaes/{named.name}")

        run(Hall(shelf, kept), listener, [*filter(None, api_keys)], say)
