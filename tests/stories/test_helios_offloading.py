"""Films with offloaded weights, with sliced and tiled decoding and in half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.stories.test_offloading import SWITCHES, CountingDevice, size, tensors
from tests.tiny_helios import SHORT, pipeline


def film(pipe: Any, kind: str = "base", **arguments: Any) -> Any:
    told = {"num_frames": 40, "max_sequence_length": 16, "generator": torch.Generator().manual_seed(0)}
    return pipe(**{"prompt": "hello cat", **SHORT[kind], **told, **arguments}).frames


@pytest.mark.parametrize("how", SWITCHES)
@pytest.mark.parametrize("kind", ["base", "distilled"])
def test_the_film_is_the_same_and_nothing_stays_on_the_device(kind: str, how: str) -> None:
    pipe, (switch, options) = pipeline(kind), SWITCHES[how]
    given = {"image": Image.new("RGB", (20, 20), "red")}
    expected = film(pipe, kind, **given)
    with CountingDevice(pipe) as device:
        getattr(pipe, switch)(**options)
        made = film(pipe, kind, **given)
    assert np.array_equal(made, expected)
    assert device.now == 0 < device.most < size(*pipe.networks.values())
    pipe.remove_all_hooks()
    assert np.array_equal(film(pipe, kind, **given), expected)


def test_one_network_at_a_time_is_on_the_device_and_texts_are_read_in_one_journey() -> None:
    pipe, (switch, options) = pipeline(), SWITCHES["model"]
    with CountingDevice(pipe) as device:
        getattr(pipe, switch)(**options)
        film(pipe, negative_prompt="red")
    journeys = {name: len(tensors(network)) for name, network in pipe.networks.items()}
    assert device.journeys == journeys["text_encoder"] + 2 * (journeys["transformer"] + journeys["vae"])  # two chunks
    assert device.most == max(size(network) for network in pipe.networks.values())


def test_films_are_decoded_one_at_a_time_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, two = pipeline(), {"prompt": ["hello", "and cat"]}
    expected = film(pipe, "base", **two)
    pipe.enable_vae_slicing()
    seen: list[int] = []
    decoder = type(pipe.vae.decoder).forward
    monkeypatch.setattr(
        type(pipe.vae.decoder), "forward", lambda *args, **kwargs: seen.append(len(args[1])) or decoder(*args, **kwargs)
    )
    assert np.allclose(film(pipe, "base", **two), expected, atol=1e-5)
    assert set(seen) == {1}
    pipe.disable_vae_slicing()
    seen.clear()
    assert np.allclose(film(pipe, "base", **two), expected, atol=1e-5)
    assert set(seen) == {2}


def test_frames_that_fit_a_tile_are_decoded_whole() -> None:
    pipe = pipeline()
    expected = film(pipe)
    pipe.enable_vae_tiling()
    assert np.array_equal(film(pipe), expected)
    pipe.disable_vae_tiling()
    assert np.array_equal(film(pipe), expected)


@pytest.mark.parametrize("kind", ["base", "distilled"])
def test_a_film_in_bfloat16_is_near_that_in_float32(kind: str) -> None:
    pipe = pipeline(kind)
    exact = film(pipe, kind, num_frames=33)
    half = film(pipe.to(torch.bfloat16), kind, num_frames=33)
    assert half.dtype == exact.dtype == np.float32 and half.shape == exact.shape
    assert pipe.transformer.norm_out.scale_shift_table.dtype == torch.float32
    assert 0 < np.abs(half - exact).mean() < 0.02
