"""Mixed load of some seconds: the same that ``python -m benchmarks soak`` keeps up for ten minutes."""

from __future__ import annotations

import tracemalloc

from benchmarks.soak import MANNERS, Soak
from tests.server.serving import server, soon
from tests.tiny import tiny_vae

SECONDS, PAUSE = 5.0, 0.3  # twice; of each client: a pause is what keeps this cheap


def test_sixteen_clients_some_of_them_rude_get_what_is_right_and_leave_nothing_behind():
    with server() as running:
        soak = Soak(f"{running.url}/vaes/sd", tiny_vae(), pause=PAUSE)
        soak.load(SECONDS)  # what is taken once, is taken
        soon(lambda: not running.hall.gate.admitted)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        soak.load(SECONDS)
        soon(lambda: not running.hall.gate.admitted)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 2 << 20
        assert (running.hall.gate.held, running.hall.engine.waiting, running.hall.gate.shares.here) == (0, 0, {})
        assert soak.counts["right"] and {*MANNERS} <= {*soak.counts}
        assert not [status for _, status in running.hall.metrics.requests if status >= 500]
