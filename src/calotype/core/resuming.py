"""State files: a call that is stopped, by whatever, goes on from its last bookmark to the same result."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from calotype.core.atomic import check_writable
from calotype.core.errors import InvalidArgument
from calotype.core.packing import Tensors, pack, read_packed, unpack, write_packed

if TYPE_CHECKING:
    from calotype.core.pipeline import DiffusionPipeline

NOT_KEPT = ("callback", "callback_on_step_end")  # functions: they are given again, if wanted

seeds: random.Random = random.SystemRandom()  # of generators that nobody gave; everybody's noise is left alone


class StateFile:
    """A call's file: the arguments as they were before the first step, and a bookmark that is written anew."""

    def __init__(self, pipe: DiffusionPipeline, path: str | os.PathLike[str], arguments: Mapping[str, Any]) -> None:
        self._path = path
        tensors: Tensors = {}
        kept = {name: value for name, value in arguments.items() if name not in NOT_KEPT}
        self._document = {**identity(pipe), "arguments": pack(kept, "arguments", tensors)}
        # what the call draws from its arguments comes again
        self._tensors = {name: tensor.clone() for name, tensor in tensors.items()}

    def write(self, bookmark: Mapping[str, Any] | None, beside: Mapping[str, Any] | None = None) -> None:
        """Write down a bookmark, or that there is none yet; ``beside`` is plain data for whoever resumes."""
        tensors = dict(self._tensors)
        packed = {"bookmark": pack(bookmark, "bookmark", tensors)}
        write_packed(self._path, {**self._document, **packed, **(beside or {})}, tensors)


class Keeper:
    """Writes a call's state file every few steps, and when the call ends before its time."""

    def __init__(self, pipe: DiffusionPipeline, path: str | os.PathLike[str], every: int, arguments: dict[str, Any]):
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InvalidArgument("state_every", "a whole number of steps, at least 1", repr(every))
        check_writable(path)
        self.path, self.every = path, every
        self._file = StateFile(pipe, path, beside_bookmark(pipe, arguments))
        self._bookmark: dict[str, Any] | None = None
        self._written = 0

    def note(self, step: Any) -> None:
        """A step was taken; at every so many of them, and at the last, it is written down, if it is a place to stop."""
        if step.bookmark is None:
            return
        self._bookmark = step.bookmark
        if (step.index + 1) % self.every == 0 or step.index + 1 == step.total:
            self.write()

    def write(self) -> None:
        """Write down the last step, unless it is."""
        if self._bookmark is None or self._bookmark["walked"] == self._written:
            return
        self._file.write(self._bookmark)
        self._written = self._bookmark["walked"]


def beside_bookmark(pipe: DiffusionPipeline, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without what a bookmark makes needless."""
    return {**arguments, **{name: keep(arguments[name]) for name, keep in pipe.kept_as.items() if name in arguments}}


def identity(pipe: DiffusionPipeline) -> dict[str, Any]:
    """Which pipeline a state file is for."""
    scheduler: Any = pipe.components.get("scheduler")
    walked = (
        {"class": type(scheduler).__name__, "config": scheduler.to_json_string()} if scheduler is not None else None
    )
    return {"pipeline": type(pipe).__name__, "model": pipe.name_or_path, "scheduler": walked}


def reopen(pipe: DiffusionPipeline, path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments and the bookmark of a state file that this pipeline can go on with."""
    document, tensors = read_packed(path)
    for name, expected in identity(pipe).items():
        if name != "model" and document.get(name) != expected:
            raise InvalidArgument(
                f"{path}: {name}", f"{expected}", f"{document.get(name)}", "Load the pipeline it is of."
            )
    arguments, bookmark = (unpack(document.get(part), tensors, f"{path}: {part}") for part in ("arguments", "bookmark"))
    return arguments, bookmark


def with_source_of_noise(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a generator of their own where there is none: noise from everybody's cannot be drawn again."""
    if "generator" in arguments and arguments["generator"] is None:
        return {**arguments, "generator": torch.Generator().manual_seed(seeds.getrandbits(56))}
    return arguments
