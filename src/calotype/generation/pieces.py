"""A prompt taken apart: pieces of text, each with the weight that its reader should give it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calotype.core.errors import InvalidArgument

DEEPEST = 50  # brackets within each other
ESCAPE = "Brackets that are meant as text are written with a backslash before them."


@dataclass(frozen=True)
class Piece:
    """A text, and how strongly it is meant; 1 is as it stands."""

    text: str
    weight: float = 1.0


def joined(pieces: Iterable[Piece], between: str = "") -> list[Piece]:
    """Neighbours of one weight as one piece, without empty ones; one empty piece where there is nothing."""
    made: list[Piece] = []
    for piece in pieces:
        if not piece.text.strip():
            continue
        if made and made[-1].weight == piece.weight:
            made[-1] = Piece(f"{made[-1].text}{between}{piece.text}", piece.weight)
        else:
            made.append(piece)
    return made or [Piece("")]


def fault(where: str, expected: str, at: int, found: str, fix: str = ESCAPE) -> InvalidArgument:
    """What is wrong with the spelling of a prompt, and where: characters are counted from 1."""
    return InvalidArgument(f"{where}, character {at + 1}", expected, found, fix)
