"""Requests that are sent over kept connections, tried again while it helps, and never read further than agreed."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlencode, urlsplit

from calotype.core.errors import CalotypeError, InvalidArgument

AGAIN = (429, 502, 503, 504)  # statuses that pass
LONGEST_WAIT = 60.0  # seconds that a server may make us wait between two tries
QUOTED = 200  # characters of an answer that an error quotes
LONGEST_ERROR = 65_536  # bytes of an error that are read
PIECE = 1 << 18  # bytes that are read at once
IDLE = 8  # connections that are kept for each server


class RemoteError(CalotypeError, RuntimeError):
    """The endpoint was not reached, refused, or answered something else than it was asked."""

    code = "remote_error"

    def __init__(self, where: str, expected: str, found: str, fix: str = "", status: int | None = None) -> None:
        super().__init__(where, expected, found, fix)
        self.status = status

    passing = False  # may the same request succeed later, or elsewhere?


class RemoteUnavailable(RemoteError):
    """The endpoint was out of reach, or too busy, for as long as it was tried."""

    code = "remote_unavailable"
    passing = True


@dataclass(frozen=True)
class Answer:
    """What came back: headers by their names in small letters, and the whole body."""

    headers: Mapping[str, str]
    body: bytearray


@dataclass
class RemoteSession:
    """Connections to endpoints and how they are used; threads may share one."""

    token: str | None = field(default=None, repr=False)
    timeout: float | tuple[float, float] = (5.0, 120.0)  # seconds to connect, and for an answer
    retries: int = 3
    pause: Callable[[float], object] = field(default=time.sleep, repr=False)
    _idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = field(
        default_factory=dict[tuple[str, str], list[http.client.HTTPConnection]], init=False, repr=False
    )
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        told = self.timeout if isinstance(self.timeout, tuple) else (self.timeout, self.timeout)
        if len(told) != 2 or not all(isinstance(each, (int, float)) and 0 < each < 1e6 for each in told):
            raise InvalidArgument("timeout", "seconds, or seconds to connect and for the answer", repr(self.timeout))
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 20:
            raise InvalidArgument("retries", "0 to 20", repr(self.retries))
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise InvalidArgument("token", "printable ASCII without spaces", "something else")

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; the next request makes new ones."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def post(
        self,
        endpoint: str,
        query: list[tuple[str, str]],
        body: bytes | memoryview,
        headers: Mapping[str, str],
        limit: int,
    ) -> Answer:
        """The answer to a request, tried again after faults that pass; an answer beyond ``limit`` bytes is not read."""
        url = address(endpoint)
        where = f"{url.scheme}://{url.netloc}{url.path}"
        path = f"{url.path or '/'}?{'&'.join(filter(None, (url.query, urlencode(query))))}".rstrip("?")
        told = {"Accept-Encoding": "identity", "User-Agent": "calotype", **headers}
        if self.token is not None:
            told["Authorization"] = f"Bearer {self.token}"
        tried = 1
        while True:
            outcome = self._tried(url, where, path, body, told, limit)
            if isinstance(outcome, Answer):
                return outcome
            wait = outcome.wait if outcome.wait is not None else 0.25 * 2**tried * random.uniform(0.75, 1.25)
            if tried > self.retries or wait > LONGEST_WAIT:
                asked = f" that asks to wait {wait:.0f} s" if wait > LONGEST_WAIT else ""
                found = f"{outcome.found}{asked}, {tried} {'tries' if tried > 1 else 'try'}"
                raise RemoteUnavailable(where, "an answer", found, status=outcome.status) from outcome.__cause__
            self.pause(wait)
            tried += 1

    def _tried(self, *request: Any) -> Answer | _Again:
        try:
            return self._once(*request)
        except _Again as fault:
            return fault

    def _once(
        self, url: SplitResult, where: str, path: str, body: bytes | memoryview, headers: Mapping[str, str], limit: int
    ) -> Answer:
        connection = self._taken(url)
        kept = connection is not None
        connection = connection or self._made(url)
        patience = self.timeout[1] if isinstance(self.timeout, tuple) else self.timeout
        sent = False
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(patience)  # pyright: ignore[reportOptionalMemberAccess]
            connection.request("POST", path, body, dict(headers))
            sent = True
            with connection.getresponse() as response:
                answer = _read(response, connection, where, limit, time.monotonic() + patience)
                closing = response.will_close
        except TimeoutError as fault:
            connection.close()
            if sent:  # the work may still be going on: asking again would pay for it twice
                raise RemoteUnavailable(where, f"an answer within {patience:g} s", "none") from fault
            raise _Again(f"{type(fault).__name__}") from fault
        except (OSError, http.client.HTTPException) as fault:
            connection.close()
            if kept:  # the server had closed what we kept: not a fault of the request
                return self._once(url, where, path, body, headers, limit)
            if isinstance(fault, ssl.SSLCertVerificationError):
                raise RemoteError(where, "a certificate that can be trusted", str(fault.verify_message)) from fault
            raise _Again(f"{type(fault).__name__}: {str(fault)[:QUOTED]}") from fault
        except BaseException:
            connection.close()
            raise
        connection.close() if closing else self._keep(url, connection)
        return answer

    def _made(self, url: SplitResult) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connect = self.timeout[0] if isinstance(self.timeout, tuple) else self.timeout
        return kind(url.hostname or "", url.port, timeout=connect)

    def _taken(self, url: SplitResult) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get((url.scheme, url.netloc))
            return idle.pop() if idle else None

    def _keep(self, url: SplitResult, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault((url.scheme, url.netloc), [])
            if len(idle) < IDLE:
                return idle.append(connection)
        return connection.close()


class _Again(Exception):
    """A fault that may pass, and how long the server says that takes."""

    def __init__(self, found: str, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(found)
        self.found, self.status, self.wait = found, status, wait


def address(endpoint: str) -> SplitResult:
    """The parts of an endpoint's URL, checked."""
    wanted = "an http:// or https:// address"
    if not isinstance(endpoint, str) or not re.fullmatch(r"[!-~]+", endpoint):
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80])
    try:
        url = urlsplit(endpoint)
        fits = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80]) from None
    if not fits:
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80])
    if url.username is not None:
        raise InvalidArgument("endpoint", "no name and password in it", "some", "Pass token=...")
    return url


