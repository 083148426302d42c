"""What may stand on the command line of ``generate``, as values."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from calotype.core.names import MODULES

SCHEDULERS = sorted(
    name.removesuffix("Scheduler")
    for name, module in MODULES.items()
    if module == "calotype.schedulers" and name.endswith("Scheduler")
)


class Seeds(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  (older releases take none)
    """Whole numbers with commas between them."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        words = str(value).split(",")
        if not all(re.fullmatch(r"\s*[0-9]{1,20}\s*", word) and int(word) < 2**64 for word in words):
            self.fail(f"expected whole numbers from 0 to 2**64 - 1, as in 1,2,3, found {value!r}", param, ctx)
        return tuple(int(word) for word in words)


class Size(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """Width and height, as in 512x768."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        told = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", str(value))
        if told is None:
            self.fail(f"expected width and height, as in 512x768, found {value!r}", param, ctx)
        return int(told[1]), int(told[2])


class Scheduler(click.Choice):  # pyright: ignore[reportMissingTypeArgument]
    """The name of a scheduler's class, in any case, with or without its last word."""

    def __init__(self) -> None:
        super().__init__(SCHEDULERS, case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(re.sub("scheduler$", "", str(value), flags=re.IGNORECASE), param, ctx)


@dataclass(frozen=True)
class Wanted:
    """One picture to make."""

    index: int
    prompt: str
    seed: int


def wanted_pictures(prompts: Sequence[str], seeds: Sequence[int], count: int | None) -> list[Wanted]:
    """A picture for each prompt and seed; with one seed and a count, that many seeds from it on."""
    if len(seeds) > 1 and count is not None:
        raise click.UsageError("-n says how many pictures, and several seeds say it too: give one of them.")
    if len(seeds) == 1 and count:
        seeds = [(seeds[0] + place) % 2**64 for place in range(count)]
    pairs = [(prompt, seed) for prompt in prompts for seed in seeds or _new_seeds(count or 1)]
    return [Wanted(index, prompt, seed) for index, (prompt, seed) in enumerate(pairs, 1)]


def _new_seeds(count: int) -> list[int]:
    return [secrets.randbelow(2**32) for _ in range(count)]


def prompts_of(prompt: str | None, listed: Any) -> list[str]:
    """The prompt that was given, or those of a file or of standard input, one in a line."""
    if (prompt is None) == (listed is None):
        raise click.UsageError("Give a PROMPT, or --prompts FILE with one in each line ('-' is standard input).")
    if prompt is not None and prompt != "-":
        return [prompt]
    file = listed or click.open_file("-", encoding="utf-8")
    try:
        prompts = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{file.name}: expected prompts in UTF-8, found byte {error.object[error.start]:#x}"
        ) from None
    if not prompts:
        raise click.UsageError(f"{file.name}: expected a prompt in each line, found none.")
    return prompts
