"""Timelines in files: .csv, .json and .txt, and what is wrong with one is said with its line."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.paths import regular_file

LARGEST = 2**20  # bytes
MOST = 10_000  # entries
EACH = 7  # chunks of a prompt in the published format, which tells no times
LINE = re.compile(r"(chunk\s*\d+|\S+)\s+(\S.*)", re.IGNORECASE)
NAMED = ("start", "prompt", "blend")
HEADER = "start,prompt, with blend as a third if you like, or id,prompt_index,prompt"


@dataclass(frozen=True)
class Entry:
    """A prompt and its start, and where that was said."""

    where: str
    start: Any
    text: Any
    blend: Any = None  # chunks; None: the usual ones

    @property
    def plain(self) -> list[Any]:
        """The entry as a list gives it."""
        return [self.start, self.text] if self.blend is None else [self.start, self.text, self.blend]


def read_timeline(path: str | os.PathLike[str], chosen: str | None = None) -> list[Entry]:
    """The entries of a file in their order; of a table that holds several timelines, the chosen one."""
    where, suffix = str(path), Path(path).suffix.lower()
    if suffix not in READERS:
        raise InvalidArgument(where, f"a timeline that ends in {', '.join(READERS)}", repr(suffix))
    entries = [*READERS[suffix](_text(path, where), where, chosen)]
    if not entries:
        raise CorruptFile(where, "a prompt at least", "none")
    if blank := next((entry for entry in entries if entry.text == ""), None):
        raise CorruptFile(f"{blank.where}: prompt", "words", "an empty field")
    if len(entries) > MOST:
        raise CorruptFile(where, f"at most {MOST:,} prompts", f"{len(entries):,}")
    return entries


def _text(path: str | os.PathLike[str], where: str) -> str:
    size = regular_file(path).st_size
    if size > LARGEST:
        raise CorruptFile(where, f"at most {LARGEST:,} bytes of prompts", f"{size:,}")
    try:
        data = Path(path).read_bytes()
    except PermissionError:
        raise CorruptFile(where, "a file that can be read", "no permission to read it") from None
    try:
        text = data.decode("utf-8-sig")  # spreadsheets begin with a mark
        place = text.find("\0")
    except UnicodeDecodeError as error:
        text, place = data.decode("latin-1"), error.start
    if place >= 0:
        line = text.count("\n", 0, place) + 1
        raise CorruptFile(f"{where}, line {line}", "text in UTF-8", f"byte 0x{ord(text[place]):02x}")
    return text


# ---------------------------------------------------------------------- tables


def _table(text: str, where: str, chosen: str | None) -> Iterator[Entry]:
    rows = _rows(text, where)
    line, header = next(rows, (1, []))
    names = [name.strip().lower() for name in header]
    if {"start", "prompt"} <= {*names}:
        _refuse_choice(where, chosen)
        for line, row in _fields(rows, names, where):
            yield Entry(f"{where}, line {line}", row["start"].strip(), row["prompt"].strip(), _blend(row, where, line))
    elif {"id", "prompt_index", "prompt"} <= {*names}:
        yield from _published([*_fields(rows, names, where)], where, chosen)
    else:
        raise CorruptFile(f"{where}, line {line}", f"a header of the columns {HEADER}", repr(",".join(header))[:80])


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line on which it ends."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        for row in reader:
            if any(field.strip() for field in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise CorruptFile(f"{where}, line {reader.line_num}", "a row of a table", str(error)) from None


def _fields(
    rows: Iterator[tuple[int, list[str]]], names: list[str], where: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, row in rows:
        if len(row) != len(names):
            fix = 'Prompts with commas stand between quotes: "a ball, red".'
            raise CorruptFile(f"{where}, line {line}", f"{len(names)} columns", str(len(row)), fix)
        yield line, dict(zip(names, row, strict=True))


def _blend(row: dict[str, str], where: str, line: int) -> int | None:
    told = row.get("blend", "").strip()
    return _whole(told, f"{where}, line {line}, column blend") if told else None


def _whole(told: str, where: str) -> int:
    if not re.fullmatch(r"\d{1,9}", told):
        raise CorruptFile(where, "a whole number", repr(told)[:80])
    return int(told)


def _published(rows: list[tuple[int, dict[str, str]]], where: str, chosen: str | None) -> Iterator[Entry]:
    """Rows of one id in the order of their indices; each prompt holds for as many chunks."""
    ids = [*dict.fromkeys(row["id"].strip() for _, row in rows)]
    if chosen is None and len(ids) > 1:
        fix = f"Choose one of {', '.join(ids)[:200]} (--timeline-id, or read_timeline(path, id))."
        raise InvalidArgument(where, "one timeline", f"{len(ids)}, by their ids", fix)
    if chosen is not None and chosen not in ids:
        raise InvalidArgument(f"{where}: id", f"one of {', '.join(ids)[:200]}", repr(chosen)[:80])
    told: dict[int, Entry] = {}
    for line, row in rows:
        if chosen is None or row["id"].strip() == chosen:
            index = _whole(row["prompt_index"].strip(), f"{where}, line {line}, column prompt_index")
            if index in told:
                raise CorruptFile(f"{where}, line {line}, column prompt_index", "each index once", f"{index} again")
            told[index] = Entry(f"{where}, line {line}", "", row["prompt"].strip())
    for place, index in enumerate(sorted(told)):
        yield Entry(told[index].where, f"chunk {place * EACH}", told[index].text)


# ---------------------------------------------------------------------- lists and lines


def _list(text: str, where: str, chosen: str | None) -> Iterator[Entry]:
    _refuse_choice(where, chosen)
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}, column {error.colno}"
        raise CorruptFile(place, "JSON", error.msg.lower()) from None
    except (RecursionError, ValueError):
        raise CorruptFile(where, "a list of [start, prompt]", "lists too deep, or numbers too long") from None
    if not isinstance(told, list):
        raise CorruptFile(where, "a list of [start, prompt]", type(told).__name__)
    for place, entry in enumerate(told, 1):
        parts = [entry.get(name) for name in NAMED] if isinstance(entry, dict) and {*entry} <= {*NAMED} else entry
        if not isinstance(parts, list) or len(parts) not in (2, 3):
            wanted = '[start, prompt], or {"start": ..., "prompt": ...}, with a blend if you like'
            raise CorruptFile(f"{where}, entry {place}", wanted, repr(entry)[:80])
        yield Entry(f"{where}, entry {place}", *parts)


def _lines(text: str, where: str, chosen: str | None) -> Iterator[Entry]:
    _refuse_choice(where, chosen)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        told = LINE.fullmatch(line.strip())
        if told is None:
            raise CorruptFile(f"{where}, line {number}", "a start and a prompt, as in 0:05 a red ball", repr(line)[:80])
        yield Entry(f"{where}, line {number}", told[1], told[2])


def _refuse_choice(where: str, chosen: str | None) -> None:
    if chosen is not None:
        raise InvalidArgument(f"{where}: id", "none, as there is one timeline in it", repr(chosen)[:80])


READERS: dict[str, Callable[[str, str, str | None], Iterator[Entry]]] = {
    ".csv": _table,
    ".json": _list,
    ".txt": _lines,
}
