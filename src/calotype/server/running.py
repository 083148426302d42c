"""A server's life: a port, loading, serving, and an end that loses nothing that was begun."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from calotype.core.errors import InvalidArgument
from calotype.server.app import application
from calotype.server.hall import Hall
from calotype.server.protocol import Patient

IDLE = 5  # seconds that a connection is kept between requests
LAST = 1  # seconds for connections to be closed at the end
BACKLOG = 256


def listening(host: str, port: int) -> socket.socket:
    """The port, taken before anything is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            found = "one that is in use" if error.errno == errno.EADDRINUSE else "one that needs more rights"
            raise InvalidArgument("--port", f"a free port of {host}", f"{port}, {found}") from None
        raise InvalidArgument("--host", "an address of this machine", repr(host)) from None


def place(listener: socket.socket) -> str:
    """The address to ask."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Life(uvicorn.Server):
    """Serves until it is told to end; then nothing new is taken, and what was begun is finished."""

    def __init__(self, hall: Hall, keys: str | Sequence[str] | None, when_ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            application(hall, keys),
            http=Patient.within(hall.limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=LAST,
        )
        super().__init__(config)
        self.hall, self.interrupted = hall, False
        self._when_ready: Callable[[], None] | None = when_ready
        self._left = hall.limits.drain_timeout * 10  # ticks

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends it with grace, the second at once."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self._left = 0 if self.hall.gate.draining else self._left
        self.hall.gate.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: has it loaded, is it done?"""
        if self.hall.engine.failed is not None:
            return True
        if self.hall.engine.ready and self._when_ready is not None:
            self._when_ready()
            self._when_ready = None
        if self.hall.gate.draining:
            self._left -= 1
            if self._left < 0:
                self.hall.engine.abandon()
            if not self.hall.gate.admitted or self._left < 0:
                return True
        return await super().on_tick(counter)


def run(hall: Hall, listener: socket.socket, keys: str | Sequence[str] | None, when_ready: Callable[[], None]) -> None:
    """Serve until a signal ends it."""
    life = Life(hall, keys, when_ready)
    hall.engine.start()
    try:
        life.run(sockets=[listener])
    finally:
        hall.engine.stop()
    if hall.engine.failed is not None:
        raise hall.engine.failed
    if life.interrupted:
        raise KeyboardInterrupt
