"""What an encoder makes of a prompt in a syntax: the states of its chunks, weighted as the syntax's home does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calotype.core.errors import InvalidArgument
from calotype.generation import a1111, compel
from calotype.generation.chunks import Ending, Rows, Token, chunks, marks, rows_of, tokens_of
from calotype.generation.pieces import Piece

# ids and mask (chunks, tokens) to states (chunks, tokens, width) and what is pooled of each chunk
Encode = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]

SPOKEN = "</w>"  # what tokens at the end of a word end with
A1111_ENDINGS: Sequence[Ending] = [marks(",", reach=20)]
COMPEL_ENDINGS: Sequence[Ending] = [
    marks(".", reach=1_000),
    marks(",;:", reach=1_000),
    (lambda text: text.endswith(SPOKEN), 1_000),
]
LEAST = 1e-5  # taken for nothing: a weight whose tangent is still a number, a mean beside what it is the mean of


@dataclass(frozen=True)
class Reader:
    """An encoder, its tokenizer, and where its ids are wanted."""

    tokenizer: Any
    encode: Encode
    device: torch.device
    pools: bool = False  # whether what is pooled will be used

    def rows(self, pieces: Sequence[Piece], endings: Sequence[Ending]) -> Rows:
        """The pieces in chunks."""
        room = int(self.tokenizer.model_max_length) - 2
        return rows_of(self.tokenizer, chunks(tokens_of(self.tokenizer, pieces), room, endings), self.device)

    def nothing(self) -> tuple[Tensor, Tensor]:
        """What the encoder makes of the empty text, as one chunk."""
        empty: list[list[Token]] = [[]]
        return self.encode(rows_of(self.tokenizer, empty, self.device).ids, None)


def read_a1111(text: str, reader: Reader) -> tuple[Tensor, Tensor]:
    """States times weights, each chunk then scaled to the mean it had."""
    made: list[Tensor] = []
    pooled: list[Tensor] = []
    for pieces in a1111.sections(a1111.turns(text, 1)[0]):
        rows = reader.rows(pieces, A1111_ENDINGS)
        states, first = reader.encode(rows.ids, None)
        if rows.weighted:
            strong = states * rows.weights[..., None].to(states.dtype)
            states = strong * _ratio(states.float(), strong.float()).to(states.dtype)
        made.append(states.flatten(0, 1))
        pooled.extend(first)
    return torch.cat(made), pooled[0]


def _ratio(before: Tensor, after: Tensor) -> Tensor:
    """How much larger the mean of each chunk was; 1 where means are nothing but rounding, as after a plain norm."""
    old, new = (states.mean((1, 2), keepdim=True) for states in (before, after))
    least = LEAST * before.abs().mean((1, 2), keepdim=True)
    return torch.where((old.abs() > least) & (new.abs() > least), old / new, torch.ones_like(old))


def read_compel(text: str, reader: Reader) -> tuple[Tensor, Tensor]:
    """Clauses one after the other, each a blend of prompts whose tokens are pushed away from the empty text's."""
    empty, nothing = reader.nothing()
    made: list[Tensor] = []
    for clause in compel.clauses(text):
        read = [_pushed(pieces, reader, empty) for pieces in clause.blend.prompts]
        longest = max(map(len, read))
        shared = zip(clause.blend.shares, read, strict=True)
        states = torch.stack([share * lengthened(one, longest, empty) for share, one in shared]).sum(0)
        if clause.weight != 1:
            blank = empty[0].repeat(longest // empty.shape[1], 1)
            states = blank + (states - blank) * clause.weight
        made.append(states)
    # compel pools the text as it is spelt, signs and all, as far as one chunk goes
    pooled = reader.encode(reader.rows([Piece(text)], ()).ids[:1], None)[1] if reader.pools else nothing
    return torch.cat(made), pooled[0]


def _pushed(pieces: Sequence[Piece], reader: Reader, empty: Tensor) -> Tensor:
    """States of the pieces; what weighs less than 1 is also read without the piece, the more the less it weighs."""
    rows = reader.rows(pieces, COMPEL_ENDINGS)

    def states(mask: Tensor | None) -> Tensor:
        read = reader.encode(rows.ids, mask)[0]
        return empty + (read - empty) * rows.weights[..., None].to(read.dtype) if rows.weighted else read

    total, sizes = states(None), 1.0
    for number, piece in enumerate(pieces):
        if piece.weight < 1:
            size = math.tan((1 - max(piece.weight, LEAST)) * math.pi / 2)
            total = total + size * states((rows.pieces != number).long())
            sizes += size
    return (total / sizes).flatten(0, 1)


def lengthened(states: Tensor, length: int, empty: Tensor) -> Tensor:
    """States followed by those of the empty text, up to a length."""
    missing = (length - len(states)) // empty.shape[1]
    return torch.cat([states, empty[0].repeat(missing, 1)]) if missing else states


SYNTAXES: Mapping[str, Callable[[str, Reader], tuple[Tensor, Tensor]]] = {
    "a1111": read_a1111,
    "compel": read_compel,
}


def emphasised(syntax: str, texts: Sequence[str], reader: Reader, length: int | None = None) -> tuple[Tensor, Tensor]:
    """The states (batch, tokens, width) of texts in a syntax, as long as the longest of them or longer, and pooled."""
    read = [SYNTAXES[syntax](text, reader) for text in texts]
    longest = max([length or 0, *(len(states) for states, _ in read)])
    empty = reader.nothing()[0]
    if longest % empty.shape[1]:
        raise InvalidArgument("prompt_embeds", f"chunks of {empty.shape[1]} tokens, as prompt_syntax", f"{longest}")
    states = torch.stack([lengthened(one, longest, empty) for one, _ in read])
    return states, torch.stack([pooled for _, pooled in read])
