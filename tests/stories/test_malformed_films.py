"""Malformed films: each is refused before any network runs, by an error that names the argument, what came and what would do."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.core.errors import CalotypeError, InvalidArgument, MissingFile, NotFinite, UnknownArgument, WriteError
from calotype.core.resuming import StateFile, reopen
from tests.tiny_helios import SHORT, pipeline, text_encoder, transformer, vae

NAN, INF = float("nan"), float("inf")
EVERY = (BASE, MID, DISTILLED) = ("base", "mid", "distilled")
PYRAMID, GUIDED = (MID, DISTILLED), (BASE, MID)
ENTRANCES = {
    "text_encoder": ("forward",),
    "vae": ("encode", "decode"),
    "transformer": ("read_text", "read_history", "predict"),
}


def rgb(width: int = 32, height: int = 32) -> Image.Image:
    return Image.new("RGB", (width, height))


def full(*shape: int, value: float = 0.0) -> torch.Tensor:
    return torch.full(shape, value)


def wrong(
    name: str, values: list[Any], kinds: tuple[str, ...] = EVERY, error: type[Exception] = InvalidArgument
) -> list[Any]:
    return [(kinds, {name: value}, error, [name]) for value in values]


def given(**tensors: Any) -> dict[str, Any]:
    """The beginning of a film in latents, at the size of the base pipeline."""
    return {"height": 16, "width": 16, **tensors}


STEPS = "pyramid_num_inference_steps_list"
STILL, MOVING = full(1, 4, 1, 2, 2), full(1, 4, 9, 2, 2)
ROWS = [
    (EVERY, {"negativ_prompt": "x"}, UnknownArgument, ["negativ_prompt", "negative_prompt"]),
    (EVERY, {"interpolate_time_list": [7, 7]}, UnknownArgument, ["interpolate_time_list"]),
    # what is made
    *wrong("height", [0, -64, 15, "64", 2**40, 64.5, NAN, True, [64], None]),
    *wrong("width", [0, -8, 33, "32", 2**40, {}, None]),
    ((BASE,), {"height": 40}, InvalidArgument, ["height", "multiple of 16", "40", "The nearest is 32"]),
    (PYRAMID, {"height": 96}, InvalidArgument, ["height", "multiple of 64", "96", "The nearest is 128"]),
    (PYRAMID, {"width": 288}, InvalidArgument, ["width", "multiple of 64", "288", "The nearest is 256"]),
    *wrong("num_frames", [0, -1, True, np.int64(0), 33.0, "33", NAN, [33], 10**12]),
    (EVERY, {"num_frames": None}, InvalidArgument, ["num_frames", "pipe.stream", "pipe.session"]),
    *wrong("num_videos_per_prompt", [0, -1, 1.5, "2", None, True]),
    *wrong("output_type", ["bogus", None, 3, "PIL"]),
    *wrong("exact_frames", [1, "yes", None]),
    *wrong("fps", [0, -24, NAN, INF, "24", None]),
    # what is told
    *wrong("prompt", [[], [1], ["a", None], b"bytes", 3, {"a": 1}, "\ud800", "x" * 32_769]),
    (EVERY, {"prompt": None}, InvalidArgument, ["prompt", "prompt_embeds", "neither"]),
    (EVERY, {"prompt_embeds": full(1, 7, 16)}, InvalidArgument, ["prompt", "prompt_embeds", "both"]),
    *[(EVERY, {"prompt": turns}, InvalidArgument, ["prompt", "timeline=[(0, ", "seconds"]) for turns in ([(0, "a"), (5, "b")], [[0, "a"]], [0, "a", 5, "b"], {0: "a", 5: "b"})],
    *wrong("negative_prompt", [3, [1], ["a", "b", "c"], b"x", []]),
    (EVERY, {"negative_prompt": "a", "negative_prompt_embeds": full(1, 7, 16)}, InvalidArgument, ["negative_prompt", "both"]),
    *[(EVERY, {"prompt": None, "prompt_embeds": embeds}, InvalidArgument, ["prompt_embeds", "16"]) for embeds in (full(1, 7, 15), full(7, 16), full(0, 7, 16))],
    (EVERY, {"prompt": None, "prompt_embeds": "words"}, InvalidArgument, ["prompt_embeds", "str"]),
    (EVERY, {"prompt": None, "prompt_embeds": full(1, 7, 16, value=NAN)}, NotFinite, ["prompt_embeds"]),
    (EVERY, {"negative_prompt_embeds": full(1, 7, 16, value=INF)}, NotFinite, ["negative_prompt_embeds"]),
    (EVERY, {"negative_prompt_embeds": full(3, 7, 16)}, InvalidArgument, ["negative_prompt_embeds", "3"]),
    (EVERY, {"prompt": None, "prompt_embeds": full(1, 7, 16), "negative_prompt_embeds": full(1, 5, 16)}, InvalidArgument, ["negative_prompt_embeds", "5"]),
    *wrong("max_sequence_length", [0, -1, 1.5, "16", None]),
    # timelines
    *[(EVERY, {"prompt": None, "timeline": turns}, InvalidArgument, ["timeline"]) for turns in ([], {0: "a"}, ["a"], [(0,)], [(0, "a", 1, 2)], [(0, 3)], [(0, "a", 0)], [(0, "a", "x")], [(NAN, "a")], [(-1, "a")], [("soon", "a")], [(True, "a")])],
    (EVERY, {"prompt": None, "timeline": "missing.csv"}, MissingFile, ["missing.csv"]),
    (EVERY, {"prompt": None, "timeline": [(5, "a")]}, InvalidArgument, ["timeline[0]: start", "0", "beginning"]),
    (EVERY, {"prompt": None, "timeline": [(0, "a"), (9, "b"), (4, "c")]}, InvalidArgument, ["timeline[2]: start", "in order"]),
    (EVERY, {"prompt": None, "timeline": [(0, "a"), (0.1, "b")]}, InvalidArgument, ["timeline[1]: start", "1.375 s"]),
    (EVERY, {"timeline": [(0, "a")]}, InvalidArgument, ["prompt, timeline", "both"]),
    (EVERY, {"prompt": None, "prompt_embeds": full(1, 7, 16), "timeline": [(0, "a")]}, InvalidArgument, ["timeline", "both"]),
    # where to keep it
    (EVERY, {"state_file": "."}, WriteError, [".: could not be written", "directory"]),
    # how to walk
    *wrong("num_inference_steps", [0, -3, 2.5, None, "20", True, 10**9, NAN], (BASE,)),
    *wrong("sigmas", [[], [0.1, 0.9], [0.5, 0.5], [NAN], [2.0, 1.0], [0.9, -0.1], "x", [[0.9]]], (BASE,)),
    *wrong("sigmas", [[0.9, 0.5], []], PYRAMID),
    *wrong(STEPS, [[], [2], [2, 2], [2, 2, 2, 2], 6, "222", None, [2, 0, 2], [2, -1, 2], [2, 2.0, 2], [True, 2, 2], [2, 2, 1001]], PYRAMID),
    (PYRAMID, {STEPS: [2, 2]}, InvalidArgument, [STEPS, "3 whole numbers", "[2, 2]"]),
    (PYRAMID, {STEPS: [2, "2", 2]}, InvalidArgument, [f"{STEPS}[1]", "'2'"]),
    ((BASE,), {STEPS: [2, 2, 2]}, UnknownArgument, [STEPS]),
    (PYRAMID, {"num_inference_steps": 50}, UnknownArgument, ["num_inference_steps"]),
    *wrong("guidance_scale", [NAN, INF, -INF, "7.5", None, [7.5]]),
    *wrong("use_zero_init", [1, None, "no"], PYRAMID),
    *wrong("zero_steps", [-1, 1.5, None], PYRAMID),
    *wrong("is_amplify_first_chunk", [1, None], PYRAMID),
    ((MID,), {"is_amplify_first_chunk": True}, InvalidArgument, ["is_amplify_first_chunk", "HeliosDMDScheduler"]),
    *wrong("generator", [[], [torch.Generator()] * 3, "0", 1.5, -1, 2**64, True]),
    *wrong("latents", [full(1, 4, 9, 3, 3), full(1, 3, 9, 2, 2), full(2, 4, 9, 2, 2), full(1, 4, 2, 2), np.zeros((1, 4, 9, 2, 2)), torch.zeros(1, 4, 9, 2, 2, dtype=torch.long), 3]),
    (EVERY, {"latents": full(1, 4, 9, 2, 2, value=NAN)}, NotFinite, ["latents"]),
    *wrong("history_sizes", [[], [16], [16, 2], [16, 2, 1, 1], [16, 2, 0], [16, 2, 1.0], [16, True, 1], "1621", None, 19, [10**9, 2, 1], [998, 2, 1]]),
    *wrong("num_latent_frames_per_chunk", [0, -9, 9.0, "9", None]),
    *wrong("keep_first_frame", [1, None]),
    *wrong("is_skip_first_chunk", [1, None]),
    *wrong("attention_kwargs", [3, {"scale": NAN}, {"scale": "1"}]),
    *wrong("attention_kwargs", [{"scal": 1.0}], error=UnknownArgument),
    *wrong("callback_on_step_end_tensor_inputs", [["noise"], ["latents", "x"]]),
    *wrong("callback_on_step_end", [3]),
    # what the film goes on from
    (EVERY, {"image": rgb(), "video": [rgb()] * 33}, InvalidArgument, ["image, video", "both"]),
    ((BASE,), given(image=rgb(), video_latents=MOVING), InvalidArgument, ["image, video_latents", "both"]),
    ((BASE,), given(video=[rgb()] * 33, video_latents=MOVING), InvalidArgument, ["video, video_latents", "both"]),
    ((BASE,), given(video=[rgb()] * 33, fake_image_latents=STILL), InvalidArgument, ["fake_image_latents, video", "both"]),
    ((BASE,), given(image_latents=STILL), InvalidArgument, ["image_latents", "fake_image_latents", "image"]),
    ((BASE,), given(fake_image_latents=STILL), InvalidArgument, ["fake_image_latents", "image_latents"]),
    ((BASE,), given(video_latents=MOVING), InvalidArgument, ["video_latents", "image_latents", "first frame"]),
    *wrong("image", ["picture.png", 3, [], [rgb(), None], [rgb()] * 2, np.zeros((32, 32, 5)), np.full((32, 32, 3), 7.0), torch.zeros(5, 32, 32), torch.zeros(1, 4, 32, 32)]),
    *wrong("image", [np.full((32, 32, 3), NAN)], error=NotFinite),
    (EVERY, {"video": [rgb()] * 32}, InvalidArgument, ["video", "33 frames", "32"]),
    (EVERY, {"video": [[rgb()] * 33] * 2}, InvalidArgument, ["video", "1 films", "2"]),
    (EVERY, {"video": [rgb()] * 32 + [rgb(64, 32)]}, InvalidArgument, ["video[32]", "32x32", "64x32"]),
    (EVERY, {"video": [[rgb()] * 33, [rgb()] * 34]}, InvalidArgument, ["video", "one length", "33", "34"]),
    *wrong("video", ["film.mp4", 3, [], rgb(), [rgb(), None] * 20, np.zeros((33, 32, 32, 5))]),
    *wrong("video", [np.full((33, 16, 16, 3), INF)], error=NotFinite),
    *[row for name in ("image_latents", "fake_image_latents", "video_latents") for row in wrong(name, [3, "x", np.zeros((1, 4, 1, 2, 2)), torch.zeros(1, 4, 1, 2, 2, dtype=torch.long)])],
    *[((BASE,), given(image=rgb(), **{name: bad}), InvalidArgument, [name, "(1, 4, 1, 2, 2)"]) for name in ("image_latents", "fake_image_latents") for bad in (full(1, 4, 1, 3, 3), full(1, 4, 2, 2), full(2, 4, 1, 2, 2), full(1, 3, 1, 2, 2))],
    *[((BASE,), given(image_latents=STILL, video_latents=bad), InvalidArgument, ["video_latents"]) for bad in (full(1, 4, 0, 2, 2), full(1, 4, 9, 3, 3), full(3, 4, 9, 2, 2))],
    ((BASE,), given(image=rgb(), fake_image_latents=full(1, 4, 1, 2, 2, value=NAN)), NotFinite, ["fake_image_latents"]),
    *[row for name in ("image_noise_sigma", "video_noise_sigma") for end in ("min", "max") for row in wrong(f"{name}_{end}", [-0.1, 1.1, NAN, "0", None])],
    (EVERY, {"image_noise_sigma_min": 0.5, "image_noise_sigma_max": 0.4}, InvalidArgument, ["image_noise_sigma_max", "0.4"]),
    (EVERY, {"video_noise_sigma_min": 0.5, "video_noise_sigma_max": 0.4}, InvalidArgument, ["video_noise_sigma_max", "0.4"]),
    *wrong("add_noise_to_image_latents", [1, None]),
    *wrong("add_noise_to_video_latents", ["no"]),
    *wrong("seeds", [[1, 2, 3]]),
    *wrong("deadline", [0, -1, True]),
]  # fmt: skip


@pytest.fixture(scope="module")
def pipes() -> dict[str, Any]:
    return {kind: pipeline(kind) for kind in EVERY}


def asleep(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network of the pipeline may run."""

    def run(*_: Any, **__: Any) -> None:
        raise AssertionError("a network ran")

    for name, entrances in ENTRANCES.items():
        for entrance in entrances:
            monkeypatch.setattr(getattr(pipe, name), entrance, run)


