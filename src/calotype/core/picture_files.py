"""Picture files that say how they were made: a recipe goes in with the pixels and comes out as data, never as code."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from calotype.core.atomic import write_atomic
from calotype.core.documents import parse_json
from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile
from calotype.core.paths import regular_file

MAX_RECIPE = 2**16  # bytes of JSON, inflated
MAX_CHUNKS = 100_000
KEYWORD = b"calotype"

# suffix: PIL's name of the format, and how it is written
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
}

# Tags of EXIF: the recipe stands in the description, the line that other programs read in the user's comment.
DESCRIPTION, EXIF_FOLDER, COMMENT = 0x010E, 0x8769, 0x9286
MAX_EXIF = 65_533 - 6  # a JPEG segment less its mark
_BYTES, _TEXT, _UNDEFINED = 1, 2, 7


def write_picture(
    path: str | os.PathLike[str],
    picture: Image.Image,
    recipe: Mapping[str, Any] | None = None,
    *,
    metadata: bool = True,
) -> None:
    """Write a picture, whole or not at all, with its recipe inside; ``metadata=False`` writes pixels alone."""
    write_atomic(path, [picture_bytes(path, picture, recipe if metadata else None)])


def picture_bytes(path: str | os.PathLike[str], picture: Image.Image, recipe: Mapping[str, Any] | None = None) -> bytes:
    """What a file of this name would hold."""
    kind, options = picture_format(path)
    told = recipe_options(path, recipe) if recipe is not None else {}
    bare = picture.convert("RGB") if kind == "JPEG" else picture.copy()
    # whatever its source carried (a place, a name, another prompt) stays behind; a palette needs its transparency
    bare.info = {key: value for key, value in bare.info.items() if key == "transparency"}
    written = io.BytesIO()
    bare.save(written, kind, **options, **told)
    return written.getvalue()


def picture_format(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """The format that a file's name asks for, and how it is written."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InvalidArgument(str(path), f"a name that ends in {', '.join(FORMATS)}", repr(suffix))
    return FORMATS[suffix]


