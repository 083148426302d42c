"""The header of a safetensors file, believed only after every number in it has been checked."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from calotype.core.documents import parse_json
from calotype.core.errors import CorruptFile
from calotype.core.paths import regular_file

MAX_HEADER = 100_000_000
MAX_TENSORS = 65_536
MAX_RANK = 8
AGAIN = "The file is damaged or not whole: download it again."

# The first bytes of what people meet under the name of a safetensors file.
_MAGIC = {
    b"version https://git-lfs": "a Git LFS pointer",
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"\x1f\x8b": "a gzip archive",
    b"pk\x03\x04": "a zip archive, as torch.save writes it (a pickle)",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"gguf": "a GGUF file",
    b"\x89png": "a PNG picture",
    b"{": "a JSON document",
}

BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8,
    "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its type as the file spells it, its shape, and the bytes of the file that hold it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a safetensors file holds."""

    path: Path
    size: int
    entries: dict[str, Entry]
    metadata: dict[str, str]


def read_header(path: str | os.PathLike[str]) -> Header:
    """The checked header of a file; a lie in it is a ``CorruptFile`` that names the key and both numbers."""
    path = Path(path)
    size = regular_file(path).st_size
    try:
        with path.open("rb") as file:
            start = file.read(64)
            length = _length(path, start, size)
            file.seek(8)
            text = file.read(length)
    except PermissionError:
        raise CorruptFile(str(path), "a file that can be read", "no permission to read it") from None
    if len(text) < length:
        raise CorruptFile(str(path), f"a header of {length:,} bytes", f"{len(text):,}", AGAIN)
    if not text.startswith(b"{"):
        _refuse(path, "a header that starts with '{'", repr(text[:1])[1:])
    document = parse_json(text.rstrip(b"\0"), f"{path}: header")  # some writers pad with NUL
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(path, "__metadata__ of strings", "something else")
    if len(document) > MAX_TENSORS:
        _refuse(path, f"at most {MAX_TENSORS:,} tensors", f"{len(document):,}")
    entries = {key: _entry(path, key, told, 8 + length) for key, told in document.items()}
    _check_coverage(path, entries, 8 + length, size)
    return Header(path, size, entries, metadata)


def _refuse(where: object, expected: str, found: str) -> NoReturn:
    raise CorruptFile(str(where), expected, found, AGAIN)


def _length(path: Path, start: bytes, size: int) -> int:
    (length,) = struct.unpack("<Q", start[:8]) if size >= 8 else (size,)
    if size >= 8 and 2 <= length <= min(size - 8, MAX_HEADER):
        return length
    for magic, name in _MAGIC.items():
        if start.lower().startswith(magic):
            raise CorruptFile(f"{path}: this is {name} of {size:,} bytes, not a safetensors file", fix=AGAIN)
    if size < 8:
        _refuse(path, "a safetensors file of at least 8 bytes", f"{size:,} bytes")
    if length > size - 8:
        raise CorruptFile(f"{path}: header says {length:,} bytes, the file has {size:,}", fix=AGAIN)
    _refuse(path, f"a header of 2 to {MAX_HEADER:,} bytes", f"{length:,}")


def _entry(path: Path, key: str, told: Any, data: int) -> Entry:
    where = f"{path}, key {key!r}"
    if not isinstance(told, Mapping) or not told.keys() >= {"dtype", "shape", "data_offsets"}:
        _refuse(where, "dtype, shape and data_offsets", str(told)[:80])
    dtype, shape, offsets = told["dtype"], told["shape"], told["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(where, f"one of the types {', '.join(BITS)}", repr(dtype)[:40])
    if not _sizes(shape) or len(shape) > MAX_RANK:
        _refuse(where, f"a shape of at most {MAX_RANK} sizes", str(shape)[:80])
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(where, "data_offsets [begin, end] in order", str(offsets)[:80])
    bits = math.prod(shape) * BITS[dtype]
    if bits % 8 or bits // 8 != offsets[1] - offsets[0]:
        _refuse(where, f"{bits / 8:,.10g} bytes for shape {tuple(shape)} of {dtype}", f"{offsets[1] - offsets[0]:,}")
    return Entry(dtype, tuple(shape), data + offsets[0], data + offsets[1])


def _sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_coverage(path: Path, entries: dict[str, Entry], data: int, size: int) -> None:
    """Tensors lie one after the other, from the end of the header to the end of the file."""
    expected = data
    for key, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != expected:
            kind = "a gap" if entry.begin > expected else "an overlap"
            _refuse(f"{path}, key {key!r}", f"data from offset {expected - data:,}", f"{entry.begin - data:,} ({kind})")
        expected = entry.end
    if expected > size:
        _refuse(path, f"{expected:,} bytes", f"{size:,}: {expected - size:,} bytes are missing")
    if expected < size:
        _refuse(path, f"{expected:,} bytes", f"{size:,}: {size - expected:,} bytes too many")
