"""What the engine is given to do, and how its results come to the one who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol


class Task(Protocol):
    """Something to do. Tasks of one key may be done together, as long as they are not too large."""

    @property
    def key(self) -> Hashable: ...

    @property
    def pixels(self) -> int: ...


class Unwanted(Exception):
    """Nobody waits any more for what is being made."""


class Broken(Exception):
    """The device, or what lies on it, is not to be used any more."""


@dataclass(eq=False)
class Job:
    """A task in the queue, and where its result goes."""

    task: Task
    future: asyncio.Future[Any]
    begun: bool = False
    left: bool = False  # nobody waits for it
    flow: Flow | None = None  # once its result has begun to come in pieces

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        """Hand over the result, from any thread; nobody may be waiting for it any more."""
        if self.flow is not None:
            self.flow.put(error)
            return

        def hand_over() -> None:
            if not self.future.done():
                self.future.set_result(result) if error is None else self.future.set_exception(error)

        _in_loop(self.future.get_loop(), hand_over)

    def begin(self) -> Flow:
        """From now on the result comes in pieces."""
        flow = Flow(self.future.get_loop())
        self.settle(flow)
        self.flow = flow
        return flow


@dataclass(eq=False)
class Flow:
    """Pieces of a result, as they are made: put by the thread that works, taken by the loop.

    They wait without end, as room for all of them was asked for at the gate.
    """

    loop: asyncio.AbstractEventLoop
    _pieces: asyncio.Queue[Any] = field(default_factory=lambda: asyncio.Queue[Any](), init=False)

    def put(self, piece: Any) -> None:
        """Hand over a piece; None is the end, and an error an end too early."""
        _in_loop(self.loop, lambda: self._pieces.put_nowait(piece))

    async def taken(self) -> AsyncIterator[Any]:
        """The pieces."""
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(call)
