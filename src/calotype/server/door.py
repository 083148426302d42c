"""Who comes in, and how each request ends: keys, hosts, refusals, numbers, one line in the log."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calotype.server.loopback import is_loopback
from calotype.server.metrics import Metrics
from calotype.server.refusals import Refused, refusal_of

log = logging.getLogger("calotype.server")

PUBLIC = ("/health", "/health/live", "/health/ready")
GONE = 499  # nobody reads it: for the log and the figures
READ_OFF = 256 << 20  # bytes of a refused body that are let pass, so that the client comes to read the answer


@dataclass(frozen=True)
class Keys:
    """What opens the door: a key where there is one, and else that the request was meant for this machine."""

    digests: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, keys: str | Sequence[str] | None) -> Keys:
        told = [keys] if isinstance(keys, str) else keys or []
        return cls(tuple(hashlib.sha256(key.encode()).digest() for key in told))

    def check(self, path: str, headers: Mapping[str, str]) -> str | None:
        """Which of several keys was sent, where that tells clients apart."""
        if path in PUBLIC:
            return None
        if not self.digests:  # a web page that is open on this machine must not use us
            for name, told in (("host", "//" + headers.get("host", "")), ("origin", headers.get("origin", ""))):
                if told and not is_loopback(_host(told)):
                    raise Refused(403, f"header '{name}'", "this machine's", "another")
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(key.strip().encode()).digest()
        # all are compared: how long it takes tells nothing
        fitting = [place for place, digest in enumerate(self.digests) if hmac.compare_digest(given, digest)]
        if scheme.lower() != "bearer" or not fitting:
            raise Refused(401, "header 'authorization'", "Bearer and the server's key", "another" if key else "none")
        return f"key {fitting[0]}" if len(self.digests) > 1 else None


def _host(told: str) -> str:
    try:
        return urlsplit(told).hostname or ""
    except ValueError:
        return ""


@dataclass
class Door:
    """All requests go through it; the routes behind it know nothing of it."""

    app: ASGIApp
    keys: Keys
    metrics: Metrics
    routes: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = Visit(scope["method"], send)
        route = scope["path"] if scope["path"] in self.routes else "other"
        scope["calotype.request"] = visit.number
        try:
            key = self.keys.check(scope["path"], Headers(scope=scope))
            scope["calotype.client"] = key or (scope.get("client") or ("",))[0]
            await self.app(scope, receive, visit.send)
        except Refused as error:
            await refused(error, scope)(scope, receive, visit.send)
        except asyncio.CancelledError:  # the server's patience at its end is over
            if visit.status == GONE:
                error = Refused(503, "server", "one that stays", "one that has ended", wait=1)
                await refused(error, scope)(scope, receive, visit.send)
        finally:
            self.metrics.see(route, visit.status, visit.seconds)
            log.info("request", extra={"facts": visit.facts(route)})


def refused(error: Exception, scope: Scope) -> Response:
    """What is answered where something was wrong."""
    number = scope["calotype.request"]
    refusal = refusal_of(error, number)
    if refusal.status == 500:
        log.error("fault", exc_info=error, extra={"facts": {"request": number}})
    headers = dict(refusal.headers)
    if _is_endless(Headers(scope=scope)):
        headers["Connection"] = "close"
    return JSONResponse(refusal.content, refusal.status, headers)


def _is_endless(headers: Mapping[str, str]) -> bool:
    """Would the rest of this body be too much to let pass unread?"""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or len(length) > len(str(READ_OFF)) or int(length) > READ_OFF


@dataclass
class Visit:
    """One request: its number, and what became of it."""

    method: str
    out: Send
    number: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=time.monotonic)
    status: int = GONE
    sent: int = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.number
            headers["X-Content-Type-Options"] = "nosniff"
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self.out(message)

    def facts(self, route: str) -> dict[str, Any]:
        """What the log is told."""
        return {
            "request": self.number,
            "method": self.method,
            "route": route,
            "status": self.status,
            "milliseconds": round(1000 * self.seconds, 1),
            "bytes": self.sent,
        }