def recipe_options(path: str | os.PathLike[str], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What PIL must be given to write this recipe; refuses one that is too long or no JSON."""
    kind, _ = picture_format(path)
    document = recipe_document(recipe)
    line = parameters(recipe)
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", line.replace("\0", " "))
        chunks.add_text(KEYWORD.decode(), document)
        return {"pnginfo": chunks}
    exif = Image.Exif()
    exif[DESCRIPTION] = document
    exif.get_ifd(EXIF_FOLDER)[COMMENT] = b"UNICODE\0" + line.encode("utf-16-be")
    packed = exif.tobytes()
    if kind == "JPEG" and len(packed) > MAX_EXIF:
        fix = "Write a PNG, or no metadata."
        raise InvalidArgument("recipe", f"at most {MAX_EXIF:,} bytes in a JPEG", f"{len(packed):,}", fix)
    return {"exif": packed}


def recipe_document(recipe: Mapping[str, Any]) -> str:
    """The recipe as JSON in ASCII; refuses one that is too long or no JSON."""
    try:
        document = json.dumps(recipe, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument("recipe", "what JSON can say", str(error)[:200]) from None
    if len(document) > MAX_RECIPE:
        raise InvalidArgument("recipe", f"at most {MAX_RECIPE:,} bytes", f"{len(document):,}", "Shorten the prompt.")
    return document


# Names in the line that other programs read, and where a recipe says it.
_LINE = {
    "Steps": "num_inference_steps",
    "Sampler": "scheduler",
    "CFG scale": "guidance_scale",
    "Seed": "seed",
    "Size": "size",
    "Model": "model",
    "Denoising strength": "strength",
    "Clip skip": "clip_skip",
}


def parameters(recipe: Mapping[str, Any]) -> str:
    """The recipe as other programs for pictures read it: the prompt, what to avoid, and a line of settings."""
    arguments = recipe.get("arguments")
    facts = {**(arguments if isinstance(arguments, Mapping) else {}), **recipe}
    settings = [(name, facts[key]) for name, key in _LINE.items() if facts.get(key) is not None]
    avoided = facts.get("negative_prompt")
    lines = [
        str(facts.get("prompt") or ""),
        f"Negative prompt: {avoided}" if avoided else "",
        ", ".join(f"{name}: {_setting(value)}" for name, value in settings),
    ]
    # half a surrogate pair is text to JSON, and to nobody else
    return "\n".join(line for line in lines if line).encode("utf-8", "replace").decode()


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("class", "")).removesuffix("Scheduler")
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    text = str(value)
    return json.dumps(text) if any(mark in text for mark in ',:"\n') else text


# ---------------------------------------------------------------------- read


def read_recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The recipe in a picture; whatever else stands there is an error, and none is ever run."""
    where = str(path)
    size = regular_file(path).st_size
    try:
        with open(path, "rb") as file:
            found = _reader(file.read(12), where)(file, size, where)
    except PermissionError:
        raise CorruptFile(where, "a file that can be read", "no permission to read it") from None
    except (struct.error, ValueError, IndexError):
        raise CorruptFile(where, "a whole picture", "one whose metadata ends too early") from None
    if len(found) != 1:
        raise (CorruptFile if found else MissingFile)(where, "one recipe of calotype", str(len(found) or "none"))
    if len(found[0]) > MAX_RECIPE:
        raise _too_long(where)
    return parse_json(found[0], f"{where}: recipe")


def _reader(start: bytes, where: str) -> Callable[[BinaryIO, int, str], list[bytes]]:
    """Who finds the recipes in a file that starts like this; its name does not matter."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if start.startswith(b"\xff\xd8"):
        return _jpeg
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return _webp
    raise CorruptFile(where, "a PNG, JPEG or WebP picture", f"a file that starts with {start[:8]!r}")


def _too_long(where: str) -> CorruptFile:
    return CorruptFile(f"{where}: recipe", f"at most {MAX_RECIPE:,} bytes", "more")


def _exactly(file: BinaryIO, count: int, where: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise CorruptFile(where, "a whole picture", "one that is cut off")
    return data


def _png(file: BinaryIO, size: int, where: str) -> list[bytes]:
    return [_text(kind, data, where) for kind, data in _png_texts(file, size, where)]


def _png_texts(file: BinaryIO, size: int, where: str) -> Iterator[tuple[bytes, bytes]]:
    """The text chunks under our keyword: their kinds, and what follows the keyword."""
    file.seek(8)
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", _exactly(file, 8, where))
        if kind == b"IEND":
            return
        if file.tell() + length + 4 > size:
            raise CorruptFile(where, "a whole picture", "one that is cut off")
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            file.seek(length + 4, io.SEEK_CUR)
            continue
        begin = file.tell()
        if file.read(min(length, len(KEYWORD) + 1)) == KEYWORD + b"\0":
            if length > MAX_RECIPE + 1024:  # keyword, language and the like
                raise _too_long(where)
            data = _exactly(file, length - len(KEYWORD) - 1, where)
            (checksum,) = struct.unpack(">I", _exactly(file, 4, where))
            if checksum != zlib.crc32(kind + KEYWORD + b"\0" + data):
                raise CorruptFile(f"{where}: recipe", "the checksum beside it", "another: the file is damaged")
            yield kind, data
        file.seek(begin + length + 4)
    raise CorruptFile(where, f"at most {MAX_CHUNKS:,} chunks", "more")


def _text(kind: bytes, data: bytes, where: str) -> bytes:
    """What a text chunk says, whichever of the three kinds it is; inflated no further than a recipe may be long."""
    if kind == b"tEXt":
        return data
    if kind == b"zTXt":
        return _inflated(data[1:], data[0], where)
    compressed, method, (_, _, text) = data[0], data[1], data[2:].split(b"\0", 2)
    return _inflated(text, method, where) if compressed else text


def _inflated(data: bytes, method: int, where: str) -> bytes:
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(data, MAX_RECIPE + 1) if method == 0 else b""
    except zlib.error:
        text = b""
    if len(text) > MAX_RECIPE:
        raise _too_long(where)
    if not inflating.eof:
        raise CorruptFile(f"{where}: recipe", "a compressed text", "one that is damaged")
    return text


def _jpeg(file: BinaryIO, size: int, where: str) -> list[bytes]:
    found: list[bytes] = []
    file.seek(2)
    for _ in range(MAX_CHUNKS):
        mark, kind = _exactly(file, 2, where)
        if mark != 0xFF:
            raise CorruptFile(where, "segments of a JPEG", "other bytes between them")
        if kind in (0xDA, 0xD9):  # from here on there are pixels
            return found
        if kind == 0xFF:
            file.seek(-1, io.SEEK_CUR)
            continue
        (length,) = struct.unpack(">H", _exactly(file, 2, where))
        data = _exactly(file, max(length - 2, 0), where)
        if kind == 0xE1 and data.startswith(b"Exif\0\0"):
            found += _described(data[6:], where)
    raise CorruptFile(where, f"at most {MAX_CHUNKS:,} segments", "more")


def _webp(file: BinaryIO, size: int, where: str) -> list[bytes]:
    found: list[bytes] = []
    file.seek(12)
    for _ in range(MAX_CHUNKS):
        if file.tell() >= size:
            return found
        kind, length = struct.unpack("<4sI", _exactly(file, 8, where))
        if kind == b"EXIF":
            if length > 4 * MAX_RECIPE:
                raise CorruptFile(f"{where}: EXIF", f"at most {4 * MAX_RECIPE:,} bytes", f"{length:,}")
            found += _described(_exactly(file, length, where).removeprefix(b"Exif\0\0"), where)
            file.seek(length % 2, io.SEEK_CUR)
        else:
            file.seek(length + length % 2, io.SEEK_CUR)
    raise CorruptFile(where, f"at most {MAX_CHUNKS:,} chunks", "more")


def _described(exif: bytes, where: str) -> list[bytes]:
    """The descriptions in the first folder of an EXIF block, if they can be a recipe."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise CorruptFile(f"{where}: EXIF", "a block that starts with its byte order", repr(exif[:4]))
    (begin,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, begin)
    found: list[bytes] = []
    for place in range(begin + 2, begin + 2 + 12 * count, 12):
        tag, kind, length, offset = struct.unpack_from(f"{order}HHII", exif, place)
        if tag != DESCRIPTION or kind not in (_BYTES, _TEXT, _UNDEFINED):
            continue
        text = exif[place + 8 : place + 8 + length] if length <= 4 else exif[offset : offset + length]
        if len(text) < length:
            raise CorruptFile(f"{where}: EXIF", f"a description of {length:,} bytes", f"{len(text):,}")
        if text.lstrip().startswith(b"{"):  # others describe a picture in words
            found.append(text.rstrip(b"\0"))
    return found
