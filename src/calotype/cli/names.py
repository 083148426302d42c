"""What pictures are called: templates filled in, and never the name of a picture that is there."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from calotype.cli.asked import Wanted
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


class Names:
    """Names for the pictures of one run: each is new, unless files may be overwritten."""

    def __init__(self, template: str, overwrite: bool) -> None:
        self.template, self.overwrite = template, overwrite
        self._given: set[Path] = set()

    def check(self, pictures: Sequence[Wanted]) -> None:
        """Refuse, before any work is done, names that could not be written."""
        from calotype.core.picture_files import picture_format

        for path in {Path(filled(self.template, picture)) for picture in pictures}:
            picture_format(path)
            safe_name(path.name, "-o")
            folder = next(folder for folder in path.absolute().parents if folder.exists())
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise click.UsageError(f"-o {path}: expected a folder that can be written to, {folder} is none")

    def give(self, picture: Wanted) -> Path:
        """The name for this picture: where one is taken, a number follows it."""
        wanted = Path(filled(self.template, picture))
        numbered = (wanted.with_stem(f"{wanted.stem}-{number}") for number in itertools.count(2))
        path = next(path for path in itertools.chain([wanted], numbered) if self._free(path))
        self._given.add(path)
        return path

    def _free(self, path: Path) -> bool:
        return path not in self._given and (self.overwrite or not os.path.lexists(path))
