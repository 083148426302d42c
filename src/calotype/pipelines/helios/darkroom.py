"""Where latents become frames: at once, or beside the work on the next chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import torch

from calotype.generation.film import Chunk


class Darkroom:
    """Chunks come out in the order in which they went in.

    Beside other work they are developed by a thread of their own, on a CUDA device on a stream of its own: whoever puts
    a chunk in may go on, and waits for neither the frames nor their way to main memory.
    """

    def __init__(self, device: torch.device, beside: bool) -> None:
        self._worker = ThreadPoolExecutor(1, "darkroom") if beside else None
        self._stream = torch.cuda.Stream(device) if beside and device.type == "cuda" else None
        self._within: deque[Future[Chunk]] = deque()

    def put(self, develop: Callable[[], Chunk]) -> None:
        """Take in a chunk whose latents the present stream makes."""
        if self._worker:
            before = self._stream and torch.cuda.current_stream(self._stream.device).record_event()
            self._within.append(self._worker.submit(self._developed, develop, before))
        else:
            self._within.append(done := Future[Chunk]())
            done.set_result(develop())

    def ready(self) -> Iterator[Chunk]:
        """The chunks that are finished by now."""
        while self._within and self._within[0].done():
            yield self._out()

    def rest(self) -> Iterator[Chunk]:
        """All chunks, as each is finished."""
        while self._within:
            yield self._out()

    def __enter__(self) -> Darkroom:
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker:
            self._worker.shutdown(cancel_futures=True)

    @torch.no_grad()  # a thread does not have it from the call
    def _developed(self, develop: Callable[[], Chunk], before: Any) -> Chunk:
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            if self._stream:
                self._stream.wait_event(before)
            chunk = develop()
            if self._stream:
                self._stream.synchronize()
        return chunk

    def _out(self) -> Chunk:
        chunk = self._within.popleft().result()
        if self._stream and isinstance(chunk.frames, torch.Tensor):
            # made on the other stream, read on this one: its memory must not be taken again too soon
            chunk.frames.record_stream(torch.cuda.current_stream(self._stream.device))
        return chunk
