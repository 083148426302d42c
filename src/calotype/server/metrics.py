"""Counts and times, as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


@dataclass
class Histogram:
    """How many took no longer than each edge."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    total: float = 0.0

    def see(self, seconds: float) -> None:
        self.counts[bisect_left(EDGES, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str) -> Iterator[str]:
        seen = 0
        for edge, count in zip((*map(str, EDGES), "+Inf"), self.counts, strict=True):
            seen += count
            yield f'{name}_bucket{{{labels},le="{edge}"}} {seen}'
        yield f"{name}_sum{{{labels}}} {self.total:.6f}"
        yield f"{name}_count{{{labels}}} {seen}"


@dataclass
class Metrics:
    """What is counted by request, and gauges that are asked when they are read."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    seconds: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    gauges: dict[str, tuple[str, Callable[[], float]]] = field(
        default_factory=dict[str, tuple[str, Callable[[], float]]]
    )

    def see(self, route: str, status: int, seconds: float) -> None:
        """One request, answered."""
        self.requests[route, status] += 1
        self.seconds.setdefault(route, Histogram()).see(seconds)

    def text(self) -> str:
        """All of it."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield "# HELP calotype_requests_total Requests that were answered.\n# TYPE calotype_requests_total counter"
        for (route, status), count in sorted(self.requests.items()):
            yield f'calotype_requests_total{{route="{route}",status="{status}"}} {count}'
        yield "# HELP calotype_request_seconds From the headers to the last byte of the answer."
        yield "# TYPE calotype_request_seconds histogram"
        for route, histogram in sorted(self.seconds.items()):
            yield from histogram.lines("calotype_request_seconds", f'route="{route}"')
        for name, (told, value) in self.gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            yield f"# HELP {name} {told}\n# TYPE {name} {kind}\n{name} {value():g}"
