"""Many at once, some of them rude: who asks rightly is answered rightly, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch

from calotype.server.limits import Limits
from calotype.utils.remote_utils import RemoteError, RemoteSession, remote_decode
from tests.server.asking import ask, body_of, described, get, read
from tests.server.serving import Small, raw, server, shelf, soon
from tests.tiny import tiny_vae

CLIENTS, ROUNDS = 16, 4


class Slow(Small):
    """VAEs that wait for leave before they load, and before each pass."""

    loads, leave = threading.Event(), threading.Event()

    def load(self):
        assert self.loads.wait(20)
        super().load()

    def work(self, tasks, wanted):
        assert self.leave.wait(20)
        return super().work(tasks, wanted)


@contextmanager
def slowly(**limits):
    """A server that waits for leave."""
    made = shelf(Limits(max_waiting=2, **limits))
    books = Slow(made.named, made.device, made.dtype, made.limits)
    books.loads, books.leave = threading.Event(), threading.Event()
    with server(books=books) as running:
        try:
            yield running
        finally:
            books.loads.set()
            books.leave.set()


@pytest.fixture
def slow():
    with slowly(head_timeout=1, body_timeout=1) as running:
        yield running


LATENTS = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
HEAD = (
    b"POST /vaes/sd/decode?shape=1&shape=4&shape=4&shape=4&dtype=float32 HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Type: tensor/binary\r\nContent-Length: 256\r\n\r\n"
)


def test_while_it_loads_it_lives_and_is_not_ready(slow):
    assert get(slow.address, "/health/live").status == 200
    for said in (get(slow.address, "/health/ready"), ask(slow.address, "/vaes/sd/decode", described(LATENTS), b"")):
        assert (said.status, "loading" in said.error["message"], "retry-after" in said.headers) == (503, True, True)
    slow.hall.shelf.loads.set()
    slow.until_ready()
    assert get(slow.address, "/health/ready").status == 200


def test_where_there_is_no_room_one_is_told_when_to_come_again(slow):
    slow.hall.shelf.loads.set()
    slow.until_ready()
    with ThreadPoolExecutor(2) as pool:
        accepted = [
            pool.submit(ask, slow.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS)) for _ in range(2)
        ]
        soon(lambda: len(slow.hall.gate.admitted) == 2)
        said = ask(slow.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS))
        assert (said.status, int(said.headers["retry-after"]) > 0) == (429, True)
        assert get(slow.address, "/health/ready").status == 503
        assert get(slow.address, "/health/live").status == 200
        slow.hall.shelf.leave.set()
        for each in accepted:
            torch.testing.assert_close(read(each.result()), tiny_vae().decode(LATENTS).sample.detach())
    soon(lambda: not slow.hall.gate.admitted)
    assert get(slow.address, "/health/ready").status == 200


def test_who_leaves_makes_room(slow):
    slow.hall.shelf.loads.set()
    slow.until_ready()
    with raw(slow) as first:
        first.sendall(HEAD + body_of(LATENTS))
        soon(lambda: slow.hall.engine._since is not None)
        with raw(slow) as second:
            second.sendall(HEAD + body_of(LATENTS))
            soon(lambda: slow.hall.engine.waiting == 1)
        soon(lambda: (slow.hall.engine.waiting, len(slow.hall.gate.admitted)) == (0, 1))
        with raw(slow) as third:
            third.sendall(HEAD + b"half")
            soon(lambda: len(slow.hall.gate.admitted) == 2)
        soon(lambda: len(slow.hall.gate.admitted) == 1)
    soon(lambda: (slow.hall.gate.admitted, slow.hall.gate.held) == (set(), 0))
    slow.hall.shelf.leave.set()
    soon(lambda: slow.hall.engine._since is None)
    assert slow.hall.engine.passes == 1


def test_a_device_that_breaks_is_a_503_and_the_server_is_ready_again():
    with server() as running:
        vae, broken = running.hall.shelf.vaes["sd"], []

        def breaks(tasks, wanted):
            broken.append(tasks)
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        vae.work = breaks
        said = ask(running.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS))
        assert (said.status, said.headers["retry-after"], len(broken)) == (503, "5", 1)
        soon(lambda: running.hall.engine.healthy)
        assert get(running.address, "/health/ready").status == 200
        assert read(ask(running.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS))).shape[1] == 3


def test_a_second_signal_ends_it_at_once():
    with slowly() as slow, raw(slow) as left, raw(slow) as half:
        slow.hall.shelf.loads.set()
        slow.until_ready()
        left.sendall(HEAD + body_of(LATENTS))
        half.sendall(HEAD + b"half")
        soon(lambda: slow.hall.engine._since is not None and len(slow.hall.gate.admitted) == 2)
        slow.life.handle_exit(signal.SIGTERM, None)
        assert get(slow.address, "/health/ready").status == 503
        slow.life.handle_exit(signal.SIGTERM, None)
        for connection in (left, half):
            said = b""
            while b"has ended" not in said and (piece := connection.recv(65_536)):
                said += piece
            assert said.startswith(b"HTTP/1.1 503") and b"has ended" in said


def test_patience_with_what_was_begun_has_an_end():
    with slowly(drain_timeout=1) as slow, raw(slow) as left:
        slow.hall.shelf.loads.set()
        slow.until_ready()
        left.sendall(HEAD + body_of(LATENTS))
        soon(lambda: slow.hall.engine._since is not None)
        slow.life.handle_exit(signal.SIGTERM, None)
        assert left.recv(65_536).startswith(b"HTTP/1.1 503")


def test_headers_and_bodies_that_dribble_in_are_not_waited_for(slow):
    slow.hall.shelf.loads.set()
    slow.until_ready()
    with raw(slow) as headers, raw(slow) as body:
        headers.sendall(b"GET /health/live HTTP/1.1\r\n")
        body.sendall(HEAD + b"half")
        assert body.recv(65_536).startswith(b"HTTP/1.1 408")
        with pytest.raises(ConnectionResetError):
            headers.recv(1) or (_ for _ in ()).throw(ConnectionResetError)
    assert not slow.hall.gate.admitted


def test_an_answer_that_nobody_reads_is_given_up():
    with server(stall_timeout=1, max_side=4096) as running, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(running.address)
        query = "shape=32&shape=4&shape=64&shape=64&dtype=float16&output_type=pt"  # 6 MB come of it
        head = f"POST /vaes/sd/decode?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: tensor/binary\r\n"
        deaf.sendall(f"{head}Content-Length: {32 * 4 * 64 * 64 * 2}\r\n\r\n".encode() + bytes(32 * 4 * 64 * 64 * 2))
        soon(lambda: running.hall.gate.admitted)
        soon(lambda: not running.hall.gate.admitted)


def rude(running, turn):
    """What no server should have to hear."""
    if turn % 4 == 0:
        with raw(running) as connection:  # leaves after half of its body, or while it is worked for
            connection.sendall(HEAD + body_of(LATENTS)[: 128 * (1 + turn // 4 % 2)])
    elif turn % 4 == 1:
        assert ask(running.address, "/vaes/sd/decode", "shape=1", b"x" * 999).status == 422
    elif turn % 4 == 2:
        said = ask(running.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS * float("nan")))
        assert (said.status, said.error["param"]) == (422, "body")
    else:
        assert ask(running.address, "/vaes/sd/encode", "", b"\x89PNG" + bytes(200)).status == 422


def test_a_crowd_with_the_rude_among_it():
    vae = tiny_vae()
    with torch.no_grad():
        sent = [
            torch.randn(1, 4, *size, generator=torch.Generator().manual_seed(size[0]))
            for size in ((4, 4), (4, 6), (2, 2))
        ]
        wanted = [vae.decode(latents).sample for latents in sent]
    with server(max_waiting=2 * CLIENTS) as running:

        def client(number):
            with RemoteSession(retries=0) as session:
                for turn in range(ROUNDS):
                    if (number + turn) % 3 == 0:
                        rude(running, number + turn // 3)
                    place = (number + turn) % len(sent)
                    told = {"do_scaling": False, "output_type": "pt", "return_type": "pt", "session": session}
                    found = remote_decode(f"{running.url}/vaes/sd/decode", sent[place], **told)
                    torch.testing.assert_close(found, wanted[place])

        held = []
        for _ in range(3):
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(client, range(CLIENTS)))
            soon(lambda: not running.hall.gate.admitted)
            if not held:
                tracemalloc.start()
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert held[2] - held[1] < 1 << 20
        assert (running.hall.gate.held, running.hall.engine.waiting) == (0, 0)
        assert running.hall.engine.passes < running.hall.engine.done  # some shared one
        statuses = {status for _, status in running.hall.metrics.requests}
        assert not {status for status in statuses if status >= 500}


def test_a_refusal_reaches_our_client_with_its_words():
    with server() as running, pytest.raises(RemoteError, match="for sd"):
        remote_decode(f"{running.url}/vaes/sd/decode", torch.zeros(1, 5, 4, 4), scaling_factor=1.0)


def test_the_figures_add_up():
    with server() as running:
        for _ in range(3):
            read(ask(running.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS)))
        soon(lambda: running.hall.metrics.requests["/vaes/sd/decode", 200] == 3)
        lines = dict(
            line.rsplit(" ", 1)
            for line in get(running.address, "/metrics").body.decode().splitlines()
            if line[0] != "#"
        )
        assert json.loads(lines["calotype_passes_total"]) == 3
        assert lines['calotype_request_seconds_count{route="/vaes/sd/decode"}'] == "3"
        assert lines['calotype_request_seconds_bucket{route="/vaes/sd/decode",le="+Inf"}'] == "3"
