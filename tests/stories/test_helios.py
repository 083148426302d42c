"""Films as they are made: chunk by chunk, directed, stopped and gone on with."""

from __future__ import annotations

import shutil
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from calotype import HeliosDMDScheduler, HeliosPipeline, HeliosPyramidPipeline, HeliosScheduler
from calotype.core.errors import Cancelled, CorruptFile, InvalidArgument, Unready
from calotype.core.resuming import StateFile
from calotype.generation.film import Chunk
from calotype.generation.timeline_files import read_timeline
from tests.tiny_helios import pipeline, schedulers, transformer

STAGED: dict[str, Any] = {"stages": 3, "stage_range": [0, 1 / 3, 2 / 3, 1], "use_dynamic_shifting": True}
SMALL: dict[str, Any] = {"height": 16, "width": 16, "num_inference_steps": 2, "max_sequence_length": 16}
PYRAMID: dict[str, Any] = {
    "height": 64,
    "width": 64,
    "max_sequence_length": 16,
    "pyramid_num_inference_steps_list": [1, 1, 1],
}


@cache
def base() -> Any:
    return pipeline()


@cache
def distilled() -> Any:
    return pipeline("distilled")


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def film(frames: int = 40, **arguments: Any) -> Any:
    return base()(**SMALL | {"num_frames": frames, "prompt": "hello", "generator": source()} | arguments).frames


def take(chunks: Any, count: int) -> list[np.ndarray]:
    return [next(chunks).frames for _ in range(count)]


# ---------------------------------------------------------------------- chunk by chunk


def test_a_stream_hands_out_the_frames_of_the_call_chunk_by_chunk() -> None:
    whole = film(100)
    chunks = [*base().stream("hello", num_frames=100, generator=source(), **SMALL)]
    assert [chunk.first_frame for chunk in chunks] == [0, 33, 66, 99]
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3] and {chunk.total for chunk in chunks} == {4}
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks], axis=1), whole)


def test_a_film_without_end_goes_on_until_it_is_left() -> None:
    with base().stream("hello", num_frames=None, generator=source(), **SMALL) as chunks:
        first = take(chunks, 2)
    assert np.array_equal(np.concatenate(first, axis=1), film(66, exact_frames=True))


@pytest.mark.parametrize(("asked", "made"), [(1, 33), (33, 33), (34, 65), (99, 97), (132, 129)])
def test_films_are_as_long_as_the_peers(asked: int, made: int) -> None:
    assert film(asked, num_inference_steps=1).shape[1] == made


@pytest.mark.parametrize("asked", [1, 40, 66])
def test_an_exact_number_of_frames_is_kept_exactly(asked: int) -> None:
    exact, usual = film(asked, exact_frames=True), film(asked)
    assert exact.shape[1] == asked
    shared = min(asked, usual.shape[1])
    assert np.array_equal(exact[:, :shared], usual[:, :shared])


@pytest.mark.parametrize("kind", ["np", "pt", "pil", "uint8", "latent"])
def test_every_output_type_comes_whole_and_in_chunks(kind: str) -> None:
    whole = film(40, output_type=kind)
    chunks = [*base().stream("hello", num_frames=40, output_type=kind, generator=source(), **SMALL)]
    if kind == "pil":
        assert [len(chunk.frames[0]) for chunk in chunks] == [33, 32] and len(whole[0]) == 65
        assert whole[0][40].tobytes() == chunks[1].frames[0][7].tobytes()
        return
    axis = 2 if kind == "latent" else 1
    joined = np.concatenate([np.asarray(chunk.frames) for chunk in chunks], axis=axis)
    assert np.array_equal(joined, np.asarray(whole))


def test_bytes_are_the_pictures_rounded() -> None:
    assert np.array_equal(film(33, output_type="uint8"), (film(33) * 255).round().astype(np.uint8))


def test_steps_are_told_between_chunks() -> None:
    stream = base().stream("hello", num_frames=40, generator=source(), **SMALL)
    told = [("chunk", t.index) if isinstance(t, Chunk) else (t.chunk, t.index, t.total) for t in stream.steps()]
    assert told == [(0, 0, 2), (0, 1, 2), ("chunk", 0), (1, 0, 2), (1, 1, 2), ("chunk", 1)]


