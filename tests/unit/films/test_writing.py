"""Frames go into a film in every form and format; it grows in the open and takes its name when it is whole."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.core.errors import CalotypeError, InvalidArgument, MissingDependency, NotFinite, WriteError
from calotype.core.films.reader import FilmReader
from calotype.core.films.recipes import recipe_of
from calotype.core.films.writer import FilmWriter
from calotype.core.picture_files import read_recipe
from tests import nursery
from tests.unit.films.reels import CODED, FILES, RECIPE, apart, picture, reel, shown, written

# levels out of 255 that a codec may lose on smooth colours
LOSS = {"mp4": 2.5, "webm": 3.0, "gif": 6.0, "webp": 2.5, "y4m": 0.6}


@pytest.mark.parametrize("kind", FILES)
def test_colours_and_the_number_of_frames_survive(kind, tmp_path):
    frames = reel(30)
    with FilmWriter(tmp_path / f"film.{kind}") as film:
        film.write(frames[:20])
        film.write(frames[20:])
    assert film.count == 30
    assert shown(tmp_path / f"film.{kind}").shape == frames.shape
    assert apart(shown(tmp_path / f"film.{kind}"), frames) < LOSS[kind]
    assert os.listdir(tmp_path) == [f"film.{kind}"]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("fps", [8, 24, 12.5])
def test_the_speed_is_exact(kind, fps, tmp_path):
    path = written(tmp_path / f"film.{kind}", int(2 * fps), fps=fps)
    with FilmReader(path) as film:
        assert film.fps == pytest.approx(fps, rel=1e-9 if kind != "webm" else 1e-3)


@pytest.mark.parametrize(("fps", "exact"), [(24000 / 1001, Fraction(24000, 1001)), (Fraction(30000, 1001),) * 2])
def test_the_speeds_of_television_are_fractions(fps, exact, tmp_path):
    with FilmReader(written(tmp_path / "film.mp4", fps=fps)) as film:
        assert film.fps == float(exact)


@pytest.mark.parametrize("kind", FILES)
def test_the_same_frames_are_the_same_file(kind, tmp_path):
    films = [written(tmp_path / f"{name}.{kind}", 30) for name in ("one", "other")]
    assert films[0].read_bytes() == films[1].read_bytes()


@pytest.mark.parametrize(("width", "trees"), [(64, "0"), (640, "1"), (832, "0")])
def test_nothing_that_was_not_written_is_read_where_rows_are_uneven(width, trees, tmp_path):
    """On some processors alone, and only now and then, the file would tell: so its settings are looked at."""
    with FilmWriter(tmp_path / "film.mp4") as film:
        film.write(np.zeros((1, 64, width, 3), np.uint8))
    assert f"mbtree={trees}".encode() in (tmp_path / "film.mp4").read_bytes()


FORMS = {
    "bytes": lambda frames: frames,
    "floats": lambda frames: frames.astype(np.float32) / 255,
    "a tensor": lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255,
    "a half tensor of grey": lambda frames: torch.from_numpy(frames[..., :1]).permute(0, 3, 1, 2).bfloat16() / 255,
    "a list of pictures": lambda frames: [Image.fromarray(frame) for frame in frames],
    "a list of arrays": lambda frames: [*frames],
    "a generator": lambda frames: (Image.fromarray(frame) for frame in frames),
    "one frame": lambda frames: frames[0],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_frames_is_the_same_film(form, tmp_path):
    frames = reel(4)
    with FilmWriter(tmp_path / "film") as film:
        film.write(FORMS[form](frames))
    meant = np.repeat(frames[..., :1], 3, -1) if "grey" in form else frames[:1] if form == "one frame" else frames
    slack = 1 if "half" in form else 0
    assert np.abs(shown(tmp_path / "film").astype(int) - meant).max() <= slack


def test_pictures_are_exact_each_with_the_recipe(tmp_path):
    frames = reel(3)
    with FilmWriter(tmp_path / "still_%03d.png", recipe=RECIPE) as film:
        film.write(frames)
    assert sorted(os.listdir(tmp_path)) == ["still_000.png", "still_001.png", "still_002.png"]
    assert np.array_equal(shown(tmp_path / "still_%03d.png"), frames)
    assert read_recipe(tmp_path / "still_002.png") == RECIPE == recipe_of(tmp_path / "still_%03d.png")


def test_y4m_is_a_line_and_planes():
    pipe = io.BytesIO()
    film = FilmWriter(pipe, 24, kind="y4m")
    film.write(np.array([[[0, 0, 0], [255, 255, 255]], [[255, 0, 0], [0, 0, 255]]], np.uint8))
    film.close()
    planes = bytes([16, 235, 81, 41, 128, 128, 90, 240, 128, 128, 240, 110])  # of BT.601 at studio levels
    assert pipe.getvalue() == b"YUV4MPEG2 W2 H2 F24:1 Ip A1:1 C444 XCOLORRANGE=LIMITED\nFRAME\n" + planes


@pytest.mark.parametrize("kind", [*CODED, "gif", "webp"])
def test_the_recipe_comes_back(kind, tmp_path):
    assert recipe_of(written(tmp_path / f"film.{kind}", recipe=RECIPE)) == RECIPE


def test_a_format_without_a_place_for_the_recipe_says_so(tmp_path, caplog):
    written(tmp_path / "film.y4m", recipe=RECIPE)
    assert "y4m has no place for a recipe" in caplog.text


@pytest.mark.parametrize("kind", FILES)
def test_a_film_can_be_watched_while_it_grows(kind, tmp_path):
    frames = reel(60)
    with FilmWriter(tmp_path / f"film.{kind}") as film:
        film.write(frames[:45])
        seen = shown(tmp_path / f"film.part.{kind}")
        assert not (tmp_path / f"film.{kind}").exists()
        film.write(frames[45:])
    assert 20 <= len(seen) <= 45
    assert apart(seen, frames[: len(seen)]) < LOSS[kind]
    assert len(shown(tmp_path / f"film.{kind}")) == 60


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "y4m"])
def test_a_pipe_gets_what_a_file_gets(kind, tmp_path):
    class Pipe:
        def __init__(self):
            self.held = bytearray()

        def write(self, data):
            self.held += data[:7]  # as a raw pipe may
            return len(data[:7])

    pipe = Pipe()
    with FilmWriter(pipe, 10, kind=kind) as film:
        film.write(reel(30))
    (tmp_path / f"film.{kind}").write_bytes(pipe.held)
    assert len(shown(tmp_path / f"film.{kind}")) == 30


def test_no_more_than_a_few_frames_are_held():
    """The first bytes of each frame have left long before the last frame comes."""
    for kind in ("mp4", "webm", "gif", "y4m"):
        pipe = io.BytesIO()
        film = FilmWriter(pipe, 24, kind=kind)
        left = []

        def frames(left=left, pipe=pipe):
            rng = np.random.default_rng(0)
            for _ in range(120):
                left.append(pipe.tell())
                yield rng.integers(0, 256, (48, 64, 3), np.uint8)

        film.write(frames())
        film.close()
        stalls = [len([each for each in left if each == place]) for place in set(left)]
        assert max(stalls) <= 45, kind


@pytest.mark.parametrize("kind", [*FILES, "png"])
def test_an_error_midway_leaves_what_there_is(kind, tmp_path, caplog):
    name = "film_%02d.png" if kind == "png" else f"film.{kind}"
    caplog.set_level(logging.WARNING)
    with pytest.raises(ZeroDivisionError), FilmWriter(tmp_path / name) as film:
        film.write(reel(12))
        _ = 1 / 0
    left = tmp_path / (name if kind == "png" else f"film.part.{kind}")
    assert len(shown(left)) == 12
    assert f"12 frames of it are in {left.parent if kind == 'png' else left}" in caplog.text


def test_an_older_film_stays_until_the_new_one_is_whole(tmp_path):
    before = written(tmp_path / "film.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt), FilmWriter(tmp_path / "film.mp4") as film:
        film.write(reel(3))
        raise KeyboardInterrupt
    assert (tmp_path / "film.mp4").read_bytes() == before
    written(tmp_path / "film.mp4", 9)
    assert os.listdir(tmp_path) == ["film.mp4"]
    assert len(shown(tmp_path / "film.mp4")) == 9


def test_a_killed_process_leaves_films_that_play(tmp_path):
    script = f"""
