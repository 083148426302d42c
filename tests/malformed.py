"""Malformed inputs as tables: what is wrong, the bytes, the words that the refusal must hold. Later issues add rows."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from typing import Any

WHOLE = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
DATA = bytes(24)


@dataclass(frozen=True)
class Row:
    """One malformed file: its bytes, and words of the error that it must get."""

    name: str
    data: bytes
    words: tuple[str, ...]
    stricter: bool = False  # than the format's own library


def safetensors_file(header: Any = WHOLE, data: bytes = DATA, length: int | None = None) -> bytes:
    """The bytes of a safetensors file with this header, which may be a lie."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: Any = "F32", shape: Any = (2, 3), offsets: Any = (0, 24), **more: Any) -> dict[str, Any]:
    """A header with one tensor ``a`` that says this of itself."""
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more}


def pair(first: tuple[int, int], second: tuple[int, int]) -> dict[str, Any]:
    """A header with two tensors of bytes at these places."""
    return {
        key: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for key, (begin, end) in {"a": first, "b": second}.items()
    }


NESTED = b'{"a":' * 200_000 + b"1" + b"}" * 200_000

SAFETENSORS = [
    Row("empty", b"", ("at least 8 bytes", "found 0")),
    Row("seven bytes", b"\0" * 7, ("at least 8 bytes", "found 7")),
    Row("header of no length", safetensors_file(b"", b"", 0), ("2 to 100,000,000", "found 0")),
    Row(
        "header longer than all", safetensors_file(length=2**64 - 1), ("header says 18,446,744,073,709,551,615 bytes",)
    ),
    Row("header longer than the file", safetensors_file(length=1000), ("header says 1,000 bytes", "the file has")),
    Row("trailing bytes", safetensors_file(data=DATA + b"x"), ("1 bytes too many",)),
    Row("truncated data", safetensors_file(data=DATA[:20]), ("4 bytes are missing", "download it again")),
    Row("bad UTF-8", safetensors_file(b'{"\xff": 1}'), ("0xff", "offset 2")),
    Row("bad JSON", safetensors_file(b'{"a": }'), ("JSON", "column 7")),
    Row("an array", safetensors_file(b"[1, 2]"), ("starts with '{'",)),
    Row("space before the header", safetensors_file(b"  {}", b""), ("starts with '{'",), stricter=True),
    Row("key twice", safetensors_file(b'{"a": 1, "a": 2}'), ("'a' more than once",)),
    Row("metadata of numbers", safetensors_file(WHOLE | {"__metadata__": {"x": 1}}), ("__metadata__ of strings",)),
    Row("metadata is a list", safetensors_file(WHOLE | {"__metadata__": []}), ("__metadata__ of strings",)),
    Row("deep nesting", safetensors_file(NESTED), ("32 levels",)),
    Row(
        "too many tensors",
        safetensors_file({str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(65_537)}, b""),
        ("65,536", "65,537"),
        stricter=True,
    ),
    Row("overlap", safetensors_file(pair((0, 16), (8, 24))), ("'b'", "offset 16", "8 (an overlap)")),
    Row("gap", safetensors_file(pair((0, 8), (16, 24))), ("'b'", "offset 8", "16 (a gap)")),
    Row("reversed", safetensors_file(tensor(offsets=[24, 0])), ("'a'", "in order", "[24, 0]")),
    Row("not from 0", safetensors_file(tensor(shape=[5], offsets=[4, 24])), ("'a'", "offset 0", "4 (a gap)")),
    Row("shape larger than data", safetensors_file(tensor(shape=[2, 4])), ("'a'", "32 bytes", "24")),
    Row("overflow", safetensors_file(tensor(shape=[2**62, 2**62])), ("'a'", "24")),
    Row("size beyond 64 bits", safetensors_file(tensor(shape=[2**64])), ("'a'", "a shape")),
    Row("negative size", safetensors_file(tensor(shape=[-2, -3])), ("'a'", "a shape", "[-2, -3]")),
    Row("negative offset", safetensors_file(tensor(offsets=[-24, 0])), ("'a'", "[-24, 0]")),
    Row("fraction", safetensors_file(tensor(shape=[2.0, 3])), ("'a'", "a shape", "[2.0, 3]")),
    Row("true as a size", safetensors_file(tensor(shape=[True, 6])), ("'a'", "a shape")),
    Row("rank 65", safetensors_file(tensor(shape=[1] * 64 + [6])), ("'a'", "at most 8 sizes"), stricter=True),
    Row("half a byte", safetensors_file(tensor("F4", [1], [0, 1]), b"\0"), ("'a'", "0.5 bytes", "found 1")),
    Row("unknown dtype", safetensors_file(tensor("F31")), ("'a'", "one of the types", "'F31'")),
    Row("dtype is a number", safetensors_file(tensor(32)), ("'a'", "one of the types", "32")),
    Row("no dtype", safetensors_file({"a": {"shape": [6], "data_offsets": [0, 24]}}), ("'a'", "dtype, shape")),
    Row("tensor is a string", safetensors_file({"a": "x"}), ("'a'", "dtype, shape and data_offsets")),
    Row("infinite shape", safetensors_file(b'{"a": {"shape": [1e999]}}'), ("finite numbers", "1e999")),
    Row("HTML page", b"<!DOCTYPE html><html><body>404</body></html>" * 9, ("an HTML page of 396 bytes",)),
    Row("LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ("Git LFS pointer",)),
    Row("gzip", gzip.compress(bytes(1000)), ("a gzip archive",)),
    Row("zip", b"PK\x03\x04" + bytes(100), ("a zip archive",)),
    Row("pickle", b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s." + bytes(9), ("a pickle",)),
    Row("JSON document", json.dumps(WHOLE).encode(), ("a JSON document",)),
    Row("GGUF", b"GGUF" + bytes([3, 0, 0, 0]) * 9, ("a GGUF file",)),
]

JSON = [
    Row("empty", b"", ("an empty file",)),
    Row("spaces", b" \n\t ", ("an empty file",)),
    Row("array", b"[]", ("a JSON object", "an array")),
    Row("string", b'"x"', ("a JSON object", "a string")),
    Row("number", b"4", ("a JSON object", "a number")),
    Row("null", b"null", ("a JSON object", "null")),
    Row("true", b"true", ("a JSON object", "true or false")),
    Row("open brace", b"{", ("line 1", "column 2")),
    Row("two documents", b"{} {}", ("extra data", "column 4")),
    Row("comment", b'{"a": 1 // one\n}', ("line 1",)),
    Row("byte order mark", b"\xef\xbb\xbf{}", ("a byte order mark",)),
    Row("UTF-16", '{"a": 1}'.encode("utf-16"), ("UTF-16",)),
    Row("UTF-16 without mark", '{"a": 1}'.encode("utf-16-le"), ("NUL byte", "offset 1")),
    Row("latin-1", '{"a": "é"}'.encode("latin-1"), ("UTF-8", "0xe9", "offset 7")),
    Row("NUL", b'{"a": 1}\0', ("NUL byte", "offset 8")),
    Row("duplicate key", b'{"a": 1, "b": {"c": 1, "c": 1}}', ("'c' more than once",)),
    Row("NaN", b'{"a": NaN}', ("numbers", "NaN")),
    Row("beyond all floats", b'{"a": 1e999}', ("finite numbers", "1e999")),
    Row("endless number", b'{"a": ' + b"1" * 5000 + b"}", ("thousands of digits",)),
    Row("deep objects", b'{"a":' * 33 + b"1" + b"}" * 33, ("at most 32 levels",)),
    Row("deep arrays", b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", ("32 levels",)),
    Row("too large", b"{" + b" " * (4 * 2**20) + b"}", ("4,194,304 bytes", "4,194,306")),
]