def test_a_cancelled_film_has_no_output() -> None:
    stream = base().stream("hello", num_frames=None, generator=source(), **SMALL)
    next(stream)
    stream.cancel()
    with pytest.raises(StopIteration):
        next(stream)
    with pytest.raises(Cancelled):
        _ = stream.output


def test_an_interrupted_film_ends_with_the_chunk_at_work() -> None:
    def stop(pipe: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = True
        return {}

    assert film(100, callback_on_step_end=stop).shape[1] == 33


@pytest.mark.parametrize("last", [3, 4], ids=["within", "at the end of"])
@pytest.mark.parametrize("every", [1, 5])
def test_a_film_that_was_interrupted_goes_on_after_its_last_whole_chunk(last: int, every: int, tmp_path: Path) -> None:
    steps, whole = 0, film(99, exact_frames=True)

    def stop(pipe: Any, *told: Any) -> dict[str, Any]:
        nonlocal steps
        steps += 1
        pipe._interrupt = steps == last
        return {}

    told = {"num_frames": 99, "exact_frames": True, "generator": source(), "callback_on_step_end": stop}
    stream = base().stream("hello", state_file=tmp_path / "film.state", state_every=every, **SMALL, **told)
    assert len([*stream]) == 2
    rest = base().resume(tmp_path / "film.state").output.frames
    assert np.array_equal(rest, whole[:, 33 * (last // 2) :])


def test_films_in_one_call_are_those_made_alone() -> None:
    pair = film(40, prompt=["hello", "and cat"], generator=[source(1), source(2)])
    alone = [film(40, prompt=text, generator=source(seed)) for text, seed in (("hello", 1), ("and cat", 2))]
    assert np.allclose(pair, np.concatenate(alone), atol=1e-5)


def test_several_films_of_a_prompt_each_have_their_own_noise() -> None:
    made = film(33, num_videos_per_prompt=2, generator=[source(1), source(2)])
    assert np.allclose(made[1], film(33, generator=source(2))[0], atol=1e-5)
    assert not np.allclose(made[0], made[1], atol=1e-3)


def test_latents_are_the_noise_of_the_first_chunk() -> None:
    noise = torch.randn(1, 4, 9, 2, 2, generator=source())
    assert np.array_equal(film(33, latents=noise), film(33))


def test_a_text_is_read_once_however_many_chunks_hear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, read = base(), []
    real = pipe.transformer.read_text
    monkeypatch.setattr(pipe.transformer, "read_text", lambda embeds: read.append(1) or real(embeds))
    film(100)
    assert len(read) == 2  # the prompt and the negative one


# ---------------------------------------------------------------------- distilled


@pytest.mark.parametrize(
    "pipe",
    [
        HeliosPyramidPipeline(None, None, None, HeliosDMDScheduler(**STAGED), None),
        HeliosPyramidPipeline(None, None, None, HeliosScheduler(**STAGED), None, is_distilled=True),
        HeliosPyramidPipeline(None, None, None, HeliosScheduler(**STAGED, scheduler_type="dmd"), None),
    ],
    ids=["scheduler", "flag", "type"],
)
def test_each_mark_makes_a_model_distilled(pipe: HeliosPyramidPipeline) -> None:
    assert pipe.distilled
    assert pipe.usual_arguments["guidance_scale"] == 1.0


def test_a_distilled_model_stays_one_whatever_scheduler_it_is_given_later(caplog: pytest.LogCaptureFixture) -> None:
    told = {"num_frames": 33, "height": 64, "width": 64, "max_sequence_length": 16}
    pipe = pipeline("distilled")
    pipe.scheduler = HeliosScheduler.from_config(pipe.scheduler.config)
    assert pipe.distilled
    assert np.array_equal(
        pipe("hello", generator=source(), **told).frames, distilled()("hello", generator=source(), **told).frames
    )
    assert caplog.text.count("HeliosDMDScheduler takes the place of HeliosScheduler") == 1


@pytest.mark.parametrize(("kind", "steps"), [("mid", [20]), ("distilled", [8, 4])])
def test_each_stage_of_a_scheduler_has_its_usual_steps(kind: str, steps: list[int]) -> None:
    solver = type(schedulers()[kind])(stages=2, stage_range=[0, 0.5, 1])
    made = pipeline(kind, scheduler=solver).stream(
        "hello", num_frames=33 * len(steps), height=32, width=32, max_sequence_length=16, guidance_scale=1.0
    )
    totals = {step.chunk: step.total for step in made.steps() if not isinstance(step, Chunk)}
    assert [*totals.values()] == steps


def test_a_distilled_model_takes_its_own_steps_without_guidance() -> None:
    steps = [
        *distilled()
        .stream("hello", num_frames=40, generator=source(), height=64, width=64, max_sequence_length=16)
        .steps()
    ]
    taken = [step.total for step in steps if not isinstance(step, Chunk)]
    assert taken == [12] * 12 + [6] * 6  # the first chunk is amplified
    assert not any("negative_prompt_embeds" in step.step.state for step in steps if not isinstance(step, Chunk))


# ---------------------------------------------------------------------- timelines and sessions

TWO = [(0, "hello"), ("chunk 1", "and cat", 3)]


def test_a_timeline_tells_another_prompt_from_its_time_on() -> None:
    told = film(100, prompt=None, timeline=TWO)
    plain = film(100)
    assert np.array_equal(
        told[:, :66], plain[:, :66]
    )  # over three chunks a prompt comes in by nothing, by half, wholly
    assert not np.array_equal(told[:, 66:], plain[:, 66:])


def test_times_are_seconds() -> None:
    seconds = film(100, prompt=None, timeline=[(0, "hello"), (33 / 24, "and cat", 1)])
    assert np.array_equal(seconds, film(100, prompt=None, timeline=[(0, "hello"), ("chunk 1", "and cat", 1)]))
    slower = film(100, prompt=None, timeline=[(0, "hello"), ("2.75s", "and cat", 1)], fps=12)
    assert np.array_equal(slower, seconds)


def test_scripted_edits_equal_the_timeline_given_up_front() -> None:
    given = take(base().stream(timeline=TWO, num_frames=None, generator=source(), **SMALL), 4)
    session = base().session(prompt="hello", generator=source(), **SMALL)
    edited = [next(session).frames]
    assert session.set_prompt("and cat") == 1
    edited += take(session, 3)
    assert all(np.array_equal(one, other) for one, other in zip(given, edited, strict=True))


def test_a_prompt_may_be_set_for_later() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    assert session.set_prompt("and cat", at=1, blend=3) == 1
    assert session.set_prompt("hello", at="5.5s") == 4
    assert np.array_equal(
        take(session, 3)[2], take(base().stream(timeline=TWO, num_frames=None, generator=source(), **SMALL), 3)[2]
    )


def test_what_has_begun_cannot_be_told_otherwise() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    steps = session.steps()
    next(steps)
    with pytest.raises(InvalidArgument, match="chunk 1 or later"):
        session.set_prompt("and cat", at=0)
    assert session.set_prompt("and cat") == 1


def test_seeking_back_makes_the_same_chunks_again() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    first = take(session, 3)
    session.seek(1)
    assert session.chunk == 1
    again = take(session, 2)
    assert np.array_equal(again[0], first[1]) and np.array_equal(again[1], first[2])
    session.seek(0)
    assert np.array_equal(next(session).frames, first[0])


def test_what_is_told_after_seeking_back_makes_another_film() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    first = take(session, 3)
    session.seek(1)
    session.set_prompt("and cat", blend=1)
    given = [(0, "hello"), ("chunk 1", "and cat", 1)]
    other = take(base().stream(timeline=given, num_frames=None, generator=source(), **SMALL), 3)
    assert np.array_equal(next(session).frames, other[1]) and not np.array_equal(other[1], first[1])


def test_a_branch_goes_its_own_way_and_leaves_the_first_alone() -> None:
    plain = take(base().session(prompt="hello", generator=source(), **SMALL), 3)
    session = base().session(prompt="hello", generator=source(), **SMALL)
    take(session, 2)
    other = session.branch(1)
    other.set_prompt("and cat", blend=1)
    changed = take(other, 2)
    assert not np.array_equal(changed[0], plain[1])
    assert np.array_equal(next(session).frames, plain[2])


def test_after_seeking_a_branch_and_a_file_begin_where_the_session_does(tmp_path: Path) -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    first = take(session, 2)
    session.seek(1)
    session.save(tmp_path / "film.state")
    for other in (session.branch(), base().resume_session(tmp_path / "film.state"), session):
        assert other.chunk == 1
        assert np.array_equal(next(other).frames, first[1])


def test_seeds_make_a_session_that_can_be_made_again() -> None:
    one, other = (next(base().session(prompt="hello", seeds=[7], **SMALL)).frames for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, next(base().session(prompt="hello", seeds=[8], **SMALL)).frames)


def test_sessions_on_one_model_do_not_meet() -> None:
    alone = [take(base().session(prompt=text, generator=source(), **SMALL), 2) for text in ("hello", "and cat")]
    together: dict[str, list[np.ndarray]] = {}

    def run(text: str) -> None:
        together[text] = take(base().session(prompt=text, generator=source(), **SMALL), 2)

    threads = [threading.Thread(target=run, args=(text,)) for text in ("hello", "and cat")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for text, chunks in zip(("hello", "and cat"), alone, strict=True):
        assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(together[text], chunks, strict=True))


def test_a_paused_session_waits_until_it_may_go_on() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    session.pause()
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(next(session)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and not made
    session.go_on()
    thread.join()
    assert made[0].index == 0


def test_a_stopped_session_ends() -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    next(session)
    session.stop()
    assert [*session] == []


def test_a_session_that_is_left_is_closed(tmp_path: Path) -> None:
    pipe = HeliosPipeline(**base().components)
    pipe.decode_ahead = True
    with pipe.session("hello", generator=source(), state_file=tmp_path / "film.state", state_every=5, **SMALL) as film:
        take(film, 2)
        assert at_work() and not (tmp_path / "film.state").exists()
    assert not at_work()
    assert pipe.resume_session(tmp_path / "film.state").chunk == 2


def test_a_session_that_is_stopped_within_a_step_is_closed_after_it() -> None:
    pipe, taken = HeliosPipeline(**base().components), []
    pipe.decode_ahead = True

    def stop(*told: Any) -> dict[str, Any]:
        taken.append(at_work())
        if len(taken) == 3:
            session.stop()
        return {}

    session = pipe.session("hello", generator=source(), callback_on_step_end=stop, **SMALL)
    next(step for step in session.steps() if len(taken) == 3)
    assert taken == [False, False, True] and not at_work()


def at_work() -> bool:
    """Whether something waits to be decoded."""
    return any(thread.name.startswith("darkroom") for thread in threading.enumerate())


def test_a_session_that_broke_says_so_and_goes_on_from_there() -> None:
    steps = 0

    def fail(*told: Any) -> dict[str, Any]:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise ZeroDivisionError
        return {}

    session = base().session("hello", generator=source(), callback_on_step_end=fail, **SMALL)
    next(session)
    with pytest.raises(ZeroDivisionError):
        next(session)
    for _ in range(2):
        with pytest.raises(Unready, match=r"chunk 1: .*ZeroDivisionError.*seek\(1\) goes on"):
            next(session)
    session.seek(1)
    assert np.array_equal(next(session).frames, film(66, exact_frames=True)[:, 33:])


def test_only_so_many_chunks_are_remembered() -> None:
    session = base().session(prompt="hello", remember=1, generator=source(), **SMALL)
    take(session, 3)
    session.seek(2)
    with pytest.raises(InvalidArgument, match="2 to 3"):
        session.seek(1)


def test_nothing_grows_with_the_length_of_a_session() -> None:
    session = base().session(prompt="hello", remember=2, generator=source(), **SMALL)
    take(session, 2)
    size = (
        len(session._bookmarks),
        sum(t.numel() for t in session._bookmarks[2].values() if isinstance(t, torch.Tensor)),
    )
    take(session, 3)
    assert size[1] == sum(t.numel() for t in session._bookmarks[5].values() if isinstance(t, torch.Tensor))
    assert len(session._bookmarks) == 3


# ---------------------------------------------------------------------- going on


@pytest.mark.parametrize("pipe", [base, distilled], ids=["base", "distilled"])
def test_a_film_goes_on_from_its_state_file_to_the_same_bytes(pipe: Any, tmp_path: Path) -> None:
    arguments = {"num_frames": 100} | (SMALL if pipe is base else PYRAMID)
    whole = [chunk.frames for chunk in pipe().stream("hello", generator=source(), **arguments)]
    file = tmp_path / "film.state"
    stream = pipe().stream("hello", generator=source(), state_file=file, **arguments)
    next(stream)
    next(stream)
    stream.cancel()
    rest = [chunk.frames for chunk in pipe().resume(file)]
    assert len(rest) == len(whole) - 2
    assert all(np.array_equal(one, other) for one, other in zip(rest, whole[2:], strict=True))


def test_a_session_goes_on_from_its_state_file_with_what_was_told(tmp_path: Path) -> None:
    file = tmp_path / "film.state"
    session = base().session(prompt="hello", generator=source(), state_file=file, **SMALL)
    next(session)
    session.set_prompt("and cat", blend=1)
    next(session)
    session.stop()
    again = base().resume_session(file)
    assert again.chunk == 2
    unbroken = take(
        base().stream(timeline=[(0, "hello"), ("chunk 1", "and cat", 1)], num_frames=None, generator=source(), **SMALL),
        3,
    )
    assert np.array_equal(next(again).frames, unbroken[2])


@pytest.mark.parametrize("last", ["told", "sought", "stopped"])
def test_a_state_file_says_what_was_told_last(last: str, tmp_path: Path) -> None:
    file = tmp_path / "film.state"
    session = base().session("hello", generator=source(), state_file=file, state_every=2, **SMALL)
    take(session, 3)
    if last == "told":
        session.set_prompt("and cat", at=5, blend=1)
    elif last == "sought":
        session.seek(1)
    else:
        session.stop()
    again = base().resume_session(file)
    assert again.chunk == session.chunk
    assert again.timeline.cuts == session.timeline.cuts


def test_leaving_a_session_again_leaves_its_state_file_to_others(tmp_path: Path) -> None:
    file = tmp_path / "film.state"
    with base().session("hello", generator=source(), state_file=file, **SMALL) as session:
        next(session)
        session.stop()
        next(base().resume_session(file))
    assert base().resume_session(file).chunk == 2


def test_before_the_first_chunk_a_session_is_saved_with_what_is_told_after_given_states(tmp_path: Path) -> None:
    states = torch.randn(1, 16, 16, generator=source())
    session = base().session(prompt_embeds=states, guidance_scale=1.0, generator=source(), **SMALL)
    session.set_prompt("and cat", at=1, blend=1)
    session.save(tmp_path / "film.state")
    session.save(tmp_path / "copy.state")
    first = take(session, 2)
    for again in (base().resume_session(tmp_path / "film.state"), base().resume(tmp_path / "copy.state")):
        assert all(np.array_equal(one, other) for one, other in zip(take(again, 2), first, strict=True))


def test_a_session_of_a_timeline_in_a_file_goes_on_without_that_file(tmp_path: Path) -> None:
    told, file = tmp_path / "told.csv", tmp_path / "film.state"
    told.write_text("start,prompt,blend\n0,hello,\n0:02.8,and cat,1\n")
    session = base().session(timeline=str(told), generator=source(), state_file=file, **SMALL)
    next(session)
    told.unlink()
    assert base().resume_session(file).timeline.cuts == session.timeline.cuts


def test_what_is_told_no_more_stands_in_no_bookmark(tmp_path: Path) -> None:
    file = tmp_path / "film.state"
    session = base().session("hello", generator=source(), state_file=file, **SMALL | {"num_inference_steps": 1})
    sizes: list[int] = []
    for word in "abcdef":
        session.set_prompt(1000 * word, blend=2)
        next(session)
        sizes.append(file.stat().st_size)
    assert len(set(sizes[1:])) == 1
    session.set_prompt("hello", at=9)
    chunks = [next(session) for _ in range(2)]
    assert chunks[0].bookmark["timeline"][-1] is chunks[1].bookmark["timeline"][-1]
    assert [cut.chunk for cut in chunks[1].bookmark["timeline"]] == [5, 9]
    again = base().resume_session(file)
    assert np.array_equal(next(again).frames, next(session).frames)


def test_a_session_can_be_saved_between_chunks(tmp_path: Path) -> None:
    session = base().session(prompt="hello", generator=source(), **SMALL)
    next(session)
    session.set_prompt("and cat", blend=1)
    session.save(tmp_path / "film.state")
    assert np.array_equal(next(base().resume_session(tmp_path / "film.state")).frames, next(session).frames)


@pytest.mark.parametrize("changed", ["guidance_scale", "prompt_embeds", "negative_prompt_embeds"])
def test_what_a_callback_changed_stays_changed_when_the_film_goes_on(changed: str, tmp_path: Path) -> None:
    taken = 0

    def change(pipe: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        nonlocal taken
        taken += 1
        if taken == 1 and changed == "guidance_scale":
            pipe._guidance_scale = 1.0
        return {changed: -tensors[changed]} if taken == 1 and changed in tensors else tensors

    told = {"timeline": [(0, "hello"), ("chunk 2", "and cat", 1)], "callback_on_step_end": change, **SMALL}
    told["callback_on_step_end_tensor_inputs"] = ["prompt_embeds", "negative_prompt_embeds"]
    session = base().session(generator=source(), **told)
    made = []
    for chunk in range(3):
        made.append(next(session).frames)
        session.save(tmp_path / f"{chunk}.state")
    made.append(next(session).frames)
    assert not np.array_equal(made[1], film(66)[:, 33:])
    for chunk in range(3):
        assert np.array_equal(next(base().resume(tmp_path / f"{chunk}.state")).frames, made[chunk + 1])
        session.seek(chunk + 1)
        assert np.array_equal(next(session).frames, made[chunk + 1])


def test_what_is_asked_anew_of_a_film_that_goes_on_is_heard(tmp_path: Path) -> None:
    session = base().session("hello", generator=source(), state_file=tmp_path / "film.state", **SMALL)
    next(session)
    other = next(base().resume(tmp_path / "film.state", guidance_scale=1.0)).frames
    assert not np.array_equal(other, next(session).frames)


TURNS = [(0, "hello"), ("chunk 1", "and cat", 1)]


@pytest.mark.parametrize("begun", [0, 1])
@pytest.mark.parametrize(
    "first", [{"prompt": "hello"}, {"timeline": [(0, "hello"), ("chunk 1", "hello hello")]}], ids=str
)
def test_what_a_film_that_goes_on_is_told_anew_takes_the_place_of_what_it_was_told(
    first: Any, begun: int, tmp_path: Path
) -> None:
    session = base().session(generator=source(), num_frames=66, **first, **SMALL)
    take(session, begun)
    session.save(tmp_path / "film.state")
    (expected,) = [*base().stream(timeline=TURNS, num_frames=66, generator=source(), **SMALL)][1:]
    for told in ({"timeline": TURNS}, {"prompt": "and cat"}) if begun else ({"timeline": TURNS},):
        shutil.copy(tmp_path / "film.state", tmp_path / "copy")
        assert np.array_equal([*base().resume(tmp_path / "copy", **told)][-1].frames, expected.frames)


def test_a_film_without_a_chunk_yet_may_be_told_otherwise(tmp_path: Path) -> None:
    told = {"num_frames": 33, **SMALL}
    StateFile(base(), tmp_path / "state", {"prompt": "hello", "generator": source(), **told}).write(None)
    made = next(base().resume(tmp_path / "state", prompt="and cat")).frames
    assert np.array_equal(made, base()("and cat", generator=source(), **told).frames)


def test_states_that_a_callback_put_in_give_way_to_what_is_told_anew(tmp_path: Path) -> None:
    louder = {
        "callback_on_step_end": lambda pipe, step, t, tensors: {"prompt_embeds": 2 * tensors["prompt_embeds"]},
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    session = base().session("hello", num_frames=66, generator=source(), **louder, **SMALL)
    next(session)
    session.save(tmp_path / "kept")
    shutil.copy(tmp_path / "kept", tmp_path / "anew")
    kept, anew = next(base().resume(tmp_path / "kept")), next(base().resume(tmp_path / "anew", prompt="hello"))
    assert not np.array_equal(kept.frames, anew.frames)


def test_the_state_of_a_film_is_small_however_long_it_is(tmp_path: Path) -> None:
    file = tmp_path / "film.state"
    chunks = base().stream("hello", num_frames=130, generator=source(), state_file=file, **SMALL)
    sizes = [file.stat().st_size for _ in chunks]
    assert max(sizes) - min(sizes) < 64


@pytest.mark.parametrize("told", [str, Path, read_timeline])
def test_a_film_goes_on_without_the_file_of_its_timeline(told: Any, tmp_path: Path) -> None:
    turns, file = tmp_path / "turns.csv", tmp_path / "film.state"
    turns.write_text("start,prompt\n0,hello\n2,and cat\n")
    stream = base().stream(timeline=told(turns), num_frames=66, generator=source(), state_file=file, **SMALL)
    next(stream)
    shutil.copy(file, tmp_path / "copy")
    turns.unlink()
    assert np.array_equal(next(base().resume(tmp_path / "copy")).frames, next(stream).frames)


GIVEN = {
    "image": Image.new("RGB", (320, 320)),
    "video": np.zeros((33, 64, 64, 3), np.float32),
    "latents": torch.ones(1, 4, 9, 2, 2),
}


@pytest.mark.parametrize("way", ["stream", "session"])
@pytest.mark.parametrize("name", GIVEN)
def test_the_state_of_a_film_is_as_small_whatever_it_begins_with(name: str, way: str, tmp_path: Path) -> None:
    arguments = {"prompt": "hello", "num_frames": 66, "generator": 0, **SMALL}
    plain, file, copy = tmp_path / "plain.state", tmp_path / "film.state", tmp_path / "copy"
    next(getattr(base(), way)(**arguments, state_file=plain))
    going = getattr(base(), way)(**arguments, **{name: GIVEN[name]}, state_file=file)
    next(going)
    assert abs(file.stat().st_size - plain.stat().st_size) < 64
    shutil.copy(file, copy)
    assert np.array_equal(next(base().resume(copy)).frames, next(going).frames)


def test_a_session_is_saved_with_what_it_begins_with(tmp_path: Path) -> None:
    session = base().session(prompt="hello", generator=0, image=GIVEN["image"], **SMALL)
    session.save(tmp_path / "film.state")
    assert np.array_equal(next(base().resume_session(tmp_path / "film.state")).frames, next(session).frames)


# ---------------------------------------------------------------------- a model's own defaults


def test_a_model_may_say_what_is_meant_where_an_argument_is_left_out(tmp_path: Path) -> None:
    pipe = HeliosPipeline(**base().components)
    pipe.register_to_config(_usual_arguments={**SMALL, "num_frames": 33})
    pipe.save_pretrained(tmp_path)
    again = HeliosPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert np.array_equal(again("hello", generator=source()).frames, film(33))
    assert again("hello", generator=source(), height=32).frames.shape[2] == 32


def test_a_session_counts_in_chunks_of_the_models_own_length() -> None:
    pipe = HeliosPipeline(**base().components)
    assert pipe.session(prompt="hello", **SMALL).seconds == 33 / 24
    pipe.register_to_config(_usual_arguments={**SMALL, "num_latent_frames_per_chunk": 3})
    session = pipe.session(prompt="hello", generator=0)
    assert session.seconds == 9 / 24
    assert session.set_prompt("and cat", at="1.5s") == 4
    assert pipe.session(prompt="hello", num_latent_frames_per_chunk=5).seconds == 17 / 24


@pytest.mark.parametrize("usual", [["height"], {"tall": 64}], ids=["list", "unknown"])
def test_what_is_no_argument_is_refused(usual: Any, tmp_path: Path) -> None:
    pipe = HeliosPipeline(**base().components)
    pipe.register_to_config(_usual_arguments=usual)
    pipe.save_pretrained(tmp_path)
    with pytest.raises(CorruptFile, match="_usual_arguments"):
        HeliosPipeline.from_pretrained(tmp_path)


# ---------------------------------------------------------------------- LoRA


def low_rank(network: Any) -> dict[str, torch.Tensor]:
    layers = ["blocks.0.attn1.to_q", "blocks.1.attn2.to_k", "condition_embedder.text_embedder.linear_1", "patch_short"]
    made = {}
    for layer in layers:
        outputs, inputs, *kernel = network.get_submodule(layer).weight.shape
        made[f"transformer.{layer}.lora_A.weight"] = torch.randn(2, inputs, *kernel, generator=source(1))
        made[f"transformer.{layer}.lora_B.weight"] = torch.randn(outputs, 2, *[1] * len(kernel), generator=source(2))
    return made


def test_a_lora_is_worn_by_films_and_taken_off_again() -> None:
    pipe = HeliosPipeline(**{**base().components, "transformer": transformer()})
    pipe.set_progress_bar_config(disable=True)

    def made(**options: Any) -> Any:
        return pipe("hello", num_frames=40, generator=source(), **SMALL, **options).frames

    plain = made()
    pipe.load_lora_weights(low_rank(pipe.transformer))
    worn = made()
    assert not np.allclose(worn, plain, atol=1e-3)
    assert np.array_equal(made(attention_kwargs={"scale": 0.0}), plain)
    pipe.fuse_lora()
    assert np.allclose(made(), worn, atol=1e-5)
    pipe.unfuse_lora()
    pipe.unload_lora_weights()
    assert np.array_equal(made(), plain)
