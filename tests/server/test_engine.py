"""One thread works; what is alike shares a pass, what fails fails alone, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
import torch

from calotype.core.errors import NotFinite
from calotype.server.asked import Decoding
from calotype.server.engine import Engine
from calotype.server.fit import Facts
from calotype.server.gate import Gate
from calotype.server.jobs import Broken, Unwanted
from calotype.server.limits import Limits
from calotype.server.picture_vae import PictureVae
from calotype.server.refusals import Refused, refusal_of
from calotype.server.routes import packed
from calotype.server.shares import Shares
from tests.server.asking import body_of, described
from tests.server.serving import shelf
from tests.tiny import tiny_vae

BREAKS = 666


@dataclass(frozen=True)
class Number:
    value: int
    key: str = "a"
    pixels: int = 1


class Bench:
    """Work that waits for leave, and remembers what came together."""

    def __init__(self):
        self.leave, self.passes = threading.Event(), []

    def __call__(self, tasks, wanted):
        assert self.leave.wait(20)
        self.passes.append([task.value for task in tasks])
        if tasks[0].value == BREAKS:
            raise Broken
        if any(task.value < 0 for task in tasks):
            raise NotFinite("body", "finite numbers")
        return [2 * task.value for task in tasks]


def always():
    return True


def run(story, **limits):
    """Tell a story with an engine and its bench."""
    bench = Bench()
    engine = Engine(lambda: None, bench, Limits(**limits))

    async def told():
        engine.start()
        try:
            return await story(engine, bench)
        finally:
            bench.leave.set()
            engine.stop()

    return asyncio.run(told())


async def begun(job):
    while not job.begun:
        await asyncio.sleep(0.001)


def test_what_is_alike_and_waits_shares_a_pass():
    async def story(engine, bench):
        first = engine.queued(Number(0))
        await begun(first)
        told = [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "a")]
        jobs = [engine.queued(Number(value, key)) for value, key in told]
        bench.leave.set()
        assert [await job.future for job in (first, *jobs)] == [0, 2, 4, 6, 8, 10]
        assert bench.passes == [[0], [1, 3, 5], [2, 4]]
        assert (engine.passes, engine.done, engine.waiting) == (3, 6, 0)

    run(story)


def test_no_more_share_a_pass_than_fit_into_it():
    async def story(engine, bench):
        first = engine.queued(Number(0))
        await begun(first)
        jobs = [engine.queued(Number(value, pixels=pixels)) for value, pixels in ((1, 6), (2, 6), (3, 4), (4, 99))]
        bench.leave.set()
        await asyncio.gather(*(job.future for job in jobs))
        assert bench.passes == [[0], [1, 3], [2], [4]]

    run(story, pass_pixels=10)


def test_one_that_fails_fails_alone():
    async def story(engine, bench):
        first = engine.queued(Number(0))
        await begun(first)
        jobs = [engine.queued(Number(value)) for value in (1, -1, 2)]
        bench.leave.set()
        assert [await job.future for job in (jobs[0], jobs[2])] == [2, 4]
        with pytest.raises(NotFinite):
            await jobs[1].future
        assert await engine.queued(Number(7)).future == 14

    run(story)


def test_who_leaves_the_queue_is_not_worked_for():
    async def story(engine, bench):
        first, second, third = (engine.queued(Number(value, str(value))) for value in range(3))
        await begun(first)
        engine.forget(second)
        engine.forget(first)  # has begun: it goes on, and nobody is told
        bench.leave.set()
        assert await third.future == 4
        assert bench.passes == [[0], [2]]

    run(story)


def test_an_end_refuses_what_waits():
    async def story(engine, bench):
        first, second = engine.queued(Number(1)), engine.queued(Number(2, "b"))
        await begun(first)
        threading.Timer(0.05, bench.leave.set).start()
        await asyncio.to_thread(engine.stop)
        with pytest.raises(Refused, match="has ended"):
            await second.future

    run(story)


def test_health_knows_of_work_that_does_not_end():
    time = [0.0]

    async def story(engine, bench):
        engine.clock = lambda: time[0]
        await begun(engine.queued(Number(1)))
        assert engine.healthy
        time[0] = 11
        assert not engine.healthy

    run(story, work_timeout=10)


def test_what_cannot_be_loaded_is_remembered():
    engine = Engine(lambda: 1 / 0, Bench(), Limits())
    engine.start()
    engine.stop()
    assert isinstance(engine.failed, ZeroDivisionError) and not engine.healthy


def test_an_engine_that_breaks_refuses_what_it_worked_on_and_begins_again_with_what_waits():
    async def story(engine, bench):
        first, second = engine.queued(Number(BREAKS)), engine.queued(Number(2, "b"))
        await begun(first)
        bench.leave.set()
        with pytest.raises(Refused, match="starting again") as refused:
            await first.future
        assert refusal_of(refused.value, "x").headers == {"Retry-After": "5"} and refused.value.status == 503
        assert await second.future == 4
        assert engine.healthy and engine.restarts == 1

    run(story)


def test_an_engine_that_breaks_again_and_again_is_given_up():
    async def story(engine, bench):
        bench.leave.set()
        jobs = [engine.queued(Number(BREAKS, str(place))) for place in range(5)]
        for job in jobs:
            with pytest.raises(Refused):
                await job.future
        assert isinstance(engine.failed, Broken) and not engine.healthy

    run(story)


def test_while_it_is_loaded_again_it_is_not_ready():
    loads = iter([threading.Event(), threading.Event()])
    held = []

    def load():
        held.append(next(loads))
        assert held[-1].wait(20)

    async def story():
        bench = Bench()
        bench.leave.set()
        engine = Engine(load, bench, Limits())
        engine.start()
        while not held:
            await asyncio.sleep(0.001)
        held[0].set()
        with pytest.raises(Refused):
            await engine.queued(Number(BREAKS)).future
        assert not engine.healthy
        while len(held) < 2:
            await asyncio.sleep(0.001)
        assert not engine.ready
        held[1].set()
        assert await engine.queued(Number(3)).future == 6
        assert engine.healthy
        engine.stop()

    asyncio.run(story())


@pytest.mark.parametrize(
    "fault", [RuntimeError("CUDA error: an illegal memory access"), torch.OutOfMemoryError("full")]
)
def test_a_device_that_is_gone_is_told_from_one_that_is_full(fault):
    books = shelf(Limits())
    books.load()

    def raising(*_):
        raise fault

    books.vaes["sd"].work = raising
    with pytest.raises(MemoryError if isinstance(fault, torch.OutOfMemoryError) else Broken):
        books.work([decoding(torch.zeros(1, 4, 4, 4), Limits(), books.vaes["sd"])], always)


@torch.inference_mode()
def test_a_pass_that_nobody_waits_for_is_stopped_between_two_tiles():
    limits, seen = Limits(tile_side=16), []
    vae = PictureVae("sd", tiny_vae(), limits)
    vae.network.decoder.conv_out.register_forward_hook(lambda *_: seen.append(0))
    task = decoding(torch.zeros(1, 4, 16, 16), limits, vae)
    with pytest.raises(Unwanted):
        vae.work([task], lambda: not seen)
    assert len(seen) == 1
    vae.work([task], always)
    assert len(seen) > 2


def test_a_shared_pass_goes_on_until_the_last_has_left():
    async def story(engine, bench):
        asked = []

        def work(tasks, wanted):
            asked.append(wanted)
            return bench(tasks, wanted)

        engine.work = work
        first = engine.queued(Number(0))
        await begun(first)
        two = [engine.queued(Number(value)) for value in (1, 2)]
        bench.leave.set()
        await asyncio.gather(first.future, *(job.future for job in two))
        engine.forget(two[0])
        assert asked[1]()
        engine.forget(two[1])
        assert not asked[1]()

    run(story)


def test_a_client_has_its_share_and_no_more():
    gate = Gate(Limits(max_waiting_each=2))
    mine = [gate.admit(1, 1, "me") for _ in range(2)]
    with pytest.raises(Refused, match="its share") as refused:
        gate.admit(1, 1, "me")
    assert refused.value.status == 429
    gate.admit(1, 1, "you")
    mine[0].release()
    mine[0].release()
    gate.admit(1, 1, "me")


def test_who_asks_too_often_is_told_when_there_is_more():
    time = [0.0]
    shares = Shares(Limits(max_rate=30), lambda: time[0])
    for _ in range(30):
        shares.enter("me", 1)
        shares.leave("me")
    with pytest.raises(Refused, match="30 requests a minute") as refused:
        shares.enter("me", 1)
    assert (refused.value.status, refused.value.wait) == (429, 2)
    shares.enter("you", 1)
    time[0] = 2
    shares.enter("me", 1)
    with pytest.raises(Refused):
        shares.enter("me", 1)


def test_clients_that_rest_are_forgotten():
    time = [0.0]
    shares = Shares(Limits(), lambda: time[0])
    for number in range(5000):
        time[0] += 1
        shares.enter(str(number), 1)
        shares.leave(str(number))
    assert len(shares._buckets) < 4200 and not shares.here


def test_the_gate_counts_requests_and_bytes():
    gate = Gate(Limits(max_waiting=2, max_held=100))
    first = gate.admit(60, wait=1)
    with pytest.raises(Refused, match="room for 60 bytes") as refused:
        gate.admit(60, wait=2.5)
    assert (refused.value.status, refusal_of(refused.value, "x").headers) == (429, {"Retry-After": "3"})
    gate.admit(40, wait=1)
    with pytest.raises(Refused, match="room for a request"):
        gate.admit(0, wait=1)
    first.release()
    first.release()
    assert (gate.held, len(gate.admitted)) == (40, 1)
    gate.draining = True
    with pytest.raises(Refused, match="about to end"):
        gate.admit(0, wait=1)


def test_one_request_may_be_larger_than_all_that_is_held_at_once():
    assert Gate(Limits(max_held=1)).admit(2, wait=1).nbytes == 2


@pytest.mark.parametrize(("error", "status"), [(ValueError("/home/me"), 500), (MemoryError(), 503)])
def test_errors_that_are_not_ours_tell_nothing(error, status):
    refusal = refusal_of(error, "abc")
    assert refusal.status == status and "home" not in str(refusal.content)


def decoding(latents, limits, vae, **more):
    task = Decoding.read(described(latents, **more), {}, vae.facts, limits)
    task.take(bytearray(body_of(latents)), limits)
    return task


@torch.inference_mode()
def test_an_answer_is_sent_from_where_the_picture_lies():
    limits, latents = Limits(), torch.zeros(1, 4, 4, 4)
    vae = PictureVae("sd", tiny_vae(), limits)
    task = decoding(latents, limits, vae)
    seen = []
    vae.network.decoder.conv_out.register_forward_hook(lambda _, __, made: seen.append(made))
    memory, _ = packed(task, vae.work([task], always)[0])
    seen[0][0, 0, 0, 0] = 5
    assert bytes(memory[:4]) == body_of(torch.tensor([5.0]))


def test_latents_are_read_where_they_arrived():
    limits, body = Limits(), bytearray(256)
    task = Decoding.read(described(torch.zeros(1, 4, 4, 4)), {}, Facts("sd", 4, 3, 3, 2), limits)
    task.take(body, limits)
    body[:4] = body_of(torch.tensor([5.0]))
    assert task.latents.flatten()[0] == 5


@torch.inference_mode()
def test_requests_that_share_a_pass_get_what_they_get_alone():
    limits = Limits()
    vae = PictureVae("sd", tiny_vae(), limits)
    batch = [torch.randn(count, 4, 4, 6, generator=torch.Generator().manual_seed(count)) for count in (1, 3, 2)]
    tasks = [decoding(latents, limits, vae, scaling_factor=0.1 * place + 0.1) for place, latents in enumerate(batch)]
    for together, task in zip(vae.work(tasks, always), tasks, strict=True):
        torch.testing.assert_close(together, vae.work([task], always)[0])


@torch.inference_mode()
def test_large_pictures_are_decoded_in_tiles():
    limits, latents = Limits(tile_side=16), torch.randn(1, 4, 12, 20, generator=torch.Generator().manual_seed(0))
    vae, seen = PictureVae("sd", tiny_vae(), limits), []
    vae.network.decoder.conv_out.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[-2:]))
    [tiled] = vae.work([decoding(latents, limits, vae)], always)
    assert len(seen) > 1 and max(max(shape) for shape in seen) <= 16 + 4
    torch.testing.assert_close(tiled, tiny_vae().decode(latents).sample, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_what_overflows_in_half_precision_is_decoded_in_full():
    limits = Limits()
    whole = tiny_vae()
    whole.decoder.conv_out.weight.mul_(4e5)
    wanted = whole.decode(torch.ones(1, 4, 4, 4)).sample
    vae = PictureVae("sd", whole.to(torch.float16), limits)
    [made] = vae.work([decoding(torch.ones(1, 4, 4, 4), limits, vae)], always)
    assert made.isfinite().all() and wanted.abs().max() > 65_504
