"""What pictures are called: templates filled in, and never the name of a picture that is there."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from calotype.cli.asked import Wanted
from calotype.core.atomic import write_atomic
from calotype.core.paths import safe_name

_FIELD = re.compile(r"\{(\w*)(?::0([1-9]))?\}")
FIELDS = ("index", "seed", "prompt")


def filled(template: str, picture: Wanted) -> str:
    """The template with ``{index}``, ``{seed}`` and ``{prompt}`` filled in; ``{index:04}`` has four digits."""

    def field(match: re.Match[str]) -> str:
        if match[1] not in FIELDS:
            raise click.UsageError(f"-o {template}: expected fields among {', '.join(FIELDS)}, found {match[0]}")
        value = str(getattr(picture, match[1]))
        if match[1] == "prompt":
            return re.sub(r"\W+", "-", value)[:40].strip("-") or "picture"
        return value.zfill(int(match[2] or 0))

    return _FIELD.sub(field, template)


def numbered(path: Path) -> Iterator[Path]:
    """The path, and then others with numbers behind it."""
    return itertools.chain([path], (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2)))


class Names:
    """Names for the pictures of one run: each is new, unless files may be overwritten.

    A run that goes on finds pictures that it wrote before it was stopped, and takes them for its own: they are the
    same to the byte.
    """

    def __init__(self, template: str, overwrite: bool, given: Sequence[Path] = (), goes_on: bool = False) -> None:
        self.template, self.overwrite = template, overwrite
        self.given, self._goes_on = [*given], goes_on

    def check(self, pictures: Sequence[Wanted]) -> None:
        """Refuse, before any work is done, names that could not be written."""
        from calotype.core.picture_files import picture_format

        for path in {Path(filled(self.template, picture)) for picture in pictures}:
            picture_format(path)
            safe_name(path.name, "-o")
            folder = next(folder for folder in path.absolute().parents if folder.exists())
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise click.UsageError(f"-o {path}: expected a folder that can be written to, {folder} is none")

    def wanted(self, picture: Wanted) -> Path:
        """The name that the picture should have."""
        return Path(filled(self.template, picture))

    def write(self, picture: Wanted, content: bytes) -> Path:
        """Write a picture under its name: where that is taken, a number follows it."""
        taken = {*self.given}
        path = next(path for path in numbered(self.wanted(picture)) if path not in taken and self._may(path, content))
        write_atomic(path, [content])
        self.given.append(path)
        return path

    def _may(self, path: Path, content: bytes) -> bool:
        if self.overwrite or not os.path.lexists(path):
            return True
        return self._goes_on and path.is_file() and not path.is_symlink() and path.read_bytes() == content
