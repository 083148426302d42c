"""CLIP's tokenizer: lower-cased byte-level pairs between a start and an end token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calotype.core.documents import to_json
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.files import Source
from calotype.core.remembered import is_remembered, remember
from calotype.models.tokenizer_files import Words, find_files
from calotype.models.tokenizing import TextTokenizer, added_token, fields_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class CLIPTokenizer(TextTokenizer):
    """Text to token ids and back; ``added`` and ``settings`` are spelt as the files spell them."""

    roles = ROLES
    word_end = "</w>"

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        added: Iterable[Mapping[str, Any]] = (),
        **settings: Any,
    ) -> None:
        words = Words(vocab, merges, list(added))
        self._settle(lambda: words, settings)
        _ = self.core  # what does not fit is refused now

    def _settle(self, words: Callable[[], Words], settings: dict[str, Any]) -> None:
        roles = {role: settings.get(role) or (START if role == "bos_token" else END) for role in ROLES}
        self._roles, self._words = roles, words
        self.settle(settings, roles)

    @cached_property
    def core(self) -> Tokenizer:
        """The compiled tokenizer: made for the first text, as its tables take as long as half of all loading."""
        words = self._words()
        core = _core(words.vocab, words.merges, self.unk_token)
        known = {token["content"] for token in words.added}
        special = [token for role, token in self._roles.items() if getattr(self, role) not in known]
        core.add_tokens([added_token(token, special=True) for token in special])
        core.add_tokens([added_token(token) for token in words.added])
        for token in words.added:
            if core.token_to_id(token["content"]) != token.get("id", core.token_to_id(token["content"])):
                raise CorruptFile("added tokens", f"{token['content']!r} as the next free id", str(token["id"]))
        return core

    @classmethod
    def from_source(cls, source: Source, **settings: Any) -> CLIPTokenizer:
        """The tokenizer of a located folder."""
        files = find_files(source)
        made = cls.__new__(cls)
        made._settle(files.words, files.settings | settings)
        if not is_remembered(files.verdict(), files.paths[0]):
            _ = made.core  # what does not fit is refused now
            remember(files.verdict(), files.paths[0])
        return made

    def files(self) -> dict[str, str]:
        """The texts of the files, by name."""
        vocab = sorted(self.core.get_vocab(with_added_tokens=False).items(), key=lambda pair: pair[1])
        added = {str(id): fields_of(token) for id, token in self.added_tokens_decoder.items()}
        defaults = {"tokenizer_class": "CLIPTokenizer", "model_max_length": self.model_max_length}
        roles = self.special_tokens_map
        fresh = {token: id for token, id in self.added_tokens_encoder.items() if id >= self.vocab_size}
        texts = {
            "vocab.json": json.dumps(dict(vocab), ensure_ascii=False),
            "merges.txt": "\n".join(["#version: 0.2", *map(" ".join, self._words().merges), ""]),
            "tokenizer_config.json": to_json(defaults | self.settings | roles | {"added_tokens_decoder": added}),
            "special_tokens_map.json": to_json(roles),
        }
        return texts | ({"added_tokens.json": to_json(fresh)} if fresh else {})

    def remove_tokens(self, tokens: Iterable[str]) -> None:
        """Forget added tokens; those that came after them take their ids."""
        gone = set(tokens)
        unknown = sorted(gone - set(self.added_tokens_encoder))
        if unknown:
            raise InvalidArgument("tokens", "tokens that were added", ", ".join(map(repr, unknown)))
        words = self._words()
        core = _core(words.vocab, words.merges, self.unk_token)
        core.add_tokens([token for token in self.added_tokens_decoder.values() if token.content not in gone])
        self.core = core  # pyright: ignore[reportIncompatibleVariableOverride]


def _core(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], unk: str) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    try:
        pairs = models.BPE(
            dict(vocab), list(merges), unk_token=unk, continuing_subword_prefix="", end_of_word_suffix="</w>"
        )
    except Exception as error:  # the library has no narrower one
        raise CorruptFile("merges", "pairs whose parts and wholes are in the vocabulary", str(error)) from None
    core = Tokenizer(pairs)
    replace = normalizers.Replace(Regex(r"\s+"), " ")
    core.normalizer = normalizers.Sequence([normalizers.NFC(), replace, normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    core.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    core.decoder = decoders.ByteLevel()
    return core
