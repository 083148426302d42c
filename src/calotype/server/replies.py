"""Answers, sent from where they lie or as they are made; then, or when the client leaves, what they held is freed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from calotype.server.bodies import gone

PIECE = 1 << 20  # bytes of an answer that are handed over at once

log = logging.getLogger("calotype.server")


class Sent(Response):
    """An answer that is sent from where it lies in memory."""

    def __init__(self, memory: memoryview, headers: Mapping[str, str], free: Callable[[], None]) -> None:
        super().__init__(None, 200, {**headers, "Content-Length": str(memory.nbytes)})
        self._memory, self._free = memory, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self._memory), PIECE):
                last = start + PIECE >= len(self._memory)
                piece = self._memory[start : start + PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": not last})
        finally:
            self._free()


class Flowing(Response):
    """An answer that is sent while it is made; what breaks off is not ended: no client takes it for whole."""

    def __init__(
        self, pieces: AsyncIterator[memoryview], headers: Mapping[str, str], patience: float, free: Callable[[], None]
    ) -> None:
        super().__init__(None, 200, headers)
        if "content-length" not in {name.lower() for name in headers}:
            del self.headers["content-length"]  # of nothing, as starlette thinks
        self._pieces, self._patience, self._free = pieces, patience, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while (piece := await self._next(left)) is not None:
                for start in range(0, len(piece), PIECE):
                    part = piece[start : start + PIECE]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            if not left.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:
            log.error("an answer broke off", exc_info=error, extra={"facts": {"request": scope["calotype.request"]}})
        finally:
            left.cancel()
            self._free()

    async def _next(self, left: asyncio.Future[None]) -> memoryview | None:
        """The piece that is made next; none at the end, or once the client has left."""
        made = asyncio.ensure_future(anext(self._pieces, None))
        await asyncio.wait({made, left}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        if made.done():
            return made.result()
        made.cancel()
        if left.done():
            return None
        raise TimeoutError(f"no piece within {self._patience} s")
