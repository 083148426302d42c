"""CLIP's tokenizer: lower-cased byte-level pairs between a start and an end token."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calotype.core.atomic import Saving, saving
from calotype.core.documents import to_json
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.files import Source, locate
from calotype.core.remembered import is_remembered, remember
from calotype.models.batch import Batch, stacked
from calotype.models.tokenizer_files import FLAGS, Words, find_files

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
UNEQUAL = "Pass padding=True, or padding='max_length' and truncation=True."
UNLIMITED = int(1e30)  # what the ecosystem writes for a tokenizer that knows no limit
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
PADDINGS = {False: None, "do_not_pad": None, True: "longest", "longest": "longest", "max_length": "max_length"}
TRUNCATIONS = {False: False, "do_not_truncate": False, True: True, "longest_first": True}


class CLIPTokenizer:
    """Text to token ids and back; ``added`` and ``settings`` are spelt as the files spell them."""

    library = "transformers"
    config_name = "tokenizer_config.json"

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
        self.settings, self._roles, self._words = settings, roles, words
        self.bos_token, self.eos_token, self.unk_token, self.pad_token = (
            _content(role, token) for role, token in roles.items()
        )
        limit = settings.get("model_max_length") or UNLIMITED
        if not isinstance(limit, (int, float)):
            raise InvalidArgument("model_max_length", "a number of tokens", repr(limit))
        self.model_max_length = int(limit)

    @cached_property
    def core(self) -> Tokenizer:
        """The compiled tokenizer: made for the first text, as its tables take as long as half of all loading."""
        words = self._words()
        core = _core(words.vocab, words.merges, self.unk_token)
        known = {token["content"] for token in words.added}
        special = [token for role, token in self._roles.items() if getattr(self, role) not in known]
        core.add_tokens([_added_token(token, special=True) for token in special])
        core.add_tokens([_added_token(token) for token in words.added])
        for token in words.added:
            if core.token_to_id(token["content"]) != token.get("id", core.token_to_id(token["content"])):
                raise CorruptFile("added tokens", f"{token['content']!r} as the next free id", str(token["id"]))
        return core

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> CLIPTokenizer:
        """The tokenizer of a folder or a Hub repository; other keywords win over the settings in its files."""
        source, settings = locate(pretrained_model_name_or_path, kwargs)
        return cls.from_source(source, **settings)

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

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the files that every CLIP tokenizer reads, all of them or none."""
        with saving(Path(save_directory)) as save:
            self.stage(save, ".")

    def stage(self, save: Saving, folder: str) -> None:
        """Write the files into a folder of a larger save."""
        for name, text in self.files().items():
            save.write(f"{folder}/{name}", [text.encode()])

    def files(self) -> dict[str, str]:
        """The texts of the files, by name."""
        vocab = sorted(self.core.get_vocab(with_added_tokens=False).items(), key=lambda pair: pair[1])
        added = {str(id): _fields(token) for id, token in self.added_tokens_decoder.items()}
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

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        add_special_tokens: bool = True,
        return_tensors: str | None = None,
        return_attention_mask: bool = True,
        return_overflowing_tokens: bool = False,
        return_length: bool = False,
    ) -> Batch:
        """Ids and mask of one text or of several; with ``return_overflowing_tokens`` a long text has several rows."""
        pad, cut = _choice("padding", padding, PADDINGS), _choice("truncation", truncation, TRUNCATIONS)
        texts = [text] if isinstance(text, str) else list(text)
        limit = max_length or self.model_max_length
        ends = ([self.bos_token_id], [self.eos_token_id]) if add_special_tokens else ([], [])
        room = limit - len(ends[0]) - len(ends[1])
        if room < 1:
            raise InvalidArgument("max_length", "room for at least one token between start and end", str(max_length))
        rows: list[list[int]] = []
        sources: list[int] = []
        for source, one in enumerate(texts):
            ids = self.core.encode(_checked(one, f"text[{source}]"), add_special_tokens=False).ids
            pieces = [ids[at : at + room] for at in range(0, len(ids), room)] or [[]] if cut else [ids]
            for piece in pieces if return_overflowing_tokens else pieces[:1]:
                rows.append(ends[0] + piece + ends[1])
                sources.append(source)
        lengths = [len(row) for row in rows]
        width = {None: 0, "longest": max(lengths, default=0), "max_length": limit if limit < UNLIMITED else 0}[pad]
        batch: dict[str, Any] = {"input_ids": [row + [self.pad_token_id] * (width - len(row)) for row in rows]}
        if return_attention_mask:
            batch["attention_mask"] = [[1] * length + [0] * (width - length) for length in lengths]
        if return_length:
            batch["length"] = [max(width, length) for length in lengths]
        if return_overflowing_tokens:
            batch["overflow_to_sample_mapping"] = sources
        elif isinstance(text, str) and return_tensors is None:
            batch = {name: values[0] for name, values in batch.items()}
        return Batch({name: stacked(values, return_tensors, UNEQUAL) for name, values in batch.items()})

    def encode(self, text: str, **options: Any) -> Any:
        """The ids of one text."""
        return self(text, **options).input_ids

    def tokenize(self, text: str) -> list[str]:
        """The tokens of one text, without start and end."""
        return self.core.encode(_checked(text, "text"), add_special_tokens=False).tokens

    def decode(self, token_ids: Any, skip_special_tokens: bool = False) -> str:
        """The text that these ids spell."""
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        ids = [ids] if isinstance(ids, int) else ids
        return self.core.decode(ids, skip_special_tokens=skip_special_tokens).replace("</w>", " ").strip()

    def batch_decode(self, sequences: Iterable[Any], skip_special_tokens: bool = False) -> list[str]:
        """The texts that these rows of ids spell."""
        return [self.decode(row, skip_special_tokens) for row in sequences]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a token, or of each of several; the unknown token's for one that is not in the vocabulary."""
        if isinstance(tokens, str):
            id = self.core.token_to_id(tokens)
            return self.unk_token_id if id is None else id
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """The token of an id, or of each of several."""
        return self.core.id_to_token(ids) if isinstance(ids, int) else [self.core.id_to_token(int(id)) for id in ids]

    def add_tokens(
        self, new_tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add whole tokens that are never split, and say how many were added."""
        tokens = new_tokens if isinstance(new_tokens, Sequence) and not isinstance(new_tokens, str) else [new_tokens]
        flags = {"normalized": not special_tokens, "special": special_tokens}
        added = [_added_token(token, **flags) if isinstance(token, str) else token for token in tokens]
        return self.core.add_tokens(added)

    def remove_tokens(self, tokens: Iterable[str]) -> None:
        """Forget added tokens; those that came after them take their ids."""
        gone = set(tokens)
        unknown = sorted(gone - set(self.added_tokens_encoder))
        if unknown:
            raise InvalidArgument("tokens", "tokens that were added", ", ".join(map(repr, unknown)))
        words = self._words()
        core = _core(words.vocab, words.merges, self.unk_token)
        core.add_tokens([token for token in self.added_tokens_decoder.values() if token.content not in gone])
        self.core = core

    def get_vocab(self) -> dict[str, int]:
        return self.core.get_vocab()

    def __len__(self) -> int:
        return self.core.get_vocab_size()

    @property
    def vocab_size(self) -> int:
        """How many tokens there are without the added ones."""
        return self.core.get_vocab_size(with_added_tokens=False)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return dict(sorted(self.core.get_added_tokens_decoder().items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        return {token.content: id for id, token in self.added_tokens_decoder.items()}

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return {role: getattr(self, role) for role in ROLES}

    @property
    def bos_token_id(self) -> int:
        return self.convert_tokens_to_ids(self.bos_token)

    @property
    def eos_token_id(self) -> int:
        return self.convert_tokens_to_ids(self.eos_token)

    @property
    def unk_token_id(self) -> int:
        return self.convert_tokens_to_ids(self.unk_token)

    @property
    def pad_token_id(self) -> int:
        return self.convert_tokens_to_ids(self.pad_token)


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


def _content(role: str, token: Any) -> str:
    text = token.get("content") if isinstance(token, Mapping) else token
    if not isinstance(text, str):
        raise InvalidArgument(role, "a token", repr(token))
    return text


def _added_token(token: str | Mapping[str, Any], **flags: bool) -> AddedToken:
    from tokenizers import AddedToken

    told: Mapping[str, Any] = {"content": token} if isinstance(token, str) else token
    own = {name: told[name] for name in FLAGS if name in told}
    return AddedToken(told["content"], **({"normalized": False} | flags | own))


def _fields(token: AddedToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in ("content", *FLAGS)}


def _choice(name: str, value: Any, table: Mapping[Any, Any]) -> Any:
    if value not in table:
        raise InvalidArgument(name, f"one of {', '.join(map(repr, table))}", repr(value))
    return table[value]


def _checked(text: object, where: str) -> str:
    if not isinstance(text, str):
        raise InvalidArgument(where, "str", type(text).__name__)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(where, "valid Unicode", f"half of a surrogate pair at character {error.start}") from None
    return text
