"""A recipe back to a call: what it says is checked as if a stranger had typed it, and all of it may be varied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args, get_type_hints

import click

from calotype.cli.asked import SCHEDULERS, Scheduler, Size
from calotype.cli.loading import makes_films
from calotype.cli.plain import fault_of_the_file, value_of
from calotype.cli.recipes import ELSEWHERE
from calotype.cli.request import OPTIONS, opened
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.names import component_class, public
from calotype.core.schema import Range, fit_arguments, refuse_unknown
from calotype.generation.images import LONGEST_SIDE
from calotype.pipelines.auto import family_of
from calotype.utils import load_video

NAME = r"[A-Za-z0-9][\w.-]{0,95}(/[\w.-]{1,96})?"  # of a model: never a path
SHOWN = {"image": "--image", "mask_image": "--mask", "video": "--video"}
# what is no argument of the pipeline, and yet may be varied
BESIDE = ("prompt", "negative_prompt", "seed", "scheduler", "dtype", "device", "size")

Side = Annotated[int, Range(1, LONGEST_SIDE)]
Place = Annotated[int, Range(1, 1_000)]


@dataclass(frozen=True)
class Shown:
    """A picture or a film that another was made from."""

    mode: str
    size: tuple[Side, Side]
    sha256: str
    frames: Annotated[int, Range(1, 10**9)] | None = None  # of a film


@dataclass(frozen=True)
class Recipe:
    """What a recipe must say for its picture to be made again."""

    recipe: Literal[1]
    pipeline: str
    model: str
    prompt: str
    seed: Annotated[int, Range(0, 2**64 - 1)]
    arguments: dict[str, Any]
    scheduler: dict[str, Any]
    dtype: Literal["float32", "float16", "bfloat16"]
    device: str
    revision: str | None = None
    variant: str | None = None
    negative_prompt: str | None = None
    batch: tuple[Place, Place] = (1, 1)  # which picture of how many at once
    shown: dict[str, Shown] = field(default_factory=dict[str, Shown])  # the pictures among the arguments

    def call(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the call, but for the prompt and the seed, with the pictures that were handed in."""
        against = {} if self.negative_prompt is None else {"negative_prompt": self.negative_prompt}
        return {**self.arguments, **shown, **against}

    def walker(self) -> Any:
        """The scheduler, as it was."""
        name = str(self.scheduler.get("class")).removesuffix("Scheduler")
        if name not in SCHEDULERS:
            raise CorruptFile("recipe: scheduler", "the name of a scheduler", repr(name)[:80])
        with fault_of_the_file():
            return public(f"{name}Scheduler").from_config(self.scheduler.get("config"))


def recipe_of(document: Mapping[str, Any], where: str) -> Recipe:
    """The recipe as a value, or an error that says where in the file it is wrong."""
    told = value_of(Recipe, {**document, "shown": {}}, where)
    if not re.fullmatch(NAME, told.model) or ".." in told.model:
        raise CorruptFile(f"{where}: model", "the name of a model", repr(told.model)[:80])
    if told.batch[0] > told.batch[1]:
        raise CorruptFile(f"{where}: batch", "a place within the batch", f"{told.batch[0]} of {told.batch[1]}")
    shown = {
        name: value_of(Shown, told.arguments[name], f"{where}: {name}") for name in SHOWN if name in told.arguments
    }
    plain = {name: value for name, value in told.arguments.items() if name not in shown}
    with fault_of_the_file():
        plain = fitted(pipeline_class(told, where), plain, where)
    return replace(told, arguments=plain, shown=shown)


def pipeline_class(told: Recipe, where: str) -> Any:
    """The class that a recipe names, which is a pipeline's."""
    if not makes_films(told.pipeline):
        family_of(told.pipeline, where)
    return component_class("diffusers", told.pipeline, where)


def fitted(kind: Any, arguments: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments that this pipeline takes, each of its type and within its rule."""
    refuse_unknown(arguments, _names(kind), where)
    told = fit_arguments(kind.__call__, arguments, where)
    for name in told.keys() & kind.argument_rules.keys():
        kind.argument_rules[name](f"{where}: {name}", told[name])
    return told


def _names(kind: Any) -> list[str]:
    """The arguments of a pipeline that a recipe can tell."""
    hints = get_type_hints(kind.__call__)
    plain = [name for name in hints if _plain(hints[name]) and name not in {*ELSEWHERE, *SHOWN, "return"}]
    return [*plain, *kind.beside_signature]


def _plain(hint: Any) -> bool:
    inner = get_args(hint)
    return all(map(_plain, inner)) if inner else hint in (int, float, str, bool, type(None), Any)


def varied(told: Recipe, changes: Iterable[str]) -> Recipe:
    """The recipe with these changes, each as ``name=value``; options of ``generate`` go by their names there."""
    kind = pipeline_class(told, "recipe")
    for change in changes:
        option, equals, text = change.partition("=")
        name = OPTIONS.get(option, option)
        if not equals:
            raise click.UsageError(f"--set {change}: expected name=value, as in seed=5")
        refuse_unknown([name], [*BESIDE, *OPTIONS, *_names(kind)], "--set")
        told = _with(told, kind, name, text)
    return told


def _with(told: Recipe, kind: Any, name: str, text: str) -> Recipe:
    if name == "size":
        width, height = size = Size().convert(text, None, None)
        shown = {one: replace(it, size=size) if one == "image" else it for one, it in told.shown.items()}
        sides = {"width": width, "height": height} if "width" in _names(kind) else {}
        return replace(told, shown=shown, arguments={**told.arguments, **fitted(kind, sides, "--set")})
    if name == "scheduler":
        return replace(told, scheduler={**told.scheduler, "class": f"{Scheduler().convert(text, None, None)}Scheduler"})
    if name in ("prompt", "negative_prompt", "device"):
        return replace(told, **{name: text})
    if name in BESIDE:
        fit = fit_arguments(Recipe.__init__, {name: _value(text)}, "--set")
        return replace(told, **fit)
    return replace(told, arguments={**told.arguments, **fitted(kind, {name: _value(text)}, "--set")})


def _value(text: str) -> Any:
    """A value as JSON spells it, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def handed_in(told: Recipe, paths: Mapping[str, str | None]) -> dict[str, Any]:
    """The pictures that the recipe's picture was made from, as large as they were then; of a film its frames."""
    for name, option in SHOWN.items():
        if name in told.shown and not paths.get(name):
            raise click.UsageError(f"It was made from another, which is not in it: hand that in with {option}.")
        if paths.get(name) and name not in told.shown:
            raise InvalidArgument(option, "nothing, as it was made without", str(paths[name]))
    return {name: _handed_in(str(paths[name]), shown) for name, shown in told.shown.items()}


def _handed_in(path: str, then: Shown) -> Any:
    if then.frames is not None:
        return load_video(path)
    picture = opened(path)
    return picture if picture.size == then.size else picture.resize(then.size)
