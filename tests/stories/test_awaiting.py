"""Pictures and films in asynchronous programs: the loop goes on while steps are taken, and leaving ends the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import calotype
from calotype.core.errors import Cancelled
from tests.stories.test_helios import SMALL, base, source
from tests.tiny import tiny_pipeline

PATIENCE = 60  # seconds, after which a loop that stands still is a fault
PICTURE = {"prompt": "a cube", "num_inference_steps": 4, "output_type": "np"}
FILM = {"prompt": "hello", "num_frames": 66, **SMALL}


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_pipeline(calotype.StableDiffusionPipeline)


def picture(pipe: Any, **changes: Any) -> Any:
    return pipe.stream(**PICTURE, generator=source(), **changes)


def film(**changes: Any) -> Any:
    return base().stream(generator=source(), **FILM, **changes)


def session(**changes: Any) -> Any:
    return base().session(generator=source(), **FILM, **changes)


async def walked(work: Any) -> list[Any]:
    return [piece async for piece in work]


def test_steps_and_chunks_are_those_of_a_plain_loop(pipe: Any) -> None:
    awaited, plain = picture(pipe), picture(pipe)
    steps = asyncio.run(walked(awaited))
    assert [step.index for step in steps] == [step.index for step in plain] == [0, 1, 2, 3]
    assert np.allclose(awaited.output.images, plain.output.images, atol=1e-6)
    for work in (film(), session()):
        assert_same(asyncio.run(walked(work)), film())


def test_several_are_made_side_by_side(pipe: Any) -> None:
    async def both() -> list[list[Any]]:
        return await asyncio.gather(walked(film()), walked(picture(pipe)), walked(session()))

    one, steps, other = asyncio.run(both())
    assert len(steps) == 4
    assert_same(one, film())
    assert_same(other, film())


def assert_same(chunks: list[Any], wanted: Iterable[Any]) -> None:
    for chunk, want in zip(chunks, wanted, strict=True):
        assert np.allclose(chunk.frames, want.frames, atol=1e-6)


class Held:
    """A callback that holds each step until the loop lets it go on, as only a loop that runs can."""

    def __init__(self) -> None:
        self.at_work, self.free = threading.Event(), threading.Event()
        self.steps = 0

    def __call__(self, *_: Any) -> dict[str, Any]:
        self.steps += 1
        self.at_work.set()
        assert self.free.wait(PATIENCE), "the loop stood still"
        return {}

    async def begun(self) -> None:
        while not self.at_work.is_set():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["picture", "film", "session"])
def test_the_loop_goes_on_and_a_task_that_is_cancelled_ends_the_work_after_its_step(kind: str, pipe: Any) -> None:
    held = Held()
    told = {"callback_on_step_end": held}
    work = picture(pipe, **told) if kind == "picture" else {"film": film, "session": session}[kind](**told)

    async def left() -> None:
        task = asyncio.ensure_future(walked(work))
        await held.begun()
        task.cancel()
        await asyncio.sleep(0)
        held.free.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(left())
    assert held.steps == 1
    assert [*work] == []
    if kind != "session":
        with pytest.raises(Cancelled):
            _ = work.output


def test_a_task_that_waits_for_a_paused_session_may_be_cancelled() -> None:
    work = session()
    work.pause()

    async def left() -> None:
        task = asyncio.ensure_future(walked(work))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)

    asyncio.run(left())
    assert [*work] == []


def test_what_goes_wrong_in_a_step_is_raised_where_it_is_awaited(pipe: Any) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("no such thing")

    for work in (picture(pipe, callback_on_step_end=broken), film(callback_on_step_end=broken)):
        with pytest.raises(LookupError, match="no such thing"):
            asyncio.run(walked(work))


def test_a_stream_is_cancelled_from_another_thread_after_the_step_at_work(pipe: Any) -> None:
    held = Held()
    stream = picture(pipe, callback_on_step_end=held)
    made: list[Any] = []
    worker = threading.Thread(target=lambda: made.extend(stream))
    worker.start()
    held.at_work.wait(PATIENCE)
    canceller = threading.Thread(target=stream.cancel)
    canceller.start()
    canceller.join(0.05)
    assert canceller.is_alive()
    held.free.set()
    canceller.join()
    worker.join()
    assert len(made) == held.steps < 4
    with pytest.raises(Cancelled):
        _ = stream.output


def test_a_callback_may_cancel_its_stream(pipe: Any) -> None:
    def cancel(_: Any, index: int, *__: Any) -> dict[str, Any]:
        if index == 1:
            stream.cancel()
        return {}

    stream = picture(pipe, callback_on_step_end=cancel)
    assert [step.index for step in stream] == [0, 1]
    with pytest.raises(Cancelled):
        _ = stream.output
