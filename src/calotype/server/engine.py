"""The one thread that works on a device, and the queue before it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from calotype.server.jobs import Broken, Job, Task, Unwanted
from calotype.server.limits import Limits
from calotype.server.refusals import Refused

log = logging.getLogger("calotype.server.engine")


Wanted = Callable[[], bool]
# The results of tasks; one that is an iterator is handed over piece by piece, as it is made.
Work = Callable[[Sequence[Any], Wanted], Sequence[Any]]
MOST_RESTARTS, WITHIN = 3, 300.0  # seconds


@dataclass
class Engine:
    """Works on what is waiting, the oldest first, together with what is like it."""

    load: Callable[[], None]  # done first, by the thread that works
    work: Work
    limits: Limits
    clock: Callable[[], float] = time.monotonic
    ready: bool = False
    failed: BaseException | None = None  # why it could not be loaded, or not be kept up
    passes: int = 0
    done: int = 0
    _waiting: deque[Job] = field(default_factory=lambda: deque[Job](), init=False)
    _running: list[Job] = field(default_factory=lambda: list[Job](), init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _since: float | None = field(default=None, init=False)  # when the pass that is running began
    _typical: float = field(default=0.5, init=False)  # seconds of a pass
    _ended: bool = field(default=False, init=False)
    _restarts: list[float] = field(default_factory=lambda: list[float](), init=False)  # when
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._live, name="calotype-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the pass that is running."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self.abandon()
        if self._thread is not None:
            self._thread.join(5)

    def abandon(self) -> None:
        """Refuse what waits, and what is being worked on: nobody waits for that any more."""
        with self._changed:
            left = [*self._running, *self._waiting]
            self._waiting.clear()
        for job in left:
            job.settle(error=Refused(503, "server", "one that stays", "one that has ended", wait=1))

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def healthy(self) -> bool:
        """Loaded, alive, and not at one pass for longer than any may take."""
        since = self._since
        stuck = since is not None and self.clock() - since > self.limits.work_timeout
        return self.ready and not stuck and self._thread is not None and self._thread.is_alive()

    @property
    def wait(self) -> float:
        """Seconds after which there may be room."""
        return self._typical * (1 + self.waiting / 4)

    def queued(self, task: Task) -> Job:
        """A place in the queue."""
        job = Job(task, asyncio.get_running_loop().create_future())
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job

    def forget(self, job: Job) -> None:
        """Give up a place in the queue; what has begun goes on for the others, and nobody is told."""
        job.left = True
        job.future.cancel()
        with self._changed, suppress(ValueError):
            self._waiting.remove(job)

    def _live(self) -> None:
        """Work; after what leaves the device or this thread unfit for it, load again."""
        while self._loaded():
            try:
                while self._turn():
                    pass
                return
            except BaseException as fault:  # noqa: PERF203
                self._broke(fault)

    def _loaded(self) -> bool:
        if self.failed is None:
            try:
                self.load()
                self.ready = True
            except Exception as error:
                self.failed = error
        if self.failed is not None:
            self.abandon()
        return self.failed is None

    def _broke(self, fault: BaseException) -> None:
        """Refuse what was being worked on, and begin again with what waits: so often, and no more."""
        self.ready, self._since = False, None
        log.error("the engine broke", exc_info=fault)
        for job in self._running:
            job.settle(error=Refused(503, "server", "one that works", "one that is starting again", wait=5))
        self._running = []
        now = self.clock()
        self._restarts = [*(then for then in self._restarts if now - then < WITHIN), now]
        if len(self._restarts) > MOST_RESTARTS:
            self.failed = fault

    @property
    def restarts(self) -> int:
        return len(self._restarts)

    def _turn(self) -> bool:
        """One pass; whether there will be another. What it held is let go of before the next is waited for."""
        together = self._next()
        if together:
            self._since = began = self.clock()
            self._done(together)
            self._since, self._running = None, []
            self._typical += 0.2 * (self.clock() - began - self._typical)
        return bool(together)

    def _next(self) -> list[Job]:
        """The oldest that waits, and others of its key that fit in beside it; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            together: list[Job] = []
            room = self.limits.pass_pixels
            for job in [*self._waiting]:
                alike = not together or job.task.key == together[0].task.key
                if alike and (not together or job.task.pixels <= room):
                    together.append(job)
                    room -= job.task.pixels
            for job in together:
                self._waiting.remove(job)
                job.begun = True
            self._running = together
            return together

    def _done(self, jobs: list[Job]) -> None:
        """Do them in one pass; where that fails, each by itself, so that one cannot harm another."""
        self.passes += 1
        try:
            results = self.work([job.task for job in jobs], lambda: not all(job.left for job in jobs))
            for job, result in zip(jobs, results, strict=True):
                self._poured(job, result) if isinstance(result, Iterator) else job.settle(result)
        except Unwanted as error:
            for job in jobs:
                job.settle(error=error)
        except Broken:
            raise
        except Exception as error:
            if len(jobs) == 1:
                log.debug("a pass failed", exc_info=error)
                jobs[0].settle(error=error)
                return
            for job in jobs:
                self._done([job])
        else:
            self.done += len(jobs)

    def _poured(self, job: Job, pieces: Iterator[Any]) -> None:
        """Hand over piece by piece; what fails before the first of them is a refusal still."""
        with closing(pieces):  # pyright: ignore[reportArgumentType]
            first = next(pieces)
            flow = job.begin()
            flow.put(first)
            for piece in pieces:
                if job.left:
                    raise Unwanted
                flow.put(piece)
                self._since = self.clock()  # it lives
            flow.put(None)
