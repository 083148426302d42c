"""Frames come out of what is a film, whatever its name; what is none, is damaged or far too large is refused."""

from __future__ import annotations

import io
import os
import struct
import wave

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, MissingDependency, MissingFile
from calotype.core.films.found import MediaLimits
from calotype.core.films.reader import FilmReader
from calotype.core.films.recipes import recipe_of
from calotype.utils import load_image, load_video
from tests.unit.films.reels import CODED, FILES, picture, reel, shown, written


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A small film in each format."""
    folder = tmp_path_factory.mktemp("films")
    return {kind: written(folder / f"film.{kind}", 20) for kind in FILES}


@pytest.mark.parametrize("kind", FILES)
def test_the_bytes_say_what_it_is_and_not_the_name(kind, films, tmp_path):
    (tmp_path / "film.txt").write_bytes(films[kind].read_bytes())
    assert np.array_equal(shown(tmp_path / "film.txt"), shown(films[kind]))


@pytest.mark.parametrize("kind", FILES)
def test_all_frames_and_the_speed(kind, films):
    frames, fps = load_video(films[kind], return_fps=True)
    assert [frame.mode for frame in frames] == ["RGB"] * 20
    assert fps == pytest.approx(10, rel=1e-3)
    assert load_video(str(films[kind]), lambda frames: frames[::5]) == frames[::5]


def test_frames_come_one_by_one(films):
    with FilmReader(films["mp4"]) as film:
        assert film.expected == 20
        next(iter(film))
        assert film.count == 1


def test_a_folder_is_read_in_the_order_in_which_people_count(tmp_path):
    for number in (10, 9, 1):
        picture(number).save(tmp_path / f"shot_{number}.png")
    (tmp_path / "notes.txt").write_text("none")
    assert [frame.getpixel((0, 0))[0] for frame in load_video(tmp_path)] == [1, 9, 10]
    assert len(load_video(tmp_path / "shot_%01d.png")) == 3
    with pytest.raises(InvalidArgument, match="return_fps: expected False for pictures that have no speed"):
        load_video(tmp_path, return_fps=True)


def test_a_percent_sign_is_also_a_letter(films, tmp_path):
    (tmp_path / "100%.gif").write_bytes(films["gif"].read_bytes())
    assert len(load_video(tmp_path / "100%.gif")) == 20
    with pytest.raises(MissingFile, match="50%"):
        load_video(tmp_path / "50%.gif")
    with pytest.raises(CorruptFile, match="expected pictures"):
        load_video(tmp_path / "shot_%03d.png")


def test_a_list_of_pictures_is_a_film(tmp_path):
    picture(3).save(tmp_path / "a.png")
    assert [frame.getpixel((0, 0))[0] for frame in load_video([picture(1), tmp_path / "a.png"])] == [1, 3]


def test_a_film_taken_upright_is_seen_upright(tmp_path):
    path = tmp_path / "film.mp4"
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[:, :32] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    (seen,) = load_video(path)
    assert seen.size == (32, 64)
    assert seen.getpixel((16, 2))[0] < 8  # counter-clockwise: what was left is below
    assert seen.getpixel((16, 61))[0] > 247


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "webp"])  # Pillow reads a whole one or none
def test_a_film_that_is_cut_off_keeps_its_good_frames(kind, films, tmp_path):
    data = films[kind].read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(data[: len(data) * 7 // 10])
    frames = load_video(cut)
    assert 3 <= len(frames) < 20
    whole = shown(films[kind])[: len(frames) - 1]  # the last one may be half of one
    assert np.array_equal(np.stack([np.asarray(frame) for frame in frames[:-1]]), whole)


HOSTILE = {
    "empty": (b"", "an empty file"),
    "a text": (b"just a text that was renamed", "a film: MP4"),
    "a page": (b"<!DOCTYPE html><html>404</html>", "a film: MP4"),
    "a playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a film: MP4"),
    "a list of files": (b"ffconcat version 1.0\nfile /etc/passwd\n", "a film: MP4"),
    "an mp4 without anything": (b"\0\0\0\x14ftypisom\0\0\2\0isom", "mp4"),
    "an mp4 of noise": (b"\0\0\0\x14ftypisom\0\0\2\0isom" + bytes(range(256)) * 9, "mp4"),
    "a webm of noise": (b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 9, "mp4"),
    "a GIF that ends": (b"GIF89a", "damaged|a picture"),
    "a WebP that ends": (b"RIFF\4\0\0\0WEBP", "damaged|a picture"),
    "a huge GIF": (b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x2c" + bytes(40), "far too large|pixels"),
    "a huge y4m": (b"YUV4MPEG2 W100000 H100000 F24:1 Ip A1:1 C444\nFRAME\n" + bytes(99), "mp4"),
    "a y4m of no size": (b"YUV4MPEG2 W0 H0 F24:1 C444\nFRAME\n", "mp4"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_film_is_refused_by_name(case, tmp_path):
    data, words = HOSTILE[case]
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises((CorruptFile, InvalidArgument), match=words) as refusal:
        load_video(path)
    assert str(path) in str(refusal.value)


def test_sound_alone_is_no_film(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(CorruptFile, match="expected a track of pictures, found audio"):
        load_video(path)
    with wave.open(str(tmp_path / "song.wav"), "wb") as song:
        song.setparams((1, 1, 8000, 0, "NONE", ""))
        song.writeframes(bytes(99))
    with pytest.raises(CorruptFile, match="a film: MP4"):
        load_video(tmp_path / "song.wav")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(CorruptFile, match="found a pipe"):
        load_video(tmp_path / "pipe.mp4")
    with pytest.raises(MissingFile, match=r"none\.mp4"):
        load_video(tmp_path / "none.mp4")
    with pytest.raises(MissingFile):
        load_video(f"file://{tmp_path}/film.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(CorruptFile, match=r"folder\.mp4: expected pictures .* found none"):
        load_video(tmp_path / "folder.mp4")
    for nothing in ("", None, 3, b"film.mp4"):
        with pytest.raises(InvalidArgument, match="video: expected a path, an address, or a list of pictures"):
            load_video(nothing)
    with pytest.raises(CorruptFile, match="at least one frame"):
        load_video([])


@pytest.mark.parametrize("kind", FILES)
def test_what_is_larger_than_agreed_is_refused_before_it_is_decoded(kind, films):
    path = films[kind]
    for limits, words in [
        (MediaLimits(pixels=64 * 48 - 1), "at most 3,071 pixels a frame, found 64 x 48"),
        (MediaLimits(frames=19), "at most 19 frames, found 20 or more"),
        (MediaLimits(bytes=100), "at most 100 bytes"),
        (MediaLimits(memory=64 * 48 * 3 * 19), r"bytes of frames, found [\d,]+ or more"),
    ]:
        with pytest.raises(InvalidArgument, match=words) as refusal:
            load_video(path, limits=limits)
        assert "MediaLimits" in str(refusal.value)
    assert len(load_video(path, limits=MediaLimits(pixels=64 * 48, frames=20, memory=64 * 48 * 3 * 20))) == 20


def test_a_film_too_large_for_memory_is_refused_at_its_first_frame(films):
    with pytest.raises(InvalidArgument, match=f"bytes of frames, found {64 * 48 * 3 * 20:,} or more"):
        load_video(films["gif"], limits=MediaLimits(memory=64 * 48 * 3))


def test_a_film_that_grows_larger_on_the_way_ends_there(tmp_path, caplog):
    """Only the decoder can see it: the size at the front is small."""
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        for i, side in enumerate((32, 32, 32, 640)):
            held = io.BytesIO()
            picture(size=(side, side)).save(held, "JPEG")
            packet = av.Packet(held.getvalue())
            packet.stream, packet.pts, packet.dts = stream, i, i
            container.mux(packet)
    frames = load_video(tmp_path / "film.mkv", limits=MediaLimits(pixels=10_000))
    assert {frame.size for frame in frames} == {(32, 32)}
    assert "is damaged after 3 frames" in caplog.text


def test_codecs_that_few_use_and_many_attack_are_refused(tmp_path):
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("jpeg2000", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(reel(1)[0], format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(CorruptFile, match=r"one of the codecs h264.* found jpeg2000"):
        load_video(path)


@pytest.mark.parametrize("limit", [0, -1, True, "many", float("nan")])
def test_a_limit_is_a_number(limit):
    with pytest.raises(InvalidArgument, match=r"limits\.frames"):
        MediaLimits(frames=limit)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(FILES),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    cut=st.floats(0, 1),
)
def test_whatever_happens_to_its_bytes_the_answer_is_frames_or_a_refusal(kind, places, cut, films, tmp_path_factory):
    data = bytearray(films[kind].read_bytes())
    for place, value in places:
        data[int(place**3 * (len(data) - 1))] = value
    path = tmp_path_factory.getbasetemp() / f"changed.{kind}"
    path.write_bytes(data[: int(len(data) * cut**0.5)])
    for read in (load_video, recipe_of):
        answer = answered(read, path)
        assert str(path) in str(answer) if isinstance(answer, CalotypeError) else answer


def answered(read, path):
    try:
        return read(path)
    except CalotypeError as refusal:
        return refusal


def test_what_is_no_recipe_is_said(tmp_path):
    with pytest.raises(MissingFile, match="expected a recipe of calotype, found none"):
        recipe_of(written(tmp_path / "film.mp4"))
    with av.open(str(tmp_path / "other.mp4"), "w") as container:
        container.metadata["comment"] = "a film of Ada's"
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(reel(1)[0], format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(MissingFile, match="expected a recipe of calotype"):
        recipe_of(tmp_path / "other.mp4")
    (tmp_path / "text.mp4").write_text("a text and no film at all")
    with pytest.raises(CorruptFile, match="a film"):
        recipe_of(tmp_path / "text.mp4")


@pytest.mark.parametrize("kind", CODED)
def test_without_av_the_extra_is_named(kind, films, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingDependency, match=r"pip install calotype\[video\]"):
        load_video(films[kind])
    assert len(load_video(films["gif"])) == 20


# ---------------------------------------------------------------------- pictures


def test_a_picture_is_upright_and_in_rgb(tmp_path):
    told = Image.Exif()
    told[0x0112] = 6  # taken with the camera on its side
    picture(size=(8, 6)).save(tmp_path / "side.jpg", exif=told)
    assert load_image(str(tmp_path / "side.jpg")).size == (6, 8)
    assert load_image(Image.new("RGBA", (2, 2), (200, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    assert load_image(Image.new("L", (2, 2), 9)).getpixel((0, 0)) == (9, 9, 9)
    with pytest.raises(ValueError, match="mine"):
        load_image(str(tmp_path / "side.jpg"), refusing)
    assert load_image(picture(), lambda found: found.convert("L")).mode == "L"


def refusing(found):
    raise ValueError("mine")


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_text("a text")
    with pytest.raises(CorruptFile, match=r"a\.png: expected a picture \(PNG, JPEG"):
        load_image(tmp_path / "a.png")
    picture(size=(100, 100)).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:90])
    with pytest.raises(CorruptFile, match=r"b\.png: expected a whole picture"):
        load_image(tmp_path / "b.png")
    picture(size=(100, 100)).save(tmp_path / "c.png")
    with pytest.raises(InvalidArgument, match="at most 99 pixels"):
        load_image(tmp_path / "c.png", limits=MediaLimits(pixels=99))
    for nothing in (None, 3, np.zeros((8, 8, 3)), ""):
        with pytest.raises(InvalidArgument, match="image: expected a path, an address or a PIL image"):
            load_image(nothing)
