"""Two pictures, and what was said of them: are they the same, and if not, where do they differ?"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from calotype.cli.request import opened
from calotype.core.picture_files import FORMATS, picture_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = {kind: suffix for suffix, (kind, _) in FORMATS.items()}


@dataclass(frozen=True)
class Before:
    """A picture as it lies in a file: what is made again is held against it."""

    levels: NDArray[np.int16]
    suffix: str

    @classmethod
    def of(cls, path: str) -> Before:
        """The picture in this file."""
        picture = opened(path)
        with Image.open(path) as file:
            return cls(np.asarray(picture.convert("RGB"), np.int16), SUFFIXES.get(str(file.format), ".png"))

    def apart(self, made: Image.Image) -> dict[str, Any]:
        """How a picture differs: in how many pixels, and by how much at most."""
        then = self.levels
        with Image.open(io.BytesIO(picture_bytes(f"made{self.suffix}", made))) as file:  # a JPEG is not what went in
            now = np.asarray(file.convert("RGB"), np.int16)
        if then.shape != now.shape:
            return {"identical": False, "sizes": [[*then.shape[1::-1]], [*now.shape[1::-1]]]}
        apart = np.abs(then - now).max(axis=2)
        count = int(np.count_nonzero(apart))
        return {"identical": not count, "pixels": count, "of": apart.size, "largest": int(apart.max())}


def facts_apart(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The facts that two recipes tell differently, each as ``[then, now]``: those that the older one knows of."""
    before, after = dict(_flat(then)), dict(_flat({name: now.get(name) for name in then}))
    names = dict.fromkeys([*before, *after])
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def _flat(document: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(document, Mapping):
        yield name, document
        return
    for key, value in document.items():
        yield from _flat(value, f"{name}.{key}" if name else str(key))
