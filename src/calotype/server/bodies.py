"""Bytes in and bytes out: a body is read no further and no longer than agreed, an answer is sent from where it lies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from calotype.core.errors import InvalidArgument
from calotype.remote.wire import TooLarge
from calotype.server.limits import Limits
from calotype.server.refusals import Refused

PIECE = 1 << 20  # bytes of an answer that are handed over at once
SLOWEST = 64 << 10  # bytes a second


def check_kind(headers: Mapping[str, str], kinds: Sequence[str]) -> None:
    """Refuse a body of another type, or one that would have to be unpacked."""
    told = headers.get("content-type", "").partition(";")[0].strip().lower()
    if told not in kinds:
        raise Refused(415, "header 'content-type'", f"one of {', '.join(filter(None, kinds))}", repr(told[:60]))
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise Refused(415, "header 'content-encoding'", "none", repr(packed[:60]))


def check_length(headers: Mapping[str, str], limit: int, exact: bool) -> None:
    """Refuse a body whose length, if it is told, is not what it should be."""
    told = headers.get("content-length")
    if told is None:
        return
    if not re.fullmatch(r"\d{1,18}", told, re.ASCII):
        raise InvalidArgument("header 'content-length'", "a number of bytes", repr(told[:40]))
    _check(int(told), limit, exact)


def _check(length: int, limit: int, exact: bool) -> None:
    if exact and length != limit:
        raise InvalidArgument("body", f"{limit} bytes, as shape and dtype say", f"{length} bytes")
    if length > limit:
        raise TooLarge("body", f"at most {limit} bytes", f"{length} or more bytes")


async def read_body(request: Request, limit: int, exact: bool, limits: Limits) -> bytearray:
    """The body, in one piece."""
    body = bytearray()

    async def read() -> None:
        async for piece in request.stream():
            if len(body) + len(piece) > limit:
                _check(len(body) + len(piece), limit, exact)
            body.extend(piece)

    patience = limits.body_timeout + limit / SLOWEST
    try:
        await asyncio.wait_for(read(), patience)
    except asyncio.TimeoutError:
        raise Refused(408, "body", f"all of it within {patience:.0f} s", f"{len(body)} bytes") from None
    _check(len(body), limit, exact)
    return body


async def gone(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Sent(Response):
    """An answer that is sent from where it lies in memory; then, or when the client leaves, what it held is freed."""

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


__all__ = ["ClientDisconnect", "Sent", "check_kind", "check_length", "gone", "read_body"]
