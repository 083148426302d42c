"""Who may come in: as many requests, of as many bytes, as there is room for, while the server is up."""

from __future__ import annotations

from dataclasses import dataclass, field

from calotype.server.limits import Limits
from calotype.server.refusals import Refused
from calotype.server.shares import Shares


@dataclass
class Gate:
    """What is here now. Only the event loop's thread comes by."""

    limits: Limits
    draining: bool = False
    admitted: set[Admission] = field(default_factory=lambda: set[Admission]())
    held: int = 0
    shares: Shares = field(init=False)

    def __post_init__(self) -> None:
        self.shares = Shares(self.limits)

    def check_open(self) -> None:
        """Refuse when the server is about to end."""
        if self.draining:
            raise Refused(503, "server", "one that stays", "one that is about to end", wait=1)

    def admit(self, nbytes: int, wait: float, client: str = "") -> Admission:
        """Let a client's request in that takes this much memory, or say how many seconds to wait."""
        self.check_open()
        if len(self.admitted) >= self.limits.max_waiting:
            raise Refused(429, "server", "room for a request", f"{len(self.admitted)} that wait", wait=wait)
        if self.admitted and self.held + nbytes > self.limits.max_held:
            raise Refused(429, "server", f"room for {nbytes} bytes", f"{self.held} bytes taken", wait=wait)
        self.shares.enter(client, wait)
        admission = Admission(self, nbytes, client)
        self.admitted.add(admission)
        self.held += nbytes
        return admission


@dataclass(eq=False)
class Admission:
    """A request that is here until it is released; releasing it again does nothing."""

    gate: Gate
    nbytes: int
    client: str = ""

    def release(self) -> None:
        if self in self.gate.admitted:
            self.gate.admitted.remove(self)
            self.gate.held -= self.nbytes
            self.gate.shares.leave(self.client)
