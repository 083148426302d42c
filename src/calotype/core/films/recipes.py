"""The recipe that a film carries."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from calotype.core.documents import parse_json
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.films.coded_reader import opened
from calotype.core.films.found import USUAL
from calotype.core.films.pictures import opened_file, opened_picture, stills
from calotype.core.films.signatures import ANIMATION, demuxer_of
from calotype.core.films.sinks import names_series
from calotype.core.picture_files import MAX_RECIPE, read_recipe


def recipe_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """How a film was made: what stands in its container, or in the first of its pictures."""
    path = Path(path)
    if path.is_dir() or names_series(path):
        return read_recipe(stills(path)[0])
    where = str(path)
    with opened_file(path, 2**63) as file:
        start = file.read(16)
        file.seek(0)
        if start.startswith((b"\x89PNG", b"RIFF", b"\xff\xd8")) and start[8:12] != b"AVI ":
            return read_recipe(path)
        if start.startswith(ANIMATION):
            with opened_picture(file, where, USUAL) as picture:
                told = picture.info.get("comment", b"")
        else:
            with contextlib.closing(opened(file, demuxer_of(start, where), where)) as container:
                told = {name.lower(): text for name, text in container.metadata.items()}.get("comment", "").encode()
    if not told.lstrip().startswith(b"{"):  # others comment in words
        raise MissingFile(where, "a recipe of calotype", "none")
    if len(told) > MAX_RECIPE:
        raise CorruptFile(f"{where}: recipe", f"at most {MAX_RECIPE:,} bytes", f"{len(told):,}")
    return parse_json(told, f"{where}: recipe")
