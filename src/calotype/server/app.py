"""The application: which address answers what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from calotype import __version__
from calotype.server import openapi
from calotype.server.door import GONE, Door, Keys, refused
from calotype.server.hall import Hall
from calotype.server.refusals import Refused
from calotype.server.routes import answered

VERBS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "decode": ("Pictures, or films, of latents.", openapi.DECODE, openapi.PICTURE_ANSWER),
    "encode": ("Latents of pictures, or films.", openapi.ENCODE, openapi.TENSOR_ANSWER),
}
Handler = Callable[[Request], Awaitable[Response]]


def application(hall: Hall, keys: str | Sequence[str] | None = None) -> Door:
    """All routes, behind the door."""
    app = FastAPI(
        title="calotype", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.add_exception_handler(HTTPException, _elsewhere)
    _tell(app, hall)
    for named in hall.shelf.named:
        for verb, (told, extra, answer) in VERBS.items():
            app.add_api_route(
                f"/vaes/{named.name}/{verb}",
                _handler(hall, named.name, verb),
                methods=["POST"],
                summary=told,
                operation_id=f"{verb}_{named.name}",
                response_class=Response,
                responses={**openapi.EVERY, 200: answer},
                openapi_extra=extra,
            )
    routes = frozenset(str(getattr(route, "path", "")) for route in app.routes)
    return Door(app, Keys.of(keys), hall.metrics, routes)


def _handler(hall: Hall, name: str, verb: str) -> Handler:
    answer = partial(answered, hall, name, verb)

    async def handle(request: Request) -> Response:
        try:
            return await answer(request)
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception as error:
            return refused(error, request.scope)

    return handle


def _tell(app: FastAPI, hall: Hall) -> None:
    """The routes that tell of the server itself."""

    def add(path: str, tell: Callable[[], Response], told: str, *refusals: int) -> None:
        async def handle(request: Request) -> Response:
            try:
                return tell()
            except Refused as error:
                return refused(error, request.scope)

        responses = openapi.refusals(401, 403, 405, *refusals)
        app.add_api_route(path, handle, summary=told, response_class=Response, responses=responses, operation_id=path)

    def ready() -> Response:
        if not hall.ready:
            raise Refused(503, "server", "one that is ready", state(hall), wait=2)
        return JSONResponse({"status": "ready", "vaes": sorted(hall.shelf.vaes)})

    add("/health/live", lambda: JSONResponse({"status": "live"}), "Does the server answer?")
    add("/health/ready", ready, "Does it take requests?", 503)
    add("/health", ready, "The same.", 503)
    add("/metrics", lambda: PlainTextResponse(hall.metrics.text()), "Figures, as Prometheus reads them.")
    add("/openapi.json", lambda: JSONResponse(app.openapi()), "This description.")
    add("/docs", lambda: HTMLResponse(openapi.page(app.openapi())), "This description, to be read.")


def state(hall: Hall) -> str:
    """What the server is doing instead of being ready."""
    if hall.gate.draining:
        return "one that is about to end"
    if not hall.engine.ready:
        return "one that is starting again" if hall.engine.restarts else "one that is loading"
    return "one that is full" if hall.engine.healthy else "one that is stuck"


async def _elsewhere(request: Request, error: Exception) -> Response:
    """Addresses and methods that are none, in the words of all refusals."""
    assert isinstance(error, HTTPException)
    place = "path" if error.status_code == 404 else "method"
    return refused(Refused(error.status_code, place, "one of those in /docs", "another"), request.scope)
