"""SentencePiece's ``.model`` files: the pieces, their scores, and the table that texts are normalised by."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from calotype.core.errors import CorruptFile

# the numbers of fields in sentencepiece_model.proto
PIECES, TRAINER, NORMALIZER = 1, 2, 3
PIECE, SCORE = 1, 2
MODEL_TYPE, UNIGRAM = 3, 1
CHARSMAP = 2
FIXED = {1: 8, 5: 4}  # bytes of the wire types that say no length


@dataclass(frozen=True)
class Pieces:
    """Pieces of words in the order of the file, with their log probabilities."""

    scores: list[tuple[str, float]]
    charsmap: bytes


def read_pieces(data: bytes, where: str) -> Pieces:
    """What a file's bytes say; ``where`` is the file."""
    try:
        return _pieces(data)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise CorruptFile(where, "a SentencePiece model", f"bytes that are none ({error})") from None
    except ValueError as error:
        raise CorruptFile(where, "a SentencePiece model of kind unigram", str(error)) from None


def _pieces(data: bytes) -> Pieces:
    scores, charsmap = list[tuple[str, float]](), b""
    for number, value in _fields(data):
        if number == PIECES:
            told = dict(_fields(_bytes(value)))
            score = struct.unpack("<f", _bytes(told.get(SCORE, bytes(4))))[0]
            if not math.isfinite(score):
                raise ValueError(f"score {score} of piece {len(scores)}")
            scores.append((_bytes(told[PIECE]).decode(), score))
        elif number == TRAINER and dict(_fields(_bytes(value))).get(MODEL_TYPE, UNIGRAM) != UNIGRAM:
            raise ValueError("another kind")
        elif number == NORMALIZER:
            charsmap = _bytes(dict(_fields(_bytes(value))).get(CHARSMAP, b""))
    if not scores:
        raise ValueError("no pieces")
    return Pieces(scores, charsmap)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise IndexError("a number where bytes belong")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: a number each, and an integer or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in FIXED:
            length = FIXED[kind]
        else:
            raise IndexError(f"wire type {kind} at byte {at}")
        if at + length > len(data):
            raise IndexError(f"the end in the middle of field {key >> 3}")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise IndexError(f"an endless number at byte {at}")
