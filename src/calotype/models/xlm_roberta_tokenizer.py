"""XLM-RoBERTa's tokenizer: the likeliest pieces of a text in any language, between a start and an end token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calotype.models.piece_tokenizing import PieceTokenizer, pieces_core

ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
FIRST = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3, whatever the pieces' file says
OWN = 3  # the first pieces of that file, which stand for the same


class XLMRobertaTokenizer(PieceTokenizer):
    """Text to token ids and back; ``vocab`` holds pieces with their log probabilities, in the order of their ids."""

    roles = tuple(ROLES)
    defaults = ROLES
    pieces_file = "sentencepiece.bpe.model"
    mask_token: str

    def __init__(self, vocab: Sequence[tuple[str, float]], charsmap: bytes = b"", **settings: Any) -> None:
        self.take(pieces_core(vocab, charsmap), settings)

    @classmethod
    def vocabulary(cls, scores: list[tuple[str, float]], told: Mapping[str, Any]) -> list[tuple[str, float]]:
        """The pieces in the order of their ids, out of those of SentencePiece's file."""
        return [*((token, 0.0) for token in FIRST), *scores[OWN:], ("<mask>", 0.0)]
