"""Work that hands out its pieces one by one, for programs whose loop must not stand still meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

END: Any = object()
Piece = TypeVar("Piece")


async def awaited(pieces: Iterator[Piece], leave: Callable[[], None]) -> AsyncIterator[Piece]:
    """Each piece, made in a thread. A task that is cancelled waits for the step at work, and leaves what is left."""
    while True:
        made = asyncio.ensure_future(asyncio.to_thread(next, pieces, END))
        try:
            piece = await asyncio.shield(made)
        except asyncio.CancelledError:
            await asyncio.to_thread(leave)
            await asyncio.wait([made])
            raise
        if piece is END:
            return
        yield piece
