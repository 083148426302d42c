"""Films of clips: one that was stopped goes on to the same pictures, whatever its format."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from calotype.core.errors import CorruptFile
from calotype.core.films import FilmReader, recipe_of
from calotype.core.films.reels import FilmOfClips, Reel, cleared
from tests.unit.films.reels import FILES, RECIPE, apart, reel, shown

CHUNKS = [*np.split(reel(31), [10, 20, 30])]  # the last is a single frame
CODED = ["film.mp4", "film.webm"]
NAMES = [f"film.{kind}" for kind in FILES]


def stopped(path: Path, clips: int) -> Reel:
    """A film that was stopped after so many clips, and its reel."""
    kept = Reel(path.with_name("reel"))
    film = FilmOfClips(path, 10, RECIPE, kept)
    for chunk in CHUNKS[:clips]:
        film.add_clip(chunk)
    film.abandon()
    kept.close()
    return kept


def whole(path: Path, fps: float | Fraction = 10) -> Path:
    with FilmOfClips(path, fps, RECIPE) as film:
        for chunk in CHUNKS:
            film.add_clip(chunk)
    return path


@pytest.mark.parametrize("name", [*NAMES, "frames"])
def test_a_film_that_was_stopped_goes_on_to_the_same_film(name, tmp_path):
    unbroken = whole(tmp_path / f"unbroken-{name}")
    stopped(tmp_path / name, 3)
    kept = Reel(tmp_path / "reel", 2)  # what was made after the second is made again
    cleared(tmp_path / name)
    with FilmOfClips(tmp_path / name, 10, RECIPE, kept) as film:
        for chunk in CHUNKS[2:]:
            film.add_clip(chunk)
    kept.drop()
    assert not (tmp_path / "reel").exists() and film.count == 31
    assert np.array_equal(shown(tmp_path / name), shown(unbroken))
    if "y4m" not in name:
        assert recipe_of(tmp_path / name) == RECIPE == recipe_of(unbroken)


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("fps", [10, Fraction(24000, 1001)])
def test_joined_clips_are_one_film_at_an_even_speed(name, fps, tmp_path):
    path = whole(tmp_path / name, fps)
    with FilmReader(path) as film:
        assert (round(film.fps, 2), len([*film])) == (round(float(fps), 2), 31)
    assert apart(shown(path), np.concatenate(CHUNKS)) < 8


@pytest.mark.parametrize("name", NAMES)
def test_what_was_made_can_be_watched(name, tmp_path):
    stopped(tmp_path / name, 2)
    part = (tmp_path / name).with_stem("film.part")
    assert len(shown(part)) == 20


def test_half_a_clip_is_cut_off(tmp_path):
    stopped(tmp_path / "film.mp4", 2)
    before = (tmp_path / "reel").read_bytes()
    (tmp_path / "reel").write_bytes(before + b"\x00\x01")
    again = Reel(tmp_path / "reel", 2)
    assert len([*again.clips()]) == 2
    again.close()
    assert (tmp_path / "reel").read_bytes() == before


def test_a_reel_with_less_than_was_kept_is_refused(tmp_path):
    stopped(tmp_path / "film.gif", 2)
    with pytest.raises(CorruptFile, match="3 clips of a film, found 2"):
        Reel(tmp_path / "reel", 3)
    content = bytearray((tmp_path / "reel").read_bytes())
    content[40:60] = bytes(20)
    (tmp_path / "reel").write_bytes(content)
    kept = Reel(tmp_path / "reel", 2)
    with pytest.raises(CorruptFile, match="frames as they were kept"):
        FilmOfClips(tmp_path / "film.gif", 10, None, kept)
    kept.close()
