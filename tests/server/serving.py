"""A server of small VAEs in this process, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from calotype.server.hall import Hall
from calotype.server.limits import Limits
from calotype.server.running import Life, listening, place
from calotype.server.vaes import KINDS, Named, Shelf, Vae
from tests import tiny_helios
from tests.tiny import tiny_movq, tiny_vae

SMALL = {"sd": tiny_vae, "movq": tiny_movq, "wan": tiny_helios.vae}


def made(named: Named, limits: Limits) -> Vae:
    network = SMALL[named.model]()
    return KINDS[type(network)](named.name, network, limits)


@dataclass
class Small(Shelf):
    """VAEs that are made, not loaded."""

    def load(self) -> None:
        self.vaes = {each.name: made(each, self.limits) for each in self.named}


def shelf(limits: Limits, names: Sequence[str] = ("sd",)) -> Small:
    return Small([Named(name, name) for name in names], torch.device("cpu"), torch.float32, limits)


@dataclass
class Server:
    url: str
    hall: Hall
    life: Life

    def until_ready(self) -> None:
        while not self.hall.engine.ready:
            time.sleep(0.005)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


@contextmanager
def server(key: str | None = None, books: Shelf | None = None, **limits: Any) -> Iterator[Server]:
    """A running server; it has loaded unless it was given a shelf of its own."""
    kept = books.limits if books else Limits(**limits)
    hall = Hall(books or shelf(kept), kept)
    listener, ready = listening("127.0.0.1", 0), threading.Event()
    url = place(listener)
    life = Life(hall, key, ready.set)
    hall.engine.start()
    thread = threading.Thread(target=life.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert books is not None or ready.wait(30)
        while not life.started:
            time.sleep(0.005)
        yield Server(url, hall, life)
    finally:
        life.should_exit = True
        thread.join()
        hall.engine.stop()
        listener.close()


@contextmanager
def raw(running: Server) -> Iterator[socket.socket]:
    """A connection that says what no client would."""
    with socket.create_connection(running.address, timeout=20) as connection:
        yield connection


def soon(true: Callable[[], Any]) -> None:
    """Wait until it holds."""
    while not true():
        time.sleep(0.002)
