"""A film that grows on disk as its frames come."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Generator, Mapping
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO

from calotype.core.errors import CalotypeError, InvalidArgument
from calotype.core.films.frames import frames_of
from calotype.core.films.kinds import opened
from calotype.core.films.plan import Encoder, planned
from calotype.core.films.sinks import write_error
from calotype.core.picture_files import recipe_document

logger = logging.getLogger(__name__)


class FilmWriter:
    """Writes frames as they come and holds a few of them at most, however long the film."""

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        fps: float | Fraction = 24,
        recipe: Mapping[str, Any] | None = None,
        *,
        quality: float | None = None,
        bitrate: int | None = None,
        kind: str | None = None,
    ) -> None:
        self.where = str(target) if isinstance(target, (str, os.PathLike)) else "the stream"
        plan = planned(fps, recipe, quality, bitrate, self.where)
        if recipe is not None:
            recipe_document(recipe)  # refused now, not after an hour of work
        self.count = 0
        self.size: tuple[int, int] | None = None
        self._encoder: Encoder | None = None
        self._sink, self._begin = opened(target, kind, plan)
        self._open = True

    def write(self, frames: Any) -> None:
        """Take some more frames: an array, a tensor, a list of PIL images, one of them, or a generator."""
        if not self._open:
            raise InvalidArgument("frames", "a film that is open", f"{self.where}, which is closed")
        for frame in frames_of(frames):
            size = (frame.shape[1], frame.shape[0])
            if self.size is not None and size != self.size:
                told = "frame {}: {} x {}".format(self.count, *size)
                raise InvalidArgument("frames", "frames of {} x {}, as the first".format(*self.size), told)
            with self._in_our_words():
                if self._encoder is None:
                    self._encoder = self._begin(*size)
                    self.size = size
                self._encoder.add(frame)
            self.count += 1
        if self.count:
            with self._in_our_words():
                self._sink.flush()

    def close(self) -> None:
        """Give the film its name: all of it is on disk then."""
        if not self._open:
            return
        self._open = False
        if self._encoder is None:
            self._sink.drop()
            raise InvalidArgument("frames", "at least one frame", "none", f"{self.where} was not written.")
        try:
            with self._in_our_words():
                self._encoder.finish()
                self._sink.keep()
        except BaseException:
            self._tell_what_is_left()
            raise

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Stop before the film is whole: what there is stays, playable, beside the name it would have had."""
        if not self._open:
            return
        self._open = False
        if self._encoder is None:
            self._sink.drop()
            return
        with contextlib.suppress(Exception):  # what stopped us is told already
            self._encoder.finish()
            self._sink.flush()
        self._tell_what_is_left()

    def _tell_what_is_left(self) -> None:
        logger.warning("%s was not finished; %d frames of it are in %s", self.where, self.count, self._sink.leave())

    @contextlib.contextmanager
    def _in_our_words(self) -> Generator[None, None, None]:
        try:
            yield
        except CalotypeError:
            raise
        except (OSError, ValueError) as error:  # a disk's or a codec's
            raise write_error(error, self.where) from error