def refusal(pipe: Any, kind: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> Exception:
    """What is said to a call with these arguments, or that a network ran."""
    asleep(pipe, monkeypatch)
    with pytest.raises((CalotypeError, AssertionError)) as caught:
        pipe(**{"prompt": "hello", "num_frames": 33, **SHORT[kind], **changes})
    return caught.value


@pytest.mark.parametrize(("kinds", "changes", "error", "words"), ROWS)
def test_it_is_refused_before_any_network_runs(
    pipes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    kinds: tuple[str, ...],
    changes: dict[str, Any],
    error: type[Exception],
    words: list[str],
) -> None:
    said = {kind: refusal(pipes[kind], kind, monkeypatch, changes) for kind in kinds}
    assert {kind: one for kind, one in said.items() if not isinstance(one, error)} == {}
    assert {kind: str(one) for kind, one in said.items() if not all(word in str(one) for word in words)} == {}
    assert not re.search("0x[0-9a-f]{6}", " ".join(map(str, said.values())))  # no addresses


THREE = calotype.HeliosScheduler()
MISFITS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "no transformer": (BASE, {"transformer": None}, ["transformer", "None"]),
    "no VAE": (MID, {"vae": None}, ["vae", "None"]),
    "no scheduler": (DISTILLED, {"scheduler": None}, ["scheduler", "None"]),
    "no tokenizer": (BASE, {"tokenizer": None}, ["tokenizer", "prompt_embeds"]),
    "stages for one": (BASE, {"scheduler": THREE}, ["scheduler", "stages=3", "HeliosPyramidPipeline"]),
    "one for stages": (MID, {"scheduler": calotype.HeliosScheduler(stages=1)}, ["scheduler", "stages=1", "HeliosPipeline"]),
    "another's": (BASE, {"scheduler": calotype.DDIMScheduler()}, ["scheduler", "DDIMScheduler", "HeliosScheduler.from_config"]),
    "channels": (BASE, {"vae": vae(z_dim=3, latents_mean=(0.0,) * 3, latents_std=(1.0,) * 3)}, ["transformer, vae", "4", "3"]),
    "written": (BASE, {"transformer": transformer(out_channels=5)}, ["transformer, vae", "5"]),
    "widths": (BASE, {"text_encoder": text_encoder(d_model=24)}, ["transformer, text_encoder", "16", "24"]),
}  # fmt: skip


