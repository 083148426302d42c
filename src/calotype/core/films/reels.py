"""The reel of a film that is being made: its clips in a file, from which the film can be put together anew."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from calotype.core.atomic import in_our_words
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.films.clips import CODECS, Joined, encoded, packed, unpacked
from calotype.core.films.kinds import kind_of
from calotype.core.films.plan import planned
from calotype.core.films.sinks import numbered, pattern_of
from calotype.core.films.writer import FilmWriter

LENGTH = struct.Struct("<Q")


class Reel:
    """Clips in a file, each behind its length. A process that is killed may leave half of one, which is cut off."""

    def __init__(self, path: Path, kept: int = 0) -> None:
        """``kept`` clips are in it and stay; what is behind them goes."""
        self.path, self.count = path, kept
        if kept and not path.is_file():
            raise MissingFile(str(path), "the reel of the film, beside its state file", "none")
        try:
            self._file = open(path, "r+b" if kept else "w+b")  # noqa: SIM115
        except OSError as error:
            raise in_our_words(error, path) from error
        try:
            for _ in self.clips():
                pass
            self._file.truncate()
        except BaseException:
            self.close()
            raise

    def clips(self) -> Iterator[bytes]:
        """The clips that are in it, the first one first."""
        self._file.seek(0)
        for place in range(self.count):
            length = self._file.read(LENGTH.size)
            size = LENGTH.unpack(length)[0] if len(length) == LENGTH.size else -1
            if not 0 <= size <= os.fstat(self._file.fileno()).st_size - self._file.tell():
                raise CorruptFile(str(self.path), f"{self.count} clips of a film", f"{place}")
            yield self._file.read(size)

    def keep(self, clip: bytes) -> None:
        """Take one more; it is on disk then, whatever becomes of this process."""
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(LENGTH.pack(len(clip)) + clip)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise in_our_words(error, self.path) from error
        self.count += 1

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def drop(self) -> None:
        """The film is whole: the reel is not needed any more."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


class FilmOfClips(FilmWriter):
    """A film that grows by clips, and is the same if it was stopped between two of them and went on."""

    def __init__(
        self,
        target: Path | BinaryIO,
        fps: float | Fraction,
        recipe: Mapping[str, Any] | None = None,
        reel: Reel | None = None,
    ) -> None:
        self.kind = kind_of(target) if isinstance(target, Path) else "y4m"
        super().__init__(target, fps, recipe, kind=self.kind)
        self._plan, self._reel = planned(fps, recipe, None, None, self.where), reel
        try:
            for clip in reel.clips() if reel is not None else ():
                self._join(clip)
        except BaseException:
            self.abandon()
            raise

    def add_clip(self, frames: Any) -> None:
        """Take the next frames, bytes (frame, height, width, 3): they and those before them will not change."""
        if self.kind in CODECS:
            clip = encoded(frames, self.kind, self._plan.fps)
        elif self._reel is not None:
            clip = packed(frames)
        else:
            self.write(frames)
            return
        if self._reel is not None:
            self._reel.keep(clip)
        self._join(clip)

    def _join(self, clip: bytes) -> None:
        if self.kind not in CODECS:
            self.write(unpacked(clip, self.where))
            return
        with self._in_our_words():
            if not isinstance(self._encoder, Joined):
                sink: Any = self._sink
                self._encoder = Joined(self.kind, sink.file, self._plan)
            self.count += self._encoder.join(clip)
            self._sink.flush()


def pictures_of(path: Path) -> list[Path]:
    """The pictures that are there of a film of that name, if it is one of pictures."""
    return numbered(pattern_of(path)) if kind_of(path) == "png" else []


def cleared(path: Path) -> None:
    """Remove the pictures of a film that was stopped, and is written once more, or that gives way to another."""
    for picture in pictures_of(path):
        picture.unlink()
