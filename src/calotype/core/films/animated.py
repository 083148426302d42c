"""Animations without a codec library: GIF and WebP, each frame compressed by Pillow and written at once.

Pillow's own writers of animations hold every frame until the end.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from calotype.core.errors import InvalidArgument
from calotype.core.films.plan import Encoder, Plan, tick
from calotype.core.picture_files import recipe_document, recipe_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GIF_FASTEST = 50  # frames per second: programs slow down what is faster
WEBP_LARGEST = 16_383  # pixels a side
RIFF_LARGEST = 2**32 - 2


class Gif(Encoder):
    """256 colours a frame, chosen for it and dithered; loops for ever."""

    def __init__(self, file: BinaryIO, width: int, height: int, plan: Plan) -> None:
        if max(width, height) > 65_535:
            raise InvalidArgument("frames", "at most 65,535 pixels a side in a GIF", f"{width} x {height}")
        self._file, self._plan, self._count = file, plan, 0
        file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0))
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
        if plan.recipe is not None:
            file.write(b"\x21\xfe" + _blocks(recipe_document(plan.recipe).encode()))

    def add(self, frame: NDArray[np.uint8]) -> None:
        picture = Image.fromarray(frame)
        # 2 ms for 640 x 384 where a median cut takes 116, and as near once dithered
        chosen = picture.quantize(256, Image.Quantize.FASTOCTREE)
        written = io.BytesIO()
        picture.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG).save(written, "GIF", interlace=0)
        palette, place, pixels = _image_of(written.getvalue())
        size = (len(palette) // 3).bit_length() - 2
        self._file.write(b"\x21\xf9\x04\x04" + struct.pack("<HH", tick(self._plan, self._count, 100), 0))
        self._file.write(b"\x2c" + place + bytes([0x80 | size]) + palette + pixels)
        self._count += 1

    def finish(self) -> None:
        self._file.write(b"\x3b")


def _image_of(gif: bytes) -> tuple[bytes, bytes, bytes]:
    """The palette, the place and the compressed pixels of a GIF's one picture."""
    begin = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    at = begin
    while gif[at] == 0x21:  # an extension: its kind, then blocks until an empty one
        at += 2
        while gif[at]:
            at += gif[at] + 1
        at += 1
    return gif[13:begin], gif[at + 1 : at + 9], gif[at + 10 : -1]


def _blocks(data: bytes) -> bytes:
    pieces = [data[i : i + 255] for i in range(0, len(data), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"


class Webp(Encoder):
    """Every frame a whole picture; the length at the front is kept right, so that the file is always whole."""

    def __init__(self, file: BinaryIO, width: int, height: int, plan: Plan) -> None:
        if max(width, height) > WEBP_LARGEST:
            raise InvalidArgument("frames", f"at most {WEBP_LARGEST:,} pixels a side in a WebP", f"{width} x {height}")
        self._file, self._plan, self._count, self._length = file, plan, 0, 4
        self._side = _three(width - 1) + _three(height - 1)
        self._recipe = b"" if plan.recipe is None else recipe_options("film.webp", plan.recipe)["exif"]
        file.write(b"RIFF\0\0\0\0WEBP")
        flags = 0x02 | (0x08 if self._recipe else 0)  # animation, EXIF
        self._chunk(b"VP8X", bytes([flags, 0, 0, 0]) + self._side)
        self._chunk(b"ANIM", struct.pack("<IH", 0xFFFFFFFF, 0))

    def add(self, frame: NDArray[np.uint8]) -> None:
        written, quality = io.BytesIO(), self._plan.quality
        options = {"lossless": True} if quality == 10 else {"quality": 90 if quality is None else quality * 10}
        Image.fromarray(frame).save(written, "WEBP", **options)
        shown = tick(self._plan, self._count, 1000)
        whole = b"\x02"  # not blended with what was there
        self._chunk(b"ANMF", bytes(6) + self._side + _three(shown) + whole + written.getvalue()[12:])
        self._count += 1

    def finish(self) -> None:
        if self._recipe:
            self._chunk(b"EXIF", self._recipe.removeprefix(b"Exif\0\0"))

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._length += 8 + len(data) + len(data) % 2
        if self._length > RIFF_LARGEST:
            raise InvalidArgument("frames", "at most 4 GiB in a WebP", "more", "Write an MP4 or a WebM.")
        self._file.write(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2))
        self._file.seek(4)
        self._file.write(struct.pack("<I", self._length))
        self._file.seek(0, io.SEEK_END)


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")
