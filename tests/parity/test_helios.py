"""Films equal the peer's, frame by frame, for each checkpoint and each way to begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.parity.helios import pair, picture, robust_cholesky, told, video

STEPS: dict[str, dict[str, Any]] = {
    "base": {"num_inference_steps": 3},
    "mid": {"pyramid_num_inference_steps_list": [3, 2, 2]},
    "distilled": {
        "pyramid_num_inference_steps_list": [1, 2, 1],
        "guidance_scale": 1.0,
        "is_amplify_first_chunk": False,
    },
}
SIZES = {
    "base": {"height": 32, "width": 48},
    "mid": {"height": 64, "width": 64},
    "distilled": {"height": 64, "width": 64},
}
KINDS = [*STEPS]


@pytest.fixture(autouse=True)
def robust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "cholesky", robust_cholesky)


def both(kind: str, **arguments: Any) -> tuple[Any, Any]:
    films = []
    for pipe in pair(kind):
        options = SIZES[kind] | STEPS[kind] | told() | {"num_frames": 40, "output_type": "latent"} | arguments
        films.append(pipe(generator=torch.Generator().manual_seed(3), **options).frames)
    return films[0], films[1]


def assert_same(kind: str, **arguments: Any) -> None:
    theirs, ours = both(kind, **arguments)
    assert ours.shape == theirs.shape
    difference = np.abs(np.asarray(ours) - np.asarray(theirs)).max()
    assert difference < 1e-4, difference


@pytest.mark.parametrize(("kind", "frames"), [("base", 70), ("mid", 34), ("distilled", 34)])
def test_films_of_a_text_are_the_peers(kind: str, frames: int) -> None:
    assert_same(kind, num_frames=frames, output_type="np")


@pytest.mark.parametrize("kind", KINDS)
def test_films_of_a_picture_are_the_peers(kind: str) -> None:
    assert_same(kind, image=picture(), output_type="np")


@pytest.mark.parametrize("kind", KINDS)
def test_films_of_a_video_are_the_peers(kind: str) -> None:
    assert_same(kind, video=video(35), output_type="np")


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_the_peers_with_those_of_a_long_video_before_them(kind: str) -> None:
    assert_same(kind, video=video(70), num_frames=33)


@pytest.mark.parametrize(
    "options",
    [
        {"guidance_scale": 1.0},
        {"is_skip_first_chunk": True, "num_frames": 70},
        {"history_sizes": [2, 8, 1]},
        {"num_latent_frames_per_chunk": 5},
        {"image": picture(), "add_noise_to_image_latents": False},
        {"image": picture(), "image_noise_sigma_min": 0.3, "image_noise_sigma_max": 0.9},
        {"video": video(34), "add_noise_to_video_latents": False},
        {"video": video(34), "video_noise_sigma_min": 0.3, "video_noise_sigma_max": 0.9},
        {"sigmas": np.array([0.9, 0.4]), "num_inference_steps": 2},
        {"output_type": "pt"},
    ],
    ids=lambda options: ",".join(name for name in options if name != "num_frames"),
)
def test_options_mean_what_they_mean_to_the_peer(options: dict[str, Any]) -> None:
    assert_same("base", **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mid", {"use_zero_init": False}),
        ("mid", {"zero_steps": 0}),
        ("mid", {"guidance_scale": 1.0}),
        ("distilled", {"is_amplify_first_chunk": True, "num_frames": 34}),
        ("distilled", {"guidance_scale": 3.0}),
        ("distilled", {"pyramid_num_inference_steps_list": [1, 1, 1]}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_options_of_the_pyramid_mean_what_they_mean_to_the_peer(kind: str, options: dict[str, Any]) -> None:
    assert_same(kind, **{"num_frames": 33} | options)


@pytest.mark.parametrize(("kind", "frames"), [("base", 34), ("mid", 33), ("distilled", 33)])
def test_two_films_at_once_are_the_peers(kind: str, frames: int) -> None:
    assert_same(kind, num_frames=frames, **told(2))


@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_see_and_change_what_the_peers_do(kind: str) -> None:
    seen: list[list[tuple[int, float, tuple[str, ...]]]] = []

    def films(pipe: Any) -> Any:
        notes: list[tuple[int, float, tuple[str, ...]]] = []

        def change(_: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            notes.append((step, round(float(t), 4), (*tensors,)))
            return (
                {"latents": tensors["latents"] * 0.9, "prompt_embeds": tensors["prompt_embeds"] * 0.5}
                if len(notes) == 2
                else {}
            )

        seen.append(notes)
        options = SIZES[kind] | STEPS[kind] | told() | {"num_frames": 40, "output_type": "latent"}
        watched = ["latents", "prompt_embeds"]
        generator = torch.Generator().manual_seed(3)
        watching = {"callback_on_step_end": change, "callback_on_step_end_tensor_inputs": watched}
        return pipe(generator=generator, **watching, **options).frames

    theirs, ours = (films(pipe) for pipe in pair(kind))
    assert seen[0] == seen[1]
    assert (ours - theirs).abs().max() < 1e-4
