"""The spelling of prompts that A1111's web UI reads: (strong), (stronger:1.5), [weak], [from:to:when], [a|b], BREAK."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from calotype.generation.pieces import DEEPEST, Piece, fault, joined

CLOSERS = {"(": ")", "[": "]"}
ESCAPED = "()[]\\:|"
EMPHASIS = 1.1  # of one pair of round brackets; square ones divide by it
NUMBER = re.compile(r"\s*[+-]?(\d{1,6}\.?\d{0,30}|\.\d{1,30})\s*")
BREAK = re.compile(r"\bBREAK\b")
REFUSED = {
    r"\bAND\b": ("one scene, as AND of several is not read", "Write 'and'."),
    r"<(lora|lyco|hypernet):": ("no networks in the text", "Use load_lora_weights(...)."),
}


@dataclass(frozen=True)
class Part:
    """A stretch of the text, and the brackets in it."""

    begin: int
    end: int
    brackets: Sequence[Bracket]

    @property
    def timed(self) -> bool:
        """Whether steps read different things of it."""
        return any(bracket.timed or bracket.parts[0].timed for bracket in self.brackets)


@dataclass(frozen=True)
class Bracket:
    """Brackets around one part that they weigh, or around several of which a step reads one."""

    begin: int
    end: int
    parts: Sequence[Part]
    weight: float = 1.0
    when: str | None = None  # the second part follows the first: after this step, or after this share of all

    @property
    def timed(self) -> bool:
        return len(self.parts) > 1

    def part_at(self, step: int, steps: int) -> Part:
        """What a step reads, counted from 0; without a time, the parts take turns."""
        if self.when is None:
            return self.parts[step % len(self.parts)]
        turn = int(float(self.when) * steps) if "." in self.when else int(self.when)
        return self.parts[step >= turn]


def turns(text: str, steps: int, where: str = "prompt") -> list[str]:
    """The text that each step reads: of everything that changes on the way, what holds then."""
    whole = read(text, where)
    return [_resolved(text, whole, step, steps) for step in range(steps)] if whole.timed else [text] * steps


def _resolved(text: str, part: Part, step: int, steps: int) -> str:
    written, at = "", part.begin
    for bracket in part.brackets:
        if bracket.timed:
            inner = bracket.part_at(step, steps)
            written += text[at : bracket.begin] + _resolved(text, inner, step, steps)
            at = bracket.end
        elif bracket.parts[0].timed:
            inner = bracket.parts[0]
            written += text[at : inner.begin] + _resolved(text, inner, step, steps)
            at = inner.end
    return written + text[at : part.end]


def sections(text: str, where: str = "prompt") -> list[list[Piece]]:
    """The pieces of a text with their weights, in a list for each stretch between two BREAKs."""
    made: list[list[Piece]] = [[]]

    def gather(part: Part, weight: float) -> None:
        at = part.begin
        for bracket in part.brackets:
            plain(text[at : bracket.begin], weight)
            gather(bracket.parts[0], weight * bracket.weight)
            at = bracket.end
        plain(text[at : part.end], weight)

    def plain(words: str, weight: float) -> None:
        first, *others = BREAK.split(words)
        made[-1].append(Piece(_unescaped(first), weight))
        made.extend([Piece(_unescaped(other), weight)] for other in others)

    gather(read(text, where), 1.0)
    return [joined(pieces) for pieces in made]


def read(text: str, where: str = "prompt") -> Part:
    """The brackets of a text; one that does not close is refused with its place."""
    for pattern, (expected, fix) in REFUSED.items():
        found = re.search(pattern, text)
        if found:
            raise fault(where, expected, found.start(), repr(found[0]), fix)
    reader = _Reader(text, where)
    brackets, _ = reader.until(None, 0)
    return Part(0, len(text), brackets)


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.at = text, where, 0

    def until(self, opened: int | None, depth: int) -> tuple[list[Bracket], list[int]]:
        """Walk to the end of what was opened; the brackets and the places of ``:`` and ``|`` on the way."""
        brackets: list[Bracket] = []
        marks: list[int] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == "\\" and self.text[self.at + 1 : self.at + 2] in [*ESCAPED]:
                self.at += 2
            elif letter in CLOSERS:
                brackets.append(self.bracket(depth + 1))
            elif letter in CLOSERS.values():
                expected = None if opened is None else CLOSERS[self.text[opened]]
                if letter != expected:
                    told = (
                        "a bracket that opens before it"
                        if opened is None
                        else f"{expected!r} for character {opened + 1}"
                    )
                    raise fault(self.where, told, self.at, repr(letter))
                return brackets, marks
            else:
                if letter in ":|":
                    marks.append(self.at)
                self.at += 1
        if opened is not None:
            raise fault(self.where, f"{CLOSERS[self.text[opened]]!r} for it", opened, "the end of the text")
        return brackets, marks

    def bracket(self, depth: int) -> Bracket:
        begin = self.at
        if depth > DEEPEST:
            raise fault(self.where, f"at most {DEEPEST} brackets within each other", begin, "more")
        self.at += 1
        inner, marks = self.until(begin, depth)
        end = self.at
        self.at += 1
        turns = [mark for mark in marks if self.text[mark] == "|"]
        colons = [mark for mark in marks if self.text[mark] == ":"]
        last = colons[-1] if colons else end
        timed = NUMBER.fullmatch(self.text, last + 1, end) if colons else None
        if self.text[begin] == "(":
            last, weight = (last, float(timed[0])) if timed else (end, EMPHASIS)
            return Bracket(begin, end + 1, [_part(begin + 1, last, inner)], weight)
        if turns:
            return Bracket(begin, end + 1, _parts([begin, *turns, end], inner))
        if timed:
            return Bracket(begin, end + 1, self.halves(begin, colons, inner), when=self.time(timed[0], last))
        return Bracket(begin, end + 1, [_part(begin + 1, end, inner)], 1 / EMPHASIS)

    def halves(self, begin: int, colons: list[int], inner: list[Bracket]) -> list[Part]:
        """Before and after of ``[before:after:when]``; nothing is before in ``[after:when]``."""
        if len(colons) > 2:
            raise fault(self.where, "[from:to:when]", begin, f"{len(colons)} colons")
        halves = _parts([begin, *colons], inner)
        return halves if len(colons) == 2 else [Part(begin, begin, []), *halves]

    def time(self, told: str, at: int) -> str:
        when = told.strip()
        if float(when) < 0 or ("." in when and float(when) > 1):
            raise fault(self.where, "a step, or a share of all steps from 0.0 to 1.0", at + 1, when)
        return when


def _parts(places: list[int], inner: Sequence[Bracket]) -> list[Part]:
    """The parts between marks, of which each takes one character."""
    return [_part(begin + 1, end, inner) for begin, end in pairwise(places)]


def _part(begin: int, end: int, inner: Sequence[Bracket]) -> Part:
    return Part(begin, end, [bracket for bracket in inner if begin <= bracket.begin < end])


def _unescaped(text: str) -> str:
    return re.sub(rf"\\([{re.escape(ESCAPED)}])", r"\1", text)
