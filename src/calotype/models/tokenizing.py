"""What tokenizers have in common: texts in, rows of ids out, between the ends that mark them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from calotype.core.atomic import Saving, saving
from calotype.core.errors import InvalidArgument
from calotype.core.files import Source, locate
from calotype.models.batch import Batch, stacked
from calotype.models.tokenizer_files import FLAGS

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

UNEQUAL = "Pass padding=True, or padding='max_length' and truncation=True."
UNLIMITED = int(1e30)  # what the ecosystem writes for a tokenizer that knows no limit
PADDINGS = {False: None, "do_not_pad": None, True: "longest", "longest": "longest", "max_length": "max_length"}
TRUNCATIONS = {False: False, "do_not_truncate": False, True: True, "longest_first": True}


class TextTokenizer:
    """Texts to ids and back by a compiled tokenizer; abstract. ``roles`` names the tokens that stand for something."""

    library = "transformers"
    config_name = "tokenizer_config.json"
    roles: ClassVar[tuple[str, ...]]
    word_end: ClassVar[str] = ""  # what the last part of a word is marked with

    core: Tokenizer
    bos_token: str
    eos_token: str
    unk_token: str
    pad_token: str

    def settle(self, settings: Mapping[str, Any], roles: Mapping[str, Any]) -> None:
        """Take the settings, and the tokens that play the roles."""
        self.settings = dict(settings)
        for role, token in roles.items():
            setattr(self, role, content(role, token))
        limit = settings.get("model_max_length") or UNLIMITED
        if not isinstance(limit, (int, float)):
            raise InvalidArgument("model_max_length", "a number of tokens", repr(limit))
        self.model_max_length = int(limit)

    @property
    def ends(self) -> tuple[list[int], list[int]]:
        """The ids that stand before a text, and those after it."""
        return [self.bos_token_id], [self.eos_token_id]

    def files(self) -> dict[str, str]:
        """The texts of the files, by name."""
        raise NotImplementedError

    @classmethod
    def from_source(cls, source: Source, **settings: Any) -> Any:
        """The tokenizer of a located folder."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The tokenizer of a folder or a Hub repository; other keywords win over the settings in its files."""
        source, settings = locate(pretrained_model_name_or_path, kwargs)
        return cls.from_source(source, **settings)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the files that every tokenizer of this kind reads, all of them or none."""
        with saving(Path(save_directory)) as save:
            self.stage(save, ".")

    def stage(self, save: Saving, folder: str) -> None:
        """Write the files into a folder of a larger save."""
        for name, text in self.files().items():
            save.write(f"{folder}/{name}", [text.encode()])

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
        pad, cut = choice("padding", padding, PADDINGS), choice("truncation", truncation, TRUNCATIONS)
        texts = [text] if isinstance(text, str) else list(text)
        limit = max_length or self.model_max_length
        ends = self.ends if add_special_tokens else ([], [])
        room = limit - len(ends[0]) - len(ends[1])
        if room < 1:
            raise InvalidArgument("max_length", "room for at least one token between start and end", str(max_length))
        rows: list[list[int]] = []
        sources: list[int] = []
        for source, one in enumerate(texts):
            ids = self.core.encode(checked(one, f"text[{source}]"), add_special_tokens=False).ids
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
        return self.core.encode(checked(text, "text"), add_special_tokens=False).tokens

    def decode(self, token_ids: Any, skip_special_tokens: bool = False) -> str:
        """The text that these ids spell."""
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        ids = [ids] if isinstance(ids, int) else ids
        text = self.core.decode(ids, skip_special_tokens=skip_special_tokens)
        return text.replace(self.word_end, " ").strip() if self.word_end else text

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
        added = [added_token(token, **flags) if isinstance(token, str) else token for token in tokens]
        return self.core.add_tokens(added)

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
        return {role: getattr(self, role) for role in self.roles}

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


def content(role: str, token: Any) -> str:
    text = token.get("content") if isinstance(token, Mapping) else token
    if not isinstance(text, str):
        raise InvalidArgument(role, "a token", repr(token))
    return text


def added_token(token: str | Mapping[str, Any], **flags: bool) -> AddedToken:
    from tokenizers import AddedToken

    told: Mapping[str, Any] = {"content": token} if isinstance(token, str) else token
    own = {name: told[name] for name in FLAGS if name in told}
    return AddedToken(told["content"], **({"normalized": False} | flags | own))


def fields_of(token: AddedToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in ("content", *FLAGS)}


def choice(name: str, value: Any, table: Mapping[Any, Any]) -> Any:
    if value not in table:
        raise InvalidArgument(name, f"one of {', '.join(map(repr, table))}", repr(value))
    return table[value]


def checked(text: object, where: str) -> str:
    if not isinstance(text, str):
        raise InvalidArgument(where, "str", type(text).__name__)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(where, "valid Unicode", f"half of a surrogate pair at character {error.start}") from None
    return text
