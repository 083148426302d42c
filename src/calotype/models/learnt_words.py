"""Words that a tokenizer was taught: one token for each vector, and the first stands for all of them in a prompt."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import AddedToken


def parts_of(word: str, count: int) -> list[str]:
    """The tokens of a word with so many vectors, spelt as the ecosystem spells them."""
    return [word, *(f"{word}_{i}" for i in range(1, count))]


def known_parts(word: str, tokens: Collection[str]) -> list[str]:
    """The tokens of a word as far as they are among these."""
    count = 1
    while f"{word}_{count}" in tokens:
        count += 1
    return parts_of(word, count)


def tokens_of(word: str, count: int) -> list[AddedToken]:
    """Tokens that are read whole, in either case; those of a word made of letters not inside a longer word."""
    from tokenizers import AddedToken

    alone = any(letter.isalnum() or letter == "_" for letter in (word[0], word[-1]))
    return [AddedToken(part, single_word=alone, normalized=True) for part in parts_of(word, count)]


def expanded(tokenizer: Any, text: str) -> str:
    """The text with each word of several vectors followed by its other tokens, unless they follow it already."""
    tokens: dict[str, AddedToken] = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    words = {token.lower(): known_parts(token, tokens) for token in tokens}
    if all(len(parts) == 1 for parts in words.values()):
        return text

    def told(found: re.Match[str]) -> str:
        parts = words.get(found[0].lower(), [])
        others = "".join(f" {part}" for part in parts[1:])
        follows = text[found.end() :].lower().startswith(others.lower())
        return found[0] if follows else found[0] + others

    longest_first = sorted(tokens.values(), key=lambda token: -len(token.content))
    return re.sub("|".join(map(_pattern, longest_first)), told, text, flags=re.IGNORECASE)


def _pattern(token: AddedToken) -> str:
    """Where a tokenizer finds a token."""
    return rf"(?<!\w){re.escape(token.content)}(?!\w)" if token.single_word else re.escape(token.content)
