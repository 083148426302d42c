"""Films are made a chunk at a time: what a chunk is, how many there are, and the stream that hands them out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calotype.core.awaiting import awaited
from calotype.core.errors import InvalidArgument
from calotype.core.story import Stream
from calotype.generation.state import Step


@dataclass(frozen=True)
class Taken:
    """A step that was taken on the way to a chunk."""

    chunk: int
    index: int  # among the steps of this chunk
    total: int
    step: Step
    bookmark: None = None  # a film goes on after a chunk, not after a step


@dataclass(frozen=True)
class Chunk:
    """A piece of every film of the call, finished: its place, its frames, and enough to go on after it."""

    index: int
    total: int | None  # of chunks; None where there is no end
    first_frame: int
    frame_count: int  # of each film, in this chunk
    frames: Any  # (film, frame, ...) as output_type says; with "latent" (film, channel, frame, height, width)
    latents: torch.Tensor  # (film, channel, frame, height, width)
    all_frames: int | None  # of the whole film; None where there is no end, or latents are handed out
    bookmark: dict[str, Any] | None  # None after a chunk that was interrupted: the film goes on before it


@dataclass(frozen=True)
class Length:
    """How long a film becomes, in chunks and in frames of its last one."""

    window: int  # frames in a chunk
    asked: int | None  # frames
    exact: bool
    stride: int  # frames that a latent becomes

    @property
    def chunks(self) -> int | None:
        """How many chunks there are."""
        return None if self.asked is None else max(1, -(-self.asked // self.window))

    @property
    def frames(self) -> int | None:
        """How many frames there are."""
        return None if self.chunks is None else (self.chunks - 1) * self.window + self.kept(self.chunks - 1)

    def kept(self, chunk: int) -> int:
        """How many frames of this chunk belong to the film.

        Of the last one those that are asked for, if exactly so many are; else as the peer, which leaves the frames of
        the whole film one more than a multiple of a latent's.
        """
        if self.chunks is None or chunk + 1 < self.chunks:
            return self.window
        before = chunk * self.window
        whole = self.asked if self.exact and self.asked else (before + self.window - 1) // self.stride * self.stride + 1
        return whole - before


class Chunks(Iterator[Chunk]):
    """A film that is made step by step: iterate over its chunks, also with ``async for``."""

    @abstractmethod
    def steps(self) -> Iterator[Taken | Chunk]:
        """Each step as it is taken, and each chunk as it is finished."""

    @abstractmethod
    def _leave(self) -> None:
        """Make no more of it."""

    def __next__(self) -> Chunk:
        for told in self.steps():
            if isinstance(told, Chunk):
                return told
        raise StopIteration

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        async for told in awaited(self.steps(), self._leave):
            if isinstance(told, Chunk):
                yield told


class ChunkStream(Chunks, Stream):
    """A call for a film on its way."""

    def steps(self) -> Iterator[Taken | Chunk]:
        """Each step as it is taken, and each chunk as it is finished."""
        with suppress(StopIteration):
            while True:
                yield Stream.__next__(self)

    def _leave(self) -> None:
        self.cancel()

    @property
    def output(self) -> Any:
        """The chunks that are left, put together as the call returns them."""
        return self._together(self)

    def watched(self) -> Any:
        """The same, each chunk behind a progress bar of its own."""
        return self._together(self._behind_bars())

    def _together(self, chunks: Iterable[Chunk]) -> Any:
        call: Any = self.pipe
        if call._num_frames is None and not self._ended:
            fix = "A film without end is watched while it is made: pipe.stream(...), or pipe.session(...)."
            raise InvalidArgument("num_frames", "a number of frames, for a film that is returned whole", "None", fix)
        whole = Whole()
        for chunk in chunks:
            whole.add(chunk)
        return super().output(whole)

    def _behind_bars(self) -> Iterator[Chunk]:
        bar, at = None, -1
        try:
            for told in self.steps():
                if isinstance(told, Chunk):
                    yield told
                    continue
                if bar is None or told.chunk != at:
                    if bar is not None:
                        bar.close()
                    bar, at = self.pipe.progress_bar(total=told.total), told.chunk
                bar.update(told.index + 1 - bar.n)
        finally:
            if bar is not None:
                bar.close()


class Whole:
    """The chunks of a film put together. Room for all frames is taken once, so that none are copied twice."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._room: Any = None
        self._filled = 0

    def add(self, chunk: Chunk) -> None:
        if isinstance(chunk.frames, list) or chunk.all_frames is None:
            self._parts.append(chunk.frames)
            return
        if self._room is None:
            left = chunk.all_frames - chunk.first_frame
            shape = (len(chunk.frames), left, *chunk.frames.shape[2:])
            array = isinstance(chunk.frames, np.ndarray)
            self._room = np.empty(shape, chunk.frames.dtype) if array else chunk.frames.new_empty(shape)
        self._room[:, self._filled : self._filled + chunk.frame_count] = chunk.frames
        self._filled += chunk.frame_count

    @property
    def frames(self) -> Any:
        if self._room is not None:
            return self._room[:, : self._filled]
        if not self._parts:
            raise InvalidArgument("output", "a film of which chunks are left", "one that has ended")
        if isinstance(self._parts[0], list):
            return [[frame for part in film for frame in part] for film in zip(*self._parts, strict=True)]
        return torch.cat(self._parts, dim=2)
