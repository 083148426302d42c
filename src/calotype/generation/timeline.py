"""Prompts in time: which texts a film is told at which chunk, and how one text gives way to the next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any, NamedTuple

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_texts, count
from calotype.generation.timeline_files import Entry, read_timeline

BLEND = 3  # chunks over which a new prompt comes in
Texts = tuple[str, ...]
LAST = 10**9  # the number of a chunk that no film reaches


class Cut(NamedTuple):
    """From this chunk on another text is told, or one for each film; it comes in over ``blend`` chunks."""

    chunk: int
    texts: Texts  # none: the embeddings that the call was given
    blend: int = 1

    def share(self, chunk: int) -> float:
        """How far it has come in at a chunk: over three evenly, by nothing, by half, wholly; over one at once."""
        if chunk < self.chunk:
            return 0.0
        return min(1.0, (chunk - self.chunk) / (self.blend - 1)) if self.blend > 1 else 1.0


class Timeline:
    """The cuts of a film in order. It may grow while the film is made: a chunk hears what stands there then."""

    def __init__(self, cuts: Iterable[Cut] = ()) -> None:
        self._lock = Lock()
        self._cuts: tuple[Cut, ...] = ()
        for cut in cuts:
            self.add(cut)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        return self._cuts

    def add(self, cut: Cut) -> None:
        """Take a cut in; it takes the place of one at the same chunk."""
        with self._lock:
            others = [each for each in self._cuts if each.chunk != cut.chunk]
            self._cuts = (*sorted([*others, cut], key=lambda each: each.chunk),)

    def become(self, other: Timeline) -> None:
        """Take the cuts of another in the place of these."""
        with self._lock:
            self._cuts = other.cuts

    def heard(self, chunk: int) -> list[tuple[Texts, float]]:
        """The texts that a chunk hears, oldest first, and how far each has taken over from those before it."""
        first, *later = self.since(chunk)
        return [(first.texts, 1.0), *((cut.texts, share) for cut in later if (share := cut.share(chunk)))]

    def since(self, chunk: int) -> tuple[Cut, ...]:
        """The cuts that are heard from a chunk on: none from before the last one that has wholly come in by then."""
        cuts = self._cuts
        return cuts[max((i for i, cut in enumerate(cuts) if cut.share(chunk) == 1), default=0) :]

    @classmethod
    def of_plain(cls, plain: Any) -> Timeline:
        """The timeline of cuts that may be from a file that somebody changed."""
        cuts = plain if isinstance(plain, (list, tuple)) else ()
        if not cuts or not all(isinstance(cut, (list, tuple)) and len(cut) == 3 for cut in cuts):
            raise InvalidArgument("bookmark: timeline", "cuts of a chunk, texts and a blend", _short(plain))
        for chunk, texts, blend in cuts:
            count(0, LAST)("bookmark: timeline: chunk", chunk)
            count(1, LAST)("bookmark: timeline: blend", blend)
            if texts:
                check_texts("bookmark: timeline: texts", texts)
        return cls(Cut(chunk, tuple(texts), blend) for chunk, texts, blend in cuts)


def timeline_of(entries: Any, seconds: float) -> Timeline:
    """A timeline of pairs (start in seconds, prompt), or triples with a blend in chunks; a chunk lasts so many seconds.

    They are in order, and no two fall on one chunk. A path is a file of them.
    """
    if isinstance(entries, Timeline):
        return entries
    cuts: list[Cut] = []
    for entry in entries_of(entries):
        name = f"{entry.where}: start"
        chunk = chunk_of(name, entry.start, seconds, bare="seconds")
        if cuts and chunk <= cuts[-1].chunk:
            wanted = f"a start at least one chunk ({seconds:g} s) after the one before"
            raise InvalidArgument(name, wanted, repr(entry.start), "Put the entries in order of time.")
        if not cuts and chunk:
            raise InvalidArgument(name, "0, as a film needs words from its beginning", repr(entry.start))
        blend = BLEND if entry.blend is None else entry.blend
        cuts.append(cut_at(chunk, entry.text, blend, f"{entry.where}: ", "prompt"))
    return Timeline(cuts)


def entries_of(entries: Any) -> Iterator[Entry]:
    """The entries of a list, or of a file at a path."""
    if isinstance(entries, (str, os.PathLike)):
        yield from read_timeline(entries)
        return
    if not isinstance(entries, (list, tuple)) or not entries:
        wanted = "pairs of a start in seconds and a prompt, such as [(0, 'a'), (5, 'b')], or a file of them"
        raise InvalidArgument("timeline", wanted, _short(entries))
    for i, entry in enumerate(entries):
        if isinstance(entry, Entry):
            yield entry
            continue
        if isinstance(entry, str) or not isinstance(entry, (list, tuple)) or len(entry) not in (2, 3):
            raise InvalidArgument(f"timeline[{i}]", "a pair (start in seconds, prompt)", _short(entry))
        yield Entry(f"timeline[{i}]", *entry)


def cut_at(chunk: int, text: Any, blend: Any, where: str, name: str) -> Cut:
    """A cut to one text, checked; errors say where it stands, and by which name."""
    if not isinstance(text, str):
        raise InvalidArgument(f"{where}{name}", "one text", _short(text))
    count(1, LAST)(f"{where}blend", blend)
    return Cut(chunk, tuple(check_texts(f"{where}{name}", text)), blend)


def chunk_of(name: str, when: Any, seconds: float, bare: str = "chunks") -> int:
    """The chunk that begins nearest to a time: "7.5s", "1:30" or "chunk 4"; a bare number is in ``bare``."""
    wanted = f"a time such as '7.5s' or '1:30', 'chunk 4', or a number of {bare}"
    try:
        if isinstance(when, bool):
            raise ValueError
        if isinstance(when, str):
            text = when.strip().lower()
            if text.startswith("chunk"):
                chunk = float(int(text.removeprefix("chunk")))
            else:
                parts = [float(part) for part in text.removesuffix("s").split(":")]
                chunk = sum(part * 60**place for place, part in enumerate(reversed(parts))) / seconds
        else:
            chunk = float(when) / (seconds if bare == "seconds" else 1)
            if bare == "chunks" and chunk % 1:
                raise ValueError
        if not 0 <= chunk < LAST:
            raise ValueError
    except (TypeError, ValueError) as fault:
        raise InvalidArgument(name, wanted, _short(when)) from fault
    return round(chunk)


def _short(value: Any) -> str:
    return repr(value)[:80]
