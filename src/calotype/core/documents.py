"""JSON as it must be in a model folder: one object, of modest size and depth, saying nothing twice."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from calotype.core.errors import CorruptFile
from calotype.core.paths import regular_file

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 32


def read_json(path: str | os.PathLike[str], where: str = "") -> dict[str, Any]:
    """The object in a JSON file; anything else is a ``CorruptFile`` with the path in its text."""
    where = where or str(path)
    size = regular_file(path).st_size
    if size > MAX_BYTES:
        raise CorruptFile(where, f"at most {MAX_BYTES:,} bytes of JSON", f"{size:,}")
    try:
        return parse_json(Path(path).read_bytes(), where)
    except PermissionError:
        raise CorruptFile(where, "a file that can be read", "no permission to read it") from None


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The object that these bytes spell."""
    _check_encoding(data, where)

    def fail(expected: str, found: str) -> NoReturn:
        raise CorruptFile(where, expected, found)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            keys = [key for key, _ in pairs]
            fail("each key once", f"{next(key for key in keys if keys.count(key) > 1)!r} more than once")
        return made

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else fail("finite numbers", text[:40])

    def constant(text: str) -> float:
        return float(text) if text.endswith("Infinity") else fail("numbers", text)

    try:
        document = json.loads(data.decode(), object_pairs_hook=unique, parse_float=number, parse_constant=constant)
    except UnicodeDecodeError as error:
        fail("JSON in UTF-8", f"byte 0x{data[error.start]:02x} at offset {error.start:,}")
    except json.JSONDecodeError as error:
        fail("JSON", f"{error.msg.lower()} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        fail(f"at most {MAX_DEPTH} levels", "many more")
    except CorruptFile:
        raise
    except ValueError:  # Python reads no whole numbers of more than 4,300 digits
        fail("numbers of an ordinary size", "one with thousands of digits")
    if not isinstance(document, dict):
        kind = {list: "an array", str: "a string", type(None): "null", bool: "true or false"}.get(
            type(document), "a number"
        )
        fail("a JSON object", kind)
    _check_depth(document, where)
    return document


def to_json(document: Mapping[str, Any]) -> str:
    """The document as the ecosystem writes it: two spaces, sorted keys, a newline at the end, infinities as numbers."""
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    json.loads(text, parse_constant=_no_nan)
    return text


def _no_nan(text: str) -> float:
    if text == "NaN":
        raise ValueError("a document holds numbers, found NaN")
    return float(text)


def _check_encoding(data: bytes, where: str) -> None:
    marks = {b"\xef\xbb\xbf": "a byte order mark", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
    for mark, name in marks.items():
        if data.startswith(mark):
            raise CorruptFile(where, "JSON in plain UTF-8", name)
    if not data.strip():
        raise CorruptFile(where, "a JSON object", "an empty file")
    if b"\0" in data:
        raise CorruptFile(where, "JSON in plain UTF-8", f"a NUL byte at offset {data.index(0):,}")


def _check_depth(document: object, where: str) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise CorruptFile(where, f"at most {MAX_DEPTH} levels", "more")


def _children(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, (dict, list))]
