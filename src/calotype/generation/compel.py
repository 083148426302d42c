"""The spelling of prompts that compel reads: strong+, weak--, (both words)1.3, ("one", "other").blend(1, 0.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from calotype.core.errors import InvalidArgument
from calotype.generation.pieces import DEEPEST, Piece, fault, joined

SIGNS = {"+": 1.1, "-": 0.9}
NUMBER = re.compile(r"\d{1,6}\.?\d{0,30}|\.\d{1,30}")
QUOTED = r'"(?:[^"\\]|\\.)*"'
TOGETHER = re.compile(rf"\s*\(\s*((?:{QUOTED})(?:\s*,\s*{QUOTED})*)\s*\)\s*\.(and|blend)\(([^()]*)\)\s*", re.DOTALL)
CALLED = re.compile(r"\.(and|blend|swap)\(|\bwithLora\(")
WEIGHT = re.compile(r"\s*[+-]?(\d{1,6}\.?\d{0,30}|\.\d{1,30})\s*")


@dataclass(frozen=True)
class Blend:
    """Prompts that are mixed in these shares."""

    prompts: Sequence[Sequence[Piece]]
    shares: Sequence[float]


@dataclass(frozen=True)
class Clause:
    """What is read on its own, and how strongly it is meant."""

    blend: Blend
    weight: float = 1.0


def clauses(text: str, where: str = "prompt") -> list[Clause]:
    """The clauses of a text, of which most have one; the encoder reads them one after the other."""
    together = TOGETHER.fullmatch(text)
    if together is None:
        called = CALLED.search(text)
        if called:
            expected = '("one", "other").and() or ("one", "other").blend(1, 0.5), and nothing around it'
            raise fault(where, expected, called.start(), repr(called[0]), "")
        return [Clause(Blend([pieces(text, where)], [1.0]))]
    quoted = [found[0][1:-1].replace('\\"', '"') for found in re.finditer(QUOTED, together[1])]
    prompts = [pieces(one, f"{where}, text {number}") for number, one in enumerate(quoted, 1)]
    told = [one.strip() for one in together[3].split(",")] if together[3].strip() else []
    normal = "no_normalize" not in told
    weights = _weights([one for one in told if one != "no_normalize"], len(prompts), f"{where}: .{together[2]}")
    if together[2] == "and":
        return [Clause(Blend([one], [1.0]), weight) for one, weight in zip(prompts, weights, strict=True)]
    total = sum(weights) if normal else 1.0
    if not total:
        raise InvalidArgument(f"{where}: .blend", "weights whose sum is not 0", str(weights), "Or pass no_normalize.")
    return [Clause(Blend(prompts, [weight / total for weight in weights]))]


def _weights(told: list[str], count: int, where: str) -> list[float]:
    if not told:
        return [1.0] * count
    if len(told) != count or not all(WEIGHT.fullmatch(one) for one in told):
        raise InvalidArgument(where, f"{count} weights, one for each text", ", ".join(told))
    return [float(one) for one in told]


def pieces(text: str, where: str = "prompt") -> list[Piece]:
    """The pieces of a text with their weights; a bracket or a quotation that does not close is refused."""
    reader = _Reader(text, where)
    found = reader.until(None, 1.0, 0)
    return joined(found, between=" ")


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.at = text, where, 0

    @property
    def letter(self) -> str:
        return self.text[self.at : self.at + 1]

    def until(self, opened: int | None, weight: float, depth: int) -> list[Piece]:
        """The pieces up to what closes, or to the end; inside brackets every bracket counts, outside those of a word
        are part of it."""
        if depth > DEEPEST:
            raise fault(self.where, f"at most {DEEPEST} brackets within each other", self.at, "more")
        found: list[Piece] = []
        while self.at < len(self.text):
            if self.letter.isspace():
                self.at += 1
            elif self.letter == ")":
                if opened is None:
                    raise fault(self.where, "a bracket that opens before it", self.at, "')'")
                return found
            elif self.letter == "(":
                found += self.bracketed(weight, depth)
            elif self.letter == '"':
                found += self.quoted(weight)
            elif self.letter == ",":
                found.append(Piece(",", weight))
                self.at += 1
            else:
                found.append(self.word(weight, inside=opened is not None))
        if opened is not None:
            raise fault(self.where, "')' for it", opened, "the end of the text")
        return found

    def bracketed(self, weight: float, depth: int) -> list[Piece]:
        begin = self.at
        self.at += 1
        inner = self.until(begin, 1.0, depth + 1)
        self.at += 1
        return _scaled(inner, weight * self.factor())

    def quoted(self, weight: float) -> list[Piece]:
        found = re.compile(QUOTED, re.DOTALL).match(self.text, self.at)
        if found is None:
            raise fault(self.where, "'\"' for it", self.at, "the end of the text", "")
        self.at = found.end()
        inner = pieces(found[0][1:-1].replace('\\"', '"'), f"{self.where}, quotation at character {found.start() + 1}")
        return _scaled(inner, weight * self.factor())

    def factor(self) -> float:
        """The weight behind a bracket or a quotation: signs, or a number."""
        signs = self.signs()
        if signs:
            return SIGNS[signs[0]] ** len(signs)
        number = NUMBER.match(self.text, self.at)
        self.at = number.end() if number else self.at
        return float(number[0]) if number else 1.0

    def signs(self) -> str:
        found = re.compile(r"\++|-+").match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def word(self, weight: float, inside: bool) -> Piece:
        """A word, and the signs behind it; single ones inside a word belong to it."""
        made, opened, bare = "", list[int](), True
        while self.letter and not self.letter.isspace() and self.letter != ",":
            if self.letter == "\\" and self.text[self.at + 1 : self.at + 2] in [*'()"']:
                made += self.text[self.at + 1]
                self.at += 2
                continue
            if self.letter in SIGNS and made.strip("+-") and bare:
                begin, signs = self.at, self.signs()
                if len(signs) > 1 or not self.letter or self.letter.isspace() or self.letter in ",)":
                    return Piece(made, weight * SIGNS[signs[0]] ** len(signs))
                made += self.text[begin : self.at]
                continue
            if self.letter == "(":
                if inside:
                    break
                opened.append(self.at)
                bare = False
            elif self.letter == ")":
                if not opened:
                    break
                opened.pop()
            elif self.letter == '"' and inside:
                break
            made += self.letter
            self.at += 1
        if opened:
            raise fault(self.where, "')' for it", opened[-1], "the end of the word")
        return Piece(made, weight)


def _scaled(pieces: Sequence[Piece], factor: float) -> list[Piece]:
    return [Piece(piece.text, piece.weight * factor) for piece in pieces]
