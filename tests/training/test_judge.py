"""The judge of all pocket models reads pictures of the world rightly, also as a decoder makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from training.judge import judge, read
from training.world import COLOURS, SHAPES, SIZES, Scene, Thing, draw, scene

RNG = np.random.default_rng(7)
SCENES = [scene(RNG, unseen=bool(place % 2)) for place in range(300)]
PICTURES = draw(SCENES)


def blurred(radius: float, noise: float) -> np.ndarray:
    soft = [np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius))) for picture in PICTURES]
    return np.clip(np.stack(soft) + np.random.default_rng(8).normal(0, noise, PICTURES.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("pictures", "least"),
    [(PICTURES, 0.99), (blurred(0.8, 4), 0.97), (blurred(1.0, 8), 0.97)],
    ids=["clean", "soft", "soft and noisy"],
)
def test_the_judge_finds_everything(pictures: np.ndarray, least: float):
    verdicts = [judge(picture, one) for picture, one in zip(pictures, SCENES, strict=True)]
    assert sum(each.bound and each.ground and each.size and each.count for each in verdicts) / len(verdicts) >= least


@pytest.mark.parametrize("size", SIZES)
def test_every_shape_in_every_colour_is_read(size: str):
    for shape in SHAPES:
        for colour, ground in zip(COLOURS, COLOURS[3:] + COLOURS[:3], strict=True):
            thing = Thing(shape, colour, size, 30.3, 31.8, sum(SIZES[size]) / 2)
            seen = read(draw([Scene(ground, (thing,))])[0])
            assert [seen.ground, *((found.shape, found.colour, found.size) for found in seen.things)] == [
                ground,
                (shape, colour, size),
            ]
            assert (seen.things[0].x, seen.things[0].y) == pytest.approx((thing.x, thing.y), abs=0.5)


ONE = Scene("white", (Thing("circle", "red", "medium", 16, 16, 12), Thing("star", "blue", "medium", 46, 16, 12)))
FIRST, SECOND = ONE.things


@pytest.mark.parametrize(
    ("other", "wrong"),
    [
        (replace(ONE, ground="green"), {"ground"}),
        (replace(ONE, things=(replace(FIRST, colour="orange"), SECOND)), {"colour"}),
        (replace(ONE, things=(replace(FIRST, shape="square"), SECOND)), {"shape"}),
        (replace(ONE, things=(replace(FIRST, radius=8, size="small"), SECOND)), {"size"}),
        (replace(ONE, things=(replace(FIRST, x=46), replace(SECOND, x=16))), {"place"}),
        (replace(ONE, things=(FIRST,)), {"count", "colour", "shape", "place", "size"}),
        (replace(ONE, things=(replace(FIRST, colour="blue"), replace(SECOND, colour="red"))), {"colour"}),
    ],
    ids=["ground", "colour", "shape", "size", "place", "count", "colours exchanged"],
)
def test_the_judge_names_what_is_wrong(other: Scene, wrong: set[str]):
    verdict = judge(draw([other])[0], ONE)
    facts = {name for name, right in vars(verdict).items() if not right}
    assert facts & wrong
    assert facts <= wrong | {"shape", "place"} if wrong == {"colour"} else facts == wrong


def test_a_blob_is_no_shape_and_noise_is_no_thing():
    rng = np.random.default_rng(9)
    assert read(rng.normal(128, 8, (64, 64, 3)).clip(0, 255).astype(np.uint8)).things == ()
    blob = np.full((64, 64, 3), 20, np.uint8)
    blob[20:26, 8:56] = 240
    assert [thing.shape for thing in read(blob).things] == ["unknown"]
