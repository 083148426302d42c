"""Decoding and encoding: one request from its first byte to its answer."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import Pairs, bytes_of
from calotype.remote.wire import PICTURES
from calotype.server import films
from calotype.server.asked import Decoding, head_of
from calotype.server.bodies import check_kind, check_length, gone, read_body
from calotype.server.gate import Admission
from calotype.server.hall import Hall
from calotype.server.jobs import Flow, Job
from calotype.server.png import file_of
from calotype.server.refusals import Refused
from calotype.server.replies import Flowing, Sent

MOST_FIELDS = 64


async def answered(hall: Hall, name: str, verb: str, request: Request) -> Response:
    """What the VAE of this name makes of what is sent; all that can be refused unread is."""
    vae = hall.vae(name)
    kind: Any = vae.asks[verb]
    check_kind(request.headers, kind.kinds)
    task = kind.read(pairs_of(request), request.headers, vae.facts, hall.limits)
    check_length(request.headers, task.limit, task.exact)
    admission = hall.gate.admit(task.cost, hall.engine.wait, request.scope["calotype.client"])
    job: Job | None = None
    try:
        body = await read_body(request, task.limit, task.exact, hall.limits)
        await asyncio.to_thread(task.take, body, hall.limits)
        del body
        job = hall.engine.queued(task)
        made = await worked(hall, job, request)
        if isinstance(made, Flow):
            return flowing(hall, job, made, admission)
        memory, headers = await asyncio.to_thread(packed, task, made)
    except BaseException:
        admission.release()
        if job is not None:
            hall.engine.forget(job)
        raise
    return Sent(memory, headers, admission.release)


def pairs_of(request: Request) -> Pairs:
    """The query, as the wire reads it."""
    try:
        text = request.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidArgument("query", f"at most {MOST_FIELDS} fields", "more") from None


async def worked(hall: Hall, job: Job, request: Request) -> Any:
    """The engine's result, or the beginning of it, while the client waits for it and no longer than it may take."""
    left = asyncio.ensure_future(gone(request.receive))
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


def flowing(hall: Hall, job: Job, flow: Flow, admission: Admission) -> Flowing:
    """An answer that is sent while it is made, and is not made further for a client that has left."""
    task: Any = job.task

    def free() -> None:
        hall.engine.forget(job)
        admission.release()

    dtype = str(hall.vae(task.facts.name).network.dtype).removeprefix("torch.")
    headers = films.described(task, dtype)
    return Flowing(films.pieces(task, flow), headers, hall.limits.work_timeout, free)


def packed(task: Any, made: Any) -> tuple[memoryview, dict[str, str]]:
    """The bytes of an answer, and the headers that describe them."""
    if isinstance(task, Decoding) and task.file:
        kind = task.query.image_format
        return memoryview(file_of(made[0], kind)), {"Content-Type": PICTURES[kind]}
    return bytes_of(made), head_of(made).headers()
