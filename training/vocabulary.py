"""A small vocabulary for CLIP's tokenizer: every byte, and the words of the grammar as tokens of their own."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable

from calotype.models.tokenizer import END, START, CLIPTokenizer
from training.captions import every_text

LENGTH = (
    32  # tokens, start and end included: the longest caption has 24, and attention over 77 would cost twice as much
)
WORD_END = "</w>"


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes, printable ones for themselves."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs to join, the most frequent first, until each word is one token."""
    counts = Counter(words)
    spelt = {word: (*word[:-1], word[-1] + WORD_END) for word in sorted(counts)}
    merges = list[tuple[str, str]]()
    while pairs := Counter({pair: 0 for parts in spelt.values() for pair in itertools.pairwise(parts)}):
        for word, parts in spelt.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += counts[word]
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(best)
        spelt = {word: _joined(parts, best) for word, parts in spelt.items()}
    return merges


def _joined(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined, place = list[str](), 0
    while place < len(parts):
        step = 2 if parts[place : place + 2] == pair else 1
        joined.append("".join(parts[place : place + step]))
        place += step
    return tuple(joined)


def tokenizer() -> CLIPTokenizer:
    """The tokenizer of all pocket models; it reads any text, and each word of the grammar as one token."""
    words = (word for text in every_text() for word in re.findall(r"[a-z]+|[^\sa-z]+", f"{text} a an the"))
    merges = learn_merges(words)
    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    vocab = {token: id for id, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab, merges, model_max_length=LENGTH)
