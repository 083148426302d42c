"""Vectors go into a text encoder's embedding under new words of its tokenizer, and come out again."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.models.learnt_words import known_parts, parts_of, tokens_of
from calotype.models.tokenizer import CLIPTokenizer

log = logging.getLogger("calotype.adapters.learning")


@dataclass(frozen=True)
class Reader:
    """A text encoder, as its pipeline names it, and the tokenizer whose ids it reads."""

    name: str
    tokenizer: CLIPTokenizer
    encoder: Any

    @property
    def rows(self) -> Tensor:
        return self.encoder.get_input_embeddings().weight.data

    @property
    def words(self) -> list[str]:
        """The words it was taught, each once however many vectors it has."""
        plain = self.tokenizer.vocab_size
        taught = [t.content for id, t in self.tokenizer.added_tokens_decoder.items() if id >= plain and not t.special]
        others = {part for word in taught for part in known_parts(word, taught)[1:]}
        return [word for word in taught if word not in others]

    def set_rows(self, rows: Tensor) -> None:
        """Another number of vectors; the parameter stays the same object, as hooks and optimisers know it."""
        embedding = self.encoder.get_input_embeddings()
        embedding.weight.grad = None
        embedding.weight.data = rows
        embedding.num_embeddings = len(rows)
        if hasattr(self.encoder, "register_to_config"):
            self.encoder.register_to_config(vocab_size=len(rows))
        else:  # an encoder of transformers
            self.encoder.config.vocab_size = len(rows)

    def forget(self, words: Collection[str]) -> None:
        """Take words out again, and their rows."""
        ids = self.tokenizer.added_tokens_encoder
        parts = [part for word in words for part in known_parts(word, ids)]
        kept = torch.ones(len(self.rows), dtype=torch.bool)
        kept[[ids[part] for part in parts]] = False
        self.tokenizer.remove_tokens(parts)
        self.set_rows(self.rows[kept.to(self.rows.device)])


class Lesson:
    """Words for one reader, each checked against what it knows, then learnt together."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.words: dict[str, Tensor] = {}
        self._known = {token.lower().removesuffix("</w>") for token in reader.tokenizer.get_vocab()}
        self._taught = {word.lower() for word in reader.words}

    def add(self, word: str, vectors: Tensor, where: str) -> None:
        """Plan a word; refuse vectors of another width, and a word that means something already."""
        width = self.reader.rows.shape[1]
        if vectors.shape[1] != width:
            told = f"vectors of width {width}, as {self.reader.name} reads"
            raise IncompatibleWeights(where, told, f"width {vectors.shape[1]}")
        parts = parts_of(word.lower(), len(vectors))
        taken = self._taken(word.lower(), parts)
        if taken is not None:
            fix = "Pass token=... to give it another name, or unload the one that is there."
            raise InvalidArgument(where, f"a word that {self.reader.name} does not know yet", repr(taken), fix)
        if len(vectors) > self.reader.tokenizer.model_max_length - 2:
            log.warning("%r has %d vectors, more than the encoder reads of a prompt", word, len(vectors))
        self.words[word] = vectors
        self._known |= {*parts}
        self._taught.add(word.lower())

    def _taken(self, word: str, parts: list[str]) -> str | None:
        """The first known token that this word would be mixed up with."""
        longer = f"{word}_{len(parts)}"  # would be read as its next vector
        base, _, number = word.rpartition("_")  # or be the next vector of that one itself
        if base in self._taught and number == str(len(known_parts(base, self._known))):
            return base
        return next((token for token in (*parts, longer) if token in self._known), None)

    def learn(self, undo: ExitStack) -> None:
        """Add tokens for the words, and their vectors as the rows of these tokens' ids."""
        reader, rows, begin = self.reader, self.reader.rows, len(self.reader.tokenizer)
        if not self.words:
            return
        if begin > len(rows):
            raise IncompatibleWeights(reader.name, f"a vector for each of the {begin:,} tokens", f"{len(rows):,}")
        fresh = [vectors.to(rows.device, rows.dtype) for vectors in self.words.values()]
        tokens = [token for word, vectors in self.words.items() for token in tokens_of(word, len(vectors))]
        reader.tokenizer.add_tokens(tokens)
        undo.callback(reader.tokenizer.remove_tokens, [token.content for token in tokens])
        undo.callback(reader.set_rows, rows)
        # rows beyond the tokenizer's, which pad some embeddings, stay the last ones
        reader.set_rows(torch.cat([rows[:begin], *fresh, rows[begin:]]))
