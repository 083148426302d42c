"""Texts of any length, in chunks that an encoder reads one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from calotype.generation.pieces import Piece
from calotype.models.learnt_words import expanded


@dataclass(frozen=True)
class Token:
    """One token, the weight that it is read with, and the number of the piece it is from."""

    id: int
    text: str
    weight: float
    piece: int


Ending = tuple[Callable[[str], bool], int]  # a token that a chunk may end with, looked for among so many


def marks(letters: str, reach: int) -> Ending:
    """One of these marks among the last so many tokens."""
    return (lambda text: text.removesuffix("</w>") in [*letters]), reach


def tokens_of(tokenizer: Any, pieces: Iterable[Piece]) -> list[Token]:
    """The tokens of the pieces one after the other, without start and end."""
    made: list[Token] = []
    for number, piece in enumerate(pieces):
        ids = tokenizer(expanded(tokenizer, piece.text), add_special_tokens=False).input_ids
        texts = tokenizer.convert_ids_to_tokens(ids)
        made += [Token(id, text, piece.weight, number) for id, text in zip(ids, texts, strict=True)]
    return made


def chunks(tokens: Sequence[Token], room: int, endings: Sequence[Ending]) -> list[list[Token]]:
    """Chunks of at most so many tokens; a full one ends after the last token of the first kind that it has."""
    made: list[list[Token]] = []
    while len(tokens) > room:
        window = range(room, 0, -1)
        ends = (
            next((end for end in window if room - end < reach and fits(tokens[end - 1].text)), 0)
            for fits, reach in endings
        )
        end = next((end for end in ends if end), room)
        made.append([*tokens[:end]])
        tokens = tokens[end:]
    return [*made, [*tokens]] if tokens or not made else made


@dataclass(frozen=True)
class Rows:
    """Chunks as an encoder takes them: ids, and the weight and piece of each (-1 around them)."""

    ids: torch.Tensor  # (chunks, tokens)
    weights: torch.Tensor
    pieces: torch.Tensor

    @property
    def weighted(self) -> bool:
        return bool((self.weights != 1).any())


def rows_of(tokenizer: Any, chunked: Sequence[Sequence[Token]], device: torch.device) -> Rows:
    """Each chunk between start and end, filled up to the length that the encoder reads."""
    length = int(tokenizer.model_max_length)
    start, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id

    def filled(values: Sequence[Any], first: Any, last: Any, rest: Any) -> list[Any]:
        return [first, *values, last, *[rest] * (length - len(values) - 2)]

    return Rows(
        torch.tensor([filled([t.id for t in chunk], start, end, pad) for chunk in chunked], device=device),
        torch.tensor([filled([t.weight for t in chunk], 1.0, 1.0, 1.0) for chunk in chunked], device=device),
        torch.tensor([filled([t.piece for t in chunk], -1, -1, -1) for chunk in chunked], device=device),
    )