def _read(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, where: str, limit: int, until: float
) -> Answer:
    """The body of a good answer; any other status in words."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    if not 200 <= response.status < 300:
        with suppress(_TooLong):
            body = _body(response, connection, LONGEST_ERROR, until)
            _refuse(response.status, headers, bytes(body), where)
        _refuse(response.status, headers, b"", where)
    if headers.get("content-encoding", "identity") != "identity":
        raise RemoteError(where, "a plain body", f"one encoded as {headers['content-encoding'][:40]!r}")
    try:
        return Answer(headers, _body(response, connection, limit, until))
    except _TooLong as long:
        raise RemoteError(where, f"at most {limit} bytes", f"{long} bytes", "It was not read.") from None


class _TooLong(Exception):
    pass


def _body(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, limit: int, until: float
) -> bytearray:
    """The whole body; a length that is told beforehand is believed only up to the limit, and must be kept."""
    told = response.length
    if told is not None and told > limit:
        raise _TooLong(told)
    body, come = bytearray(told or 0), 0
    while told is None or come < told:
        if told is None:  # in chunks, or until the connection ends
            piece = response.read1(PIECE)
            body += piece
            got = len(piece)
        else:
            got = response.readinto(memoryview(body)[come : come + PIECE])
        come += got
        if come > limit:
            raise _TooLong(f"more than {limit}")
        if not got:
            break
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if told is not None and come != told:
        raise http.client.IncompleteRead(b"", told - come)
    return body


def _refuse(status: int, headers: Mapping[str, str], body: bytes, where: str) -> NoReturn:
    found = f"status {status}: {said(body)}"
    if status in AGAIN:
        raise _Again(found, status, _retry_after(headers.get("retry-after", "")))
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")[:QUOTED]
        fix = "Redirects are not followed; give the address it leads to, if you trust it."
        raise RemoteError(where, "an answer", f"status {status}, a redirect to {target}", fix, status)
    fix = "Pass token=..." if status in (401, 403) else ""
    raise RemoteError(where, "an answer", found, fix, status)


def said(body: bytes) -> str:
    """What a server says of its refusal: its JSON, else its first words."""
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(body))[: 10 * QUOTED]
    words = " ".join(re.sub(r"[^\x20-\x7e\x80-\U0010ffff]", " ", body[: 4 * QUOTED].decode("utf-8", "replace")).split())
    return words[:QUOTED] or "nothing"


def _retry_after(told: str) -> float | None:
    """Seconds to wait, from a number or a date."""
    if re.fullmatch(r"\d{1,9}", told.strip(), re.ASCII):
        return float(told)
    with suppress(TypeError, ValueError, OverflowError):
        return max(email.utils.parsedate_to_datetime(told).timestamp() - time.time(), 0.0)
    return None
