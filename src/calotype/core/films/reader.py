"""A film's frames, one at a time; what it claims to be is checked before it is believed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

from calotype.core.downloads import download, is_address, name_of
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.films.coded_reader import coded_frames
from calotype.core.films.found import USUAL, Found, MediaLimits
from calotype.core.films.pictures import animation_frames, opened_file, picture_frames, stills
from calotype.core.films.signatures import demuxer_of, is_animation
from calotype.core.films.sinks import names_series


class FilmReader:
    """Reads a file, an address, a folder of pictures or a list of them; holds a frame or two, however long the film."""

    def __init__(self, source: Any, limits: MediaLimits = USUAL) -> None:
        self.count = 0
        self._limits = limits
        self._closing = contextlib.ExitStack()
        try:
            self.where, found = self._opened(source)
            limits.check_count(found.expected or 0, self.where)
        except BaseException:
            self._closing.close()
            raise
        self.fps, self._frames = found.fps, found.frames
        self.expected = found.expected

    def __iter__(self) -> Iterator[Image.Image]:
        for frame in self._frames:
            self.count += 1
            self._limits.check_count(self.count, self.where)
            yield frame
        if not self.count:
            raise CorruptFile(self.where, "a film with at least one frame", "none")

    def __enter__(self) -> FilmReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._closing.close()

    def _opened(self, source: Any) -> tuple[str, Found]:
        if isinstance(source, (list, tuple)):
            return "video", picture_frames(source, self._limits)
        if not isinstance(source, (str, os.PathLike)) or not str(source):
            wanted = "a path, an address, or a list of pictures"
            raise InvalidArgument("video", wanted, repr(source) if isinstance(source, str) else type(source).__name__)
        if is_address(source):
            file = download(str(source), self._limits.bytes, self._limits.seconds)
            where = name_of(str(source))
        else:
            path = Path(source)
            if path.is_dir() or names_series(path):
                return str(path), picture_frames(stills(path), self._limits)
            file, where = opened_file(path, self._limits.bytes), str(path)
        self._closing.enter_context(file)
        start = file.read(16)
        file.seek(0)
        if is_animation(start):
            return where, animation_frames(file, where, self._limits, self._closing)
        return where, coded_frames(file, demuxer_of(start, where), where, self._limits, self._closing)
