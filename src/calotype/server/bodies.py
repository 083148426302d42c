"""A body is read no further and no longer than agreed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.types import Receive

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import TooLarge
from calotype.server.limits import Limits
from calotype.server.refusals import Refused

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


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
