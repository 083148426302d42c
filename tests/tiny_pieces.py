"""SentencePiece's files, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.tiny import PIECES


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece(
    pieces: Sequence[tuple[str, float]] = PIECES, kind: int = 1, score: float | None = None, charsmap: bytes = b""
) -> bytes:
    """A model file with these pieces."""
    told = [
        field(1, field(1, piece.encode()) + varint(2 << 3 | 5) + struct.pack("<f", known if score is None else score))
        for piece, known in pieces
    ]
    return b"".join(told) + field(2, field(3, kind) + field(4, 300)) + field(3, field(2, charsmap))
