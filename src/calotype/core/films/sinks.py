"""Where a film goes while it grows: a part beside its name, a stream, or a folder of pictures."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Protocol

from calotype.core.atomic import in_our_words, sync_folder
from calotype.core.errors import InvalidArgument, WriteError

PATTERN = re.compile(r"[^%]*%0(\d)d[^%]*\.png", re.IGNORECASE)
IN_FOLDER = "frame_%06d.png"


class Sink(Protocol):
    """Takes a film's bytes, and makes them its file at the end."""

    def flush(self) -> None:
        """Let others see what was written so far."""
        ...

    def keep(self) -> None:
        """The film is whole: give it its name."""
        ...

    def leave(self) -> str:
        """The film is not whole: where what there is can be found."""
        ...

    def drop(self) -> None:
        """Nothing was written: leave nothing."""
        ...


class PartFile(Sink):
    """Grows as ``name.part.mp4``, where players can watch it, and takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, part_of(path)
        if path.is_dir():
            raise InvalidArgument(str(path), "the name of a film", "a folder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self._part, "wb")  # noqa: SIM115
        except OSError as error:
            raise in_our_words(error, self._part) from error

    def flush(self) -> None:
        self.file.flush()

    def keep(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self._part, self._path)
        sync_folder(self._path.parent)

    def leave(self) -> str:
        with contextlib.suppress(OSError):
            self.file.close()
        return str(self._part)

    def drop(self) -> None:
        self.leave()
        with contextlib.suppress(OSError):
            self._part.unlink()


def part_of(path: Path) -> Path:
    """How a film is called that is not whole."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


class Stream(Sink):
    """A pipe or another open file of bytes; it is written from the front to the end, and stays open."""

    def __init__(self, stream: Any) -> None:
        if not callable(getattr(stream, "write", None)):
            raise InvalidArgument("target", "a path or a binary stream", type(stream).__name__)
        self.file: Any = _Forward(stream)

    def flush(self) -> None:
        self.file.flush()

    def keep(self) -> None:
        self.file.flush()

    def leave(self) -> str:
        return "the stream"

    def drop(self) -> None:
        pass


class _Forward:
    """A stream that is only written: encoders that would like to seek see that they cannot."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:  # a raw stream may take less than it is given
            count = self._stream.write(view)
            view = view[len(view) if count is None else count :]
        return memoryview(data).nbytes

    def flush(self) -> None:
        if callable(getattr(self._stream, "flush", None)):
            self._stream.flush()


class Pictures(Sink):
    """A folder of numbered PNG files, each whole as soon as it is there."""

    def __init__(self, path: Path) -> None:
        self.pattern = pattern_of(path)
        if (found := next(iter(numbered(self.pattern)), None)) is not None:
            fix = "Remove them or name another folder: two films would be one."
            raise InvalidArgument(str(path), "no frames of that name yet", found.name, fix)
        try:
            self.pattern.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise in_our_words(error, self.pattern.parent) from error

    def place(self, frame: int) -> Path:
        """The file of a frame, counted from 0."""
        return self.pattern.with_name(self.pattern.name % frame)

    def flush(self) -> None:
        pass

    def keep(self) -> None:
        pass

    def leave(self) -> str:
        return str(self.pattern.parent)

    def drop(self) -> None:
        pass


def pattern_of(path: Path) -> Path:
    """How the pictures of a film are called that goes to a folder, or names them by such a pattern."""
    pattern = path if path.suffix else path / IN_FOLDER
    if not PATTERN.fullmatch(pattern.name):
        raise InvalidArgument(str(path), "a folder, or a pattern such as frame_%05d.png", repr(path.name))
    return pattern


def names_series(path: Path) -> bool:
    """Does this name pictures by their numbers, and no file of its own?"""
    return len(re.findall(r"%0\dd", path.name)) == 1 and not path.exists()


def numbered(pattern: Path) -> list[Path]:
    """The files that a pattern names, in the order of their numbers."""
    before, after = re.split(r"%0\dd", pattern.name)
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = [(int(match[1]), path) for path in pattern.parent.glob("*") if (match := name.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def write_error(error: Exception, where: str) -> WriteError:
    """Why a film could not go on."""
    if isinstance(error, OSError) and not where.startswith("the stream"):
        return in_our_words(error, Path(where))
    return WriteError(f"{where}: could not be written, {getattr(error, 'strerror', None) or error}")
