"""Flax's weight files: a tree of arrays in msgpack. A closed reader, and a writer."""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from calotype.core.errors import CorruptFile, IncompatibleWeights
from calotype.core.paths import regular_file
from calotype.core.tensors import Stored

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float16, torch.bfloat16, torch.float64,
        torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip
ARRAY = 1  # the type of the extension that holds one: its shape, the name of its dtype, its bytes in C order
CHUNKED = "__msgpack_chunked_array__"  # in a map: it is an array of which the pieces come one by one
CHUNK = 2**30  # bytes of the largest piece
DEEPEST, MOST, AXES = 64, 100_000, 8  # levels of a tree, entries in it, axes of an array

# first bytes: what begins there, and in how many bytes its length (of numbers, their value) is told
TOLD = {
    0xC4: ("bytes", 1), 0xC5: ("bytes", 2), 0xC6: ("bytes", 4), 0xC7: ("array", 1), 0xC8: ("array", 2),
    0xC9: ("array", 4), 0xCC: ("number", 1), 0xCD: ("number", 2), 0xCE: ("number", 4), 0xCF: ("number", 8),
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4), 0xDC: ("list", 2), 0xDD: ("list", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
FIXED = {0xC3: ("true", 0), 0xD5: ("array", 2), 0xD6: ("array", 4), 0xD7: ("array", 8), 0xD8: ("array", 16)}
SHORT = ((0x80, "number", 0x7F), (0x90, "map", 15), (0xA0, "list", 15), (0xC0, "text", 31))  # below; what; its length
SIZES = {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}


class Lying(NamedTuple):
    """An array that lies in the file, in one piece or in several."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    spans: tuple[tuple[int, int], ...]


class Reader:
    """A place in a file, and what comes next there."""

    def __init__(self, data: bytes | mmap.mmap, where: str) -> None:
        self.data, self.where, self.at, self.entries = data, where, 0, 0

    def fail(self, expected: str, found: str) -> NoReturn:
        raise CorruptFile(f"{self.where}, byte {self.at:,}", expected, found)

    def skip(self, count: int) -> int:
        """Go on so many bytes; where they begin."""
        if count > len(self.data) - self.at:
            self.fail(f"{count:,} bytes", f"{len(self.data) - self.at:,} to the end of the file")
        self.at += count
        return self.at - count

    def number(self, size: int) -> int:
        return struct.unpack_from(SIZES[size], self.data, self.skip(size))[0]

    def head(self) -> tuple[str, int]:
        """What comes next, and its length."""
        first = self.number(1)
        for limit, kind, mask in SHORT:
            if first < limit:
                return kind, first & mask
        if first in TOLD:
            kind, size = TOLD[first]
            return kind, self.number(size)
        return FIXED.get(first) or self.fail("maps, texts and arrays", f"a value of type 0x{first:02x}")

    def expect(self, wanted: str, most: int | None = None) -> int:
        """The length of what comes next, which is of this kind."""
        kind, length = self.head()
        if kind != wanted or (most is not None and length > most):
            limit = "" if most is None else f" of at most {most:,}"
            self.fail(f"a {wanted}{limit}", f"a {kind} of {length:,}")
        return length

    def text(self) -> str:
        begin = self.skip(self.expect("text", 1000))
        try:
            return self.data[begin : self.at].decode()
        except UnicodeDecodeError:
            return self.fail("a text in UTF-8", "another")

    def tree(self, path: str = "", depth: int = 0) -> Iterator[tuple[str, Lying]]:
        """The arrays of the map that comes next, each under its path."""
        if depth > DEEPEST:
            self.fail(f"at most {DEEPEST} levels", "more")
        names: set[str] = set()
        for _ in range(self.expect("map", MOST)):
            self.entries += 1
            name = self.text()
            if name in names or "/" in name or self.entries > MOST:
                self.fail(f"up to {MOST:,} names, each once and without a slash", repr(name))
            names.add(name)
            here = f"{path}/{name}" if path else name
            begin, (kind, length) = self.at, self.head()
            if kind == "true" and name == CHUNKED and len(names) == 1:
                yield path, self.chunked()
                return
            if kind == "array":
                yield here, self.array(length)
            else:
                self.at = begin
                yield from self.tree(here, depth + 1)

    def array(self, length: int) -> Lying:
        if self.number(1) != ARRAY:
            self.fail("an array", "an extension of another type")
        end = self.at + length
        if self.expect("list") != 3:
            self.fail("shape, dtype and bytes", "something else")
        shape = tuple(self.expect("number") for _ in range(self.expect("list", AXES)))
        name = self.text()
        dtype = DTYPES.get(name) or self.fail(f"one of the dtypes {', '.join(DTYPES)}", repr(name))
        size = self.expect("bytes")
        begin = self.skip(size)
        if size != math.prod(shape) * dtype.itemsize or self.at != end:
            self.fail(f"the bytes of {shape} in {name}", f"{size:,}")
        return Lying(shape, dtype, ((begin, begin + size),))

    def past(self, word: str) -> None:
        """Go on past a text, which must be this one."""
        if (found := self.text()) != word:
            self.fail(repr(word), repr(found))

    def chunked(self) -> Lying:
        """The rest of the map of an array in pieces: its shape, then the pieces, by their numbers."""
        self.past("shape")
        shape: list[int] = []
        for axis in range(self.expect("map", AXES)):
            self.past(str(axis))
            shape.append(self.expect("number"))
        self.past("chunks")
        pieces: list[Lying] = []
        for number in range(self.expect("map", MOST)):
            self.past(str(number))
            pieces.append(self.array(self.expect("array")))
        dtypes = {piece.dtype for piece in pieces}
        if len(dtypes) != 1 or sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
            self.fail(f"the pieces of an array {tuple(shape)}", f"{len(pieces)} that do not make one")
        return Lying(tuple(shape), dtypes.pop(), tuple(span for piece in pieces for span in piece.spans))


class MsgpackFile:
    """The arrays of a file of Flax's as tensors, under their paths: ``conv_in/kernel``."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        regular_file(self.path)
        reader = Reader(self._pages, str(self.path))
        self._arrays = dict(reader.tree())
        if reader.at != len(self._pages):
            reader.fail("the end of the file", "more")

    @cached_property
    def _pages(self) -> bytes | mmap.mmap:
        with self.path.open("rb") as file:
            empty = not self.path.stat().st_size  # of which there are no pages
            return b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def stored(self) -> dict[str, Stored]:
        """Every array by its path."""
        return {key: Stored(self, key, lying.shape, lying.dtype) for key, lying in self._arrays.items()}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These arrays in these types."""
        pieces = {key: [piece for _, piece in self.pieces([key])] for key in wanted}
        return {key: torch.cat(pieces[key]).to(to).reshape(self._arrays[key].shape) for key, to in wanted.items()}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these arrays, a flat piece at a time."""
        for key in keys:
            lying = self._arrays[key]
            for begin, end in lying.spans:
                data = bytearray(self._pages[begin:end])
                yield key, torch.frombuffer(data, dtype=lying.dtype) if data else torch.empty(0, dtype=lying.dtype)


def msgpack_bytes(tree: Mapping[str, Any]) -> Iterator[bytes]:
    """A file of Flax's in pieces: a tree of tensors, sorted by name as Flax sorts it."""
    yield _head("map", len(tree))
    for name, value in sorted(tree.items()):
        yield _text(name)
        yield from msgpack_bytes(value) if isinstance(value, Mapping) else _array(name, value)


def _array(name: str, tensor: Tensor) -> Iterator[bytes]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise IncompatibleWeights(f"key {name!r}", f"one of the dtypes {', '.join(DTYPES)}", dtype)
    flat = tensor.detach().contiguous().view(-1)
    if tensor.nbytes <= CHUNK:
        yield from _extension(tensor.shape, dtype, flat)
        return
    yield _head("map", 3) + _text(CHUNKED) + b"\xc3" + _text("shape") + _head("map", tensor.ndim)
    yield from (_text(str(axis)) + _head("number", size) for axis, size in enumerate(tensor.shape))
    pieces = flat.split(CHUNK // flat.itemsize)
    yield _text("chunks") + _head("map", len(pieces))
    for i, piece in enumerate(pieces):
        yield _text(str(i))
        yield from _extension(piece.shape, dtype, piece)


def _extension(shape: Iterable[int], dtype: str, flat: Tensor) -> Iterator[bytes]:
    sizes = list(shape)
    told = _head("list", 3) + _head("list", len(sizes)) + b"".join(_head("number", size) for size in sizes)
    told += _text(dtype) + _head("bytes", flat.nbytes)
    yield _head("array", len(told) + flat.nbytes) + bytes([ARRAY]) + told
    yield flat.view(torch.uint8).numpy().tobytes() if flat.nbytes else b""


def _text(text: str) -> bytes:
    data = text.encode()
    return _head("text", len(data)) + data


def _head(kind: str, length: int) -> bytes:
    """The shortest beginning of this kind; extensions in one of those that tell their length."""
    low = 0
    for limit, short, mask in SHORT:
        if short == kind and length <= mask:
            return bytes([low | length])
        low = limit
    first, size = next((first, size) for first, (told, size) in TOLD.items() if told == kind and length < 256**size)
    return bytes([first]) + struct.pack(SIZES[size], length)
