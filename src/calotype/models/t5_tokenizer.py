"""T5's tokenizer, and UMT5's: the likeliest pieces of a text in any language, before an end token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from calotype.core.errors import InvalidArgument
from calotype.models.piece_tokenizing import PieceTokenizer, pieces_core
from calotype.models.tokenizing import added_token, content

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROLES = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
MOST = 10_000  # extra tokens; the files that there are have 100 to 300


class T5TokenizerFast(PieceTokenizer):
    """Text to token ids and back; ``vocab`` holds pieces with their log probabilities, in the order of their ids."""

    roles = tuple(ROLES)
    defaults: ClassVar[Mapping[str, Any]] = {**ROLES, "extra_ids": 100}
    pieces_file = "spiece.model"

    def __init__(self, vocab: Sequence[tuple[str, float]], charsmap: bytes = b"", **settings: Any) -> None:
        self.take(pieces_core(vocab, charsmap), settings)

    def take(self, core: Tokenizer, told: Mapping[str, Any]) -> None:
        """Speak for this compiled tokenizer; its extra tokens are never split."""
        super().take(core, told)
        named = self.settings.get("additional_special_tokens") or self.settings.get("extra_special_tokens") or ()
        if not isinstance(named, Sequence) or isinstance(named, str):
            raise InvalidArgument("additional_special_tokens", "tokens", repr(named)[:80])
        more = [content("additional_special_tokens", token) for token in named]
        core.add_special_tokens([added_token(token, special=True) for token in (*extra_tokens(self.settings), *more)])

    @property
    def ends(self) -> tuple[list[int], list[int]]:
        """The ids that stand before a text, none, and those after it."""
        return [], [self.eos_token_id]

    @classmethod
    def vocabulary(cls, scores: list[tuple[str, float]], told: Mapping[str, Any]) -> list[tuple[str, float]]:
        """The pieces of SentencePiece's file, and the extra tokens, of which the first has the last id."""
        known = {piece for piece, _ in scores}
        return [*scores, *((token, 0.0) for token in reversed(extra_tokens(told)) if token not in known)]


def extra_tokens(told: Mapping[str, Any]) -> list[str]:
    """The tokens that stand for what was left out of a text."""
    count = told["extra_ids"]
    if type(count) is not int or not 0 <= count <= MOST:
        raise InvalidArgument("extra_ids", f"a whole number from 0 to {MOST:,}", repr(count)[:80])
    return [f"<extra_id_{number}>" for number in range(count)]
