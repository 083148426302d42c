"""What is one client's share: of the room that there is, and of the time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from calotype.server.limits import Limits
from calotype.server.refusals import Refused

KNOWN = 4096  # clients that are remembered before those who rested are forgotten


@dataclass
class Shares:
    """Who is here how often, and how much each may still ask in this minute: a bucket that fills steadily."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    here: Counter[str] = field(default_factory=Counter[str])
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])  # left, and when

    def enter(self, client: str, wait: float) -> None:
        """Count a client's request, or say how many seconds to wait."""
        if self.here[client] >= self.limits.max_waiting_each:
            found = f"{self.here[client]} of this client that wait"
            raise Refused(429, "client", "room in its share", found, wait=wait)
        left = self._left(client)
        if left < 1:
            seconds = (1 - left) * 60 / self.limits.max_rate
            raise Refused(429, "client", f"at most {self.limits.max_rate} requests a minute", "more", wait=seconds)
        self._buckets[client] = left - 1, self.clock()
        self.here[client] += 1

    def leave(self, client: str) -> None:
        """The request is answered, or its client gone."""
        self.here[client] -= 1
        if not self.here[client]:
            del self.here[client]
        if len(self._buckets) > KNOWN:
            rested = [each for each in self._buckets if self._left(each) >= self.limits.max_rate]
            for each in rested:
                del self._buckets[each]

    def _left(self, client: str) -> float:
        now, most = self.clock(), float(self.limits.max_rate)
        left, then = self._buckets.get(client, (most, now))
        return min(most, left + (now - then) * most / 60)
