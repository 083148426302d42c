"""Frames as they are made, become the bytes of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from calotype.core.films.writer import FilmWriter
from calotype.remote.heads import bytes_of
from calotype.server.asked_films import FilmDecoding
from calotype.server.jobs import Flow


async def tensors(flow: Flow) -> AsyncIterator[memoryview]:
    """Frames as they are, one behind the other."""
    async for frames in flow.taken():
        yield bytes_of(frames)


async def file(flow: Flow, fps: float) -> AsyncIterator[memoryview]:
    """An MP4 that can be watched while it comes."""
    written = Written()
    film = FilmWriter(written, fps, kind="mp4")  # pyright: ignore[reportArgumentType]
    try:
        async for frames in flow.taken():
            await _alone(film.write, frames.numpy())
            if piece := written.taken():
                yield piece
        await _alone(film.close)
        yield written.taken()
    finally:
        with suppress(Exception):
            film.abandon()


async def _alone(call: Callable[..., object], *given: Any) -> None:
    """In a thread that is waited for even if nobody wants it any more: two must not work on one film."""
    doing = asyncio.ensure_future(asyncio.to_thread(call, *given))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise


class Written:
    """A file of which what was written is taken away."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, piece: bytes) -> int:
        self._bytes += piece
        return len(piece)

    def flush(self) -> None:
        pass

    def taken(self) -> memoryview:
        taken, self._bytes = self._bytes, bytearray()
        return memoryview(taken)


def described(task: FilmDecoding, dtype: str) -> dict[str, str]:
    """The headers of an answer that flows, by a network of this type."""
    if task.query.output_type == "mp4":
        return {"Content-Type": "video/mp4"}
    head = task.head(dtype)
    return {**head.headers(), "Content-Length": str(head.nbytes)}


def pieces(task: FilmDecoding, flow: Flow) -> AsyncIterator[memoryview]:
    """The bytes of an answer that flows."""
    return file(flow, task.fps) if task.query.output_type == "mp4" else tensors(flow)
