"""Decoding and encoding: one request from its first byte to its answer."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from calotype.core.errors import InvalidArgument
from calotype.remote.wire import PICTURES, Pairs, bytes_of
from calotype.server.asked import Asked, Decoding, head_of
from calotype.server.bodies import Sent, check_kind, check_length, gone, read_body
from calotype.server.hall import Hall
from calotype.server.png import file_of
from calotype.server.refusals import Refused

MOST_FIELDS = 64


async def answered(hall: Hall, name: str, kind: type[Asked], request: Request) -> Response:
    """What the VAE of this name makes of what is sent; all that can be refused unread is."""
    check_kind(request.headers, kind.kinds)
    vae = hall.vae(name)
    task = kind.read(pairs_of(request), request.headers, vae.facts, hall.limits)
    check_length(request.headers, task.limit, task.exact)
    admission = hall.gate.admit(task.cost, hall.engine.wait)
    try:
        body = await read_body(request, task.limit, task.exact, hall.limits)
        await asyncio.to_thread(task.take, body, hall.limits)
        made = await worked(hall, task, request)
        memory, headers = await asyncio.to_thread(packed, task, made)
    except BaseException:
        admission.release()
        raise
    return Sent(memory, headers, admission.release)


def pairs_of(request: Request) -> Pairs:
    """The query, as the wire reads it."""
    try:
        text = request.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidArgument("query", f"at most {MOST_FIELDS} fields", "more") from None


async def worked(hall: Hall, task: Asked, request: Request) -> Any:
    """The engine's result, while the client waits for it and no longer than it may take."""
    job = hall.engine.queued(task)
    left = asyncio.ensure_future(gone(request))
    try:
        for patience in (hall.limits.queue_timeout, hall.limits.work_timeout):
            await asyncio.wait({job.future, left}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if job.future.done():
                return job.future.result()
            if left.done():
                raise ClientDisconnect
            if not job.begun:
                break
        raise Refused(503, "server", "an end in time", "too much to do", wait=hall.engine.wait)
    finally:
        left.cancel()
        hall.engine.forget(job)


def packed(task: Asked, made: Any) -> tuple[memoryview, dict[str, str]]:
    """The bytes of an answer, and the headers that describe them."""
    if isinstance(task, Decoding) and task.file:
        kind = task.query.image_format
        return memoryview(file_of(made[0], kind)), {"Content-Type": PICTURES[kind]}
    return bytes_of(made), head_of(made).headers()
