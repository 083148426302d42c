"""The words of CLIP, which ship with the package: every checkpoint of these families reads texts with them."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from calotype.models.tokenizer import END, START, CLIPTokenizer
from calotype.models.tokenizer_files import Words

MERGES = Path(__file__).with_name("clip_merges.txt.gz")  # from the most frequent pair to the rarest


def clip_tokenizer(**settings: Any) -> CLIPTokenizer:
    """CLIP's tokenizer for texts of 77 tokens; its tables are made for the first text."""
    made = CLIPTokenizer.__new__(CLIPTokenizer)
    made._settle(clip_words, {"model_max_length": 77} | settings)
    return made


@cache
def clip_words() -> Words:
    """The 49,408 tokens: a letter for every byte, the same at the end of a word, what pairs make, start and end."""
    lines = gzip.decompress(MERGES.read_bytes()).decode().removesuffix("\n").split("\n")
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs), START, END]
    return Words({token: id for id, token in enumerate(tokens)}, pairs)


def byte_letters() -> list[str]:
    """The 256 letters that stand for bytes: printable ones for themselves, then others for the rest."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in plain] + [chr(256 + place) for place in range(256 - len(plain))]
