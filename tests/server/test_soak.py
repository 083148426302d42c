"""Mixed load of one minute: the same that ``python -m benchmarks soak`` keeps up for ten minutes."""

from __future__ import annotations

import tracemalloc

import pytest

from benchmarks.soak import MANNERS, Soak
from tests.server.serving import server, soon
from tests.tiny import tiny_vae

FIRST, REST = 15.0, 45.0  # seconds: what is taken once is taken in the first
PAUSE = 0.3  # seconds of each client between two requests: it is what keeps this cheap


@pytest.mark.timeout(300)
def test_sixteen_clients_some_of_them_rude_get_what_is_right_and_leave_nothing_behind():
    with server() as running:
        soak = Soak(f"{running.url}/vaes/sd", tiny_vae(), pause=PAUSE)
        soak.load(FIRST)
        soon(lambda: not running.hall.gate.admitted)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        soak.load(REST)
        soon(lambda: not running.hall.gate.admitted)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 2 << 20
        assert (running.hall.gate.held, running.hall.engine.waiting, running.hall.gate.shares.here) == (0, 0, {})
        assert soak.counts["right"] and {*MANNERS} <= {*soak.counts}
        assert not [status for _, status in running.hall.metrics.requests if status >= 500]
