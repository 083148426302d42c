"""The helpers that scripts import from ``utils``."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.utils import export_to_gif, export_to_video, load_video, make_image_grid, numpy_to_pil, pt_to_pil
from tests.unit.films.reels import apart, picture, reel, shown


def test_importing_them_loads_nothing_heavy():
    script = "import sys, calotype.utils; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "PIL", "av"} & {*loaded}


@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "film.gif"])
def test_a_film_is_exported_in_the_format_of_its_name(name, tmp_path):
    path = export_to_video(reel(12), tmp_path / name, fps=12)
    frames, fps = load_video(path, return_fps=True)
    assert (path, len(frames), round(fps, 2)) == (str(tmp_path / name), 12, 12)
    assert apart(shown(path), reel(12)) < 8


def test_floats_beyond_one_are_not_turned_round(tmp_path):
    """1.0005 times 255 is no byte: cut off, not wrapped to black."""
    path = export_to_video([np.full((48, 64, 3), 1.0005)] * 2, tmp_path / "film.mp4")
    assert shown(path).min() > 250


def test_without_a_name_there_is_a_new_file(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = (export_to_gif([picture(), picture(200)]) for _ in range(2))
    assert first != second
    assert len(shown(first)) == len(shown(second)) == 2
    assert export_to_video(reel(2)).endswith(".mp4")


def test_sizes_are_whole_blocks_as_asked(tmp_path, caplog):
    frames = reel(2, 50, 30)
    assert shown(export_to_video(frames, tmp_path / "a.mp4")).shape[1:3] == (32, 64)
    assert caplog.text.count("50 x 30 are enlarged to 64 x 32") == 1
    assert shown(export_to_video(frames, tmp_path / "b.mp4", macro_block_size=None)).shape[1:3] == (30, 50)
    assert shown(export_to_video(frames, tmp_path / "c.gif")).shape[1:3] == (30, 50)


def test_a_bitrate_goes_before_the_quality(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (30, 48, 64, 3), np.uint8)
    sizes = [
        os.path.getsize(export_to_video(frames, tmp_path / f"{rate}.mp4", bitrate=rate)) for rate in (10**4, 10**6)
    ]
    assert sizes[0] * 4 < sizes[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"video_frames": []}, "at least one frame"),
        ({"video_frames": [1]}, r"video_frames\[0\]"),
        ({"fps": 0}, "fps"),
        ({"quality": 11}, "quality"),
        ({"macro_block_size": 0}, "macro_block_size"),
        ({"output_video_path": 3}, "output_video_path"),
        ({"output_video_path": "film.mov"}, r"\.mp4"),
    ],
)
def test_arguments_are_refused_by_name(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match=words):
        export_to_video(**{"video_frames": reel(2), "output_video_path": "film.mp4", **options})
    assert [*tmp_path.iterdir()] == []


def test_a_grid_is_filled_row_by_row():
    grid = make_image_grid([picture(value) for value in (0, 50, 100, 150, 200, 250)], 2, 3)
    assert grid.size == (24, 12)
    assert [grid.getpixel(place)[0] for place in [(0, 0), (8, 0), (16, 0), (0, 6), (23, 11)]] == [0, 50, 100, 150, 250]
    assert make_image_grid([picture()], 1, 1, resize=5).size == (5, 5)
    for rows, cols in ((1, 1), (0, 2), (3, 3)):
        with pytest.raises(InvalidArgument, match="images: expected rows"):
            make_image_grid([picture(), picture()], rows, cols)


def test_arrays_and_tensors_become_pictures():
    assert numpy_to_pil(np.ones((2, 4, 5, 3), np.float32))[1].getpixel((4, 3)) == (255, 255, 255)
    assert numpy_to_pil(np.zeros((4, 5, 1), np.float32))[0].mode == "L"
    assert pt_to_pil(torch.full((1, 3, 4, 5), -1.0))[0].getpixel((0, 0)) == (0, 0, 0)
