"""Films that go on from pictures and videos, several at once, and what they see of the past."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.pipelines.helios.past import Past, Window
from tests.tiny_helios import SHORT, pipeline

TWO = ["hello", "and cat"]


@cache
def pipe(kind: str) -> Any:
    return pipeline(kind)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def film(kind: str = "base", **arguments: Any) -> Any:
    usual = {"prompt": "hello", "num_frames": 33, "max_sequence_length": 16, "output_type": "latent"}
    return pipe(kind)(**{**usual, **SHORT[kind], **arguments}).frames


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8))


def video(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((34, 16, 16, 3), np.float32)


@pytest.mark.parametrize("kind", ["base", "distilled"])
@pytest.mark.parametrize("given", [{}, {"image": picture()}, {"video": video()}], ids=["text", "picture", "video"])
def test_films_of_one_beginning_are_those_made_alone(kind: str, given: dict[str, Any]) -> None:
    together = film(kind, prompt=TWO, generator=[source(1), source(2)], **given)
    alone = [film(kind, prompt=text, generator=source(seed), **given) for text, seed in zip(TWO, (1, 2), strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


@pytest.mark.parametrize("given", [("image", picture), ("video", video)], ids=["pictures", "videos"])
def test_each_film_has_a_beginning_of_its_own(given: tuple[str, Any]) -> None:
    name, make = given
    together = film("base", prompt=TWO, generator=[source(1), source(2)], **{name: [make(0), make(1)]})
    alone = [film("base", prompt=TWO[i], generator=source(i + 1), **{name: make(i)}) for i in range(2)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


@pytest.mark.parametrize("given", [{"image": picture()}, {"video": video()}], ids=["picture", "video"])
def test_a_beginning_serves_every_film_of_one_generator(given: dict[str, Any]) -> None:
    known = film(prompt=TWO, generator=source(1), **given)[:, :, :-9]
    assert known.shape[2] and torch.equal(known[0], known[1])


@pytest.mark.parametrize("latents", ["image_latents", "fake_image_latents"])
def test_latents_stand_in_for_what_they_are_of(latents: str) -> None:
    drawn = torch.randn(1, 4, 1, 2, 2, generator=source(3))
    given: dict[str, Any] = {"image": picture(), "add_noise_to_image_latents": False}
    one, other = (film("base", generator=source(1), **given, **{latents: value}) for value in (drawn, -drawn))
    assert one.shape == (1, 4, 10, 2, 2) and not torch.allclose(one[:, :, 1:], other[:, :, 1:], atol=1e-4)


def without_anchor(**arguments: Any) -> torch.Tensor:
    return film("base", generator=source(1), num_frames=66, keep_first_frame=False, **arguments)


def test_without_the_first_frame_films_are_made_and_it_is_not_seen() -> None:
    held = torch.randn(1, 4, 1, 2, 2, generator=source(3))
    given: dict[str, Any] = {"fake_image_latents": held, "add_noise_to_image_latents": False}
    first, second = (without_anchor(image_latents=anchor, **given) for anchor in (held, -held))
    assert first.shape == (1, 4, 19, 2, 2) and torch.equal(first, second)
    seen = film("base", generator=source(1), num_frames=66, image_latents=-held, **given)
    assert not torch.allclose(first, seen, atol=1e-4)


def test_places_in_time_are_those_of_the_window() -> None:
    anchored, loose = (
        {
            name.removeprefix("indices_"): [*map(int, places[0])]
            for name, places in Window.of([1, 16, 2], first, 9).indices.items()
        }
        for first in (True, False)
    )
    assert anchored == {
        "hidden_states": [*range(20, 29)],
        "latents_history_short": [0, 19],
        "latents_history_mid": [17, 18],
        "latents_history_long": [*range(1, 17)],
    }
    assert loose == {
        "hidden_states": [*range(20, 29)],
        "latents_history_short": [18, 19],
        "latents_history_mid": [16, 17],
        "latents_history_long": [*range(16)],
    }


@pytest.mark.parametrize("anchored", [True, False])
def test_what_is_seen_is_the_last_there_was(anchored: bool) -> None:
    window = Window.of([16, 2, 1], anchored, 9)
    past = Past.blank(window, (1, 1, 1, 1), torch.device("cpu"))
    for chunk in range(3):
        past = past.after(torch.arange(9.0).view(1, 1, 9, 1, 1) + 9 * chunk + 1)
    long, mid, short = (
        past.pieces(torch.float32)[f"latents_history_{far}"].flatten().tolist() for far in ("long", "mid", "short")
    )
    assert [*long, *mid, *short[anchored:]] == [*range(28 - window.frames, 28)]
    assert not anchored or short[0] == 1  # the first frame of all


def test_a_film_that_may_skip_its_first_chunk_is_anchored_by_its_second() -> None:
    past = Past.blank(Window.of([16, 2, 1], True, 9), (1, 1, 1, 1), torch.device("cpu"))
    anchors = []
    for chunk in range(3):
        past = past.after(torch.full((1, 1, 9, 1, 1), chunk + 1.0), late_anchor=True)
        anchors.append(float(past.anchor))
    assert anchors == [1, 2, 2]
