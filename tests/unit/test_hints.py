"""Hints: each is an RGB picture that shows one thing of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from calotype import hints
from calotype.core.errors import InvalidArgument


def halves(turn: int = 0) -> Image.Image:
    """Black on the left, white on the right, turned by so many quarters."""
    levels = np.zeros((32, 32), np.uint8)
    levels[:, 16:] = 255
    return Image.fromarray(np.rot90(levels, turn).copy())


def noise(width: int = 40, height: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def lit(hint: Image.Image) -> np.ndarray:
    return np.asarray(hint)[..., 0] > 0


@pytest.mark.parametrize("make", [getattr(hints, name) for name in hints.__all__])
@pytest.mark.parametrize("image", [noise(), noise().convert("L"), np.asarray(noise()), noise().convert("RGBA")])
def test_every_hint_is_an_rgb_picture(make, image):
    assert make(image).mode == "RGB"
    if make is not hints.resize:
        assert make(image).size == (40, 24)


@pytest.mark.parametrize("turn", range(4))
def test_canny_draws_one_line_of_one_pixel_along_an_edge(turn):
    edges = np.rot90(lit(hints.canny(halves(turn))), -turn)
    columns = edges.sum(axis=0)
    assert columns.max() == 32 and np.count_nonzero(columns) == 1
    assert columns.argmax() in (15, 16)


def test_canny_finds_nothing_where_nothing_changes():
    assert not lit(hints.canny(Image.new("RGB", (32, 32), "red"))).any()


def test_canny_sees_edges_between_colours_of_one_grey():
    green = np.zeros((32, 32, 3), np.uint8)
    green[:, :16], green[:, 16:] = (255, 0, 0), (0, 130, 0)
    assert lit(hints.canny(green)).any()


def test_canny_keeps_weak_edges_only_in_touch_with_strong_ones():
    levels = np.zeros((32, 32), np.uint8)
    levels[:16, 8:] = 200  # the lower end of a line fades, another line is weak everywhere
    levels[16:, 8:] = 40
    levels[:16, 20:] = 160
    levels[16:, 20:] = 0
    strong, linked, all_weak = (
        lit(hints.canny(levels, low, high)) for low, high in ((500, 500), (100, 500), (100, 100))
    )
    assert strong.sum() < linked.sum() < all_weak.sum()
    assert linked[20:, 6:10].any() and not strong[20:, 6:10].any()


def test_canny_follows_a_slant():
    wedge = Image.new("L", (64, 64))
    wedge.putdata([255 * (x > y) for y in range(64) for x in range(64)])
    edges = lit(hints.canny(wedge))
    rows, columns = edges[4:-4].nonzero()
    assert len(rows) >= 56 and np.abs(columns - rows - 4).max() <= 2


def test_blur_and_tile_keep_the_colours_and_lose_the_details():
    picture = noise(64, 64)
    for hint in (hints.blur(picture, 8), hints.tile(picture, 16)):
        assert abs(np.asarray(hint).mean() - np.asarray(picture).mean()) < 2
        assert np.asarray(hint).std() < np.asarray(picture).std() / 3


def test_nothing_to_lose_loses_nothing():
    picture = noise()
    assert np.array_equal(hints.blur(picture, 0), picture)
    assert np.array_equal(hints.tile(picture, 1), picture)


def test_threshold_is_white_from_its_level_up():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(lit(hints.threshold(ramp, 100)), ramp >= 100)


def test_resize_keeps_the_ratio_and_gives_sides_that_a_vae_divides():
    assert hints.resize(noise(40, 24), 48).size == (80, 48)
    assert hints.resize(noise(33, 100), 64, multiple=64).size == (64, 192)


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (hints.canny, {"low": 300}, "low: expected at most high, 200"),
        (hints.canny, {"low": float("nan")}, "low"),
        (hints.canny, {"high": "200"}, "high"),
        (hints.blur, {"radius": -1}, "radius"),
        (hints.tile, {"factor": 0}, "factor"),
        (hints.threshold, {"level": 0.5}, "level"),
        (hints.resize, {"resolution": 0}, "resolution"),
        (hints.resize, {"multiple": 0}, "multiple"),
        (hints.canny, {"image": "picture.png"}, "image: expected a PIL image"),
        (hints.blur, {"image": np.zeros((4, 4, 3))}, "float64"),
        (hints.blur, {"image": np.zeros((0, 4, 3), np.uint8)}, "shape"),
    ],
)  # fmt: skip
def test_what_makes_no_hint_is_named(make, arguments, words):
    with pytest.raises(InvalidArgument, match=words):
        make(**{"image": noise(), **arguments})