@pytest.mark.parametrize("misfit", MISFITS)
def test_components_that_do_not_fit_are_refused_by_name(misfit: str) -> None:
    kind, parts, words = MISFITS[misfit]
    with pytest.raises(InvalidArgument) as caught:
        pipeline(kind, **parts)("hello", num_frames=33, **SHORT[kind])
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_scheduler_whose_range_contradicts_its_stages_is_refused() -> None:
    for scheduler in (calotype.HeliosScheduler, calotype.HeliosDMDScheduler):
        with pytest.raises(InvalidArgument, match=r"stage_range.*4 numbers.*stages=3"):
            scheduler(stages=3, stage_range=[0, 0.5, 1])


@cache
def base() -> Any:
    return pipeline()


def session(**arguments: Any) -> Any:
    return base().session(**{"prompt": "hello", "generator": 0} | SHORT["base"] | arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": ["hello", "and cat"]}, ["prompt", "timeline=[(0, "]),
        ({"prompt": 3}, ["prompt"]),
        ({"timeline": [(0, "a"), (0.1, "b")], "prompt": None}, ["timeline[1]: start"]),
        ({"fps": 0}, ["fps"]),
        ({"fps": "24"}, ["fps"]),
        ({"num_latent_frames_per_chunk": "9"}, ["num_latent_frames_per_chunk"]),
        ({"num_frames": 0}, ["num_frames"]),
        ({"guidance_scale": NAN}, ["guidance_scale"]),
        ({"remember": -1}, ["remember"]),
        ({"remember": 1.5}, ["remember"]),
        ({"state_every": 0}, ["state_every", "0"]),
        ({"generator": 0, "seeds": [1]}, ["seeds", "both"]),
        ({"nonsense": 1}, ["nonsense"]),
        ({"state_file": "."}, [".: could not be written", "directory"]),
    ],
    ids=lambda value: ",".join(map(str, value)),
)
def test_a_session_is_refused_when_it_is_asked_for(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CalotypeError) as caught:
        session(**arguments)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"text": 3}, ["text", "3"]),
        ({"text": ["a", "b"]}, ["text"]),
        ({"text": "a", "at": "soon"}, ["at", "7.5s", "'soon'"]),
        ({"text": "a", "at": -1}, ["at", "-1"]),
        ({"text": "a", "at": 1.5}, ["at", "1.5"]),
        ({"text": "a", "at": True}, ["at", "True"]),
        ({"text": "a", "at": None}, ["at", "None"]),
        ({"text": "a", "blend": 0}, ["blend", "0"]),
        ({"text": "a", "blend": "3"}, ["blend", "'3'"]),
        ({"text": "a", "at": 3}, ["at", "chunk 3", "at most 2"]),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_told_is_refused_and_nothing_is_told(told: dict[str, Any], words: list[str]) -> None:
    directed = session(num_frames=99)
    with pytest.raises(InvalidArgument) as caught:
        directed.set_prompt(**told)
    assert [word for word in words if word not in str(caught.value)] == []
    assert len(directed.timeline.cuts) == 1


