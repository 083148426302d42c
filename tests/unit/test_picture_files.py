"""Recipes go into pictures and come out the same; what is not a recipe, or a trap, is refused by name."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, MissingFile
from calotype.core.picture_files import MAX_RECIPE, parameters, read_recipe, recipe_options, write_picture

SUFFIXES = [".png", ".jpg", ".jpeg", ".webp"]
RECIPE = {
    "recipe": 1,
    "prompt": 'a ship, "at sea"\nby 月 & Ærø 🚢',
    "negative_prompt": "people: none",
    "seed": 2**64 - 1,
    "size": [40, 24],
    "model": "owner/model, v2",
    "scheduler": {"class": "EulerDiscreteScheduler", "config": {"beta_start": 0.00085}},
    "arguments": {"num_inference_steps": 20, "guidance_scale": 7.5, "strength": 0.6},
}


def opened(path):
    return Image.open(io.BytesIO(path.read_bytes()))


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recipe_comes_back_as_it_went_in(picture, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_picture(path, picture, RECIPE)
    assert read_recipe(path) == RECIPE
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_pixels_are_kept_exactly(picture, tmp_path, suffix):
    write_picture(tmp_path / f"out{suffix}", picture, RECIPE)
    assert np.array_equal(opened(tmp_path / f"out{suffix}").convert("RGB"), picture)


def test_other_programs_find_the_line_that_they_know(picture, tmp_path):
    for suffix in SUFFIXES:
        write_picture(tmp_path / f"out{suffix}", picture, RECIPE)
    line = opened(tmp_path / "out.png").info["parameters"]
    *prompt, negative, settings = line.split("\n")
    assert "\n".join(prompt) == RECIPE["prompt"]
    assert negative == "Negative prompt: people: none"
    assert settings == (
        'Steps: 20, Sampler: EulerDiscrete, CFG scale: 7.5, Seed: 18446744073709551615, Size: 40x24, '
        'Model: "owner/model, v2", Denoising strength: 0.6'
    )  # fmt: skip
    for suffix in SUFFIXES[1:]:
        comment = opened(tmp_path / f"out{suffix}").getexif().get_ifd(0x8769)[0x9286]
        assert comment == b"UNICODE\0" + line.encode("utf-16-be")


def test_a_recipe_of_another_layout_still_makes_a_line():
    assert parameters({"prompt": None, "arguments": "odd", "seed": 3, "scheduler": "DDIM"}) == "Sampler: DDIM, Seed: 3"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [{"metadata": False}, {"recipe": None}], ids=["asked for", "nothing to say"])
def test_without_metadata_there_are_pixels_and_nothing_else(picture, tmp_path, suffix, kept):
    exif = Image.Exif()
    exif[0x010F] = "camera of Ada"
    picture.info |= {
        "exif": exif.tobytes(),
        "Comment": "secret",
        "comment": b"secret",
        "icc_profile": b"secret",
        "xmp": b"secret",
    }
    path = tmp_path / f"out{suffix}"
    write_picture(path, picture, **{"recipe": RECIPE, **kept})
    data = path.read_bytes()
    assert not any(word in data for word in (b"secret", b"Ada", b"ship", b"Exif", b"tEXt", b"parameters"))
    with pytest.raises(MissingFile, match="recipe"):
        read_recipe(path)


def test_what_a_source_carried_does_not_travel_with_a_recipe(picture, tmp_path):
    picture.info["Comment"] = picture.info["comment"] = "secret"
    for suffix in SUFFIXES:
        write_picture(tmp_path / f"out{suffix}", picture, RECIPE)
        assert b"secret" not in (tmp_path / f"out{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"a": float("nan")}, "JSON"),
        ({"a": object()}, "JSON"),
        ({"prompt": "x" * MAX_RECIPE}, "65,536"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(picture, tmp_path, recipe, words):
    with pytest.raises(InvalidArgument, match=words):
        write_picture(tmp_path / "out.png", picture, recipe)
    assert not os.listdir(tmp_path)


def test_a_recipe_that_fits_no_jpeg_is_refused_for_jpegs_alone():
    recipe = {"prompt": "x" * 40_000}
    assert recipe_options("out.png", recipe) and recipe_options("out.webp", recipe)
    with pytest.raises(InvalidArgument, match="JPEG"):
        recipe_options("out.jpg", recipe)


def test_the_longest_recipe_is_read_back(picture, tmp_path):
    recipe = {"prompt": "x" * (MAX_RECIPE - len('{"prompt":""}'))}
    for suffix in (".png", ".webp"):
        write_picture(tmp_path / f"out{suffix}", picture, recipe)
        assert read_recipe(tmp_path / f"out{suffix}") == recipe


def test_other_formats_are_refused_by_name(picture, tmp_path):
    with pytest.raises(InvalidArgument, match=r"\.png.*'\.gif'"):
        write_picture(tmp_path / "out.gif", picture)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_of_every_usual_mode_are_written(picture, tmp_path, suffix, mode):
    write_picture(tmp_path / f"out{suffix}", picture.convert(mode), RECIPE)
    assert opened(tmp_path / f"out{suffix}").size == picture.size
    assert read_recipe(tmp_path / f"out{suffix}") == RECIPE


# ---------------------------------------------------------------------- hostile metadata


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data) if checksum is None else checksum)
    )


def png(*chunks: bytes, end: bytes = chunk(b"IEND", b"")) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"\0\0")) + end


def plain(text: bytes) -> bytes:
    return chunk(b"tEXt", b"calotype\0" + text)


def packed(text: bytes, kind: bytes = b"zTXt") -> bytes:
    middle = {b"zTXt": b"\0", b"iTXt": b"\1\0en\0calotype\0"}[kind]
    return chunk(kind, b"calotype\0" + middle + zlib.compress(text, 9))


def tiff(text: bytes, *, length: int | None = None, count: int = 1, start: bytes = b"II*\0", begin: int = 8) -> bytes:
    length = len(text) if length is None else length
    return start + struct.pack("<IH", begin, count) + struct.pack("<HHII", 0x010E, 2, length, 26) + bytes(4) + text


def jpeg(*blocks: bytes) -> bytes:
    segments = (b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block for block in blocks)
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


def webp(block: bytes, length: int | None = None) -> bytes:
    body = b"WEBPEXIF" + struct.pack("<I", len(block) if length is None else length) + block + b"\0" * (len(block) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


GOOD = b'{"seed": 5}'
BOMB = b'{"a": "' + b"x" * 2**26 + b'"}'
READ = {
    "plain": png(plain(GOOD)),
    "compressed by another program": png(packed(GOOD)),
    "international": png(packed(GOOD, b"iTXt")),
    "international, not compressed": png(chunk(b"iTXt", b"calotype\0\0\0en\0calotype\0" + GOOD)),
    "after other texts": png(
        chunk(b"tEXt", b"calotype2\0{"), chunk(b"tEXt", b""), chunk(b"zTXt", b"x\0\0junk"), plain(GOOD)
    ),
    "bytes after the end": png(plain(GOOD)) + b"<script>",
    "JPEG": jpeg(tiff(GOOD)),
    "JPEG, described in words too": jpeg(tiff(b"my holidays\0"), tiff(GOOD)),
    "WebP": webp(tiff(GOOD)),
    "WebP, odd length": webp(tiff(GOOD + b" ")),
}
REFUSED = {
    "bomb, zTXt": (png(packed(BOMB)), "at most 65,536 bytes"),
    "bomb, iTXt": (png(packed(BOMB, b"iTXt")), "at most 65,536 bytes"),
    "bomb in a bomb": (png(packed(zlib.compress(BOMB))), "JSON"),
    "long, plain": (png(plain(b'{"a": "' + b"x" * MAX_RECIPE + b'"}')), "at most 65,536 bytes"),
    "long, WebP": (webp(tiff(b'{"a": "' + b"x" * MAX_RECIPE + b'"}')), "at most 65,536 bytes"),
    "two recipes": (png(plain(GOOD), packed(GOOD)), "one recipe.*found 2"),
    "two recipes, JPEG": (jpeg(tiff(GOOD), tiff(GOOD)), "one recipe.*found 2"),
    "wrong checksum": (png(chunk(b"tEXt", b"calotype\0" + GOOD, 1)), "checksum"),
    "not deflated": (png(chunk(b"zTXt", b"calotype\0\0" + GOOD)), "damaged"),
    "cut deflate": (png(chunk(b"zTXt", b"calotype\0\0" + zlib.compress(GOOD)[:-6])), "damaged"),
    "unknown compression": (png(chunk(b"zTXt", b"calotype\0\7" + zlib.compress(GOOD))), "damaged"),
    "empty zTXt": (png(chunk(b"zTXt", b"calotype\0")), "too early"),
    "empty iTXt": (png(chunk(b"iTXt", b"calotype\0\0\0")), "too early"),
    "endless chunk": (png(end=struct.pack(">I4s", 2**32 - 1, b"tEXt")), "cut off"),
    "no end": (png(plain(GOOD), end=b""), "cut off"),
    "python": (png(plain(b"__import__('os').system('true')")), "JSON"),
    "pickle": (png(plain(b"\x80\x04cos\nsystem\n")), "JSON"),
    "YAML": (png(plain(b"!!python/object/apply:os.system ['true']")), "JSON"),
    "list": (png(plain(b"[1, 2]")), "a JSON object"),
    "NaN": (png(plain(b'{"seed": NaN}')), "NaN"),
    "key twice": (png(plain(b'{"seed": 1, "seed": 2}')), "more than once"),
    "depth": (png(plain(b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}")), "levels"),
    "thousands of digits": (png(plain(b'{"seed": ' + b"9" * 5000 + b"}")), "digits"),
    "NUL": (png(plain(b'{"a": "\0"}')), "NUL"),
    "not UTF-8": (png(plain(b'{"a": "\xff"}')), "UTF-8"),
    "EXIF of no order": (jpeg(tiff(GOOD, start=b"XX*\0")), "byte order"),
    "EXIF beyond its end": (jpeg(tiff(GOOD, begin=2**31)), "too early"),
    "EXIF with many entries": (jpeg(tiff(GOOD, count=2**15)), "too early"),
    "description beyond the end": (jpeg(tiff(GOOD, length=2**31)), "2,147,483,648"),
    "long EXIF": (webp(tiff(GOOD), length=2**31), "at most 262,144"),
    "EXIF cut off": (webp(tiff(GOOD), length=4000), "cut off"),
    "JPEG cut off": (jpeg(tiff(GOOD))[:30], "cut off"),
    "JPEG with rubbish": (b"\xff\xd8" + bytes(40), "segments"),
    "no picture": (b"GIF89a" + bytes(40), "starts with b'GIF89a"),
    "nothing": (b"", "starts with b''"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_recipes_are_found_wherever_programs_put_them(tmp_path, name):
    (tmp_path / "a.bin").write_bytes(READ[name])  # its name says nothing
    assert read_recipe(tmp_path / "a.bin") == {"seed": 5}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_metadata_is_refused_by_name(tmp_path, name):
    data, words = REFUSED[name]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(CorruptFile, match=words) as refusal:
        read_recipe(path)
    assert str(path) in str(refusal.value) and len(str(refusal.value)) < 500


@pytest.mark.parametrize("name", ["plain", "international", "JPEG", "WebP"])
def test_no_damage_of_one_byte_or_cut_fails_in_any_other_way(tmp_path, name):
    data, path, outcomes = READ[name], tmp_path / "a.png", set()
    spoilt = [data[:place] for place in range(len(data))]
    spoilt += [
        data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :] for place in range(len(data)) for bit in (1, 128)
    ]
    for one in spoilt:
        path.write_bytes(one)
        try:
            outcomes.add(type(read_recipe(path)))
        except CalotypeError as error:
            outcomes.add(type(error))
    assert outcomes <= {dict, CorruptFile, MissingFile} and CorruptFile in outcomes


def test_a_bomb_takes_no_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "a.png"
    path.write_bytes(REFUSED["bomb, zTXt"][0])
    tracemalloc.start()
    with pytest.raises(CorruptFile):
        read_recipe(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, kind in {"": "a folder", "pipe": "a pipe"}.items():
        with pytest.raises(CorruptFile, match=kind):
            read_recipe(tmp_path / name)
    with pytest.raises(MissingFile):
        read_recipe(tmp_path / "none.png")


def test_pictures_of_other_programs_have_no_recipe(picture, tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 20")
    written = io.BytesIO()
    picture.save(written, "PNG", pnginfo=chunks)
    (tmp_path / "a.png").write_bytes(written.getvalue())
    with pytest.raises(MissingFile, match="recipe"):
        read_recipe(tmp_path / "a.png")


def test_the_recipe_in_a_png_is_readable_json_for_anybody(picture, tmp_path):
    write_picture(tmp_path / "out.png", picture, RECIPE)
    assert json.loads(opened(tmp_path / "out.png").info["calotype"]) == RECIPE
