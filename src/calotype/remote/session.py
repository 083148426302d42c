"""Requests that are sent over kept connections, and tried again while it helps."""

from __future__ import annotations

import http.client
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlencode

from calotype.core.errors import InvalidArgument
from calotype.remote.address import address
from calotype.remote.faults import QUOTED, Again, RemoteError, RemoteUnavailable
from calotype.remote.proxies import proxy_of
from calotype.remote.reading import Answer, read

LONGEST_WAIT = 60.0  # seconds that a server may make us wait between two tries
IDLE = 8  # connections that are kept for each server


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
        proxy = proxy_of(url)
        if proxy is not None:
            path, more = proxy.target(url, path)
            told |= {"Host": url.netloc, **more}
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

    def _tried(self, *request: Any) -> Answer | Again:
        try:
            return self._once(*request)
        except Again as fault:
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
                answer = read(response, connection, where, limit, time.monotonic() + patience)
                closing = response.will_close
        except TimeoutError as fault:
            connection.close()
            if sent:  # the work may still be going on: asking again would pay for it twice
                raise RemoteUnavailable(where, f"an answer within {patience:g} s", "none") from fault
            raise Again(f"{type(fault).__name__}") from fault
        except (OSError, http.client.HTTPException) as fault:
            connection.close()
            if kept:  # the server had closed what we kept: not a fault of the request
                return self._once(url, where, path, body, headers, limit)
            if isinstance(fault, ssl.SSLCertVerificationError):
                raise RemoteError(where, "a certificate that can be trusted", str(fault.verify_message)) from fault
            raise Again(f"{type(fault).__name__}: {str(fault)[:QUOTED]}") from fault
        except BaseException:
            connection.close()
            raise
        connection.close() if closing else self._keep(url, connection)
        return answer

    def _made(self, url: SplitResult) -> http.client.HTTPConnection:
        connect = self.timeout[0] if isinstance(self.timeout, tuple) else self.timeout
        proxy = proxy_of(url)
        if proxy is not None:
            return proxy.through(url, connect)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
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
