"""HTTP with an end to patience: headers that dribble in and answers that nobody reads are cut off."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from calotype.server.limits import Limits


class Patient(H11Protocol):
    """One connection."""

    limits: ClassVar[Limits] = Limits()
    _slow: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, limits: Limits) -> type[Patient]:
        """The protocol that keeps to these limits."""
        return type("PatientWithin", (cls,), {"limits": limits})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()
        same = sum(_host(each) == _host(self) for each in self.connections)
        if len(self.connections) > self.limits.max_connections or same > self.limits.max_connections_each:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel("_slow")
        self._cancel("_stalled")
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.stall_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel("_stalled")
        super().resume_writing()

    def _await_headers(self) -> None:
        """Headers that have begun to come have so long to be whole; between requests uvicorn's own patience counts."""
        if self.conn.their_state is not h11.IDLE:
            self._cancel("_slow")
        elif self._slow is None:
            self._slow = self.loop.call_later(self.limits.head_timeout, self.transport.abort)

    def _cancel(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def _host(connection: Any) -> str:
    """Where it comes from."""
    return connection.client[0] if connection.client else ""
