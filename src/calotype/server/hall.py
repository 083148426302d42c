"""What all routes share: the VAEs, the gate, the engine and the figures about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from calotype.server.engine import Engine
from calotype.server.gate import Gate
from calotype.server.limits import Limits
from calotype.server.metrics import Metrics
from calotype.server.refusals import Refused
from calotype.server.vaes import Shelf, Vae


@dataclass
class Hall:
    """A server's state."""

    shelf: Shelf
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    gate: Gate = field(init=False)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.limits)
        self.engine = Engine(self.shelf.load, self.shelf.work, self.limits)
        self.metrics.gauges |= {
            "calotype_ready": ("1 when requests are taken.", lambda: float(self.ready)),
            "calotype_requests_admitted": ("Requests that are here.", lambda: len(self.gate.admitted)),
            "calotype_requests_waiting": ("Requests that wait for their turn.", lambda: self.engine.waiting),
            "calotype_held_bytes": ("Bytes that they and their answers may take.", lambda: self.gate.held),
            "calotype_restarts": ("Times that the engine began again, of late.", lambda: self.engine.restarts),
            "calotype_passes_total": ("Passes through a network.", lambda: self.engine.passes),
            "calotype_tasks_done_total": ("Requests that shared them.", lambda: self.engine.done),
        }

    @property
    def ready(self) -> bool:
        """Are requests taken, and is there room?"""
        room = len(self.gate.admitted) < self.limits.max_waiting
        return self.engine.healthy and not self.gate.draining and room

    def vae(self, name: str) -> Vae:
        """A VAE that is loaded."""
        self.gate.check_open()
        if not self.engine.ready:
            raise Refused(503, "server", "one that is ready", "one that is loading", wait=2)
        return self.shelf.vaes[name]
