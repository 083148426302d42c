"""Helpers that scripts import from the peer's ``utils`` take the same arguments and give the same pictures."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from diffusers import utils as theirs
from PIL import Image

from calotype import utils as ours
from tests.unit.films.reels import reel

NAMES = ["export_to_gif", "export_to_video", "load_image", "load_video", "make_image_grid", "numpy_to_pil", "pt_to_pil"]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_are_the_same(name):
    wanted = inspect.signature(getattr(theirs, name)).parameters
    found = inspect.signature(getattr(ours, name)).parameters
    assert {each: found[each].default for each in wanted} == {each: one.default for each, one in wanted.items()}
    more = [one for each, one in found.items() if each not in wanted]
    assert all(one.kind is one.KEYWORD_ONLY for one in more)


def same(one, other):
    assert [image.mode for image in one] == [image.mode for image in other]
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one, other, strict=True))


def test_a_gif_is_read_as_the_peer_reads_it(tmp_path):
    path = ours.export_to_gif([Image.fromarray(frame) for frame in reel(6)], str(tmp_path / "film.gif"), fps=10)
    expected, fps = theirs.load_video(path, return_fps=True)
    found, speed = ours.load_video(path, return_fps=True)
    same(found, [image.convert("RGB") for image in expected])  # the peer leaves the first in its palette
    assert speed == fps


def test_pictures_are_the_same(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((4, 6, 8, 3), np.float32)
    same(ours.numpy_to_pil(images), theirs.numpy_to_pil(images))
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2) * 3 - 1.5
    same(ours.pt_to_pil(tensor), theirs.pt_to_pil(tensor))
    pictures = ours.numpy_to_pil(images)
    for resize in (None, 5):
        same([ours.make_image_grid(pictures, 2, 2, resize)], [theirs.make_image_grid(pictures, 2, 2, resize)])
    pictures[0].save(tmp_path / "a.png")
    same([ours.load_image(str(tmp_path / "a.png"))], [theirs.load_image(str(tmp_path / "a.png"))])
