"""What ``importlib.metadata`` tells of the peer, installed or not: it is here, in the release that ours is like."""

from __future__ import annotations

from importlib.metadata import Distribution
from os import PathLike
from pathlib import Path

import calotype
from calotype.compat.finder import PEER
from calotype.core.config import ECOSYSTEM_VERSION

FILES = {
    "METADATA": f"Metadata-Version: 2.1\nName: {PEER}\nVersion: {ECOSYSTEM_VERSION}\nSummary: Here it is calotype.\n",
    "top_level.txt": f"{PEER}\n",
}


class Claim(Distribution):
    """A package of the peer's name and release, whose files are calotype's."""

    def read_text(self, filename: str) -> str | None:
        return FILES.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        return Path(calotype.__file__).parent / path
