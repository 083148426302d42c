"""Options that several verbs take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from calotype.cli.asked import Scheduler, Size
from calotype.cli.request import DTYPES

Verb = TypeVar("Verb", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False)
SECONDS = click.FloatRange(min=0)


def state_every(seconds: float) -> Callable[[Verb], Verb]:
    """A run that is shorter than this leaves no state file, a longer one loses no more."""
    told = "Seconds between two writings of the state."
    return click.option("--state-every", type=SECONDS, default=seconds, show_default=True, help=told)


every_option = state_every(10.0)

CONDITIONS = (
    click.option("--revision", help="The branch, tag or commit of the repository."),
    click.option("--variant", help="The variant of the weights, such as fp16."),
    click.option("--guidance", type=float, help="How strongly to follow the prompt."),
    click.option("--size", type=Size(), help="Width and height: 512x768."),
    click.option("--scheduler", type=Scheduler(), metavar="NAME", help="Another scheduler, such as EulerDiscrete."),
    click.option("--dtype", type=click.Choice(DTYPES), help="Default: float32 on a CPU, half of that elsewhere."),
    click.option("--device", help="Such as cpu, cuda or cuda:1. Default: an accelerator if there is one."),
)
BATCH = click.option(
    "--batch", type=click.IntRange(1, 1_000), default=1, show_default=True, help="How many pictures at once."
)


def film_conditions(verb: Verb) -> Verb:
    """The options that say which weights are meant, and how and where they run."""
    for option in reversed(CONDITIONS):
        verb = option(verb)
    return verb


def conditions(verb: Verb) -> Verb:
    """The same, and how many pictures are made at once."""
    return film_conditions(BATCH(verb))
