"""A small vocabulary for T5's tokenizer: the words of the grammar as pieces, and letters for all others."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import torch
from torch import Tensor

from calotype.models.t5_tokenizer import T5TokenizerFast
from training.film_captions import every_text

LENGTH = 512  # tokens, at most
WORD, LETTER = -6.0, -12.0  # logarithms of how likely pieces are: a word is likelier than its letters
BEGINS = "▁"


def tokenizer() -> T5TokenizerFast:
    """The tokenizer of the pocket films; it reads any text, and each word of the grammar as one piece."""
    texts = [*every_text()]
    words = {word for text in texts for word in re.findall(r"[a-z]+|[^\sa-z]", text)}
    within = {word for text in texts for word in re.findall(r"(?<=-)[a-z]+", text)}
    begun = {f"{BEGINS}{form}" for word in words if word.isalpha() for form in (word, word.capitalize())}
    letters = {*string.printable.strip(), BEGINS, *words} - {word for word in words if len(word) > 1}
    pieces = [*((piece, WORD) for piece in sorted(begun | within)), *((piece, LETTER) for piece in sorted(letters))]
    named = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5TokenizerFast([*named, *pieces], extra_ids=0, model_max_length=LENGTH)


def read(words: T5TokenizerFast, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and which of them count, each (texts, tokens of the longest)."""
    told = words(list(texts), padding="longest", truncation=True, return_tensors="pt")
    return torch.as_tensor(told.input_ids), torch.as_tensor(told.attention_mask)
