"""Does ``calotype serve`` stay as large as it was, and right, through ten minutes with sixteen clients, some rude?"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

import torch
from torch import Tensor

from benchmarks.question import Goal, Place, Question
from benchmarks.serve import SMALL, process
from calotype import AutoencoderKL
from calotype.remote.faults import RemoteUnavailable
from calotype.remote.session import RemoteSession
from calotype.utils import remote_decode, remote_encode

CLIENTS = 16
SIDES = ((4, 4), (4, 6), (2, 2))
MANNERS = ("leaves half way", "leaves early", "malformed", "not a number", "not a picture")
NOBODY = ("--max-rate", "1000000000")  # all come from one address


def questions(place: Place) -> Iterator[Question]:
    """Megabytes of the server after the first minute and after the tenth."""
    first, rest = (1.0, 1.0) if place.quick else (60.0, 540.0)
    with TemporaryDirectory() as scratch:
        AutoencoderKL(**SMALL).save_pretrained(scratch)
        with process(Path(scratch), *NOBODY) as (server, url):
            soak = Soak(url, AutoencoderKL.from_pretrained(scratch))

            def after(seconds: float) -> Callable[[], float]:
                def run() -> float:
                    soak.load(seconds)
                    return resident(server.pid)

                return run

            sides = {"ours": after(rest), "at first": after(first)}
            yield Question("memory of a server after ten minutes", "MB", sides, Goal(1.05), rounds=1, warm=0)


def resident(pid: int) -> float:
    """Megabytes that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Soak:
    """Clients that ask rightly, check what they get, and are rude in between."""

    url: str
    vae: AutoencoderKL
    clients: int = CLIENTS
    pause: float = 0.0  # seconds between two requests of a client
    counts: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        draw = torch.manual_seed(0)
        self._latents = [torch.randn(1, 4, *sides, generator=draw) for sides in SIDES]
        with torch.no_grad():
            self._pixels: list[Tensor] = [self.vae.decode(latents).sample for latents in self._latents]
            self._pictures = [pixels.clamp(-1, 1) for pixels in self._pixels]
            self._again = [self.vae.encode(picture).latent_dist.mode() for picture in self._pictures]

    def load(self, seconds: float) -> None:
        """Ask for so long; what is answered wrongly, or with a fault of the server, is an error."""
        over, stop = time.monotonic() + seconds, threading.Event()

        def client(number: int) -> None:
            chance = random.Random(number)
            with RemoteSession(retries=0) as session:
                while time.monotonic() < over and not stop.is_set():
                    try:
                        self._turn(chance, session)
                    except BaseException:
                        stop.set()
                        raise
                    time.sleep(self.pause * chance.uniform(0.5, 1.5))

        with ThreadPoolExecutor(self.clients) as pool:
            list(pool.map(client, range(self.clients)))

    def _turn(self, chance: random.Random, session: RemoteSession) -> None:
        place = chance.randrange(len(SIDES))
        if chance.random() < 0.3:
            self._rude(chance.choice(MANNERS), place)
            return
        try:
            if chance.random() < 0.7:
                told: dict[str, Any] = {"do_scaling": False, "output_type": "pt", "return_type": "pt"}
                found = remote_decode(f"{self.url}/decode", self._latents[place], session=session, **told)
                wanted = self._pixels[place]
            else:
                found = remote_encode(f"{self.url}/encode", self._pictures[place], session=session)
                wanted = self._again[place]
        except RemoteUnavailable as busy:
            if busy.status != 429:
                raise
            self.counts["busy"] += 1
            return
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
        self.counts["right"] += 1

    def _rude(self, manner: str, place: int) -> None:
        """What no server should have to hear; what it answers, if it can, is a refusal."""
        latents = self._latents[place]
        body, url = latents.numpy().tobytes(), urlsplit(self.url)
        query = urlencode([*(("shape", side) for side in latents.shape), ("dtype", "float32"), ("output_type", "pt")])
        verb, sent = "decode", body
        if manner == "malformed":
            query, sent = "shape=1&shape=x", b"x" * 99
        elif manner == "not a number":
            sent = (latents * float("nan")).numpy().tobytes()
        elif manner == "not a picture":
            verb, query, sent = "encode", "", b"\x89PNG" + bytes(200)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        try:
            connection.putrequest("POST", f"{url.path}/{verb}?{query}")
            connection.putheader("Content-Type", "tensor/binary")
            connection.putheader("Content-Length", str(len(sent)))
            connection.endheaders()
            connection.send(sent[: len(sent) // 2] if manner == "leaves half way" else sent)
            if not manner.startswith("leaves"):
                status = connection.getresponse().status
                if not 400 <= status < 500:
                    raise AssertionError(f"{manner}: expected a refusal, found status {status}")
        finally:
            connection.close()
        self.counts[manner] += 1
