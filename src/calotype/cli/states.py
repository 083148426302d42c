"""State files of runs: written now and then while a run lasts, and when it is stopped; gone when it has ended."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

import click

from calotype.cli.asked import Wanted
from calotype.cli.names import Names, numbered
from calotype.cli.plain import value_of
from calotype.cli.request import Request
from calotype.core.errors import InvalidArgument
from calotype.core.packing import read_packed
from calotype.core.resuming import StateFile

SUFFIX = ".calotype-state"


@dataclass(frozen=True)
class Run:
    """What is left of a run: pictures to make, and how they are called and written."""

    request: Request
    pictures: Sequence[Wanted]
    names: Names
    metadata: bool
    total: int  # pictures, with those that are made
    facts: dict[str, Any] | None = None  # what the recipes of those say


@dataclass(frozen=True)
class Left:
    """The same as a state file says it; paths begin in the file's folder."""

    version: Literal[1]
    request: dict[str, Any]
    pictures: tuple[tuple[int, str, int], ...]
    template: str
    overwrite: bool
    given: tuple[str, ...]
    metadata: bool
    total: int
    facts: dict[str, Any]


class Kept:
    """The state file of a run while it lasts; without a path nothing is kept."""

    def __init__(self, path: Path | None, every: float = inf, written: bool = False) -> None:
        self.path, self.every, self.written = path, every, written
        self._due = time.monotonic() + every
        self._file: StateFile | None = None
        self._bookmark: Mapping[str, Any] | None = None
        self._beside: dict[str, Any] = {}
        self._made = False

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.written and self.path:
            self.path.unlink(missing_ok=True)
        elif kind is not None and self.worth_it:
            self._write()

    @property
    def worth_it(self) -> bool:
        """Whether something would be lost with it."""
        return bool(self._bookmark or self._made)

    @property
    def walked(self) -> int:
        """How many steps, or chunks, are behind the bookmark."""
        return int(self._bookmark["walked"]) if self._bookmark else 0

    def begin(self, pipe: Any, run: Run, made: int, call: Mapping[str, Any], begun: Mapping[str, Any] | None) -> None:
        """So many pictures are made, and this call makes the next ones; perhaps it was begun before."""
        if self.path is None:
            return
        folder = self.path.parent
        left = Left(
            version=1,
            request=asdict(run.request),
            pictures=tuple((one.index, one.prompt, one.seed) for one in run.pictures[made:]),
            template=seen_from(folder, run.names.template),
            overwrite=run.names.overwrite,
            given=tuple(seen_from(folder, path) for path in run.names.given),
            metadata=run.metadata,
            total=run.total,
            facts=run.facts or {},
        )
        self.hold(pipe, call, begun, {"run": asdict(left)}, made=bool(left.given))

    def hold(
        self,
        pipe: Any,
        call: Mapping[str, Any],
        begun: Mapping[str, Any] | None,
        beside: dict[str, Any],
        made: bool = False,
    ) -> None:
        """This call is made now; ``beside`` is what else whoever goes on must know, and some of it may be made."""
        if self.path is not None:
            self._file, self._bookmark = StateFile(pipe, self.path, call), begun
            self._beside, self._made = beside, made

    def note(self, bookmark: Mapping[str, Any] | None) -> None:
        """A step was taken; if it is no place to go on from, that is still the one before."""
        self._bookmark = bookmark or self._bookmark
        if time.monotonic() >= self._due:
            self._write()

    def _write(self) -> None:
        if self._file is not None:
            self._file.write(self._bookmark, self._beside)
            self.written, self._due = True, time.monotonic() + self.every


def state_path(asked: Path | None, overwrite: bool, first: Path) -> Path:
    """Where the state file of a run is to be: as asked, or beside the first picture."""
    if asked is None:
        return next(path for path in numbered(first.with_suffix(SUFFIX)) if not os.path.lexists(path))
    if os.path.lexists(asked) and not overwrite:
        raise click.UsageError(f"--state {asked}: this file is there. Go on with calotype resume, or remove it.")
    return asked


def left_of(path: Path, template: str | None = None) -> Run:
    """The run that a state file is of, with the pictures that are left; their names may be others."""
    document, _ = read_packed(path)
    if "run" not in document:
        fix = "It is of a call in Python: go on with pipe.resume(...)."
        raise InvalidArgument(str(path), "a state file of calotype generate", "another one", fix)
    left = value_of(Left, document["run"], f"{path}: run")
    request = value_of(Request, left.request, f"{path}: request")
    here = path.parent
    given = [Path(from_here(here, name)) for name in left.given]
    names = Names(template or from_here(here, left.template), left.overwrite, given, goes_on=True)
    return Run(request, [Wanted(*one) for one in left.pictures], names, left.metadata, left.total, left.facts)


def seen_from(folder: Path, path: str | os.PathLike[str]) -> str:
    """A path as it is told in a state file in this folder."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return os.path.abspath(path)


def from_here(folder: Path, name: str) -> str:
    """The path again, wherever the folder is now."""
    return os.path.normpath(os.path.join(folder, name))