import time
from calotype.core.films.writer import FilmWriter
from tests.unit.films.reels import FILES, reel
films = [FilmWriter({str(tmp_path)!r} + "/film." + kind) for kind in FILES]
for film in films:
    film.write(reel(48))
print("written", flush=True)
time.sleep(100)
"""
    child = nursery.start(script)
    while "written" not in child.said():
        time.sleep(0.01)
    child.process.kill()
    assert child.result().returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == sorted(f"film.part.{kind}" for kind in FILES)
    for kind in FILES:
        assert len(shown(tmp_path / f"film.part.{kind}")) >= 24


def test_odd_sizes_are_never_cropped(tmp_path, caplog):
    frames = reel(3, 63, 47)
    for kind in FILES:
        with FilmWriter(tmp_path / f"film.{kind}") as film:
            film.write(frames)
        seen = shown(tmp_path / f"film.{kind}")
        assert seen.shape[1:3] == ((48, 64) if kind in CODED else (47, 63))
        assert apart(seen[:, :47, :63], frames) < LOSS[kind]
    assert "63 x 47 is odd" in caplog.text


def test_better_quality_is_nearer_and_larger(tmp_path):
    for kind in ("mp4", "webm", "webp"):
        poor, good = (written(tmp_path / f"{quality}.{kind}", quality=quality) for quality in (1, 9))
        assert apart(shown(good), reel(6)) < apart(shown(poor), reel(6))
        assert os.path.getsize(good) > os.path.getsize(poor)
    assert np.array_equal(shown(written(tmp_path / "film.webp", quality=10)), reel(6))


# ---------------------------------------------------------------------- refused

BAD_FRAMES = {
    "a NaN": (np.full((2, 8, 8, 3), np.nan, np.float32), NotFinite, r"frames\[0\]: expected numbers in \[0, 1\]"),
    "levels as floats": (np.full((2, 8, 8, 3), 200.0), InvalidArgument, r"floats in \[0, 1\], found 200 to 200"),
    "around zero": (np.full((2, 8, 8, 3), -1.0), InvalidArgument, r"floats in \[0, 1\], found -1 to -1"),
    "wide integers": (np.zeros((2, 8, 8, 3), np.int64), InvalidArgument, "uint8 .*found int64"),
    "channels first": (np.zeros((2, 3, 8, 8), np.uint8), InvalidArgument, r"\(height, width, 3\)"),
    "channels last": (torch.zeros(2, 8, 8, 3), InvalidArgument, r"\(3, height, width\)"),
    "four channels": (np.zeros((2, 8, 8, 4), np.uint8), InvalidArgument, r"\(8, 8, 4\)"),
    "several films": (np.zeros((2, 4, 8, 8, 3), np.uint8), InvalidArgument, r"frames\[0\]"),
    "lists of films": ([[picture()], [picture()]], InvalidArgument, r"frames\[0\]: .*found list"),
    "no pixels": (np.zeros((2, 0, 8, 3), np.uint8), InvalidArgument, r"\(0, 8, 3\)"),
    "a path": ("film.mp4", InvalidArgument, "found str"),
    "nothing": (None, InvalidArgument, "found NoneType"),
    "numbers": ([1, 2], InvalidArgument, r"frames\[0\]: .*found int"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_frames_that_are_none_are_refused_by_name(case, tmp_path):
    frames, error, words = BAD_FRAMES[case]
    with pytest.raises(error, match=words), FilmWriter(tmp_path / "film.mp4") as film:
        film.write(frames)
    assert os.listdir(tmp_path) == []


def test_frames_of_another_size_are_refused_and_the_film_goes_on(tmp_path):
    with FilmWriter(tmp_path / "film.gif") as film:
        film.write(picture(1))
        with pytest.raises(InvalidArgument, match="frames of 8 x 6, as the first, found frame 1: 9 x 6"):
            film.write(picture(2, (9, 6)))
        film.write(picture(3))
    assert len(shown(tmp_path / "film.gif")) == 2


@pytest.mark.parametrize("kind", [*FILES, "png"])
def test_no_frames_are_no_film(kind, tmp_path):
    with (
        pytest.raises(InvalidArgument, match="at least one frame, found none"),
        FilmWriter(tmp_path / "f", kind=kind) as film,
    ):
        film.write([])
    assert os.listdir(tmp_path) in ([], ["f"] if kind == "png" else [])


BAD_ARGUMENTS = {
    "an unknown end": ("film.mov", {}, r"a name that ends in \.mp4, \.webm"),
    "no pattern": ("film.png", {}, r"frame_%05d\.png"),
    "an unknown kind": ("film.mp4", {"kind": "mov"}, "kind: expected one of mp4"),
    "no speed": ("film.mp4", {"fps": 0}, "fps"),
    "no speed to speak of": ("film.mp4", {"fps": 0.0004}, r"0\.01 to 1000, found 0\.0004"),
    "too fast": ("film.y4m", {"fps": 2000}, "1000"),
    "NaN fps": ("film.mp4", {"fps": float("nan")}, "fps"),
    "a word as speed": ("film.mp4", {"fps": "24"}, "fps"),
    "too fast for a GIF": ("film.gif", {"fps": 60}, "at most 50 in a GIF"),
    "quality of a GIF": ("film.gif", {"quality": 5}, "quality: expected none: gif has one quality"),
    "too good": ("film.mp4", {"quality": 11}, "quality"),
    "bitrate of a WebP": ("film.webp", {"bitrate": 1000}, "bitrate"),
    "bitrate and quality": ("film.mp4", {"bitrate": 1000, "quality": 5}, "bitrate or a quality"),
    "no bits": ("film.mp4", {"bitrate": 0}, "bitrate"),
    "a recipe that is none": ("film.mp4", {"recipe": "a ship"}, "recipe: expected a mapping"),
    "a recipe JSON cannot say": ("film.mp4", {"recipe": {"a": float("nan")}}, "recipe"),
    "a recipe without end": ("film.mp4", {"recipe": {"a": "b" * 70_000}}, "at most 65,536 bytes"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_arguments_are_refused_by_name_before_anything_is_written(case, tmp_path):
    name, options, words = BAD_ARGUMENTS[case]
    with pytest.raises(InvalidArgument, match=words):
        FilmWriter(tmp_path / name, **options)
    assert os.listdir(tmp_path) == []


def test_a_target_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="a folder"):
        FilmWriter(tmp_path / "folder.mp4")
    with pytest.raises(WriteError, match="could not be written"):
        FilmWriter(tmp_path / "file" / "film.mp4")
    with pytest.raises(InvalidArgument, match="a path or a binary stream, found int"):
        FilmWriter(3)
    with pytest.raises(InvalidArgument, match="one that can be streamed: mp4, webm, gif, y4m, found webp"):
        FilmWriter(io.BytesIO(), kind="webp")


def test_two_films_never_share_a_folder_of_pictures(tmp_path):
    written(tmp_path / "film")
    with pytest.raises(InvalidArgument, match=r"no frames of that name yet, found frame_000000\.png"):
        FilmWriter(tmp_path / "film")


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "y4m"])
def test_a_full_disk_is_said(kind):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 5000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    rng = np.random.default_rng(0)
    with pytest.raises(WriteError, match="No space left on device"), FilmWriter(Full(), kind=kind) as film:
        film.write(rng.integers(0, 256, (60, 48, 64, 3), np.uint8))


def test_without_av_the_extra_is_named_and_other_formats_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("film.mp4", "film.webm"):
        with pytest.raises(MissingDependency, match=r"pip install calotype\[video\]"):
            FilmWriter(tmp_path / name)
    for name in ("film.gif", "film.webp", "film.y4m", "film"):
        written(tmp_path / name)
    assert len(shown(tmp_path / "film.gif")) == 6


def test_a_closed_film_takes_no_frames(tmp_path):
    with FilmWriter(tmp_path / "film.gif") as film:
        film.write(picture())
    film.close()
    with pytest.raises(CalotypeError, match="which is closed"):
        film.write(picture())