@pytest.mark.parametrize("chunk", [1, -1, True, "0", 0.0, [0], None])
def test_a_chunk_that_is_not_remembered_is_refused(chunk: Any) -> None:
    directed = session()
    with pytest.raises(InvalidArgument, match="chunk: expected one of the chunks that are remembered, 0 to 0"):
        directed.seek(chunk)
    if chunk is not None:  # the next one
        with pytest.raises(InvalidArgument, match="chunk"):
            directed.branch(chunk)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"given": None}, ["given", "True or False"]),
        ({"walked": None}, ["walked", "none"]),
        ({"walked": -1}, ["walked", "-1"]),
        ({"walked": "1"}, ["walked", "str"]),
        ({"timeline": None}, ["timeline", "none"]),
        *[({"timeline": cuts}, ["timeline"]) for cuts in ((), (1,), ((0, ("a",)),), ((-1, ("a",), 1),), ((0, (3,), 1),), ((0, ("a",), 0),))],
        ({"latents": full(1, 4, 19, 4, 2)}, ["latents", "(1, 4, 19, 2, 2)", "(1, 4, 19, 4, 2)"]),
        ({"anchor": full(1, 4, 2, 2)}, ["anchor", "(1, 4, 1, 2, 2)"]),
        ({"generators": []}, ["generators", "1", "0"]),
        ({"generators": [full(3)]}, ["generators", "others"]),
        ({"settings": {"guidance_scale": "7"}}, ["guidance_scale", "'7'"]),
        ({"settings": None}, ["settings", "none"]),
        ({"replaced": {"prompt_embeds": full(1, 7, 15)}}, ["prompt_embeds", "16", "15"]),
        ({"replaced": {"prompt_embeds": 3}}, ["prompt_embeds", "int"]),
    ],
)  # fmt: skip
def test_a_bookmark_that_was_changed_is_refused(
    changes: dict[str, Any], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, file = base(), tmp_path / "film.state"
    pipe.session("hello", generator=0, **SHORT[BASE]).save(file)
    arguments, begun = reopen(pipe, file)
    begun |= whole_bookmark() | changes
    StateFile(pipe, file, arguments).write({name: value for name, value in begun.items() if value is not None})
    asleep(pipe, monkeypatch)
    for resume in (pipe.resume, pipe.resume_session):
        with pytest.raises(InvalidArgument) as caught:
            next(resume(file))
        assert [word for word in ("bookmark", *words) if word not in str(caught.value)] == []


def test_a_film_does_not_go_on_at_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, file = base(), tmp_path / "film.state"
    StateFile(pipe, file, {"prompt": "hello", "generator": 0, **SHORT[BASE]}).write(whole_bookmark())
    asleep(pipe, monkeypatch)
    with pytest.raises(
        InvalidArgument, match=r"latents: expected shape \(1, 4, 19, 4, 2\), found shape \(1, 4, 19, 2, 2\)"
    ):
        next(pipe.resume(file, height=32))


@cache
def whole_bookmark() -> dict[str, Any]:
    """The bookmark of a chunk."""
    return next(session()).bookmark


def test_words_cannot_come_in_over_states_of_another_length() -> None:
    directed = session(prompt=None, prompt_embeds=torch.zeros(1, 7, 16), max_sequence_length=16, guidance_scale=1.0)
    with pytest.raises(InvalidArgument, match=r"max_sequence_length: expected 7.*blend=1"):
        directed.set_prompt("and cat")
    assert directed.set_prompt("and cat", blend=1) == 0
    assert next(directed).frame_count == 33


def test_what_is_told_after_the_end_is_said_not_to_be_heard(caplog: pytest.LogCaptureFixture) -> None:
    turns = [(0, "hello"), ("chunk 5", "and cat")]
    base()(timeline=turns, num_frames=33, generator=0, **SHORT["base"])
    assert "chunk 5 is not heard" in caplog.text


def test_guidance_asked_of_a_distilled_model_is_said_once(
    pipes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipes[DISTILLED](
        "hello", num_frames=66, guidance_scale=3.0, generator=0, max_sequence_length=16, **SHORT[DISTILLED]
    )
    assert caplog.text.count("guidance_scale=3") == 1
    caplog.clear()
    pipes[DISTILLED]("hello", num_frames=1, generator=0, max_sequence_length=16, **SHORT[DISTILLED])
    assert "guidance" not in caplog.text


UNUSED: list[tuple[str, dict[str, Any], str]] = [
    (DISTILLED, {"negative_prompt": "dull"}, "negative_prompt: not used, as there is no guidance"),
    (BASE, {"negative_prompt_embeds": full(1, 16, 16), "guidance_scale": 1.0}, "negative_prompt_embeds: not used"),
    (DISTILLED, {"zero_steps": 3}, "zero_steps: not used, as no step stands still without CFG-Zero*"),
    (MID, {"zero_steps": 3, "use_zero_init": False}, "zero_steps: not used"),
    (BASE, {"image_noise_sigma_max": 0.2}, "image_noise_sigma_max: not used, as the film begins with neither"),
    (
        BASE,
        {"add_noise_to_video_latents": False, "video_noise_sigma_min": 0.1},
        "add_noise_to_video_latents, video_noise",
    ),
    (
        BASE,
        {"image": Image.new("RGB", (16, 16)), "add_noise_to_video_latents": False},
        "add_noise_to_video_latents: not used, as the film begins with an image",
    ),
    (
        BASE,
        {"video": np.zeros((33, 16, 16, 3), np.float32), "add_noise_to_image_latents": False},
        "add_noise_to_image_latents: not used, as the film begins with a video",
    ),
]


@pytest.mark.parametrize(("kind", "told", "said"), UNUSED, ids=lambda value: str(value)[:40])
def test_an_argument_that_a_film_has_no_use_for_is_said_once(
    kind: str, told: dict[str, Any], said: str, pipes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"num_frames": np.int64(34), "generator": 0, "max_sequence_length": 16, **SHORT[kind]}
    pipes[kind]("hello", **asked, **told)
    assert caplog.text.count(said) == caplog.text.count("not used") == 1


@pytest.mark.parametrize("kind", EVERY)
def test_what_a_film_has_use_for_is_not_talked_about(
    kind: str, pipes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    away = {"negative_prompt": "" if kind == DISTILLED else "dull"} | ({"zero_steps": 0} if kind == MID else {})
    pipes[kind]("hello", num_frames=1, generator=0, max_sequence_length=16, **SHORT[kind], **away)
    assert not caplog.records


def test_latents_that_are_not_finite_are_told_with_their_chunk(pipes: dict[str, Any]) -> None:
    def spoil(call: Any, i: int, t: torch.Tensor, state: dict[str, Any]) -> dict[str, Any]:
        chunks.append(i)
        return {"latents": state["latents"] * NAN} if len(chunks) == 3 else {}

    chunks: list[int] = []
    with pytest.raises(NotFinite, match="latents of chunk 1 after denoising"):
        pipes[BASE]("hello", num_frames=66, callback_on_step_end=spoil, max_sequence_length=16, **SHORT[BASE])
